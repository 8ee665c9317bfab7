"""What ``gatekeep snapshot`` writes: API objects without anything that may hold a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MANAGED_BY = "app.kubernetes.io/managed-by"
SYSTEM_NAMESPACE = "kube-system"
KINDS = (
    *("Pod", "Service", "EndpointSlice", "Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Node", "CronJob"),
    *("Job", "ReplicationController", "ControllerRevision", "HorizontalPodAutoscaler", "PodDisruptionBudget"),
    *("NetworkPolicy", "ConfigMap", "Namespace"),
)
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_CONTAINERS = frozenset({"containers", "initContainers", "ephemeralContainers"})
_ENV = frozenset({"env", "envFrom"})
_ENV_FIELDS = frozenset({"f:env", "f:envFrom"})  # managedFields name each variable


def dump_snapshot(objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The ``kind: List`` document of raw API ``objects``, sorted by kind, namespace and name.

    Left out, wherever they stand: the env and envFrom of containers (templates, CronJobs and ControllerRevisions
    included) and the last-applied annotation, which repeats them. Pods also lose their managedFields; Services and
    workloads keep them, for they tell who would revert a change. Of ConfigMaps and admission policies only gatekeep's
    own are kept, of Namespaces only kube-system; a Secret never is. The objects themselves stay as they are.
    """
    kept = sorted((_redacted(item) for item in objects if _is_kept(item)), key=_order)
    return {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": kept}


def _is_kept(item: Mapping[str, Any]) -> bool:
    metadata = item.get("metadata") or {}
    match item.get("kind"):
        case "ConfigMap" | "MutatingAdmissionPolicy" | "MutatingAdmissionPolicyBinding":
            return (metadata.get("labels") or {}).get(MANAGED_BY) == "gatekeep"
        case "Namespace":
            return bool(metadata.get("name") == SYSTEM_NAMESPACE)
        case kind:
            return kind in KINDS


def _order(item: Mapping[str, Any]) -> tuple[str, str, str]:
    metadata = item.get("metadata") or {}
    return item["kind"], metadata.get("namespace") or "", metadata.get("name") or ""


def _redacted(item: Mapping[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = _without_env(item)
    if item.get("kind") == "Pod" and isinstance(copy.get("metadata"), dict):
        copy["metadata"].pop("managedFields", None)
    return copy


def _without_env(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_env(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {key: _below(key, below) for key, below in value.items() if key != LAST_APPLIED and key not in _ENV_FIELDS}


def _below(key: str, value: Any) -> Any:
    if key in _CONTAINERS and isinstance(value, list):
        return [_without_env(_without(item, _ENV)) for item in value]
    return _without_env(value)


def _without(item: Any, keys: frozenset[str]) -> Any:
    return {key: value for key, value in item.items() if key not in keys} if isinstance(item, Mapping) else item
