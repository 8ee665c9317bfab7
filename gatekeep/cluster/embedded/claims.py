"""Which pods are a controller's own: release and adopt.

https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/controller_ref_manager.go (ClaimObject). Of several
controllers that an orphan matches, of whatever kind, the first one to write has it.
"""

from __future__ import annotations

from gatekeep.cluster.embedded.informer import Informer
from gatekeep.cluster.embedded.store import Object, Store, Stored
from gatekeep.model.endpoints import is_terminal
from gatekeep.model.selectors import matches


def claim(store: Store, pods: Informer, workload: Stored) -> list[Stored]:
    """The pods of ``workload`` as the controllers see them, after releasing and adopting.

    Terminating ones are among them, but for those of a ReplicaSet, whose controller leaves them alone.
    """
    owned: list[Stored] = []
    for pod in pods.list(workload.ref.namespace):
        if is_terminal(pod.typed) or (workload.kind == "ReplicaSet" and not is_active(pod)):
            continue
        owner = pod.controller_uid
        if owner not in (None, workload.uid):
            continue
        fits = matches(workload.typed.spec.selector, pod.labels) and _name_fits(workload, pod)
        if owner is not None and not fits:
            _release(store, pod, workload)
        elif owner is not None or (fits and is_active(pod) and _adopt(store, pod, workload)):
            owned.append(pod)
    return owned


def is_active(pod: Stored) -> bool:
    """Neither finished nor on its way out."""
    return not is_terminal(pod.typed) and pod.typed.metadata.deletion_timestamp is None


def owner_reference(workload: Stored) -> Object:
    """The reference by which ``workload`` controls an object."""
    return {
        "apiVersion": workload.data["apiVersion"],
        "kind": workload.kind,
        "name": workload.ref.name,
        "uid": workload.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _name_fits(workload: Stored, pod: Stored) -> bool:
    """A StatefulSet only takes pods called NAME-ordinal."""
    if workload.kind != "StatefulSet":
        return True
    name, _, ordinal = pod.ref.name.rpartition("-")
    return name == workload.ref.name and ordinal.isdigit()


def _adopt(store: Store, seen: Stored, workload: Stored) -> bool:
    """True when the pod is the workload's own now, and not gone or somebody else's meanwhile."""
    pod = store.find(seen.ref)
    if pod is None or pod.uid != seen.uid:
        return False
    if pod.controller_uid is None:
        _own(store, pod, [*(pod.meta.get("ownerReferences") or ()), owner_reference(workload)])
        return True
    return pod.controller_uid == workload.uid


def _release(store: Store, seen: Stored, workload: Stored) -> None:
    pod = store.find(seen.ref)
    if pod is not None and pod.uid == seen.uid:
        _own(store, pod, [one for one in pod.meta.get("ownerReferences") or () if one["uid"] != workload.uid])


def _own(store: Store, pod: Stored, owners: list[Object]) -> None:
    metadata = {key: value for key, value in pod.meta.items() if key != "ownerReferences"}
    if owners:
        metadata["ownerReferences"] = owners
    store.update(pod, {**pod.data, "metadata": metadata})
