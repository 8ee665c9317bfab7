"""How the recorded gates stand, read from one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatekeep.model.endpoints import counts_as_ready
from gatekeep.model.objects import Pod, Service
from gatekeep.model.outcomes import GateStatus
from gatekeep.model.policy import Rotation
from gatekeep.model.record import GateName, Record, records_in, services_of
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning.explain import drift_of, recorded_members
from gatekeep.planning.task import base_of, gates_on, known_gates


def gate_statuses(snapshot: Snapshot) -> tuple[GateStatus, ...]:
    """One status for each recorded gate, by namespace and name."""
    return tuple(_status(name, record, snapshot) for name, record in sorted(records_in(snapshot).items()))


def _status(name: GateName, record: Record, snapshot: Snapshot) -> GateStatus:
    known = known_gates(name, record.policy, record)
    names = services_of(record)
    services = [found for item in names if (found := snapshot.service(name.namespace, item)) is not None]
    members = _distinct(pod for item in services for pod in _matched(item, item.spec.selector or {}, snapshot))
    candidates = _distinct(
        pod for item in services for pod in _matched(item, base_of(item.spec.selector or {}, known), snapshot)
    )
    ready = [pod for pod in members if any(counts_as_ready(pod, service) for service in services)]
    last = record.runs[0] if record.runs else None
    return GateStatus(
        namespace=name.namespace,
        name=name.name,
        services=names,
        gate=f"{record.gate.key}={record.gate.value}",
        strategy=_strategy(record.policy.spec.rotation),
        stage=last.outcome if last else "never applied",
        members_ready=len(ready),
        members_total=len(members),
        candidates=len(candidates),
        drift=(*_alarms(name, record, snapshot), *drift_of(record, recorded_members(record, snapshot), snapshot)),
        last_run=f"{last.action} {last.id} at {last.started} by {last.by}" if last else "",
        source=str(record.source) if record.source else "",
    )


def _strategy(rotation: Rotation) -> str:
    return "pool" if rotation.canary is None else f"canary, weight {rotation.canary.weight}"


def _alarms(name: GateName, record: Record, snapshot: Snapshot) -> Iterable[str]:
    """What a person on call has to know first."""
    for item in services_of(record):
        service = snapshot.service(name.namespace, item)
        if service is None:
            yield f"Service {name.namespace}/{item} is gone"
            continue
        selector = service.spec.selector or {}
        if not any(counts_as_ready(pod, service) for pod in _matched(service, selector, snapshot)):
            yield f"{service.ref} has no ready endpoint"
        if record.wanted is not None and not gates_on(selector, (record.gate, *record.pending)):
            yield f"the last run did not end: no gate stands on {service.ref} yet"


def _matched(service: Service, selector: Mapping[str, str], snapshot: Snapshot) -> Iterable[Pod]:
    return (pod for pod in snapshot.pods_in(service.namespace) if matches_map(selector, pod.labels))


def _distinct(pods: Iterable[Pod]) -> list[Pod]:
    return list({pod.uid: pod for pod in pods}.values())
