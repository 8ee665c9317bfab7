"""Runs over workloads that stop: another writer was there, a wait is not met, a signal comes while something is held.

Nothing restarts because of it. The message says what was expected and found, what is held still, and how to go on.
"""

from __future__ import annotations

import functools
import re
import signal
from collections.abc import Callable

import msgspec
import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.cluster.embedded.store import Object
from gatekeep.execute.workloads import held_before
from gatekeep.model.errors import (
    IncompleteError,
    PatchRejectedError,
    RefusedError,
    UnreachableError,
)
from gatekeep.model.events import Event, StepStarted
from tests.execute.adoptions import (
    KEY,
    KINDS,
    ON_DELETE,
    adoption,
    carry_out,
    end,
    failure_of,
    make_again,
    ref,
    shop,
    uids,
    values,
)
from tests.execute.faults import failing

HELD = {"Deployment": "is paused", "DaemonSet": "is set to OnDelete", "StatefulSet": "is set to OnDelete"}
LAST = {"Deployment": 7, "DaemonSet": 6, "StatefulSet": 6}
"""The number of the step that lets the workload go."""


def at_step(number: int, act: Callable[[], object]) -> Callable[[Event], None]:
    """A listener that acts when a step begins."""

    def listen(event: Event) -> None:
        if isinstance(event, StepStarted) and event.step.number == number:
            act()

    return listen


def spec_of(made: EmbeddedCluster, kind: str) -> Object:
    """The workload's spec as it is."""
    found: Object = made.get(ref(kind))["spec"]
    return found


def edit(made: EmbeddedCluster, kind: str, act: Callable[[Object], object], manager: str = "kubectl") -> None:
    """Another writer changes the workload's spec."""

    def write(data: Object) -> None:
        act(data["spec"])

    made.edit(ref(kind), write, manager=manager)


def pause(spec: Object) -> None:
    spec["paused"] = True


def label(spec: Object) -> None:
    spec["template"]["metadata"]["labels"][KEY] = "maybe"


def partition(spec: Object) -> None:
    spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}


BEFORE = {
    "paused": ("Deployment", pause, r"somebody else paused it .*/spec/paused is True, expected None"),
    "strategy": ("StatefulSet", partition, r"update strategy: /spec/updateStrategy is .*partition"),
    "label": ("DaemonSet", label, r"the label active in its pod template: .* is 'maybe', expected None"),
}


@pytest.mark.parametrize("name", BEFORE)
def test_a_workload_that_somebody_else_changed_is_not_touched(name: str) -> None:
    kind, act, words = BEFORE[name]
    made = shop(kind)
    plan = adoption(made, kind)
    edit(made, kind, act)
    before = spec_of(made, kind)
    said = failure_of(RefusedError, lambda: carry_out(made, plan))
    assert re.search(words, said)
    assert f"{kind} shop/rng: " in said
    assert spec_of(made, kind) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_workload_that_is_gone_or_was_made_again_is_not_touched(kind: str) -> None:
    for act in (make_again, end):
        made = shop(kind)
        plan = adoption(made, kind)
        act(made, kind)
        said = failure_of(RefusedError, functools.partial(carry_out, made, plan))
        assert "it is gone, or was deleted and created again" in said
        assert "yes" not in values(made)


def test_a_pause_by_gatekeep_itself_counts_as_done() -> None:
    """The answer got lost below the client, which says only that the second try was refused."""
    made = shop("Deployment")
    plan = adoption(made, "Deployment")
    edit(made, "Deployment", pause, manager="gatekeep")
    before = uids(made)
    carry_out(made, plan)
    assert values(made) == {"yes"}
    assert uids(made) == before


def test_a_deployment_that_somebody_resumes_on_the_way_stops_the_run() -> None:
    made = shop("Deployment")
    plan = adoption(made, "Deployment")
    listen = at_step(LAST["Deployment"], lambda: edit(made, "Deployment", lambda spec: spec.pop("paused")))
    said = failure_of(IncompleteError, lambda: carry_out(made, plan, listen))
    assert "somebody else resumed it while it was held still" in said
    assert "run the same command again" in said
    assert "is paused" not in said


def test_a_strategy_that_somebody_restores_on_the_way_stops_the_run() -> None:
    made = shop("DaemonSet")
    plan = adoption(made, "DaemonSet")
    listen = at_step(LAST["DaemonSet"], lambda: edit(made, "DaemonSet", partition))
    said = failure_of(IncompleteError, lambda: carry_out(made, plan, listen))
    assert "changed its update strategy: /spec/updateStrategy is {'type': 'RollingUpdate'" in said
    assert "expected {'type': 'OnDelete'}" in said
    assert "is set to OnDelete" not in said


@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_at_any_step_names_what_is_held_and_nobody_restarts(kind: str) -> None:
    for number in range(2, LAST[kind] + 1):
        made = shop(kind)
        before = uids(made)
        said = failure_of(IncompleteError, signalled(made, kind, number))
        assert f"{kind} shop/rng {HELD[kind]}: nothing restarts because of that" in said
        assert "run the same command again to go on" in said
        assert is_held(made, kind)
        assert uids(made) == before


def signalled(made: EmbeddedCluster, kind: str, number: int) -> Callable[[], object]:
    """A run that is sent a signal when a step begins."""
    came: list[int] = []
    plan = adoption(made, kind)
    listen = at_step(number, lambda: came.append(signal.SIGTERM))
    return lambda: carry_out(made, plan, listen, lambda: came[0] if came else None)


def is_held(made: EmbeddedCluster, kind: str) -> bool:
    spec = spec_of(made, kind)
    return bool(spec.get("paused")) or spec.get("updateStrategy") == ON_DELETE


@pytest.mark.parametrize("kind", KINDS)
def test_a_hold_that_was_sent_but_never_answered_is_named(kind: str) -> None:
    made = shop(kind)
    failing(made, 1, UnreachableError("no answer in time"), after=True)
    failing(made, 2, UnreachableError("no answer in time"), times=9)
    plan = adoption(made, kind)
    assert HELD[kind] in failure_of(IncompleteError, lambda: carry_out(made, plan))


def test_a_hold_that_is_refused_is_none() -> None:
    made = shop("DaemonSet")
    plan = adoption(made, "DaemonSet")
    made.before_write(lambda verb, target, count: refuse())
    said = failure_of(RefusedError, lambda: carry_out(made, plan))
    assert "the API server refuses the patch: denied by a policy" in said


def refuse() -> None:
    raise PatchRejectedError("denied by a policy (HTTP 422)")


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_earlier_run_held_is_known_from_the_steps_that_let_it_go(kind: str) -> None:
    made = shop(kind)
    plan = adoption(made, kind)
    assert held_before(plan) == {}
    rest = msgspec.structs.replace(plan, steps=plan.steps[1:])
    assert [f"{item} is {words}" for item, words in held_before(rest).items()] == [f"{ref(kind)} {HELD[kind]}"]
