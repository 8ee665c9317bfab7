"""promote, abort and undo on the embedded cluster: where they lead, what they refuse, and what the record says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.errors import IncompleteError, NotSettledError, RefusedError
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Op
from gatekeep.model.policy import TrafficGate
from gatekeep.model.progress import Progress
from gatekeep.operations.runs import plan_abort, plan_promotion, plan_undo
from tests.execute.world import (
    ALWAYS,
    GATE,
    HALF,
    PAUSE,
    RNG,
    Planner,
    aborting,
    bare,
    carry_out,
    colored,
    proved,
    record,
    shared,
    sizes,
    stepping,
    wants,
)
from tests.gates import NAMESPACE, gate

TENTH: Mapping[str, Any] = {"weight": 10}
ALL: Mapping[str, Any] = {"weight": 100}
STEPS = stepping(TENTH, PAUSE, HALF, {"pause": "10m"}, ALL)


def run(target: EmbeddedCluster, planner: Planner, action: str = "apply") -> None:
    """Plans, applies, and lets everybody see it."""
    snapshot = target.snapshot([NAMESPACE])
    carry_out(target, proved(planner(snapshot), snapshot), action=action, run_id=f"{target.clock.now():%Y%m%dT%H%M%SZ}")
    target.clock.sleep(ALWAYS)


def promote(target: EmbeddedCluster) -> None:
    """Ends the pause."""
    run(target, lambda snapshot: plan_promotion(GATE, snapshot), "promote")


def undo(target: EmbeddedCluster, run_id: str | None = None) -> None:
    """Goes back to where a run began, by default the last one."""
    found = record(target)
    assert found is not None
    run(target, lambda snapshot: plan_undo(run_id or found.runs[0].id, snapshot), "undo")


def stands(target: EmbeddedCluster) -> tuple[str, int, int]:
    """Phase and step of the run, and how many pods of the canary are in rotation."""
    found = record(target)
    progress = found.progress if found else None
    pods = target.list_pods(NAMESPACE, {"active": "yes"})
    inside = sum(pod.metadata.owner_references[0].kind == "DaemonSet" for pod in pods)
    return (progress.phase, progress.step, inside) if progress else ("", 0, inside)


def paused(policy: TrafficGate = STEPS, **options: Any) -> EmbeddedCluster:
    """The run at its first pause."""
    target = bare(seed=3, **options)
    run(target, wants(policy))
    return target


def test_a_run_from_its_beginning_to_its_end() -> None:
    target = paused()
    assert stands(target) == ("Paused", 1, 1)
    run(target, wants(STEPS))
    assert stands(target) == ("Paused", 1, 1)
    promote(target)
    assert stands(target) == ("Paused", 3, 2)
    run(target, wants(STEPS))
    assert stands(target) == ("Paused", 3, 2)
    target.clock.sleep(600)
    run(target, wants(STEPS))
    assert stands(target) == ("Done", 5, 2)
    assert len(target.list_pods(NAMESPACE, {"active": "yes"})) == 2
    assert min(sizes(target)) >= 2
    found = record(target)
    assert found is not None
    assert [item.action for item in found.runs] == ["apply", "promote", "apply"]


def test_since_counts_from_when_the_pause_was_reached() -> None:
    target = paused(stepping(TENTH, {"pause": "10m"}, ALL))
    first = record(target)
    target.clock.sleep(300)
    run(target, wants(stepping(TENTH, {"pause": "10m"}, ALL)))
    again = record(target)
    assert first is not None
    assert again is not None
    assert first.progress == again.progress


@pytest.mark.parametrize("promotions", [0, 1])
def test_an_abort_from_every_pause(promotions: int) -> None:
    target = paused()
    for _ in range(promotions):
        promote(target)
    run(target, aborting, "abort")
    assert stands(target)[::2] == ("Aborted", 0)
    run(target, wants(STEPS))
    assert stands(target)[::2] == ("Aborted", 0)
    promote(target)
    assert stands(target) == ("Paused", 1, 1)


def test_another_policy_is_another_run() -> None:
    target = paused()
    run(target, aborting, "abort")
    run(target, wants(stepping(HALF, PAUSE, ALL)))
    assert stands(target) == ("Paused", 1, 2)


def test_other_pods_of_the_canary_are_another_run() -> None:
    target = paused()
    promote(target)
    path = "/spec/template/metadata/annotations"
    target.patch(ObjectRef("DaemonSet", NAMESPACE, "rng"), (Op("add", path, {"restarted": "now"}),))
    target.clock.sleep(10 * ALWAYS)
    run(target, wants(STEPS))
    assert stands(target) == ("Paused", 1, 1)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (gate(), "the gate is a pool, and holds no pods"),
        (stepping(TENTH, ALL), "the run is at its end"),
        (colored("green"), "the run is at its end"),
    ],
)
def test_there_is_nothing_to_promote(policy: TrafficGate, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        plan_promotion(GATE, paused(policy).snapshot([NAMESPACE]))


@pytest.mark.parametrize(
    ("policy", "words"), [(gate(), "a pool has no run"), (colored("green"), "no other colour was active before")]
)
def test_there_is_nothing_to_abort(policy: TrafficGate, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        plan_abort(GATE, paused(policy).snapshot([NAMESPACE]))


def test_no_such_gate_and_no_such_run() -> None:
    snapshot = bare(seed=3).snapshot([NAMESPACE])
    for plan in (plan_promotion, plan_abort):
        with pytest.raises(RefusedError, match="there is no record of a gate"):
            plan(GATE, snapshot)
    with pytest.raises(RefusedError, match="no run nobody is recorded"):
        plan_undo("nobody", paused().snapshot([NAMESPACE]))


def test_an_undo_of_a_promotion_holds_them_again() -> None:
    target = paused(gate(newPods="Hold"))
    target.patch(ObjectRef("Deployment", NAMESPACE, "rng"), (Op("replace", "/spec/replicas", 4),))
    target.clock.sleep(ALWAYS)
    before = labels(target)
    promote(target)
    undo(target)
    assert labels(target) == before


def test_held_pods_are_promoted() -> None:
    target = paused(gate(newPods="Hold"))
    target.patch(ObjectRef("Deployment", NAMESPACE, "rng"), (Op("replace", "/spec/replicas", 4),))
    target.clock.sleep(ALWAYS)
    assert len(target.list_pods(NAMESPACE, {"active": "yes"})) == 4
    promote(target)
    assert len(target.list_pods(NAMESPACE, {"active": "yes"})) == 6
    run(target, wants(gate(newPods="Hold")))
    assert len(target.list_pods(NAMESPACE, {"active": "yes"})) == 6


def labels(target: EmbeddedCluster) -> dict[str, str | None]:
    """The gate's label by pod."""
    return {pod.name: pod.labels.get("active") for pod in target.list_pods(NAMESPACE)}


