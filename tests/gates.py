"""Policies, plans and what they lead to, in words; for the tests of the pure core.

``plan(snapshot_of(dockercoins()), gate())`` is the plan of the README. Nothing here talks to a cluster.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from gatekeep.model.objects import Budget, ConfigMap, EndpointSlice, Node, OwnedMeta, Pod, Service, Workload
from gatekeep.model.plan import Plan, Step
from gatekeep.model.policy import Gate, Isolation, LocatedPolicy, Policy, Position, TrafficGate
from gatekeep.model.record import GateName, Record, Run, encode, object_name
from gatekeep.model.snapshot import ClusterIdentity, Snapshot
from gatekeep.model.waits import ServiceWait
from gatekeep.operations.plan import plan_gates, plan_retirement
from gatekeep.proof.verify import final_snapshot
from tests.builders import ClusterBuilder

NAMESPACE = "dockercoins"
ACTIVE = {"key": "active", "value": "yes"}
DEPLOYMENT_ONLY = {"owners": [{"kind": "Deployment", "name": "rng"}]}
DAEMONSET_ONLY = {"owners": [{"kind": "DaemonSet", "name": "rng"}]}
APPLIED = "2026-02-01T00:00:00Z"
T = TypeVar("T", TrafficGate, Isolation)
_TYPES: dict[str, type[Any]] = {
    "Pod": Pod, "Service": Service, "EndpointSlice": EndpointSlice, "Node": Node, "ConfigMap": ConfigMap,
    "PodDisruptionBudget": Budget,
    **dict.fromkeys(("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"), Workload),
}  # fmt: skip


def snapshot_of(builder: ClusterBuilder, time: datetime | None = None) -> Snapshot:
    """The snapshot that listing the cluster at that time would give."""
    found: dict[type[Any], list[Any]] = {}
    for item in builder.document()["items"]:
        if cls := _TYPES.get(item["kind"]):
            found.setdefault(cls, []).append(msgspec.convert(item, cls))
    return Snapshot(
        identity=ClusterIdentity(uid="cluster-1"),
        pods=tuple(found.get(Pod, ())),
        services=tuple(found.get(Service, ())),
        slices=tuple(found.get(EndpointSlice, ())),
        workloads=tuple(found.get(Workload, ())),
        nodes=tuple(found.get(Node, ())),
        budgets=tuple(found.get(Budget, ())),
        time=time,
    )


def gate(
    name: str = "rng",
    pool: Mapping[str, Any] | None = None,
    *,
    services: Sequence[str] = ("rng",),
    label: Mapping[str, str] | None = ACTIVE,
    min_ready: int | str = 1,
    namespace: str = NAMESPACE,
    **fields: Any,
) -> TrafficGate:
    """A policy with strategy pool; ``label`` None leaves the gate to its default.

    Templates stay as they are, so that a plan has only the steps that move pods and selectors; ``adopt="Template"``,
    among the ``fields`` of the spec, says otherwise.
    """
    spec: dict[str, Any] = {"services": list(services), "rotation": {"pool": dict(pool or {})}}
    spec |= {"adopt": "Reconcile", **fields}
    spec["floor"] = {"minReady": min_ready}
    if label is not None:
        spec["gate"] = dict(label)
    metadata = {"name": name, "namespace": namespace}
    document = {"apiVersion": "gatekeep.dev/v1alpha1", "kind": "TrafficGate", "metadata": metadata, "spec": spec}
    return msgspec.convert(document, TrafficGate)


def canary_gate(weight: int, *, name: str = "web", **groups: Any) -> TrafficGate:
    """A policy with strategy canary over the Deployments ``web`` and ``next``, unless ``groups`` say otherwise."""
    owners = {"stable": "web", "canary": "next"}
    made = {group: {"owners": [{"kind": "Deployment", "name": owner}]} for group, owner in owners.items()}
    made.update(groups)
    spec = {"services": [name], "gate": ACTIVE, "rotation": {"canary": {**made, "weight": weight}}}
    metadata = {"name": name, "namespace": NAMESPACE}
    document = {"apiVersion": "gatekeep.dev/v1alpha1", "kind": "TrafficGate", "metadata": metadata, "spec": spec}
    return msgspec.convert(document, TrafficGate)


def plan(snapshot: Snapshot, *policies: Policy) -> Plan:
    """The plan for ``policies``, with its verdict."""
    return plan_gates([located(policy) for policy in policies], snapshot)


def located(policy: Policy) -> LocatedPolicy:
    """The policy as if it stood in a file."""
    return LocatedPolicy(policy, Position(f"{policy.name}.yaml", 1, 1), "sha256:0")


def retirement(snapshot: Snapshot, name: str = "rng") -> Plan:
    """The plan that takes a gate off."""
    return plan_retirement(GateName(NAMESPACE, name), snapshot)


def record(
    policy: TrafficGate,
    *,
    gate: Gate | None = None,
    pending: Sequence[Gate] = (),
    kept: Sequence[str] = (),
    **run: Any,
) -> Record:
    """What gatekeep remembers once ``policy`` was applied; ``run`` changes the last run."""
    last = Run(**{"id": "1", "plan": "sha256:0", "started": APPLIED, "by": "ci", "outcome": "done",
                  "ended": APPLIED, **run})  # fmt: skip
    return Record(policy=policy, gate=gate or policy.gate, pending=tuple(pending), kept=tuple(kept), runs=(last,))


def remembering(snapshot: Snapshot, *records: Record) -> Snapshot:
    """``snapshot`` with these records instead of its own."""
    return dataclasses.replace(snapshot, config_maps=tuple(config_map(item) for item in records))


def config_map(item: Record) -> ConfigMap:
    """The ConfigMap that holds a record."""
    name = object_name(item.policy.name)
    return ConfigMap(metadata=OwnedMeta(name=name, namespace=item.policy.namespace), data=encode(item))


def applied(snapshot: Snapshot, *policies: TrafficGate) -> Snapshot:
    """``snapshot`` after ``policies`` were applied to the end, records included."""
    found = plan(snapshot, *policies)
    assert found.proof.holds, found.proof.counter_example
    records = [record(item, kept=target.kept) for item, target in zip(policies, found.gates, strict=True)]
    return remembering(final_snapshot(found, snapshot), *records)


def killed_after(found: Plan, count: int, snapshot: Snapshot) -> Snapshot:
    """What a run of ``found`` leaves when it dies after ``count`` steps; the records stay as they are."""
    return final_snapshot(truncated(found, count), snapshot)


def truncated(found: Plan, count: int) -> Plan:
    """The first ``count`` steps of a plan."""
    return with_steps(found, found.steps[:count])


def with_steps(found: Plan, steps: Sequence[Step]) -> Plan:
    """The plan with other steps, numbered anew."""
    numbered = (msgspec.structs.replace(step, number=number) for number, step in enumerate(steps, 1))
    return msgspec.structs.replace(found, steps=tuple(numbered))


def words(found: Plan) -> list[str]:
    """Each step in a few words: ``Patch Pod 6``, ``Wait rng-gatekeep-shadow``."""
    return [_words(step) for step in found.steps]


def _words(step: Step) -> str:
    if isinstance(step.wait, ServiceWait):
        return f"Wait {step.wait.service}"
    if step.wait is not None:
        return f"Wait {type(step.wait).__name__.removesuffix('Wait')}"
    first = step.changes[0]
    if first.kind == "Pod":
        verb = "Label" if any(op.op in ("add", "replace") for op in first.patch) else "Unlabel"
        return f"{verb} {len(step.changes)}"
    return f"{step.action} {', '.join(change.name for change in step.changes)}"


def selectors(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """The selector of every Service, by name."""
    return {item.name: dict(item.spec.selector or {}) for item in snapshot.services}


def labelled(snapshot: Snapshot, key: str = "active") -> set[str]:
    """Names of the pods that carry a label."""
    return {pod.name for pod in snapshot.pods if key in pod.labels}


def ready(found: Plan, name: str = "rng") -> tuple[set[str], set[str]]:
    """Who is ready behind a Service before and after the plan."""
    claim = next(item for item in found.services if item.name == name)
    return set(claim.before), set(claim.after)


def rules(found: Plan) -> list[str]:
    """The rules of all findings, in order."""
    return [finding.rule for finding in found.findings]


def message(found: Plan, rule: str) -> str:
    """The message of the first finding of a rule."""
    return next(finding.message for finding in found.findings if finding.rule == rule)


def run_gate(*steps: Mapping[str, Any], **fields: Any) -> TrafficGate:
    """A canary of the Deployments ``web`` and ``next`` that takes ``steps``; ``fields`` are those of the spec."""
    named = sorted({step["check"] for step in steps if "check" in step})
    checks = [{"name": name, "prometheus": {"query": "up", "max": 1}} for name in named]
    owners = {"stable": "web", "canary": "next"}
    groups = {group: {"owners": [{"kind": "Deployment", "name": owner}]} for group, owner in owners.items()}
    spec = {"services": ["web"], "gate": ACTIVE, "rotation": {"canary": {**groups, "steps": list(steps)}}, **fields}
    return policy(TrafficGate, "web", ({"checks": checks} if checks else {}) | spec)


def color_gate(active: str, **fields: Any) -> TrafficGate:
    """Blue and green, the Deployments ``blue`` and ``green`` behind ``web``; ``fields`` are those of ``blueGreen``."""
    colors = {color: {"owners": [{"kind": "Deployment", "name": color}]} for color in ("blue", "green")}
    rotation = {"blueGreen": {"colors": colors, "active": active, **fields}}
    return policy(TrafficGate, "web", {"services": ["web"], "gate": ACTIVE, "rotation": rotation})


def isolation(name: str = "inc", *, gate: str = "rng", **spec: Any) -> Isolation:
    """An isolation; of pods of ``gate``."""
    return policy(Isolation, name, {"gate": gate, "reason": "a look inside", **spec})


def policy(kind: type[T], name: str, spec: Mapping[str, Any]) -> T:
    """A document of that kind in the tests' namespace."""
    metadata = {"name": name, "namespace": NAMESPACE}
    document = {"apiVersion": "gatekeep.dev/v1alpha1", "kind": kind.__name__, "metadata": metadata, "spec": dict(spec)}
    return msgspec.convert(document, kind)
