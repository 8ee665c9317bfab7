"""Waits of runs over workloads: what meets them, what ends them, and what a time-out says."""

from __future__ import annotations

import functools
import signal

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.execute.values import resolved
from gatekeep.model.errors import (
    IncompleteError,
    NotSettledError,
    RefusedError,
    SignalledError,
)
from gatekeep.model.events import Event, WaitProgress
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
    end,
    failure_of,
    make_again,
    ref,
    shop,
    wait_object,
)


def field_wait(made: EmbeddedCluster, kind: str, path: str, **fields: object) -> Plan:
    """One wait of three seconds."""
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
