"""How the recorded gates stand, read from one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gatekeep.model.endpoints import counts_as_ready
from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Pod, Service
from gatekeep.model.outcomes import GateStatus
from gatekeep.model.record import RECORD_KEY, GateName, Record, decode
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning.explain import drift_of
from gatekeep.planning.task import base_of, known_gates
from gatekeep.strategies.rotation import desired_rotation


def gate_statuses(snapshot: Snapshot) -> tuple[GateStatus, ...]:
    """One status for each recorded gate, by namespace and name."""
    found = []
    for config_map in snapshot.config_maps:
        if RECORD_KEY not in config_map.data:
            continue
        meta = config_map.metadata
        name = GateName(meta.namespace, meta.name.removeprefix("gatekeep-"))
        found.append(_status(name, decode(config_map), snapshot))
    return tuple(sorted(found, key=lambda item: (item.namespace, item.name)))


def _status(name: GateName, record: Record, snapshot: Snapshot) -> GateStatus:
    known = known_gates(name, record.policy, record)
    services = [
        service
        for item in record.policy.spec.services
        if (service := snapshot.service(name.namespace, item)) is not None
    ]
    members = _distinct(pod for item in services for pod in _matched(item, item.spec.selector or {}, snapshot))
    candidates = _distinct(
        pod for item in services for pod in _matched(item, base_of(item.spec.selector or {}, known), snapshot)
    )
    ready = [pod for pod in members if any(counts_as_ready(pod, service) for service in services)]
    last = record.runs[0] if record.runs else None
    return GateStatus(
        namespace=name.namespace,
        name=name.name,
        services=record.policy.spec.services,
        gate=f"{record.gate.key}={record.gate.value}",
        strategy="pool",
        stage=last.outcome if last else "never applied",
        members_ready=len(ready),
        members_total=len(members),
        candidates=len(candidates),
        drift=_drift(record, services, [base_of(item.spec.selector or {}, known) for item in services], snapshot),
        last_run=f"{last.action} {last.id} at {last.started} by {last.by}" if last else "",
        source=str(record.source) if record.source else "",
    )


def _drift(
    record: Record, services: Sequence[Service], bases: Sequence[Mapping[str, str]], snapshot: Snapshot
) -> tuple[str, ...]:
    missing = [
        f"Service {record.policy.namespace}/{name} is gone"
        for name in record.policy.spec.services
        if name not in {service.name for service in services}
    ]
    try:
        members = desired_rotation(record.policy, bases, snapshot).members
    except RefusedError as error:
        return (*missing, error.message)
    return (*missing, *drift_of(record, services, members, snapshot))


def _matched(service: Service, selector: Mapping[str, str], snapshot: Snapshot) -> Iterable[Pod]:
    return (pod for pod in snapshot.pods_in(service.namespace) if matches_map(selector, pod.labels))


def _distinct(pods: Iterable[Pod]) -> list[Pod]:
    return list({pod.uid: pod for pod in pods}.values())
