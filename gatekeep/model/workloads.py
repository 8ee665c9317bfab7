"""What follows from a workload: with which labels its next pod is born, and who may hold it still."""

from __future__ import annotations

from collections.abc import Mapping

from gatekeep.model.objects import Workload

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


def may_be_held(workload: Workload) -> bool:
    """gatekeep wrote the pause of a Deployment, or the update strategy of another workload.

    Taken for granted where nobody's fields are known: kubectl leaves managedFields out.
    """
    field = "f:paused" if workload.kind == "Deployment" else "f:updateStrategy"
    entries = workload.metadata.managed_fields
    return not entries or any(
        entry.manager == FIELD_MANAGER and field in entry.fields_v1.get("f:spec", {}) for entry in entries
    )
