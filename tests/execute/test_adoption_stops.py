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
from gatekeep.execute.values import resolved
from gatekeep.execute.workloads import held_before
from gatekeep.model.errors import (
    IncompleteError,
    NotSettledError,
    PatchRejectedError,
    RefusedError,
    SignalledError,
    UnreachableError,
)
from gatekeep.model.events import Event, StepStarted, WaitProgress
from gatekeep.model.patches import FieldEdit, Op
from gatekeep.model.plan import Plan
from gatekeep.model.waits import DurationWait, FieldWait
from tests.execute.adoptions import (
    ALWAYS,
    GENERATION,
    KEY,
    KINDS,
    NAMESPACE,
    ON_DELETE,
    Draft,
    adoption,
    carry_out,
    change,
    ref,
    shop,
    uids,
    values,
    wait_object,
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


def make_again(made: EmbeddedCluster, kind: str) -> None:
    """Somebody deletes the workload and creates it again."""
    old = made.get(ref(kind))
    made.kill(ref(kind))
    metadata = {"name": "rng", "namespace": NAMESPACE, "labels": old["metadata"]["labels"]}
    made.add({**old, "metadata": metadata})


def end(made: EmbeddedCluster, kind: str) -> None:
    """Somebody deletes the workload."""
    made.kill(ref(kind))


def failure_of(kind: type[Exception], act: Callable[[], object]) -> str:
    """What the failure says."""
    with pytest.raises(kind) as failure:
        act()
    return str(failure.value)


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


def field_wait(made: EmbeddedCluster, kind: str, path: str, **fields: object) -> Plan:
    """One wait of three seconds, and a write that is left after it."""
    draft = Draft(made, kind)
    draft.wait(FieldWait(wait_object(draft.item), path, timeout_seconds=3, **fields))  # type: ignore[arg-type]
    return draft.plan()


def test_a_wait_that_is_not_met_says_what_was_expected_and_found() -> None:
    made = shop("DaemonSet")
    plan = field_wait(made, "DaemonSet", "/status/updatedNumberScheduled", equals={"$field": "/spec/minReadySeconds"})
    seen: list[Event] = []
    said = failure_of(NotSettledError, lambda: carry_out(made, plan, seen.append))
    expected = "/status/updatedNumberScheduled to be 0 (/spec/minReadySeconds), found 3, after 3 s"
    assert f"step 1: DaemonSet shop/rng: expected {expected}" in said
    assert "is kube-controller-manager running" in said
    assert [(event.seen, event.expected) for event in seen if isinstance(event, WaitProgress)] == [(3, 0)] * 2
    assert 3.0 <= made.clock.monotonic() - ALWAYS < 3.5


@pytest.mark.parametrize(
    ("fields", "met"),
    [
        ({"at_least": 1}, True),
        ({"at_least": 99}, False),
        ({"equals": 1}, True),
        ({"equals": 0}, False),
        ({"equals": {"$field": GENERATION}}, True),
    ],
)
def test_a_field_is_compared_with_numbers_and_other_fields(fields: dict[str, object], met: bool) -> None:
    made = shop("DaemonSet")
    plan = field_wait(made, "DaemonSet", "/status/observedGeneration", **fields)
    if met:
        carry_out(made, plan)
    else:
        failure_of(NotSettledError, lambda: carry_out(made, plan))


def test_a_number_that_is_absent_counts_as_zero() -> None:
    made = shop("StatefulSet")
    for fields in ({"equals": 0}, {"at_least": 0}, {"equals": {"$field": "/status/nothing"}}):
        carry_out(made, field_wait(made, "StatefulSet", "/status/collisionCount", **fields))


@pytest.mark.parametrize("kind", KINDS)
def test_a_wait_ends_when_its_workload_is_gone_or_made_again(kind: str) -> None:
    for act, words in ((make_again, "it was deleted and created again"), (end, "it is gone")):
        made = shop(kind)
        plan = field_wait(made, kind, "/status/observedGeneration", at_least=99)
        act(made, kind)
        assert words in failure_of(RefusedError, functools.partial(carry_out, made, plan))


def test_the_controllers_silence_leaves_the_deployment_paused_and_says_so() -> None:
    made = shop("Deployment")
    made.lag(workloads=1000.0)
    plan = adoption(made, "Deployment")
    said = failure_of(IncompleteError, lambda: carry_out(made, plan))
    assert "expected /status/observedGeneration to be at least 2, found 1, after 30 s" in said
    assert "Deployment shop/rng is paused: nothing restarts because of that" in said


def test_a_signal_ends_a_wait_that_is_not_met() -> None:
    made = shop("Deployment")
    plan = field_wait(made, "Deployment", "/status/observedGeneration", at_least=99)
    late = made.clock.monotonic() + 1.0
    with pytest.raises(SignalledError):
        carry_out(made, plan, stop=lambda: signal.SIGINT if made.clock.monotonic() >= late else None)
    assert made.clock.monotonic() < late + 0.5


def test_a_value_that_nobody_found_out_is_refused() -> None:
    made = shop("Deployment")
    draft = Draft(made, "Deployment")
    draft.observed(draft.item, "nobody.knows")
    assert "relies on nobody.knows" in failure_of(RefusedError, lambda: carry_out(made, draft.plan()))


def test_a_duration_passes_and_a_signal_cuts_it_short() -> None:
    made = shop("Deployment")
    draft = Draft(made, "Deployment")
    draft.wait(DurationWait(2))
    carry_out(made, draft.plan())
    assert made.clock.monotonic() == ALWAYS + 2.0
    late = made.clock.monotonic() + 1.0
    with pytest.raises(SignalledError):
        carry_out(made, draft.plan(), stop=lambda: signal.SIGINT if made.clock.monotonic() >= late else None)
    assert made.clock.monotonic() < late + 0.6


def test_a_bare_replica_set_gets_the_label_in_its_template() -> None:
    made = shop("Deployment")
    [item] = made.list_objects("ReplicaSet", NAMESPACE, {})
    draft = Draft(made, "ReplicaSet")
    draft.patch([change(item, [draft.label_edit()], bare_labelled=GENERATION)])
    draft.observed(item, "bare.labelled")
    carry_out(made, draft.plan())
    live = made.get(ref("ReplicaSet", item["metadata"]["name"]))
    assert live["spec"]["template"]["metadata"]["labels"][KEY] == "yes"


def test_guards_alone_are_checked_too() -> None:
    made = shop("DaemonSet")
    draft = Draft(made, "DaemonSet")
    draft.patch([change(draft.item, [FieldEdit("/spec/updateStrategy", ON_DELETE, ON_DELETE)], seen=GENERATION)])
    assert "changed its update strategy" in failure_of(RefusedError, lambda: carry_out(made, draft.plan()))


def test_bound_values_are_resolved_wherever_they_stand() -> None:
    patch = (Op("test", "/a", {"deep": [{"$bound": "x"}]}), Op("add", "/b", {"$bound": "y"}), Op("remove", "/c"))
    assert resolved(patch, {"x": 7, "y": "seven"}) == (
        Op("test", "/a", {"deep": [7]}), Op("add", "/b", "seven"), Op("remove", "/c")
    )  # fmt: skip
