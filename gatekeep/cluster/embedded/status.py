"""The part of a workload's status that waits and people look at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gatekeep.cluster.embedded.store import Object, Stored
from gatekeep.model.endpoints import is_ready
from gatekeep.model.selectors import matches_map


def workload_status(workload: Stored, owned: Iterable[Stored], parts: Iterable[Mapping[str, Any]]) -> Object:
    """Counts of the pods as the controller saw them; ``parts`` are the statuses of a Deployment's ReplicaSets."""
    generation = workload.meta.get("generation", 0)
    if workload.kind == "Deployment":
        sums = {key: sum(int(part.get(key, 0)) for part in parts) for key in ("replicas", "readyReplicas")}
        more = {"updatedReplicas": sums["replicas"], "availableReplicas": sums["readyReplicas"]}
        return {"observedGeneration": generation, **sums, **more}
    pods = list(owned)
    ready = sum(is_ready(pod.typed) for pod in pods)
    if workload.kind == "DaemonSet":
        return {
            "observedGeneration": generation,
            "desiredNumberScheduled": len(pods),
            "currentNumberScheduled": len(pods),
            "numberReady": ready,
            "numberAvailable": ready,
            "numberMisscheduled": 0,
        }
    counts = {"observedGeneration": generation, "replicas": len(pods), "readyReplicas": ready}
    if workload.kind == "ReplicaSet":
        labels = ((workload.data["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
        counts["fullyLabeledReplicas"] = sum(matches_map(labels, pod.labels) for pod in pods)
    return {**counts, "availableReplicas": ready}
