"""Pure readings of Kubernetes objects, and the objects that the harness makes itself."""

from __future__ import annotations

from .api import Json
from .network import NODE_ADDRESS

ROOM = {"cpu": "64", "memory": "256Gi", "pods": "5000"}


def node_manifest(number: int, zones: int) -> Json:
    """Node `nodeN` in zone `zone-X`, with room for thousands of pods; kwok makes it Ready."""
    name = f"node{number}"
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": f"zone-{number % max(zones, 1)}",
    }
    # kube-proxy wants an address from the start; without one it waits, longer each time.
    addresses = [{"type": "InternalIP", "address": NODE_ADDRESS}, {"type": "Hostname", "address": name}]
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {"capacity": ROOM, "allocatable": ROOM, "addresses": addresses},
    }


def is_ready(item: Json) -> bool:
    """Whether a pod or node has the condition Ready=True."""
    conditions = item.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def endpoint_uids(slices: Json) -> set[str]:
    """Uids behind the ready endpoints of a list of EndpointSlices."""
    found = [endpoint for one in slices["items"] for endpoint in one.get("endpoints") or []]
    return {
        endpoint["targetRef"]["uid"]
        for endpoint in found
        if endpoint["conditions"].get("ready") is not False and "targetRef" in endpoint
    }
