"""Who receives traffic: a pure twin of ``k8s.io/endpointslice``.

Says what the endpoint controller publishes for a pod behind a Service, and counts what a floor may count. The rules are
restated in ``docs/design/0003-endpoints.md``; the source is
https://github.com/kubernetes/endpointslice/blob/master/utils.go (podToEndpoint) and
https://github.com/kubernetes/endpointslice/blob/master/util/controller_utils.go (ShouldPodBeInEndpoints).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gatekeep.model.objects import EndpointSlice, Pod, Service

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
CONTROLLER = "endpointslice-controller.k8s.io"
SLICE_CAPACITY = 100
"""Endpoints in one EndpointSlice; the default of ``--max-endpoints-per-slice``."""


class Published(NamedTuple):
    """The conditions that stand in the EndpointSlice for one pod."""

    ready: bool
    serving: bool
    terminating: bool


def is_ready(pod: Pod) -> bool:
    """The pod's Ready condition is True."""
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            return condition.status == "True"
    return False


def is_terminal(pod: Pod) -> bool:
    """Succeeded or Failed: it will never serve again. (Terminating, with a deletionTimestamp, is another thing.)"""
    return pod.status.phase in ("Succeeded", "Failed")


def published(pod: Pod, service: Service) -> Published | None:
    """What the slices say of ``pod``, given that the selector matches; None when the pod is not listed at all."""
    if is_terminal(pod) or not pod.spec.node_name or not _has_addresses(pod, service):
        return None
    serving = is_ready(pod)
    terminating = pod.metadata.deletion_timestamp is not None
    ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
    return Published(ready=ready, serving=serving, terminating=terminating)


def counts_as_ready(pod: Pod, service: Service) -> bool:
    """True when ``pod`` behind ``service`` is a ready endpoint that the floor may count.

    With publishNotReadyAddresses the slices say ready for every listed pod, so the pod's own condition counts. A pod
    that lacks a named target port sits in a slice without ports: ready, but unreachable.
    """
    if pod.metadata.deletion_timestamp is not None or not is_ready(pod) or is_terminal(pod):
        return False
    return bool(pod.spec.node_name) and _has_addresses(pod, service) and has_target_ports(pod, service)


def has_target_ports(pod: Pod, service: Service) -> bool:
    """Every named targetPort of the Service exists in the pod, for the same protocol.

    https://github.com/kubernetes/kubernetes/blob/master/pkg/api/v1/pod/util.go (FindPort): sidecars count too.
    """
    wanted = named_target_ports(service)
    if not wanted:
        return True
    sidecars = [item for item in pod.spec.init_containers if item.restart_policy == "Always"]
    named = {(port.name, port.protocol) for item in (*pod.spec.containers, *sidecars) for port in item.ports}
    return all(target in named for target in wanted)


def named_target_ports(service: Service) -> tuple[tuple[str, str], ...]:
    """Name and protocol of the ports in its pods that the Service's ports point to by name."""
    return tuple((port.target_port, port.protocol) for port in service.spec.ports if isinstance(port.target_port, str))


def is_gateable(service: Service) -> bool:
    """The endpoint controller keeps slices for it: it has a selector and is no ExternalName."""
    return service.spec.type != "ExternalName" and bool(service.spec.selector)


def ready_in_slices(
    slices: Iterable[EndpointSlice],
    service: str,
    *,
    ports: frozenset[str] | None = None,
    not_ready_uids: frozenset[str] = frozenset(),
) -> frozenset[str]:
    """The uids of the pods that the slices of ``service`` list as ready.

    Only slices of the endpoint controller that have ports count (others, as the mirroring controller's, keep listing
    pods that are gone), and a pod counts only if it is ready in every address family. ``not_ready_uids`` are left
    out: with publishNotReadyAddresses the slices call every pod ready.
    """
    families: dict[str, set[str]] = {}
    for item in slices:
        labels = item.metadata.labels
        if labels.get(SERVICE_NAME_LABEL) != service or labels.get(MANAGED_BY_LABEL) != CONTROLLER:
            continue
        ready = families.setdefault(item.address_type, set())
        if item.endpoints and not _serves_ports(item, ports):
            continue
        for endpoint in item.endpoints or ():
            if endpoint.conditions.ready is not False and endpoint.target_ref is not None:
                ready.add(endpoint.target_ref.uid)
    if not families:
        return frozenset()
    return frozenset(set.intersection(*families.values())) - not_ready_uids


def is_local(service: Service) -> bool:
    """Traffic stays on the node where it arrives, so each node needs an endpoint of its own."""
    spec = service.spec
    outside = spec.type in ("NodePort", "LoadBalancer") and spec.external_traffic_policy == "Local"
    return outside or spec.internal_traffic_policy == "Local"


def _serves_ports(item: EndpointSlice, ports: frozenset[str] | None) -> bool:
    """Whether the slice's pods can be reached: on each of the named ``ports``, or (None) on any at all."""
    if ports is None:
        return item.ports is not None
    return ports <= {port.name for port in item.ports or ()}


def port_names(service: Service) -> frozenset[str]:
    """The names of the Service's ports, "" for the only one without a name."""
    return frozenset(port.name for port in service.spec.ports)


def _has_addresses(pod: Pod, service: Service) -> bool:
    if len(service.spec.ip_families) < 2:
        return bool(pod.status.pod_ip)
    found = {"IPv6" if ":" in address.ip else "IPv4" for address in pod.status.pod_ips}
    return found.issuperset(service.spec.ip_families)
