"""What must be true before a plan is made. Each refusal says what was found and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import ObjectRef, Service
from gatekeep.model.policy import Gate
from gatekeep.model.record import GATE_LABEL, MANAGED_BY, GateName, records_in, services_of
from gatekeep.model.selectors import is_reserved, keys_of
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning.task import base_of, gates_on


def find_services(names: Iterable[str], gate: GateName, snapshot: Snapshot) -> tuple[Service, ...]:
    """The gate's Services. Raises :class:`RefusedError` for one that is missing or cannot be gated."""
    found: list[Service] = []
    refused: list[RefusedError] = []
    for name in names:
        try:
            found.append(_find(name, gate, snapshot))
        except RefusedError as error:
            refused.append(error)
    if len(refused) == 1:
        raise refused[0]
    if refused:
        text = "".join(f"\n{error.where}: {error.message}; {error.hint}" for error in refused)
        raise RefusedError(f"{len(refused)} Services of gate {gate} cannot be gated:{text}")
    return tuple(found)


def refuse_other_gates(gate: GateName, services: tuple[Service, ...], snapshot: Snapshot) -> None:
    """Refuses a Service on which another recorded gate stands: a renamed policy, mostly."""
    for other, record in records_in(snapshot).items():
        shared = [item for item in services if item.name in services_of(record)]
        if other != gate and other.namespace == gate.namespace and shared:
            raise RefusedError(
                f"the gate {other} stands on this Service already, so {gate} cannot",
                where=str(shared[0].ref),
                hint=f"if the policy was renamed, take the old gate off first: gatekeep retire {other}",
            )


def _find(name: str, gate: GateName, snapshot: Snapshot) -> Service:
    service = snapshot.service(gate.namespace, name)
    where = str(ObjectRef("Service", gate.namespace, name))
    if service is None:
        known = [item.name for item in snapshot.services_in(gate.namespace)]
        raise RefusedError(
            f"gate {gate} names a Service that does not exist", where=where, hint=_nearest(name, known, gate.namespace)
        )
    if service.spec.type == "ExternalName":
        raise RefusedError(
            "the Service is of type ExternalName: it has no pods of its own to gate",
            where=where,
            hint="gate the Service that the name leads to",
        )
    if not service.spec.selector:
        raise RefusedError(
            "the Service has no selector: its endpoints are kept by hand, not by labels",
            where=where,
            hint="give it a selector, or take it out of spec.services",
        )
    _refuse_governing(service, snapshot)
    return service


def _nearest(name: str, known: list[str], namespace: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    if not known:
        return f"namespace {namespace} has no Services; is the namespace right?"
    return f"Services in {namespace}: {', '.join(known[:10])}"


def _refuse_governing(service: Service, snapshot: Snapshot) -> None:
    if service.spec.cluster_ip != "None":
        return
    for workload in snapshot.workloads_in(service.namespace):
        if workload.kind == "StatefulSet" and workload.spec.service_name == service.name:
            raise RefusedError(
                f"the Service gives the pods of {workload.ref} their DNS names: a pod out of rotation would lose it",
                where=str(service.ref),
                hint="gate a second, ordinary Service in front of the same pods",
            )


def check_gate(
    services: tuple[Service, ...], target: Gate, known: tuple[Gate, ...], snapshot: Snapshot, preview: str = ""
) -> None:
    """Refuses a gate key that something else lives by, and a Service that would be left with the gate alone.

    ``preview`` is the one other Service that may select by the key.
    """
    for service in services:
        _refuse_key_in_use(service, target, known)
        if not base_of(service.spec.selector or {}, known):
            raise RefusedError(
                f"the selector is nothing but the gate {target.key}={target.value}: without it the Service would "
                "reach every pod of the namespace",
                where=str(service.ref),
                hint="give the Service a selector of its own first, such as the app label of its pods",
            )
    namespace = services[0].namespace
    if is_reserved(target.key):
        raise RefusedError(
            f"the gate key {target.key} is a label that Kubernetes' own controllers write",
            hint="choose a key of your own, such as gatekeep.dev/NAME (the default)",
        )
    _refuse_controller_key(target, namespace, snapshot)
    _refuse_foreign_service({preview, *(service.name for service in services)}, target, namespace, snapshot)


def _refuse_key_in_use(service: Service, target: Gate, known: tuple[Gate, ...]) -> None:
    selector = service.spec.selector or {}
    value = selector.get(target.key)
    if value is None or any(gate.key == target.key for gate in gates_on(selector, known)):
        return
    raise RefusedError(
        f"the selector already requires {target.key}={value}, and no record says that this is the gate; "
        f"the policy wants {target.key}={target.value}",
        where=str(service.ref),
        hint=f"choose another gate key, or write the value {value!r} in the policy to take this key over as it is",
    )


def _refuse_controller_key(target: Gate, namespace: str, snapshot: Snapshot) -> None:
    for workload in snapshot.workloads_in(namespace):
        if target.key in keys_of(workload.spec.selector):
            raise RefusedError(
                f"the gate key {target.key} stands in the selector of {workload.ref}: a pod pulled out of rotation "
                "would be released and replaced",
                where=str(workload.ref),
                hint="choose a key that no workload selects by, such as gatekeep.dev/NAME (the default)",
            )


def _refuse_foreign_service(ours: set[str], target: Gate, namespace: str, snapshot: Snapshot) -> None:
    recorded = {name for record in records_in(snapshot).values() for name in services_of(record)}
    for service in snapshot.services_in(namespace):
        if service.name in ours or is_helper(service):
            continue
        if target.key in (service.spec.selector or {}):
            hint = f"choose another key, or add {service.name} to spec.services if it is to share the gate"
            if service.name in recorded:
                hint = f"{service.name} was part of a gate: keep it in spec.services, or retire that gate first"
            raise RefusedError(
                f"another Service selects by the gate key {target.key}: the gate would move its pods too",
                where=str(service.ref),
                hint=hint,
            )


def is_helper(service: Service) -> bool:
    """A shadow or marker Service of gatekeep's own."""
    return service.metadata.labels.get(MANAGED_BY) == "gatekeep" and GATE_LABEL in service.metadata.labels


def leftovers(gate: GateName, snapshot: Snapshot) -> tuple[Service, ...]:
    """Helper Services of this gate that a killed run left."""
    return tuple(
        service
        for service in snapshot.services_in(gate.namespace)
        if is_helper(service) and service.metadata.labels.get(GATE_LABEL) == gate.name
    )
