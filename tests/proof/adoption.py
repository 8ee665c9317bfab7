"""Clusters and plans for the proof of adoption, and ways to tamper with such a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from gatekeep.model.objects import Workload
from gatekeep.model.patches import Op
from gatekeep.model.plan import Change, Plan, Step
from gatekeep.model.policy import TrafficGate
from gatekeep.model.record import Record
from gatekeep.model.snapshot import Snapshot
from gatekeep.proof.verify import final_snapshot, prove
from tests.builders import cluster
from tests.gates import ACTIVE, gate, plan, record, remembering, retirement, snapshot_of, with_steps

Pick = Callable[[Step], bool]
APP = {"app": "rng"}
POOLS: Mapping[str, Mapping[str, Any]] = {
    kind: {"owners": [{"kind": kind, "name": "rng"}]} for kind in ("Deployment", "DaemonSet", "StatefulSet")
}
KINDS = ("Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "all", "leave", "retire", "revalue")
OLD = "rng-old"


def adopting(kind: str = "", label: Mapping[str, str] = ACTIVE, **spec: Any) -> TrafficGate:
    """A policy that adopts through templates; its pool are the workloads of that kind, or all."""
    found = gate(pool=POOLS.get(kind), label=label)
    return msgspec.structs.replace(found, spec=msgspec.structs.replace(found.spec, adopt="Template", **spec))


@cache
def fleet(kind: str = "all") -> Snapshot:
    """A Service over a Deployment with an old ReplicaSet, a DaemonSet and a StatefulSet; or over a bare ReplicaSet."""
    builder = cluster().nodes(3).service("rng", APP)
    if kind == "ReplicaSet":
        template = {"metadata": {"labels": {"app": "rng"}}, "spec": {"containers": [{"name": "rng"}]}}
        spec = {"replicas": 2, "selector": {"matchLabels": {"app": "rng"}}, "template": template}
        meta = {"name": "rng", "namespace": "dockercoins", "uid": "bare", "generation": 1}
        status = {"replicas": 2, "observedGeneration": 1}
        builder.object(
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec, "status": status}
        )
        return snapshot_of(builder.pods("rng-a", "rng-b", labels=APP, owner=("ReplicaSet", "rng")))
    found = snapshot_of(
        builder.deployment("rng", 3, {**APP, "part": "d"})
        .daemonset("rng", {**APP, "part": "ds"})
        .statefulset("rng", 2, {**APP, "part": "s"})
    )
    return with_workloads(found, old_set(found, OLD, spec={"containers": [{"name": "rng", "image": "rng:v0"}]}))


@cache
def good(kind: str) -> tuple[Plan, Snapshot]:
    """A good plan of each kind, and the snapshot that it is for."""
    start = fleet(kind)
    if kind == "leave":
        start = carried_out(start, adopting())
        return plan(start, adopting("DaemonSet")), start
    if kind == "retire":
        start = carried_out(start, adopting())
        return retirement(start), start
    if kind == "revalue":
        start = carried_out(start, adopting())
        return plan(start, adopting(label={"key": "active", "value": "sure"})), start
    return plan(start, adopting(kind)), start


def carried_out(snapshot: Snapshot, policy: TrafficGate) -> Snapshot:
    """``snapshot`` after the policy was applied to the end, record included."""
    found = plan(snapshot, policy)
    assert found.proof.holds, found.proof.counter_example
    done = msgspec.structs.replace(record(policy, kept=found.gates[0].kept), adopted=found.gates[0].adopted)
    return remembering(final_snapshot(found, snapshot), done)


def killed(found: Plan, count: int, snapshot: Snapshot, policy: TrafficGate) -> Snapshot:
    """What a run of a first plan leaves that dies after ``count`` steps, its record included."""
    target = found.gates[0]
    left: Record = msgspec.structs.replace(
        record(policy, outcome="running", ended="", pending=(policy.gate,)), adopted=target.adopted, holds=target.holds
    )
    return remembering(final_snapshot(with_steps(found, found.steps[:count]), snapshot), left)


def old_set(snapshot: Snapshot, name: str, **template: Any) -> Workload:
    """An older ReplicaSet of the Deployment, without pods; ``template`` says how it differs from the present one."""
    owner = next(item for item in snapshot.workloads if item.kind == "Deployment")
    (present,) = (item for item in snapshot.replica_sets_of(owner.uid) if item.spec.replicas)
    meta = msgspec.structs.replace(
        present.metadata, name=name, uid=f"uid-{name}", creation_timestamp="2020-01-01T00:00:00Z"
    )
    changed = msgspec.structs.replace(present.spec.template, **template)
    spec = msgspec.structs.replace(present.spec, replicas=0, template=changed)
    return msgspec.structs.replace(present, metadata=meta, spec=spec, status=type(present.status)())


def with_workloads(snapshot: Snapshot, *more: Workload) -> Snapshot:
    """``snapshot`` with these workloads beside its own, or instead of those with the same uid."""
    uids = {item.uid for item in more}
    kept = tuple(item for item in snapshot.workloads if item.uid not in uids)
    return dataclasses.replace(snapshot, workloads=(*kept, *more))


def refusal(bad: Plan, snapshot: Snapshot, *, exact: bool = True) -> str:
    """The counter-example; empty when the proof lets the plan pass."""
    return prove(bad, snapshot, exact=exact).proof.counter_example or ""


def writes(kind: str, path: str = "", *, value: object = msgspec.UNSET) -> Pick:
    """Steps that write a field of objects of a kind."""

    def pick(step: Step) -> bool:
        ops = [op for item in step.changes if item.kind == kind for op in item.patch if op.op != "test"]
        return any(op.path.endswith(path) and value in (msgspec.UNSET, op.value) for op in ops)

    return pick


def waits(kind: str, path: str) -> Pick:
    """Waits for a field of objects of a kind, or (``path`` "Revision") for their revision."""

    def pick(step: Step) -> bool:
        data = msgspec.to_builtins(step.wait) if step.wait is not None else {}
        if data.get("object", {}).get("kind") != kind:
            return False
        return bool(data["type"] == path or data.get("path", "").endswith(path))

    return pick


def index(found: Plan, pick: Pick) -> int:
    """Where the first such step stands."""
    return next(place for place, step in enumerate(found.steps) if pick(step))


def without(found: Plan, *picks: Pick) -> Plan:
    """The plan without every such step."""
    return with_steps(found, [step for step in found.steps if not any(pick(step) for pick in picks)])


def moved(found: Plan, pick: Pick, before: Pick) -> Plan:
    """The plan with the first such step right before another."""
    steps = list(found.steps)
    step = steps.pop(index(found, pick))
    steps.insert(next(place for place, item in enumerate(steps) if before(item)), step)
    return with_steps(found, steps)


def changed(found: Plan, pick: Pick, edit: Callable[[Step], Step | Iterable[Step]]) -> Plan:
    """The plan with the first such step edited, or replaced by several."""
    place = index(found, pick)
    made = edit(found.steps[place])
    steps = [made] if isinstance(made, Step) else list(made)
    return with_steps(found, [*found.steps[:place], *steps, *found.steps[place + 1 :]])


def each_change(edit: Callable[[Change], Change]) -> Callable[[Step], Step]:
    """Edits every change of a step."""
    return lambda step: msgspec.structs.replace(step, changes=tuple(edit(item) for item in step.changes))


def only(*paths: str, binds: bool = False) -> Callable[[Change], Change]:
    """The change cut down to what it says of fields that end so; ``binds`` keeps what it binds."""

    def cut(ops: tuple[Op, ...]) -> tuple[Op, ...]:
        return tuple(op for op in ops if op.path == "/metadata/uid" or op.path.endswith(paths))

    return lambda item: msgspec.structs.replace(
        item, patch=cut(item.patch), undo=cut(item.undo), bind=item.bind if binds else None
    )
