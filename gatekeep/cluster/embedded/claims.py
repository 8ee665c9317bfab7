"""Which pods are a controller's own: release, adopt, and who goes first when there are too many.

https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/controller_ref_manager.go (ClaimObject) and
https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/controller_utils.go (ActivePodsWithRanks).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from gatekeep.cluster.embedded.informer import Informer
from gatekeep.cluster.embedded.store import Object, Store, Stored
from gatekeep.model.endpoints import is_ready, is_terminal
from gatekeep.model.selectors import matches

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def claim(store: Store, pods: Informer, workload: Stored) -> list[Stored]:
    """The pods of ``workload`` as the controllers see them, Terminating ones too, after releasing and adopting."""
    owned: list[Stored] = []
    for pod in pods.list(workload.ref.namespace):
        if is_terminal(pod.typed):
            continue
        if not is_active(pod):
            if pod.controller_uid == workload.uid:
                owned.append(pod)
            continue
        owner = pod.controller_uid
        fits = matches(workload.typed.spec.selector, pod.labels) and _name_fits(workload, pod)
        if owner == workload.uid and not fits:
            _own(store, pod, workload, owned=False)
        elif fits and owner in (None, workload.uid):
            if owner is None:
                _own(store, pod, workload, owned=True)
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


def surplus(pods: Iterable[Stored], count: int) -> list[Stored]:
    """The ``count`` pods to delete first: unscheduled, not running, not ready, cheap, doubled up on a node, newest."""
    if count <= 0:
        return []
    found = list(pods)
    nodes = Counter(pod.typed.spec.node_name for pod in found)

    def rank(pod: Stored) -> tuple[Any, ...]:
        typed = pod.typed
        return (
            bool(typed.spec.node_name),
            typed.status.phase == "Running",
            is_ready(typed),
            deletion_cost(pod),
            -nodes[typed.spec.node_name],
            *newest_first(pod),
        )

    return sorted(found, key=rank)[:count]


def newest_first(pod: Stored) -> tuple[Any, ...]:
    """A sort key: the youngest pod first; within one second by name, backwards."""
    created = pod.meta["creationTimestamp"]
    return (tuple(-ord(letter) for letter in created), pod.ref.name)


def deletion_cost(pod: Stored) -> int:
    """KEP-2255; a value that is no number counts as 0."""
    try:
        return int((pod.meta.get("annotations") or {}).get(DELETION_COST, "0"))
    except ValueError:
        return 0


def _name_fits(workload: Stored, pod: Stored) -> bool:
    """A StatefulSet only takes pods called NAME-ordinal."""
    if workload.kind != "StatefulSet":
        return True
    name, _, ordinal = pod.ref.name.rpartition("-")
    return name == workload.ref.name and ordinal.isdigit()


def _own(store: Store, seen: Stored, workload: Stored, *, owned: bool) -> None:
    """Adopts or releases a pod, unless it is gone or somebody else's meanwhile."""
    pod = store.find(seen.ref)
    if pod is None or pod.uid != seen.uid or (pod.controller_uid is not None) == owned:
        return
    others = [owner for owner in pod.meta.get("ownerReferences") or () if owner["uid"] != workload.uid]
    owners = [*others, owner_reference(workload)] if owned else others
    metadata = {key: value for key, value in pod.meta.items() if key != "ownerReferences"}
    if owners:
        metadata["ownerReferences"] = owners
    store.update(pod, {**pod.data, "metadata": metadata})
