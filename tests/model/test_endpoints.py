"""Who receives traffic: the table measured on Kubernetes 1.36.3, and what a floor may count.

Aspects: every kind of pod, with publishNotReadyAddresses and without · named ports · families · Services that cannot be
gated · which slices count.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gatekeep.model.endpoints import (
    CONTROLLER,
    MANAGED_BY_LABEL,
    SERVICE_NAME_LABEL,
    Published,
    counts_as_ready,
    is_gateable,
    published,
    ready_in_slices,
)
from gatekeep.model.objects import EndpointSlice, Pod, Service

MIRROR = "endpointslicemirroring-controller.k8s.io"


def pod(ready: bool = True, *, phase: str = "Running", terminating: bool = False, ip: str = "10.0.0.1",
        node: str = "n1", ips: tuple[str, ...] = (), ports: tuple[str, ...] = ()) -> Pod:  # fmt: skip
    """A pod with label app=rng."""
    meta: dict[str, Any] = {"name": "p", "namespace": "d", "uid": "u", "labels": {"app": "rng"}}
    if terminating:
        meta["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    containers = [{"ports": [{"name": name, "containerPort": 1} for name in ports]}]
    status = {"phase": phase, "podIP": ip, "podIPs": [{"ip": item} for item in ips],
              "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}  # fmt: skip
    return msgspec.convert({"metadata": meta, "spec": {"nodeName": node, "containers": containers}, "status": status},
                           Pod)  # fmt: skip


def service(**spec: Any) -> Service:
    """A Service with selector app=rng."""
    return msgspec.convert(
        {"metadata": {"name": "rng", "namespace": "d"}, "spec": {"selector": {"app": "rng"}, **spec}}, Service
    )


@pytest.mark.parametrize(
    ("item", "plain", "everyone"),
    [
        (pod(), (True, True, False), (True, True, False)),
        (pod(ready=False), (False, False, False), (True, False, False)),
        (pod(terminating=True), (False, True, True), (True, True, True)),
        (pod(ready=False, terminating=True), (False, False, True), (True, False, True)),
        (pod(phase="Succeeded"), None, None),
        (pod(phase="Failed"), None, None),
        (pod(phase="Failed", terminating=True), None, None),
        (pod(ip=""), None, None),
        (pod(node=""), None, None),
        (pod(phase="Pending"), (True, True, False), (True, True, False)),
    ],
)
def test_what_the_slices_say(item: Pod, plain: tuple[bool, ...] | None, everyone: tuple[bool, ...] | None) -> None:
    assert published(item, service()) == (Published(*plain) if plain else None)
    assert published(item, service(publishNotReadyAddresses=True)) == (Published(*everyone) if everyone else None)


@pytest.mark.parametrize("everyone", [False, True])
@pytest.mark.parametrize(
    ("item", "counts"),
    [
        (pod(), True),
        (pod(ready=False), False),
        (pod(terminating=True), False),
        (pod(phase="Failed"), False),
        (pod(ip=""), False),
    ],
)
def test_a_floor_counts_ready_pods_whatever_is_published(item: Pod, counts: bool, everyone: bool) -> None:
    assert counts_as_ready(item, service(publishNotReadyAddresses=everyone)) is counts


def test_a_pod_without_the_named_port_is_unreachable() -> None:
    named = service(ports=[{"port": 80, "targetPort": "http"}, {"port": 81, "targetPort": 8081}])
    assert counts_as_ready(pod(ports=("http", "metrics")), named)
    assert not counts_as_ready(pod(ports=("metrics",)), named)


def test_a_dual_stack_service_needs_both_families() -> None:
    both = service(ipFamilies=["IPv4", "IPv6"])
    assert published(pod(ips=("10.0.0.1", "fd00::1")), both) is not None
    assert published(pod(ips=("10.0.0.1",)), both) is None
    assert published(pod(ips=("10.0.0.1",)), service(ipFamilies=["IPv4"])) is not None


@pytest.mark.parametrize(
    ("item", "gateable"),
    [
        (service(), True),
        (service(clusterIP="None"), True),
        (service(type="NodePort"), True),
        (service(type="ExternalName", externalName="x.y"), False),
        (service(selector={}), False),
        (service(selector=None), False),
    ],
)
def test_which_services_have_endpoints_of_their_own(item: Service, gateable: bool) -> None:
    assert is_gateable(item) is gateable


def endpoints(*uids: str, ready: bool | None = True) -> list[dict[str, Any]]:
    """Endpoints of a slice."""
    return [{"targetRef": {"kind": "Pod", "uid": uid}, "conditions": {"ready": ready}} for uid in uids]


def slice_of(items: list[dict[str, Any]] | None, *, owner: str = "rng", by: str = CONTROLLER, family: str = "IPv4",
             ports: bool = True) -> EndpointSlice:  # fmt: skip
    """An EndpointSlice."""
    labels = {SERVICE_NAME_LABEL: owner, MANAGED_BY_LABEL: by}
    body = {"metadata": {"name": "s", "labels": labels}, "addressType": family, "endpoints": items,
            "ports": [{"port": 80}] if ports else None}  # fmt: skip
    return msgspec.convert(body, EndpointSlice)


@pytest.mark.parametrize(
    ("slices", "uids"),
    [
        ([slice_of(endpoints("a", "b")), slice_of(endpoints("c"))], "abc"),
        ([slice_of([*endpoints("a"), *endpoints("b", ready=False)])], "a"),
        ([slice_of(endpoints("a", ready=None))], "a"),
        ([slice_of(endpoints("a")), slice_of(endpoints("b"), owner="web")], "a"),
        ([slice_of(endpoints("a")), slice_of(endpoints("b"), by=MIRROR)], "a"),
        ([slice_of(endpoints("a")), slice_of(endpoints("b"), ports=False)], "a"),
        ([slice_of(None, ports=False)], ""),
        ([slice_of(endpoints("a", "b")), slice_of(endpoints("b", "c"), family="IPv6")], "b"),
        ([slice_of(endpoints("a")), slice_of(None, family="IPv6", ports=False)], ""),
        ([slice_of([{"addresses": ["10.0.0.1"]}])], ""),
        ([], ""),
    ],
)
def test_what_the_slices_count(slices: list[EndpointSlice], uids: str) -> None:
    assert ready_in_slices(slices, "rng") == set(uids)


def test_pods_that_only_seem_ready_are_left_out() -> None:
    assert ready_in_slices([slice_of(endpoints("a", "b"))], "rng", not_ready_uids=frozenset("b")) == {"a"}
