"""All kinds that ``gatekeep snapshot`` writes, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from gatekeep.cluster.kube.calls import Caller
from gatekeep.cluster.kube.failures import Request
from gatekeep.cluster.kube.lists import list_all
from gatekeep.cluster.kube.observe import ADMISSION_KINDS, MANAGED
from gatekeep.cluster.kube.paths import member
from gatekeep.cluster.resources import RESOURCES
from gatekeep.model.errors import ForbiddenError, NotFoundError

SNAPSHOT_KINDS = (
    "Pod",
    "Service",
    "EndpointSlice",
    "Deployment",
    "ReplicaSet",
    "DaemonSet",
    "StatefulSet",
    "Node",
    "ControllerRevision",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "NetworkPolicy",
    "ConfigMap",
    *ADMISSION_KINDS,
)

_decode = msgspec.json.Decoder().decode


def raw_objects(
    caller: Caller, namespaces: Sequence[str], report: Callable[[str, str], None]
) -> Iterator[dict[str, Any]]:
    """Every object of the contract's kinds in ``namespaces`` (none: all), each with apiVersion and kind.

    ``report`` hears the plural and the reason of each kind that is forbidden or not served. Env and managedFields are
    still in the objects; whoever writes them down leaves those out.
    """
    where = tuple(sorted(set(namespaces))) or ("",)
    for kind in SNAPSHOT_KINDS:
        for namespace in where if RESOURCES[kind].namespaced else ("",):
            yield from _objects(caller, kind, namespace, report)
    try:
        yield kube_system(caller)
    except (ForbiddenError, NotFoundError) as error:
        report("namespaces", error.message)


def kube_system(caller: Caller) -> dict[str, Any]:
    """The Namespace whose uid is the cluster's identity. Raises :class:`ForbiddenError`."""
    request = Request("get", "namespaces", name="kube-system", namespaced=False)
    found: dict[str, Any] = _decode(caller.call("GET", member(RESOURCES["Namespace"], "", "kube-system"), request).body)
    return found


def _objects(caller: Caller, kind: str, namespace: str, report: Callable[[str, str], None]) -> Iterator[dict[str, Any]]:
    resource = RESOURCES[kind]
    labels = MANAGED if kind in ("ConfigMap", *ADMISSION_KINDS) else None
    try:
        # Bytes first: an expired list starts over, and what was yielded cannot be taken back.
        listed = list_all(caller, resource, namespace, msgspec.Raw, labels=labels)
    except (ForbiddenError, NotFoundError) as error:
        report(resource.plural, error.message)
        return
    for item in listed.items:
        yield {"apiVersion": resource.api_version, "kind": kind, **_decode(item)}
