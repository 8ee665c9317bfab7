"""Canary runs and held pods on a real control plane: the share of requests at each pause, and no request is lost.

A measured share may be off by four standard deviations of the binomial distribution of the requests that were counted:
of 800 requests at weight 10 that is 4.2 percent points, at weight 50 it is 7.1; at 0 and at 100 it is nothing.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.prometheus import Site, prometheus
from tests.e2e.story import GATE, Json, Story
from tests.e2e.strategies import (
    LAG,
    answering,
    bound_of,
    moved,
    nothing_lost,
    of,
    pods_of,
    stays,
    stepping,
)
from tests.e2e.workloads import manifest

PODS = 9
STEPS: tuple[Json, ...] = ({"weight": 10}, {"pause": {}}, {"weight": 50}, {"pause": "2s"}, {"weight": 100})


@pytest.fixture
def web(story_of: Callable[..., Story]) -> Story:
    """Nine stable pods and nine of the next version behind one Service, and a policy that takes them over in steps."""
    story = story_of(manifest("Deployment", "stable", PODS), manifest("Deployment", "next", PODS))
    stepping(story, *STEPS)
    return story


def numbers(story: Story) -> tuple[int, int]:
    """How many stable and how many canary pods carry the label."""
    inside, fresh = story.labelled(), pods_of(story, "next")
    return len(inside - fresh), len(inside & fresh)


def require_share(story: Story, share: float) -> None:
    """Of 800 requests the canary answers this share, within the bound; no request is lost."""
    story.settle()
    with story.traffic() as traffic:
        traffic.run_for(4)
    report = traffic.report()
    assert report.lost == 0, report
    found, bound = report.share(pods_of(story, "next")), bound_of(share, report.ok)
    assert abs(found - share) <= bound, (found, share, bound)


def apply(story: Story, what: str, late: float = 0.0, *args: str) -> str:
    """An apply under traffic; returns what it printed."""
    with nothing_lost(story, f"apply: {what}", pods=late):
        applied = story.apply(*args)
    assert applied.code == 0, applied.err
    return applied.out


def move(story: Story, command: str, what: str, late: float = 0.0) -> None:
    """A promote or an abort under traffic."""
    with nothing_lost(story, f"{command}: {what}", pods=late):
        found = moved(story, command)
    assert found.code == 0, found.err


def test_a_run_from_pause_to_pause(web: Story) -> None:
    apply(web, "canary to weight 10")
    assert numbers(web) == (9, 1)
    require_share(web, 0.1)
    stays(web)
    move(web, "promote", "canary to weight 50")
    assert numbers(web) == (9, 9)
    require_share(web, 0.5)
    time.sleep(2)
    apply(web, "canary to weight 100")
    assert numbers(web) == (0, 9)
    require_share(web, 1.0)
    stays(web)


def test_a_run_while_pods_are_seen_late(web: Story) -> None:
    apply(web, "canary to weight 10", LAG)
    move(web, "promote", "canary to weight 50", LAG)
    assert numbers(web) == (9, 9)
    apply(web, "canary to weight 100", LAG)
    assert answering(web) == pods_of(web, "next")


def test_a_run_is_aborted_at_each_pause(web: Story) -> None:
    apply(web, "canary to weight 10")
    move(web, "abort", "from weight 10")
    assert numbers(web) == (9, 0)
    assert answering(web) == pods_of(web, "stable")
    stays(web)
    move(web, "promote", "an aborted run starts again")
    assert numbers(web) == (9, 1)
    move(web, "promote", "canary to weight 50")
    assert numbers(web) == (9, 9)
    move(web, "abort", "from weight 50", LAG)
    assert answering(web) == pods_of(web, "stable")
    stays(web)


@pytest.mark.long
def test_a_killed_run_is_aborted(web: Story) -> None:
    """The lock of a killed run is free after 30 s."""
    assert web.apply().code == 0
    with nothing_lost(web, "abort: of a run that was killed"):
        web.stack.lag(pods=20)
        run = subprocess.Popen(
            web.command("promote", f"{web.namespace}/rng", "-y"),
            env=web.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        web.stack.wait(lambda: numbers(web) == (9, 9), 30, "the canary pods to be labelled")
        run.kill()
        run.wait()
        web.stack.lag(pods=LAG)
        aborted = moved(web, "abort", "--lock-timeout", "60s")
    assert aborted.code == 0, aborted.err
    assert numbers(web) == (9, 0)
    assert not web.helpers()
    assert answering(web) == pods_of(web, "stable")
    stays(web)


def test_an_undo_goes_back_to_where_the_run_began(web: Story) -> None:
    assert web.apply().code == 0
    before = web.labelled()
    assert moved(web, "promote").code == 0
    assert numbers(web) == (9, 9)
    with nothing_lost(web, "undo: from weight 50 to weight 10", pods=LAG):
        undone = web.gatekeep("undo", "-n", web.namespace, "-y")
    assert undone.code == 0, undone.err
    assert web.labelled() == before
    require_share(web, 0.1)
    stays(web)


# Checks


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A Prometheus whose ``errors`` the test writes."""
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with prometheus(folder) as made:
        yield made


def test_a_check_that_passes_goes_on_and_one_that_fails_takes_the_canary_out(web: Story, site: Site) -> None:
    asks = {"query": "errors", "max": 0.01, "for": "2s", "interval": "1s", "failures": 2, "timeout": "30s"}
    check = {"check": "quiet"}
    stepping(web, {"weight": 10}, check, {"pause": "1s"}, {"weight": 50}, check, {"weight": 100},
             checks=[{"name": "quiet", "prometheus": asks}])  # fmt: skip
    site.endpoint.set({"errors": 0})
    site.sees("errors", "0")
    apply(web, "canary with a check that passes", 0.0, "--prometheus", site.url)
    assert numbers(web) == (9, 1)
    time.sleep(1)

    site.endpoint.set({"errors": 0.5})
    site.sees("errors", "0.5")
    with nothing_lost(web, "apply: a check fails"):
        failed = web.apply("--prometheus", site.url)
    assert failed.code == 4, failed
    assert "quiet" in failed.err
    assert numbers(web) == (9, 0)
    assert answering(web) == pods_of(web, "stable")
    site.endpoint.set({"errors": 0})
    site.sees("errors", "0")
    stays(web)


# Held pods


def test_held_pods_wait_until_they_are_admitted(story_of: Callable[..., Story]) -> None:
    web = story_of(manifest("Deployment", "web", 4))
    web.policy(newPods="Hold")
    apply(web, "newPods: Hold")
    old = pods_of(web, "web")
    assert web.labelled() == old
    of(web, "web").scale(7)
    of(web, "web").wait_rollout()
    assert answering(web) == old
    found = web.plan(args=("-o", "json")).json
    assert "held" in {item["rule"] for item in found["findings"]}
    stays(web)
    move(web, "promote", "held pods are admitted", LAG)
    assert (web.labelled(), len(old)) == (pods_of(web, "web"), 4)
    assert answering(web) == pods_of(web, "web")
    assert GATE[0] not in of(web, "web").get()["spec"]["template"]["metadata"]["labels"]
