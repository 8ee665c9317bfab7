"""What stands in an EndpointSlice: endpoints, ports, labels and owners, and when two of them are the same.

https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/endpointslice/utils.go
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gatekeep.cluster.embedded.store import Object
from gatekeep.model.endpoints import CONTROLLER, MANAGED_BY_LABEL, SERVICE_NAME_LABEL, Published
from gatekeep.model.objects import Pod, Service

HEADLESS_LABEL = "service.kubernetes.io/headless"
ZONE_LABEL = "topology.kubernetes.io/zone"
_RESERVED = frozenset({SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL})

PortKey = tuple[tuple[Any, ...], ...]
EndpointKey = tuple[Any, ...]


def address_types(service: Service) -> tuple[str, ...]:
    """The address families a Service has slices for (``getAddressTypesForService``)."""
    spec = service.spec
    if spec.ip_families:
        return spec.ip_families
    if spec.cluster_ip and spec.cluster_ip != "None":
        return ("IPv6",) if ":" in spec.cluster_ip else ("IPv4",)
    return ("IPv4", "IPv6")


def new_slice(service: Service, family: str, ports: list[Object]) -> Object:
    """An EndpointSlice without endpoints and without a name (``newEndpointSlice``)."""
    owner = {"apiVersion": "v1", "kind": "Service", "name": service.name, "uid": service.metadata.uid}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": f"{service.name}-",
            "namespace": service.namespace,
            "labels": slice_labels(service),
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "addressType": family,
        "endpoints": [],
        "ports": ports,
    }


def slice_labels(service: Service) -> dict[str, str]:
    """The Service's own labels and the controller's (``setEndpointSliceLabels``)."""
    labels = {key: value for key, value in service.metadata.labels.items() if key not in _RESERVED}
    if service.spec.cluster_ip in ("", "None"):
        labels[HEADLESS_LABEL] = ""
    return {**labels, SERVICE_NAME_LABEL: service.name, MANAGED_BY_LABEL: CONTROLLER}


def endpoint_of(pod: Pod, conditions: Published, family: str, zone: str) -> Object:
    """The entry for one pod (``podToEndpoint``); a pod without an address of the family has no addresses."""
    endpoint: Object = {
        "addresses": _addresses(pod, family),
        "conditions": conditions._asdict(),
        "nodeName": pod.spec.node_name,
        "targetRef": {"kind": "Pod", "name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
    }
    return {**endpoint, "zone": zone} if zone else endpoint


def ports_of(service: Service, pod: Pod) -> list[Object]:
    """The Service's ports as this pod serves them; a port that the pod lacks is left out (``getEndpointPorts``)."""
    found: list[Object] = []
    for port in service.spec.ports:
        target = port.port if port.target_port is None else port.target_port
        number = _named_port(pod, target, port.protocol) if isinstance(target, str) else target
        if number is None:
            continue
        entry: Object = {"name": port.name, "port": number, "protocol": port.protocol}
        if port.app_protocol is not None:
            entry["appProtocol"] = port.app_protocol
        found.append(entry)
    return found


def _named_port(pod: Pod, name: str, protocol: str) -> int | None:
    ports = (port for container in pod.spec.containers for port in container.ports)
    return next((port.container_port for port in ports if port.name == name and port.protocol == protocol), None)


def _addresses(pod: Pod, family: str) -> list[str]:
    found = [address.ip for address in pod.status.pod_ips] or [pod.status.pod_ip]
    return [ip for ip in found if (":" in ip) == (family == "IPv6")]


def endpoint_key(endpoint: Mapping[str, Any]) -> EndpointKey:
    """Which endpoints are the same one (``hashEndpoint``)."""
    target = endpoint.get("targetRef") or {}
    addresses = endpoint["addresses"]
    return (*(sorted(addresses) if len(addresses) > 1 else addresses), target.get("namespace"), target.get("name"))


def port_key(ports: Iterable[Mapping[str, Any]] | None) -> PortKey:
    """Which slices have the same ports (``NewPortMapKey``)."""
    return tuple(
        sorted(
            tuple(str(port.get(name)) for name in ("name", "port", "protocol", "appProtocol")) for port in ports or ()
        )
    )


def owned_by(item: Mapping[str, Any], service: Service) -> bool:
    """The slice belongs to this Service, and not to an older one of the same name (``ownedBy``)."""
    return any(owner["uid"] == service.metadata.uid for owner in item["metadata"].get("ownerReferences") or ())


def with_null(item: Object) -> Object:
    """The API writes an empty list of endpoints or ports as null."""
    return {**item, "endpoints": item["endpoints"] or None, "ports": item["ports"] or None}
