"""What follows from a workload: with which labels its next pod is born, and who may hold it still."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatekeep.model.matching import in_match
from gatekeep.model.objects import Workload, controller_of
from gatekeep.model.plan import Match
from gatekeep.model.snapshot import Snapshot

FIELD_MANAGER = "gatekeep"
"""As whom gatekeep writes."""

_ADDED_LABELS: Mapping[str, Mapping[str, str]] = {
    "DaemonSet": {"controller-revision-hash": "", "pod-template-generation": ""},
    "StatefulSet": {
        "controller-revision-hash": "",
        "statefulset.kubernetes.io/pod-name": "",
        "apps.kubernetes.io/pod-index": "",
    },
    "Deployment": {"pod-template-hash": ""},
}


def born_labels(workload: Workload) -> Mapping[str, str]:
    """What the next pod of ``workload`` is born with: the labels of its template, and those that its controller adds.

    The values of the latter are not known before: they stand here as empty.
    """
    return {**_ADDED_LABELS.get(workload.kind, {}), **workload.spec.template.metadata.labels}


def adoptable(namespace: str, snapshot: Snapshot) -> Iterable[Workload]:
    """The workloads whose templates decide what later pods carry: not the ReplicaSets of a Deployment."""
    for item in snapshot.workloads_in(namespace):
        if item.kind == "Deployment" and "replicasets" in snapshot.missing:
            continue  # it cannot be said which ReplicaSets it has; a finding says so
        if item.kind != "ReplicaSet" or controller_of(item.metadata) is None:
            yield item


def is_born_in(match: Match, item: Workload, snapshot: Snapshot) -> bool:
    """A pod that is born from this template belongs to ``match``."""
    sets = snapshot.replica_sets_of(item.uid)
    return in_match(match, born_labels(item), frozenset([item.uid, *(one.uid for one in sets)]))


def may_be_held(workload: Workload) -> bool:
    """gatekeep wrote the pause of a Deployment, or the update strategy of another workload.

    Taken for granted where nobody's fields are known: kubectl leaves managedFields out.
    """
    field = "f:paused" if workload.kind == "Deployment" else "f:updateStrategy"
    entries = workload.metadata.managed_fields
    return not entries or any(
        entry.manager == FIELD_MANAGER and field in entry.fields_v1.get("f:spec", {}) for entry in entries
    )
