"""What the API server fills in when an object is created.

https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/v1/defaults.go,
https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/apps/v1/defaults.go and, for cluster IPs,
https://github.com/kubernetes/kubernetes/blob/master/pkg/registry/core/service/storage/alloc.go.
Pod templates are left as they are: only gates and revisions are looked at here, and both go by what is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gatekeep.cluster.embedded.podmaker import GENERATION_ANNOTATION
from gatekeep.cluster.embedded.store import WORKLOADS, Object, clone
from gatekeep.cluster.resources import RESOURCES

_WORKLOAD_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "Deployment": {
        "replicas": 1,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    },
    "ReplicaSet": {"replicas": 1},
    "DaemonSet": {
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    },
    "StatefulSet": {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    },
}


def service_addresses() -> Iterator[str]:
    """Cluster IPs, one after the other."""
    for high in range(256):
        for low in range(10, 250):
            yield f"10.96.{high}.{low}"


def with_kind(kind: str, data: Object) -> Object:
    """``data`` with apiVersion and kind, as every object read from the API has them."""
    return {**data, "apiVersion": RESOURCES[kind].api_version, "kind": kind}


def with_defaults(kind: str, data: Object, addresses: Iterator[str]) -> Object:
    """``data`` as the server would have stored it; fields that are set stay as they are."""
    data = with_kind(kind, data)
    if kind == "Service":
        return {**data, "spec": _service_spec(data.get("spec") or {}, addresses)}
    if kind in WORKLOADS:
        return _workload(kind, data)
    if kind == "Pod" and not (data.get("status") or {}).get("phase"):
        return {**data, "status": {**(data.get("status") or {}), "phase": "Pending"}}
    return data


def _workload(kind: str, data: Object) -> Object:
    spec = data.get("spec") or {}
    missing = {key: clone(value) for key, value in _WORKLOAD_DEFAULTS[kind].items() if key not in spec}
    data = {**data, "spec": {**spec, **missing}}
    if kind != "DaemonSet":
        return data
    annotations = {GENERATION_ANNOTATION: "1", **(data["metadata"].get("annotations") or {})}
    return {**data, "metadata": {**data["metadata"], "annotations": annotations}}


def _service_spec(spec: Object, addresses: Iterator[str]) -> Object:
    spec = {"type": "ClusterIP", "sessionAffinity": "None", **spec}
    if spec["type"] == "ExternalName":
        return spec
    if not spec.get("clusterIP"):
        spec["clusterIP"] = next(addresses)
    defaults: Object = {
        "clusterIPs": [spec["clusterIP"]],
        "internalTrafficPolicy": "Cluster",
        "ipFamilies": ["IPv6" if ":" in spec["clusterIP"] else "IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    filled = {key: value for key, value in defaults.items() if not spec.get(key)}
    ports = [{"protocol": "TCP", "targetPort": port["port"], **port} for port in spec.get("ports") or ()]
    return {**spec, **filled, **({"ports": ports} if ports else {})}
