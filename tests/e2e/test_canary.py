"""A canary by weight on a real control plane: the share of requests is the share of pods, and no request is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.story import Story, record
from tests.e2e.strategies import LAG, bound_of, of, owned, pods_of
from tests.e2e.workloads import manifest


@pytest.fixture
def web(story_of: Callable[..., Story]) -> Story:
    """Nine stable pods and nine of the next version behind one Service."""
    return story_of(manifest("Deployment", "stable", 9), manifest("Deployment", "next", 9))


def weighted(story: Story, weight: int) -> None:
    """Writes the policy."""
    groups = {"stable": owned("stable"), "canary": owned("next"), "weight": weight}
    story.policy(rotation={"canary": groups}, floor=5)


@pytest.mark.parametrize(
    "lag", [pytest.param({}, id="idle"), pytest.param({"pods": LAG}, id="pods-3-s", marks=pytest.mark.long)]
)
def test_weights_go_up_and_down_and_lose_nothing(web: Story, lag: dict[str, float]) -> None:
    for weight, numbers in ((10, (9, 1)), (50, (9, 9)), (100, (0, 9)), (25, (9, 3)), (0, (9, 0))):
        weighted(web, weight)
        web.stack.lag(**lag)
        with web.traffic() as traffic:
            applied = web.apply()
            traffic.run_for(LAG if lag else 1)
        assert applied.code == 0, applied.err
        report = record(f"gatekeep apply: canary at weight {weight}", "pods 3 s" if lag else "none", traffic.report())
        assert report.lost == 0, report
        inside, fresh = web.labelled(), pods_of(web, "next")
        assert (len(inside - fresh), len(inside & fresh)) == numbers, weight
        web.stack.lag(pods=0)
        versions = web.versions()
        assert web.apply().code == 0
        assert web.versions() == versions


def test_the_share_of_requests_is_the_share_of_endpoints(web: Story) -> None:
    weighted(web, 25)
    assert web.apply().code == 0
    web.settle()
    with web.traffic() as traffic:
        traffic.run_for(10)
    report, share = traffic.report(), 3 / 12
    assert report.lost == 0, report
    found, bound = report.share(pods_of(web, "next")), bound_of(share, report.ok)
    assert abs(found - share) < bound, (found, bound)


def test_who_is_picked_stays_picked_and_a_dead_one_is_made_up_for(web: Story) -> None:
    weighted(web, 25)
    assert web.apply().code == 0
    picked = web.labelled() & pods_of(web, "next")
    victim = min(picked)
    web.kubectl("delete", "pod", victim)
    of(web, "next").wait_rollout()
    assert web.apply().code == 0
    again = web.labelled() & pods_of(web, "next")
    assert len(again) == 3
    assert picked - {victim} <= again


def test_a_picked_pod_that_is_gone_makes_a_saved_plan_stale(web: Story) -> None:
    weighted(web, 10)
    file = web.folder / "plan.json"
    planned = web.plan(args=("-o", "json", "--out", str(file)))
    assert planned.code == 0, planned.err
    assert web.apply().code == 0
    victim = min(web.labelled() & pods_of(web, "next"))
    assert web.retire().code == 0
    assert web.plan(args=("-o", "json", "--out", str(file))).code == 0
    web.kubectl("delete", "pod", victim)
    refused = web.gatekeep("apply", str(file))
    assert refused.code == 3, refused
    assert f"{victim} was picked to join, and is gone" in refused.err


def test_later_pods_of_the_stable_group_join_and_those_of_the_canary_wait(web: Story) -> None:
    weighted(web, 10)
    assert web.apply().code == 0
    for name in ("stable", "next"):
        each = of(web, name)
        each.scale(11)
        each.wait_rollout()
    inside = web.labelled()
    assert len(inside & pods_of(web, "stable")) == 11
    assert len(inside & pods_of(web, "next")) == 1
