"""Replays a plan's own documents on a snapshot: which object has which labels or selector after which step.

Nothing here knows how plans are made. Patches are applied in the API server's dialect, exactly as they would be sent.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from gatekeep.model import patches
from gatekeep.model.endpoints import is_terminal
from gatekeep.model.errors import PatchRejectedError
from gatekeep.model.matching import in_match
from gatekeep.model.objects import Pod, Service
from gatekeep.model.patches import Op, Patch
from gatekeep.model.plan import Change, Plan, Step
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait, Wait

Labels = Mapping[str, str]
ServiceKey = tuple[str, str]
_UID = "/metadata/uid"


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


Moment = PodWrites | ServiceWrites | Barrier


@dataclass(frozen=True)
class Timeline:
    """The plan as the API server sees it, and the labels and Services at its end."""

    moments: tuple[Moment, ...]
    labels: Mapping[str, Labels]
    services: Mapping[ServiceKey, Service]


def assumed(plan: Plan, snapshot: Snapshot) -> Snapshot:
    """The snapshot as the plan's ``test`` operations and waits assume it, where a field has changed since.

    What counts of each field is the first step that relies on it. A plan is proved on what it assumes; that the cluster
    is still so is a question of its own (``drift``).
    """
    pods = {pod.metadata.uid: pod for pod in snapshot.pods}
    services = dict(snapshot.service_index)
    settled: set[tuple[object, ...]] = set()
    for step in plan.steps:
        if isinstance(step.wait, EndpointsWait):
            _assume_selector((step.wait.namespace, step.wait.service), step.wait.selector, services, settled)
        for change in step.changes:
            if change.kind == "Pod" and change.uid in pods:
                _assume_labels(change, pods, settled)
            elif change.kind == "Service":
                key = (change.namespace, change.name)
                tests = (op.value for op in change.patch if op.op == "test" and op.path == "/spec/selector")
                tested = next(tests, None)
                if key in services and services[key].metadata.uid == change.uid and isinstance(tested, dict):
                    _assume_selector(key, tested, services, settled)
                settled.add(key)
    return replace(snapshot, pods=tuple(pods.values()), services=tuple(services.values()))


def _assume_selector(
    key: ServiceKey, selector: Labels, services: dict[ServiceKey, Service], settled: set[tuple[object, ...]]
) -> None:
    if key in services and key not in settled and dict(services[key].spec.selector or {}) != dict(selector):
        services[key] = with_selector(services[key], dict(selector))
    settled.add(key)


def _assume_labels(change: Change, pods: dict[str, Pod], settled: set[tuple[object, ...]]) -> None:
    uid = change.uid or ""
    pod, edits = pods[uid], {}
    for op in change.patch:
        if op.op != "test" or op.path == _UID or (uid, op.path) in settled:
            continue
        settled.add((uid, op.path))
        if pod.metadata.labels.get(_label_of(op)) != op.value:
            edits[_label_of(op)] = op.value
    if not edits:
        return
    kept = {key: value for key, value in pod.labels.items() if key not in edits}
    labels = kept | {key: value for key, value in edits.items() if isinstance(value, str)}
    pods[uid] = msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, labels=labels))


def replay(plan: Plan, snapshot: Snapshot) -> Timeline:
    """Carries the plan out on ``snapshot``. Raises :class:`SimulationError` when a step does not apply."""
    labels: dict[str, Labels] = {}
    pods = {pod.uid: pod for pod in snapshot.pods}
    services = dict(snapshot.service_index)
    moments: list[Moment] = []
    for step in plan.steps:
        if step.wait is not None:
            moments.append(Barrier(step.number, step.wait))
            continue
        written = _pod_writes(step, pods, labels)
        written.update(_joining(step, snapshot, labels, written))
        if written:
            labels.update(written)
            moments.append(PodWrites(step.number, written))
        moved = _service_writes(step, services)
        if moved:
            moments.append(ServiceWrites(step.number, moved))
    final = {pod.uid: labels.get(pod.uid, pod.labels) for pod in snapshot.pods}
    return Timeline(moments=tuple(moments), labels=final, services=services)


def _pod_writes(step: Step, pods: Mapping[str, Pod], labels: Mapping[str, Labels]) -> dict[str, Labels]:
    """A named pod that is gone is skipped, as apply skips it."""
    written: dict[str, Labels] = {}
    shared: dict[tuple[int, Patch], Labels] = {}
    for change in step.changes:
        if change.kind != "Pod":
            continue
        pod = pods.get(change.uid or "")
        if pod is None:
            continue
        uid = pod.metadata.uid
        live = labels.get(uid, pod.metadata.labels)
        try:
            rest = behind_uid(uid, change.patch)
            # Pods of one template mostly share one labels object: they share the outcome too.
            if (id(live), rest) not in shared:
                shared[id(live), rest] = labels_after(live, rest)
            written[uid] = shared[id(live), rest]
        except PatchRejectedError as error:
            raise SimulationError(f"step {step.number} does not apply to {pod.ref}: {error.message}") from error
    return written


def _joining(
    step: Step, snapshot: Snapshot, labels: Mapping[str, Labels], written: Mapping[str, Labels]
) -> dict[str, Labels]:
    """Pods that the step does not name and that apply labels all the same, because they belong to its match."""
    match = step.match
    if match is None or match.gate is None:
        return {}
    key, value = match.gate.key, match.gate.value
    found: dict[str, Labels] = {}
    for pod in snapshot.pods_in(match.namespace):
        live = labels.get(pod.uid, pod.labels)
        if live.get(key) == value or pod.uid in written or is_terminal(pod):
            continue
        if in_match(match, live, snapshot.owner_uids(pod)):
            found[pod.uid] = {**live, key: value}
    return found


def behind_uid(uid: str, patch: Patch) -> Patch:
    """The patch without its tests of the uid, which must hold. Raises :class:`PatchRejectedError`."""
    if patch and patch[0].path == _UID and patch[0].op == "test" and patch[0].value == uid:
        patch = patch[1:]
    for op in patch:
        if op.path == _UID and op.op == "test" and op.value != uid:
            raise PatchRejectedError(f"test of {_UID}: expected {op.value!r}, found {uid!r}")
    return patch


def labels_after(labels: Labels, rest: Patch) -> Labels:
    """The pod's labels after ``rest``, which touches labels only. Raises :class:`PatchRejectedError`."""
    edits = _edits(rest, tuple([labels.get(_label_of(op)) for op in rest]))
    result = dict(labels)
    for key, value in edits:
        if value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


@functools.lru_cache(maxsize=4096)
def _label_of(op: Op) -> str:
    tokens = patches.tokens_of(op.path)
    if len(tokens) != 3 or tokens[:2] != ("metadata", "labels"):
        raise PatchRejectedError(f"a step on pods may only touch labels, not {op.path}")
    return tokens[2]


@functools.lru_cache(maxsize=4096)
def _edits(rest: Patch, live: tuple[str | None, ...]) -> tuple[tuple[str, str | None], ...]:
    """New values (None = gone) of the touched labels; pods that are alike share one evaluation."""
    keys = [_label_of(op) for op in rest]
    labels = {key: value for key, value in zip(keys, live, strict=True) if value is not None}
    document = patches.apply({"metadata": {"labels": labels}}, rest)
    return tuple((key, document["metadata"]["labels"].get(key)) for key in dict.fromkeys(keys))


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


def with_selector(service: Service, selector: Mapping[str, str] | None) -> Service:
    """``service`` with another selector."""
    return msgspec.structs.replace(service, spec=msgspec.structs.replace(service.spec, selector=selector))
