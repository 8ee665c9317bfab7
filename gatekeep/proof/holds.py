"""A plan says which workloads it holds still, and whose later pods carry the label in the end: the record keeps that.

A run that is killed leaves workloads held; the next one lets go what the record knows, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gatekeep.model.objects import Workload, controller_of
from gatekeep.model.plan import Adopted, Change, GateTarget, Plan
from gatekeep.model.snapshot import Snapshot
from gatekeep.proof.gates import recorded, reference
from gatekeep.proof.simulate import Timeline
from gatekeep.proof.templates import ON_DELETE, PAUSED, STRATEGY, labels_of, same_strategy


def problem_of(plan: Plan, snapshot: Snapshot, timeline: Timeline) -> str | None:
    """What a gate of ``plan`` says of its workloads and is not so; None when all is. The way back has no gates."""
    for gate in plan.gates:
        problem = _holds_problem(gate, plan) or _adopted_problem(gate, snapshot, timeline)
        if problem:
            return f"{reference(gate)} {problem}"
    return None


def _holds_problem(gate: GateTarget, plan: Plan) -> str | None:
    """It names every workload that its steps hold still or let go, and the strategy that is given back."""
    found = dict(_held(change for step in plan.steps if step.policy == reference(gate) for change in step.changes))
    said = {hold.uid: hold for hold in gate.holds}
    if len(said) < len(gate.holds):
        return "names one workload twice that it holds still"
    for uid, (kind, name, strategy) in found.items():
        hold = said.get(uid)
        if hold is None or (hold.kind, hold.name) != (kind, name):
            return f"does not say that it holds {kind} {name} still"
        if not same_strategy(hold.strategy, strategy):
            return f"remembers another update strategy of {kind} {name} than the one it takes away"
    if stray := next((hold for hold in gate.holds if hold.uid not in found), None):
        return f"says that it holds {stray.kind} {stray.name} still, and no step does"
    return None


def _held(changes: Iterable[Change]) -> Iterable[tuple[str, tuple[str, str, Any]]]:
    """Each workload that is held still, with the strategy to give back; of one held before, what is given back."""
    seen: set[str] = set()
    for change in changes:
        uid = change.uid or ""
        tested = {op.path: op.value for op in change.patch if op.op == "test"}
        for op in change.patch:
            if op.op == "test" or op.path not in (PAUSED, STRATEGY) or uid in seen:
                continue
            seen.add(uid)
            begins = op.path == STRATEGY and op.value == ON_DELETE
            strategy = None if op.path == PAUSED else tested.get(STRATEGY) if begins else op.value
            yield uid, (change.kind, change.name, strategy)


def _adopted_problem(gate: GateTarget, snapshot: Snapshot, timeline: Timeline) -> str | None:
    """It names every workload that gains its label in the template, and nobody whose template lacks it at the end."""
    said = {item.uid: item for item in gate.adopted if item.by == "Template"}
    for item in said.values():
        if gate.action == "Retire" or (item.key, item.value) != (gate.key, gate.value):
            return f"says that later pods of {item.kind} {item.name} carry {item.key}={item.value}, not its label"
        end = timeline.workloads.get(item.uid)
        if end is None:
            continue
        if (end.kind, end.name, end.metadata.namespace) != (item.kind, item.name, gate.namespace):
            return f"says that {item.kind} {item.name} has the uid of {end.ref}"
        if labels_of(end).get(item.key) != item.value:
            return f"says that later pods of {end.ref} carry {item.key}={item.value}, and its template does not"
    if gate.action != "Gate":
        return None
    true = [*_gaining(gate, snapshot, timeline.workloads), *_kept(gate, snapshot, timeline.workloads)]
    for end in true:
        if end.uid not in said:
            return f"does not say that later pods of {end.ref} carry {gate.key}={gate.value}"
    for uid in sorted(said.keys() - {end.uid for end in true} & timeline.workloads.keys()):
        return f"says that {said[uid].kind} {said[uid].name} is adopted, whose template had the label before"
    return None


def _kept(gate: GateTarget, snapshot: Snapshot, ends: Mapping[str, Workload]) -> Iterable[Workload]:
    """What the record knows as adopted, and the plan leaves as it is."""
    for item in recorded_adoptions(gate, snapshot):
        end = ends.get(item.uid)
        given = (item.by, item.key, item.value) == ("Template", gate.key, gate.value)
        if end is not None and given and labels_of(end).get(item.key) == item.value:
            yield end


def recorded_adoptions(gate: GateTarget, snapshot: Snapshot) -> tuple[Adopted, ...]:
    """What the record knows of the templates of a gate; nothing where it cannot be read."""
    record = recorded(gate, snapshot)
    return record.adopted if record is not None else ()


def _gaining(gate: GateTarget, snapshot: Snapshot, ends: Mapping[str, Workload]) -> Iterable[Workload]:
    taken = {item.uid for item in recorded_adoptions(gate, snapshot) if (item.by, item.key) == ("Taken", gate.key)}
    for start in snapshot.workloads_in(gate.namespace):
        end = ends[start.uid]
        owned = start.kind == "ReplicaSet" and controller_of(start.metadata) is not None
        gained = labels_of(start).get(gate.key) != labels_of(end).get(gate.key) == gate.value
        if gained and not owned and start.uid not in taken:
            yield end
