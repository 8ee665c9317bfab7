"""Replays a plan's own documents on a snapshot: which object has which labels or selector after which step.

Nothing here knows how plans are made. Patches are applied in the API server's dialect, exactly as they would be sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from gatekeep.model import patches
from gatekeep.model.endpoints import is_terminal
from gatekeep.model.errors import PatchRejectedError
from gatekeep.model.matching import in_match
from gatekeep.model.objects import Pod, Service, Workload
from gatekeep.model.patches import Patch
from gatekeep.model.plan import Change, Plan, Step
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait, ExistsWait, RevisionWait, Wait
from gatekeep.proof.assume import assumed
from gatekeep.proof.bindings import placeholders, resolved, text
from gatekeep.proof.labels import Labels, ServiceKey, behind_uid, labels_after, with_label, with_selector
from gatekeep.proof.notes import without_notes
from gatekeep.proof.templates import KINDS, is_set_step, patched, set_matches, with_set_label

__all__ = ["Labels", "ServiceKey", "assumed", "with_selector"]


class SimulationError(Exception):
    """The plan cannot be carried out on this snapshot; the text says which step and why."""


@dataclass(frozen=True)
class PodWrites:
    """One parallel step on pods: labels after it, by uid."""

    step: int
    labels: Mapping[str, Labels]


@dataclass(frozen=True)
class ServiceWrites:
    """One parallel step on Services: each as it is after the step, None when deleted."""

    step: int
    services: Mapping[ServiceKey, Service | None]


@dataclass(frozen=True)
class Barrier:
    """One wait."""

    step: int
    wait: Wait


@dataclass(frozen=True)
class WorkloadWrites:
    """One parallel step on workloads: each as it is after the step, by uid."""

    step: int
    workloads: Mapping[str, Workload]


Moment = PodWrites | ServiceWrites | WorkloadWrites | Barrier


@dataclass(frozen=True)
class Timeline:
    """The plan as the API server sees it, and the labels, Services and workloads at its end."""

    moments: tuple[Moment, ...]
    labels: Mapping[str, Labels]
    services: Mapping[ServiceKey, Service]
    workloads: Mapping[str, Workload]


def service_of(wait: Wait) -> ServiceKey | None:
    """The Service that a wait asks about; None for one that asks other controllers than that of endpoints."""
    return (wait.namespace, wait.service) if isinstance(wait, EndpointsWait | ExistsWait) else None


def replay(plan: Plan, snapshot: Snapshot) -> Timeline:
    """Carries the plan out on ``snapshot``. Raises :class:`SimulationError` when a step does not apply."""
    labels: dict[str, Labels] = {}
    pods = {pod.uid: pod for pod in snapshot.pods}
    services = dict(snapshot.service_index)
    workloads = dict(snapshot.workload_index)
    values = placeholders(plan)
    moments: list[Moment] = []
    for step in plan.steps:
        if step.wait is not None:
            moments.append(Barrier(step.number, step.wait))
            _learn(step.wait, workloads, values)
            continue
        written = _pod_writes(step, pods, labels, values)
        written.update(_joining(step, snapshot, labels, written, values))
        if written:
            labels.update(written)
            moments.append(PodWrites(step.number, written))
        moved = _service_writes(step, services)
        if moved:
            moments.append(ServiceWrites(step.number, moved))
        edited = _workload_writes(step, snapshot, workloads)
        if edited:
            workloads.update(edited)
            moments.append(WorkloadWrites(step.number, edited))
    final = {pod.uid: labels.get(pod.uid, pod.labels) for pod in snapshot.pods}
    return Timeline(moments=tuple(moments), labels=final, services=services, workloads=workloads)


def _pod_writes(
    step: Step, pods: Mapping[str, Pod], labels: Mapping[str, Labels], values: Mapping[str, str]
) -> dict[str, Labels]:
    """A named pod that is gone is skipped, as apply skips it."""
    written: dict[str, Labels] = {}
    shared: dict[tuple[int, Patch], Labels] = {}
    binds = bool(step.requires)
    for change in step.changes:
        if change.kind != "Pod":
            continue
        pod = pods.get(change.uid or "")
        if pod is None:
            continue
        uid = pod.metadata.uid
        live = labels.get(uid, pod.metadata.labels)
        try:
            rest = without_notes(behind_uid(uid, resolved(change.patch, values) if binds else change.patch))
            if not rest and len(change.patch) > 1:
                continue  # an annotation alone, which nobody selects by
            # Pods of one template mostly share one labels object: they share the outcome too.
            if (id(live), rest) not in shared:
                shared[id(live), rest] = labels_after(live, rest)
            written[uid] = shared[id(live), rest]
        except PatchRejectedError as error:
            raise SimulationError(f"step {step.number} does not apply to {pod.ref}: {error.message}") from error
    return written


def _joining(
    step: Step, snapshot: Snapshot, labels: Mapping[str, Labels], written: Mapping[str, Labels],
    values: Mapping[str, str],
) -> dict[str, Labels]:  # fmt: skip
    """Pods that the step does not name and that apply labels all the same, because they belong to its match."""
    match = step.match
    if match is None or match.gate is None or is_set_step(step):
        return {}
    key, gate = match.gate.key, match.gate
    value = None if gate.value is None else text(gate.value, values)
    old = None if gate.old is None else text(gate.old, values)
    found: dict[str, Labels] = {}
    for pod in snapshot.pods_in(match.namespace):
        live = labels.get(pod.uid, pod.labels)
        if live.get(key) == value or pod.uid in written or is_terminal(pod):
            continue
        if pod.uid in match.except_uids or (old is not None and live.get(key) != old):
            continue
        if in_match(match, live, snapshot.owner_uids(pod)):
            found[pod.uid] = with_label(live, key, value)
    return found


def _learn(wait: Wait, workloads: dict[str, Workload], values: Mapping[str, str]) -> None:
    """Once its controller has seen the template, a StatefulSet names the revision in its status."""
    if not isinstance(wait, RevisionWait) or wait.object.uid not in workloads:
        return
    found, name = workloads[wait.object.uid], next(iter(wait.bind), None)
    if found.kind == "StatefulSet" and name is not None:
        status = msgspec.structs.replace(found.status, update_revision=values[name])
        workloads[found.uid] = msgspec.structs.replace(found, status=status)


def _workload_writes(step: Step, snapshot: Snapshot, workloads: Mapping[str, Workload]) -> dict[str, Workload]:
    """What the step makes of workloads: of those it names, and of ReplicaSets that belong to its match."""
    written: dict[str, Workload] = {}
    for change in step.changes:
        if change.kind not in KINDS:
            continue
        found = workloads.get(change.uid or "")
        if found is None and change.kind == "ReplicaSet":
            continue  # no pod is born from it any more; apply skips it
        if found is None:
            where = f"{change.kind} {change.namespace}/{change.name}"
            raise SimulationError(f"step {step.number} does not apply to {where}: it does not exist")
        try:
            written[found.uid] = patched(found, change.patch)
        except PatchRejectedError as error:
            raise SimulationError(f"step {step.number} does not apply to {found.ref}: {error.message}") from error
    if step.match is not None and is_set_step(step):
        for uid in step.match.owner_uids or ():
            for item in snapshot.replica_sets_of(uid):
                if item.uid not in written and set_matches(step.match, workloads[item.uid]):
                    written[item.uid] = with_set_label(workloads[item.uid], step.match)
    return written


def _service_writes(step: Step, services: dict[ServiceKey, Service]) -> dict[ServiceKey, Service | None]:
    """Applies the step to ``services`` and returns what it wrote."""
    written: dict[ServiceKey, Service | None] = {}
    for change in step.changes:
        if change.kind != "Service":
            continue
        key = (change.namespace, change.name)
        try:
            written[key] = _service_after(step, change, services.get(key))
        except PatchRejectedError as error:
            raise SimulationError(f"step {step.number} does not apply to Service {key[0]}/{key[1]}: {error}") from error
        after = written[key]
        if after is None:
            services.pop(key, None)
        else:
            services[key] = after
    return written


def _service_after(step: Step, change: Change, live: Service | None) -> Service | None:
    if step.action == "Create":
        if live is not None:
            raise PatchRejectedError("a Service of that name exists already")
        return _created(change)
    if step.action == "Delete":
        return None
    if live is None:
        raise PatchRejectedError("the Service does not exist")
    document: dict[str, Any] = {
        "metadata": {"uid": live.metadata.uid},
        "spec": {"selector": dict(live.spec.selector or {})},
    }
    return with_selector(live, patches.apply(document, change.patch)["spec"].get("selector"))


def _created(change: Change) -> Service:
    body = dict(change.object or {})
    metadata = {**body.get("metadata", {}), "name": change.name, "namespace": change.namespace}
    try:
        return msgspec.convert({**body, "metadata": metadata}, Service, strict=False)
    except msgspec.ValidationError as error:
        raise PatchRejectedError(f"the object to create is no Service: {error}") from error
