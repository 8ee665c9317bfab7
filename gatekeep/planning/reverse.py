"""The courses of going back: from where a plan ends to the rotation it found."""

from __future__ import annotations

from collections.abc import Mapping

from gatekeep.model.objects import Pod, controller_of
from gatekeep.model.plan import Adopted, GateTarget, Match
from gatekeep.model.policy import PREVIEW_VALUE, Floor, Gate
from gatekeep.model.record import GateName
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning.admitting import new_admissions, object_name
from gatekeep.planning.preflight import find_services
from gatekeep.planning.task import GateCourse, GateTask, Leg, temporary_gate

_TIMEOUT_SECONDS = 300


def reverse_courses(
    gate: GateTarget, begin: Snapshot, end: Snapshot, floors: Mapping[tuple[str, str], int]
) -> tuple[GateCourse, ...]:
    """Back from ``end`` to the gate and the labels of ``begin``.

    Services that had no gate lose theirs first, while the labels that the others still need stay; these go last, and
    with them the preview Service. ``floors`` are those of the plan, but never above what the Service had: a plan that
    healed it has a way back too.
    """
    former = {name: _former_gate(gate, name, begin, end) for name in gate.services}
    open_before = tuple(name for name in gate.services if former[name] is None)
    tasks: list[GateTask] = []
    gates = tuple(dict.fromkeys(item for item in former.values() if item is not None))
    if open_before:
        tasks.append(_task(gate, None, open_before, begin, end, floors, keep_labels=bool(gates)))
    for item in gates:
        names = tuple(name for name in gate.services if former[name] == item)
        tasks.append(_task(gate, item, names, begin, end, floors))
    if open_before and gates:
        tasks.append(_task(gate, None, open_before, begin, end, floors))
    previews = (_preview_task(gate, begin, end),) if gate.preview else ()
    last = len(tasks) - 1
    return tuple(
        GateCourse(legs=(Leg(task),), previews=previews if number == last else ()) for number, task in enumerate(tasks)
    )


def released(gate: GateTarget, begin: Snapshot, end: Snapshot) -> list[Pod]:
    """The pods that the plan lets their controllers replace."""
    later = {pod.uid: pod.labels for pod in end.pods_in(gate.namespace)}
    labels = {pod.uid: pod.labels for item in gate.isolations for pod in item.pods if pod.labels}
    return [
        pod
        for pod in begin.pods_in(gate.namespace)
        if any(key in pod.labels and key not in later.get(pod.uid, {}) for key in labels.get(pod.uid, {}))
    ]


def _preview_task(gate: GateTarget, begin: Snapshot, end: Snapshot) -> GateTask:
    """The preview Service as it was: with its key or without it."""
    label = Gate(key=gate.key, value=PREVIEW_VALUE)
    service = begin.service(gate.namespace, gate.preview)
    stood = service is not None and (service.spec.selector or {}).get(label.key) == label.value
    apart = {pod.uid for pod in released(gate, begin, end)}
    pods = [pod for pod in begin.pods_in(gate.namespace) if pod.uid not in apart]
    held = [pod.uid for pod in pods if pod.labels.get(label.key) == label.value]
    return GateTask(
        name=GateName(gate.namespace, gate.name),
        services=find_services([gate.preview], GateName(gate.namespace, gate.name), end),
        target=label if stood else None,
        known=(label, temporary_gate(gate.name)),
        members=frozenset(held),
        match=Match(namespace=gate.namespace, any_of=()),
        kept=frozenset(held),
        floor=Floor(min_ready=0),
        timeout_seconds=_TIMEOUT_SECONDS,
        policy=None,
    )


def _task(
    gate: GateTarget, former: Gate | None, names: tuple[str, ...], begin: Snapshot, end: Snapshot,
    floors: Mapping[tuple[str, str], int], *, keep_labels: bool = False,
) -> GateTask:  # fmt: skip
    name = GateName(gate.namespace, gate.name)
    planned = Gate(key=gate.key, value=gate.value)
    known = {(item.key, item.value): item for item in (former, planned, temporary_gate(gate.name)) if item}
    pods = begin.pods_in(gate.namespace)
    apart = {pod.uid for pod in released(gate, begin, end)}
    held = frozenset(
        pod.uid for pod in pods
        if former and pod.labels.get(former.key) == former.value and pod.uid not in apart
    )  # fmt: skip
    return GateTask(
        name=name,
        services=find_services(names, name, end),
        target=former,
        known=tuple(known.values()),
        members=held,
        match=Match(namespace=gate.namespace, any_of=()),
        kept=frozenset(pod.uid for pod in pods if keep_labels or pod.labels.get(planned.key) == planned.value),
        floor=Floor(min_ready=min((floors.get((gate.namespace, item), 0) for item in names), default=0)),
        timeout_seconds=_TIMEOUT_SECONDS,
        policy=None,
        templates={} if keep_labels else _former_templates(begin, end),
        withdrawn=() if keep_labels else _new_admissions(gate, begin, end),
    )


def _new_admissions(gate: GateTarget, begin: Snapshot, end: Snapshot) -> tuple[Adopted, ...]:
    """What the plan has labelled by admission and nothing did before."""
    created = {item.name for item in new_admissions(begin, end)}
    name = GateName(gate.namespace, gate.name)
    return tuple(item for item in gate.adopted if item.by == "Admission" and object_name(name, item) in created)


def _former_templates(begin: Snapshot, end: Snapshot) -> dict[tuple[str, str], str | None]:
    """The template labels that the plan changed, as they were."""
    found: dict[tuple[str, str], str | None] = {}
    for item in begin.workloads:
        before = item.spec.template.metadata.labels
        later = end.workload_index.get(item.uid)
        after = later.spec.template.metadata.labels if later is not None else before
        owned = item.kind == "ReplicaSet" and controller_of(item.metadata) is not None
        if not owned:
            found.update({(item.uid, key): before.get(key) for key, _ in before.items() ^ after.items()})
    return found


def _former_gate(gate: GateTarget, name: str, begin: Snapshot, end: Snapshot) -> Gate | None:
    """The key that the plan took out of a selector or leaves as it is: what gated the Service before."""
    old, new = begin.service(gate.namespace, name), end.service(gate.namespace, name)
    before = dict(old.spec.selector or {}) if old else {}
    after = dict(new.spec.selector or {}) if new else {}
    lost = {key: value for key, value in before.items() if after.get(key) != value}
    if lost:
        key = min(lost)
        return Gate(key=key, value=lost[key])
    if gate.action == "Gate" and before.get(gate.key) == gate.value:
        return Gate(key=gate.key, value=gate.value)
    return None