@pytest.mark.parametrize(
    "policies",
    [
        (gate(), gate(pool={"owners": [{"kind": "DaemonSet", "name": "rng"}]})),
        (gate(), gate(label={"key": "red", "value": "yes"})),
        (gate(adopt="Template"), gate(adopt="Template", label={"key": "red", "value": "yes"})),
        (colored("blue"), colored("green")),
        (STEPS, stepping(HALF, PAUSE, ALL)),
        (gate(rotation=shared(20)), STEPS),
    ],
)
def test_an_undo_goes_back_to_where_the_run_began(policies: tuple[TrafficGate, TrafficGate]) -> None:
    target = paused(policies[0])
    before, remembered = labels(target), record(target)
    run(target, wants(policies[1]))
    undo(target)
    again = record(target)
    assert remembered is not None
    assert again is not None
    assert labels(target) == before
    assert target.get(RNG)["spec"]["selector"].keys() == {"app", policies[0].gate.key}
    assert again.policy == remembered.policy
    assert _without_run(again.progress) == _without_run(remembered.progress)


def _without_run(progress: Progress | None) -> tuple[str, int] | None:
    return (progress.phase, progress.step) if progress else None


def test_a_promotion_that_does_not_settle_is_gone_on_with_never_back() -> None:
    target = paused(STEPS)
    target.lag(pods=1000.0)
    with pytest.raises((NotSettledError, IncompleteError)):
        run(target, lambda snapshot: plan_promotion(GATE, snapshot, timeout_seconds=2), "promote")
    target.lag(pods=0.0)
    assert stands(target)[:2] == ("Running", 2)
    run(target, wants(STEPS))
    assert stands(target) == ("Paused", 3, 2)


