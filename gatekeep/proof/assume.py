"""The snapshot that a plan document was made for, as far as the document says so itself."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from gatekeep.model.objects import Pod, Service, Workload
from gatekeep.model.plan import Change, Plan
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait
from gatekeep.proof.bindings import name_in
from gatekeep.proof.labels import Labels, ServiceKey, label_of, with_selector
from gatekeep.proof.notes import without_notes
from gatekeep.proof.templates import KINDS, with_value

_UID = "/metadata/uid"


def assumed(plan: Plan, snapshot: Snapshot) -> Snapshot:
    """The snapshot as the plan's ``test`` operations and waits assume it, where a field has changed since.

    What counts of each field is the first step that relies on it. A plan is proved on what it assumes; that the cluster
    is still so is a question of its own (``drift``).
    """
    pods = {pod.metadata.uid: pod for pod in snapshot.pods}
    services = dict(snapshot.service_index)
    workloads = dict(snapshot.workload_index)
    settled: set[tuple[object, ...]] = set()
    for step in plan.steps:
        if isinstance(step.wait, EndpointsWait):
            _assume_selector((step.wait.namespace, step.wait.service), step.wait.selector, services, settled)
        for change in step.changes:
            if change.kind == "Pod" and change.uid in pods:
                _assume_labels(change, pods, settled)
            elif change.kind in KINDS and change.uid in workloads:
                workloads[change.uid] = _assume_fields(change, workloads[change.uid], settled)
            elif change.kind == "Service":
                key = (change.namespace, change.name)
                tests = (op.value for op in change.patch if op.op == "test" and op.path == "/spec/selector")
                tested = next(tests, None)
                if key in services and services[key].metadata.uid == change.uid and isinstance(tested, dict):
                    _assume_selector(key, tested, services, settled)
                settled.add(key)
    return replace(
        snapshot,
        pods=tuple(pods.values()),
        services=tuple(services.values()),
        workloads=tuple(workloads[item.uid] for item in snapshot.workloads),
    )


def _assume_fields(change: Change, workload: Workload, settled: set[tuple[object, ...]]) -> Workload:
    for op in change.patch:
        if op.op != "test" or op.path == _UID or (workload.uid, op.path) in settled:
            continue
        settled.add((workload.uid, op.path))
        workload = with_value(workload, op.path, op.value)
    return workload


def _assume_selector(
    key: ServiceKey, selector: Labels, services: dict[ServiceKey, Service], settled: set[tuple[object, ...]]
) -> None:
    if key in services and key not in settled and dict(services[key].spec.selector or {}) != dict(selector):
        services[key] = with_selector(services[key], dict(selector))
    settled.add(key)


def _assume_labels(change: Change, pods: dict[str, Pod], settled: set[tuple[object, ...]]) -> None:
    uid = change.uid or ""
    pod, edits = pods[uid], {}
    for op in without_notes(change.patch):
        if op.op != "test" or op.path == _UID or (uid, op.path) in settled:
            continue
        settled.add((uid, op.path))
        if name_in(op.value) is not None:
            continue
        if pod.metadata.labels.get(label_of(op)) != op.value:
            edits[label_of(op)] = op.value
    if not edits:
        return
    kept = {key: value for key, value in pod.labels.items() if key not in edits}
    labels = kept | {key: value for key, value in edits.items() if isinstance(value, str)}
    pods[uid] = msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, labels=labels))
