"""Plans written by hand, step by step, for what the proof must say of them; the planner has no part in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from gatekeep.model.objects import Pod, PodAnnotations
from gatekeep.model.patches import FieldEdit, field_patch, pointer, selector_patch, undo_field_patch
from gatekeep.model.plan import Change, ClusterSource, GateTarget, Plan, Proof, ServiceForecast, Source, Step
from gatekeep.model.policy import TrafficGate
from gatekeep.model.progress import Isolated, IsolatedPod
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import DurationWait, EndpointsWait, Wait
from gatekeep.proof.verify import final_snapshot, prove
from tests.gates import NAMESPACE

KEY = "active"
MARK = "/metadata/annotations/gatekeep.dev~1isolated"
COST = "/metadata/annotations/controller.kubernetes.io~1pod-deletion-cost"
ALL_MARKS = "/metadata/annotations"


def label(key: str, old: str | None, new: str | None) -> FieldEdit:
    """An edit of one label."""
    return FieldEdit(pointer("metadata", "labels", key), old, new)


def mark(old: str | None = None, new: str | None = "{}") -> FieldEdit:
    """An edit of the annotation of isolated pods."""
    return FieldEdit(MARK, old, new)


def pods_of(snapshot: Snapshot, *prefixes: str) -> list[Pod]:
    """The pods whose names begin so, by name."""
    return sorted((pod for pod in snapshot.pods if pod.name.startswith(prefixes)), key=lambda pod: pod.name)


def edit(pods: Iterable[Pod], *edits: FieldEdit) -> tuple[Change, ...]:
    """One change for each pod: the same edits."""
    return tuple(
        Change(
            api_version="v1", kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid,
            patch=field_patch(pod.uid, edits), undo=undo_field_patch(pod.uid, edits),
        )
        for pod in pods
    )  # fmt: skip


def select(snapshot: Snapshot, name: str, wanted: Mapping[str, str]) -> tuple[Change, ...]:
    """The change that gives a Service another selector."""
    service = snapshot.service(NAMESPACE, name)
    assert service is not None
    live, uid = service.spec.selector or {}, service.metadata.uid
    return (
        Change(
            api_version="v1", kind="Service", namespace=NAMESPACE, name=name, uid=uid,
            patch=selector_patch(uid, live, wanted), undo=selector_patch(uid, wanted, live),
        ),
    )  # fmt: skip


def shown(name: str, selector: Mapping[str, str], pods: Iterable[Pod]) -> EndpointsWait:
    """A wait until the slices of a Service hold these pods."""
    names = tuple(sorted(pod.name for pod in pods))
    return EndpointsWait(namespace=NAMESPACE, service=name, selector=selector, pods=names)


def target(policy: TrafficGate, **fields: Any) -> GateTarget:
    """What the plan makes of the gate."""
    document = msgspec.to_builtins(policy)
    gate = GateTarget(
        namespace=policy.namespace, name=policy.name, action="Gate", key=policy.gate.key, value=policy.gate.value,
        services=policy.spec.services, policy=document,
    )  # fmt: skip
    return msgspec.structs.replace(gate, **fields)


def written(
    snapshot: Snapshot, gate: GateTarget, *parts: tuple[Change, ...] | Wait, floors: Mapping[str, int] | None = None
) -> Plan:
    """The plan of these steps, each in a phase of its own. It predicts what they lead to."""
    steps = []
    for number, part in enumerate(parts, 1):
        common = {"number": number, "phase": number, "reason": "", "policy": f"TrafficGate {NAMESPACE}/{gate.name}"}
        if isinstance(part, tuple):
            steps.append(Step(action="Patch", changes=part, **common))  # type: ignore[arg-type]
        else:
            steps.append(Step(action="Wait", wait=part, **common))  # type: ignore[arg-type]
    found = Plan(
        source=Source(), cluster=ClusterSource(uid="cluster-1"), steps=tuple(steps), services=(), findings=(),
        access=(), proof=Proof(holds=False, states=0), gates=(gate,),
    )  # fmt: skip
    try:
        end = final_snapshot(found, snapshot)
    except Exception:  # what is wrong with it, the proof is to say
        end = snapshot
    names = [name for name in (*gate.services, gate.preview) if name]
    least = {**{name: int(name in gate.services) for name in names}, **(floors or {})}
    claims = tuple(_claim(name, snapshot, end, least[name]) for name in names)
    return msgspec.structs.replace(found, services=claims)


def _claim(name: str, begin: Snapshot, end: Snapshot, floor: int) -> ServiceForecast:
    before, after = behind(begin, name), behind(end, name)
    return ServiceForecast(
        namespace=NAMESPACE, name=name, before=before, after=after, floor=floor, least_ready=0
    )  # fmt: skip


def behind(snapshot: Snapshot, name: str) -> tuple[str, ...]:
    """Names of the ready pods behind a Service."""
    service = snapshot.service(NAMESPACE, name)
    if service is None:
        return ()
    ready = snapshot.ready_uids(service)
    found = (pod for pod in snapshot.pods if pod.uid in ready and matches_map(service.spec.selector, pod.labels))
    return tuple(sorted(pod.name for pod in found))


def isolated(
    held: Iterable[Pod], mode: Any = "Gate", labels: Mapping[str, str] | None = None, **fields: Any
) -> Isolated:
    """An isolation of these pods; with ``labels`` they are released by their loss."""
    found = tuple(
        IsolatedPod(name=pod.name, uid=pod.uid, owner=_owner(pod) if labels else "", labels=dict(labels or {}))
        for pod in held
    )
    return Isolated(**{"name": "look", "mode": mode, "reason": "slow", "by": "Isolation dockercoins/look",
                       "pods": found, **fields})  # fmt: skip


def _owner(pod: Pod) -> str:
    return next((item.uid for item in pod.metadata.owner_references), "")


def reasons(found: Plan, snapshot: Snapshot) -> tuple[str, str]:
    """Why the plan is refused as it is made, and as a document from elsewhere; empty when it is not."""
    return (
        prove(found, snapshot).proof.counter_example or "",
        prove(found, snapshot, exact=False).proof.counter_example or "",
    )


def refused(found: Plan, snapshot: Snapshot, *texts: str) -> None:
    """It is refused both ways, in these words."""
    for reason in reasons(found, snapshot):
        assert all(text in reason for text in texts), reason
        assert reason


def holds(found: Plan, snapshot: Snapshot) -> None:
    """It is refused in no way."""
    assert reasons(found, snapshot) == ("", "")


def marked(snapshot: Snapshot, pods: Sequence[Pod], text: str = "{}") -> Snapshot:
    """The snapshot in which these pods carry the annotation."""
    uids = {pod.uid for pod in pods}
    return dataclasses.replace(
        snapshot,
        pods=tuple(
            msgspec.structs.replace(
                pod, metadata=msgspec.structs.replace(pod.metadata, annotations=PodAnnotations(isolated=text))
            )
            if pod.uid in uids else pod
            for pod in snapshot.pods
        ),
    )  # fmt: skip


DRAIN = DurationWait(seconds=30)