def test_stable_pods_that_are_all_held_are_named_and_promoted() -> None:
    stable, fresh = ({"owners": [{"kind": kind, "name": "rng"}]} for kind in ("Deployment", "DaemonSet"))
    held = gate(newPods="Hold", rotation={"canary": {"stable": stable, "canary": fresh, "weight": 50}})
    target = paused(held)
    path = "/spec/template/metadata/annotations"
    target.patch(ObjectRef("Deployment", NAMESPACE, "rng"), (Op("add", path, {"restarted": "now"}),))
    target.clock.sleep(10 * ALWAYS)
    with pytest.raises(RefusedError, match="2 stable pods are held, and weight 50 wants some") as caught:
        wants(held)(target.snapshot([NAMESPACE]))
    assert "gatekeep promote" in caught.value.hint
    promote(target)
    assert len(target.list_pods(NAMESPACE, {"active": "yes"})) == 4


def test_a_record_that_was_edited_is_no_bug_of_ours() -> None:
    target = paused(STEPS)
    text = target.get(ObjectRef("ConfigMap", NAMESPACE, "gatekeep-rng"))["data"]["record.json"]
    edited = {"record.json": text.replace('"step": 1', '"step": -5')}
    target.patch(ObjectRef("ConfigMap", NAMESPACE, "gatekeep-rng"), (Op("add", "/data", edited),))
    with pytest.raises(RefusedError, match="expected gatekeep's record"):
        plan_promotion(GATE, target.snapshot([NAMESPACE]))


def test_a_second_abort_leaves_the_reason_of_the_first() -> None:
    target = paused(STEPS)
    run(target, lambda snapshot: plan_abort(GATE, snapshot, reason="slow checkout"), "abort")
    first = record(target)
    run(target, aborting, "abort")
    again = record(target)
    assert first is not None
    assert again is not None
    assert (again.progress, again.runs) == (first.progress, first.runs)


def test_an_undo_from_every_step() -> None:
    target = paused(STEPS)
    seen = [labels(target)]
    promote(target)
    seen.append(labels(target))
    promote(target)
    for expected in reversed(seen):
        found = record(target)
        assert found is not None
        forward = [item.id for item in found.runs if item.action == "promote"]
        undo(target, forward[len(seen) - 1 - seen.index(expected)])
        assert labels(target) == expected


def test_an_undo_of_the_first_run_retires_the_gate() -> None:
    target = paused(gate(adopt="Template"))
    undo(target)
    assert record(target) is None
    assert set(labels(target).values()) == {None}
    assert target.get(RNG)["spec"]["selector"] == {"app": "rng"}


def test_an_undo_of_an_older_run_and_of_an_undo() -> None:
    target = paused(STEPS)
    first = labels(target)
    promote(target)
    second = labels(target)
    found = record(target)
    assert found is not None
    promoted = found.runs[0].id
    undo(target)
    assert labels(target) == first
    undo(target)
    assert labels(target) == second
    undo(target, promoted)
    assert labels(target) == first


@pytest.mark.parametrize(
    ("ref", "op", "words"),
    [
        (RNG, Op("add", "/spec/selector/tier", "one"), "the selector is not as run .* left it"),
        (ObjectRef("DaemonSet", NAMESPACE, "rng"), Op("remove", "/spec/template/metadata/labels/active"),
         "the template label active is not as run"),
    ],
)  # fmt: skip
def test_an_undo_is_refused_where_somebody_changed_a_field_and_names_who(ref: ObjectRef, op: Op, words: str) -> None:
    target = paused(gate(adopt="Template"))
    target.patch(ref, (op,), manager="kubectl-edit")
    found = record(target)
    assert found is not None
    target.clock.sleep(ALWAYS)
    with pytest.raises(RefusedError, match=f"{words}.*kubectl-edit"):
        plan_undo(found.runs[0].id, target.snapshot([NAMESPACE]))
