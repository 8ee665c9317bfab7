"""Blue/green on a real control plane: no request is lost, whatever dies, lags or meddles on the way.

- a switch and its abort, with preview and drain; who is born afterwards
- all pods of the new colour die: before the plan, between plan and apply, and in the middle of the switch
- somebody resets the selector in the middle; pods that the endpoint controller has not seen yet
- a hundred pods of each colour, whose slices are not written atomically
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from gatekeep.model.errors import IncompleteError
from gatekeep.model.plan import Step
from tests.controlplane.traffic import TrafficReport as Report
from tests.e2e.story import GATE, Json, Story, service, watched
from tests.e2e.strategies import (
    LAG,
    PREVIEW,
    answering,
    apply_while,
    colored,
    counted,
    gives,
    kill_all,
    moved,
    names_behind,
    nothing_lost,
    of,
    pods_of,
    select,
    stays,
)
from tests.e2e.workloads import manifest

PODS = 6
LATE = pytest.mark.parametrize("late", [0.0, LAG], ids=["idle", "pods-3-s"])


@pytest.fixture
def web(story_of: Callable[..., Story]) -> Story:
    """Two Deployments behind one Service, and Service preview, which selects the same pods; nothing is gated."""
    story = story_of(*[team_of_a(name) for name in ("blue", "green")])
    story.create(service(PREVIEW))
    return story


def team_of_a(name: str) -> Json:
    """A Deployment whose pods have the label team=a too."""
    made = manifest("Deployment", name, PODS)
    made["spec"]["template"]["metadata"]["labels"] |= {"team": "a"}
    return made


def blue_first(story: Story, *, preview: bool = False) -> None:
    """Blue serves; the policy asks for green."""
    colored(story, "blue", preview=preview)
    applied = story.apply()
    assert applied.code == 0, applied.err
    colored(story, "green", preview=preview)
    story.settle()


@LATE
def test_a_switch_and_its_abort(web: Story, late: float) -> None:
    blue, green = pods_of(web, "blue"), pods_of(web, "green")
    colored(web, "blue", preview=True, drain="2s")
    with nothing_lost(web, "apply: blue/green, the gate comes"):
        assert web.apply().code == 0
    assert (names_behind(web, "rng"), names_behind(web, PREVIEW)) == (blue, green)

    colored(web, "green", preview=True, drain="2s")
    with watched(web) as counts, nothing_lost(web, "apply: blue/green, the switch", pods=late) as traffic:
        switched = web.apply()
    assert switched.code == 0, switched.err
    assert min(counts) == PODS, sorted(set(counts))
    assert set(traffic.report().by_pod) == blue | green
    assert (names_behind(web, "rng"), names_behind(web, PREVIEW)) == (green, blue)
    assert answering(web) == green
    stays(web)

    with watched(web) as counts, nothing_lost(web, "abort: back to blue", pods=late):
        aborted = moved(web, "abort")
    assert aborted.code == 0, aborted.err
    assert min(counts) == PODS, sorted(set(counts))
    assert (names_behind(web, "rng"), names_behind(web, PREVIEW)) == (blue, green)
    assert answering(web) == blue
    stays(web)


def test_who_is_born_after_the_switch(web: Story) -> None:
    blue_first(web, preview=True)
    assert web.apply().code == 0
    for name in ("blue", "green"):
        of(web, name).scale(PODS + 1)
        of(web, name).wait_rollout()
    green = pods_of(web, "green")
    web.stack.wait_endpoints(web.namespace, "rng", PODS + 1)
    assert names_behind(web, "rng") == green
    assert answering(web) == green
    assert web.apply().code == 0
    assert (names_behind(web, "rng"), names_behind(web, PREVIEW)) == (green, pods_of(web, "blue"))


def test_all_of_green_die_before_the_plan(web: Story) -> None:
    blue_first(web)
    with nothing_lost(web, "apply refused: green died before the plan", pods=LAG):
        kill_all(web, "green")
        refused = web.apply()
    assert refused.code == 3, refused
    assert "the colour green is to be active, and" in " ".join(refused.err.split())
    assert answering(web) == pods_of(web, "blue")
    of(web, "green").wait_rollout()
    with nothing_lost(web, "apply: once green is there again"):
        assert web.apply().code == 0
    assert answering(web) == pods_of(web, "green")


def test_all_of_green_die_between_plan_and_apply(web: Story) -> None:
    blue_first(web)
    file = web.folder / "plan.json"
    assert web.plan(args=("-o", "json", "--out", str(file))).code == 0
    with nothing_lost(web, "apply PLAN refused: green died since the plan", pods=LAG):
        kill_all(web, "green")
        refused = web.gatekeep("apply", str(file))
    assert refused.code in (3, 4), refused
    assert answering(web) == pods_of(web, "blue")
    of(web, "green").wait_rollout()
    assert web.apply().code == 0
    assert answering(web) == pods_of(web, "green")


def switch_while(story: Story, what: str, late: float, deed: Callable[[], None], now: Callable[[Step], bool]) -> Report:
    """A switch to green; before the first step that ``now`` holds for, ``deed`` is done. The run may stop for it."""
    done: list[Step] = []

    def act(step: Step) -> None:
        if not done and now(step):
            done.append(step)
            deed()

    with watched(story) as counts, counted(story, f"apply: {what}", pods=late) as traffic, suppress(IncompleteError):
        apply_while(story, act)
    assert done
    assert min(counts) >= PODS, sorted(set(counts))
    return traffic.report()


def follows(test: Callable[[Step], bool]) -> Callable[[Step], bool]:
    """Holds for the steps behind the first one that ``test`` holds for."""
    seen: list[Step] = []

    def after(step: Step) -> bool:
        found = bool(seen)
        seen.extend([step] if test(step) else [])
        return found

    return after


def is_last_look(step: Step) -> bool:
    """The step that takes blue out."""
    return gives(step, None)


def goes_on_to_green(story: Story) -> None:
    """Once all of green is there, another apply ends the switch, and nothing is lost."""
    of(story, "green").wait_rollout()
    with nothing_lost(story, "apply: goes on once green is there again"):
        assert story.apply().code == 0
    assert answering(story) == pods_of(story, "green")


def test_all_of_green_die_before_they_are_labelled(web: Story) -> None:
    blue_first(web)
    report = switch_while(web, "green died before it was labelled", LAG, lambda: kill_all(web, "green"), gives)
    assert report.lost == 0, report
    goes_on_to_green(web)


@pytest.mark.long
@pytest.mark.parametrize("now", [follows(gives), is_last_look], ids=["labelled", "blue is to leave"])
def test_all_of_green_die_while_they_are_in_rotation(web: Story, now: Callable[[Step], bool]) -> None:
    """Who dies in rotation takes its requests along until kube-proxy has heard of it, whoever does what.

    That is every other request, for as long as the controller is late and two syncs of kube-proxy. Blue answers all
    the while.
    """
    blue_first(web)
    report = switch_while(web, "green died in rotation", LAG, lambda: kill_all(web, "green"), now)
    assert report.lost <= report.sent / 2
    assert report.lost <= 200 * (LAG + 2) / 2, report
    assert report.longest_gap < 0.5, report
    goes_on_to_green(web)


def test_blue_stays_while_one_of_green_is_left(web: Story) -> None:
    """Five of six die right before blue is to leave: the one that is left is no colour as a whole."""

    def five_die() -> None:
        web.kubectl("delete", "pods", *sorted(pods_of(web, "green"))[1:])

    blue_first(web)
    switch_while(web, "five of six of green died", LAG, five_die, is_last_look)
    goes_on_to_green(web)


@pytest.mark.parametrize(
    ("turn", "selector"),
    [("green is labelled", {"app": "rng"}), ("blue is to leave", {"app": "rng", "team": "a"})],
    ids=["no key", "another key"],
)
def test_somebody_resets_the_selector_in_the_middle(web: Story, turn: str, selector: dict[str, str]) -> None:
    blue_first(web)
    done: list[Step] = []

    def act(step: Step) -> None:
        if not done and gives(step, GATE[1] if turn == "green is labelled" else None):
            done.append(step)
            select(web, selector)

    with nothing_lost(web, f"apply: the selector is reset when {turn}"):
        with pytest.raises(IncompleteError, match="somebody else changed the selector") as failure:
            apply_while(web, act)
        assert str(selector) in str(failure.value)
    with nothing_lost(web, "apply: goes on after the reset"):
        assert web.apply().code == 0
    assert answering(web) == pods_of(web, "green")
    assert web.selector() == {**selector, GATE[0]: GATE[1]}
    assert not web.helpers()


def test_ready_pods_that_the_endpoint_controller_has_not_seen(web: Story) -> None:
    of(web, "green").scale(0)
    of(web, "green").wait_rollout()
    blue_first(web)
    web.stack.lag(pods=LAG)
    of(web, "green").scale(PODS)
    web.stack.wait_pods(web.namespace, PODS, "part=green")
    with nothing_lost(web, "apply: green became ready a moment ago", pods=LAG):
        applied = web.apply()
    assert applied.code == 0, applied.err
    assert answering(web) == pods_of(web, "green")


MANY = 101


def test_a_switch_over_several_slices(story_of: Callable[..., Story]) -> None:
    web = story_of(manifest("Deployment", "blue", MANY), manifest("Deployment", "green", MANY))
    blue_first(web)
    assert len(web.get("endpointslices", "-l", "kubernetes.io/service-name=rng")["items"]) > 1
    with watched(web) as counts, nothing_lost(web, f"apply: a switch of {MANY} pods to {MANY}"):
        switched = web.apply()
    assert switched.code == 0, switched.err
    assert (min(counts), max(counts)) == (MANY, 2 * MANY), sorted(set(counts))
    assert names_behind(web, "rng") == pods_of(web, "green")
