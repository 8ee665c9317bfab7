"""The task of going back: from where a plan ends to the rotation it found."""

from __future__ import annotations

from collections.abc import Mapping

from gatekeep.model.plan import GateTarget, Match
from gatekeep.model.policy import Floor, Gate
from gatekeep.model.record import GateName
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning.preflight import find_services
from gatekeep.planning.task import GateTask, temporary_gate

_TIMEOUT_SECONDS = 300


def reverse_task(gate: GateTarget, begin: Snapshot, end: Snapshot, floors: Mapping[tuple[str, str], int]) -> GateTask:
    """Back from ``end`` to the gate and the labels of ``begin``.

    ``floors`` are those of the plan, but never above what the Service had: a plan that healed it has a way back too.
    """
    name = GateName(gate.namespace, gate.name)
    services = find_services(gate.services, name, end)
    planned = Gate(key=gate.key, value=gate.value)
    former = _former_gate(gate, begin, end)
    known = {(item.key, item.value): item for item in (former, planned, temporary_gate(gate.name)) if item}
    pods = begin.pods_in(gate.namespace)
    held = frozenset(pod.uid for pod in pods if former and pod.labels.get(former.key) == former.value)
    return GateTask(
        name=name,
        services=services,
        target=former,
        known=tuple(known.values()),
        members=held,
        match=Match(namespace=gate.namespace, any_of=()),
        kept=frozenset(pod.uid for pod in pods if pod.labels.get(planned.key) == planned.value),
        floor=Floor(min_ready=min((floors.get((gate.namespace, item.name), 0) for item in services), default=0)),
        timeout_seconds=_TIMEOUT_SECONDS,
        policy=None,
    )


def _former_gate(gate: GateTarget, begin: Snapshot, end: Snapshot) -> Gate | None:
    """The keys that the plan took out of a selector or leaves as they are: what gated the Service before."""
    for name in gate.services:
        old = begin.service(gate.namespace, name)
        new = end.service(gate.namespace, name)
        before = dict(old.spec.selector or {}) if old else {}
        after = dict(new.spec.selector or {}) if new else {}
        lost = {key: value for key, value in before.items() if after.get(key) != value}
        if lost:
            key = min(lost)
            return Gate(key=key, value=lost[key])
        if gate.action == "Gate" and before.get(gate.key) == gate.value:
            return Gate(key=gate.key, value=gate.value)
    return None
