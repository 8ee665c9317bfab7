"""The part of a ReplicaSet's status that waits and people look at."""

from __future__ import annotations

from collections.abc import Sequence

from gatekeep.cluster.embedded.store import Object, Stored
from gatekeep.cluster.embedded.templates import template_labels, template_of
from gatekeep.model.endpoints import is_ready
from gatekeep.model.selectors import matches_map


def replica_set_status(replica_set: Stored, pods: Sequence[Stored]) -> Object:
    """Counts of the pods as the controller saw them; fully labelled is who carries every label of the template.

    https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/replicaset/replica_set_utils.go
    """
    labels = template_labels(template_of(replica_set))
    ready = sum(is_ready(pod.typed) for pod in pods)
    return {
        "observedGeneration": replica_set.meta.get("generation", 0),
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": ready,
        "fullyLabeledReplicas": sum(matches_map(labels, pod.labels) for pod in pods),
    }
