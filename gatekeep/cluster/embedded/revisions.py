"""ControllerRevisions: the history of a DaemonSet's or StatefulSet's pod template.

An equal old revision is used again and gets the next number; what a revision says never changes. All are kept.
https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/daemon/update.go (constructHistory, snapshot) and
https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/statefulset/stateful_set_control.go
(getStatefulSetRevisions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gatekeep.cluster.embedded.claims import owner_reference
from gatekeep.cluster.embedded.controls import Controls
from gatekeep.cluster.embedded.podmaker import REVISION_HASH
from gatekeep.cluster.embedded.store import Object, Store, Stored, clone
from gatekeep.cluster.embedded.templates import template_hash, template_labels, template_of
from gatekeep.model.objects import ObjectRef

HISTORY_HASH = "controller.kubernetes.io/hash"
"""The label of a StatefulSet's revisions; on a DaemonSet's it is ``controller-revision-hash``."""


class Current(NamedTuple):
    """The revision of a workload's template, and its ``status.collisionCount``."""

    revision: Stored
    collisions: int | None


def hash_of(revision: Stored) -> str:
    """What pods of the revision carry as ``controller-revision-hash``: a DaemonSet's a hash, others the full name."""
    return revision.labels.get(REVISION_HASH, revision.ref.name)


def recorded_template(revision: Stored) -> Object:
    """The pod template that a revision stands for."""
    found = ((revision.data.get("data") or {}).get("spec") or {}).get("template") or {}
    return {key: value for key, value in found.items() if key != "$patch"}


def number_of(revision: Stored) -> int:
    """The revision's number."""
    return int(revision.data.get("revision") or 0)


def equal_revision(workload: Stored, revisions: Iterable[Stored]) -> Stored | None:
    """The newest revision that says what the workload's template says."""
    found = [item for item in revisions if recorded_template(item) == template_of(workload)]
    return max(found, key=number_of, default=None)


def new_revision(workload: Stored, name: str, number: int) -> Object:
    """A ControllerRevision of the workload's template; ``name`` is NAME-hash."""
    template = template_of(workload)
    key = REVISION_HASH if workload.kind == "DaemonSet" else HISTORY_HASH
    suffix = name.removeprefix(f"{workload.ref.name}-")
    annotations: Mapping[str, Any] = workload.meta.get("annotations") or {}
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name,
            "namespace": workload.ref.namespace,
            "labels": {**template_labels(template), key: suffix},
            **({"annotations": dict(annotations)} if annotations else {}),
            "ownerReferences": [owner_reference(workload)],
        },
        "revision": number,
        "data": {"spec": {"template": {**clone(template), "$patch": "replace"}}},
    }


def current_revision(controls: Controls, workload: Stored, known: list[Stored]) -> Current:
    """The revision of the workload's template, made or numbered anew where it has to be."""
    collisions = (workload.data.get("status") or {}).get("collisionCount")
    found = equal_revision(workload, known)
    newest = max((number_of(item) for item in known if item is not found), default=0)
    if found is None:
        return make_revision(controls.store, workload, newest + 1, collisions)
    if number_of(found) <= newest:
        found = controls.update(found, {**found.data, "revision": newest + 1})
    return Current(found, collisions)


def make_revision(store: Store, workload: Stored, number: int, collisions: int | None) -> Current:
    """Makes the revision; a name that another one holds counts as a collision, and another hash is tried."""
    while True:
        name = f"{workload.ref.name}-{template_hash(template_of(workload), collisions)}"
        taken = store.find(ObjectRef("ControllerRevision", workload.ref.namespace, name))
        if taken is None:
            return Current(store.create("ControllerRevision", new_revision(workload, name, number)), collisions)
        if taken.controller_uid == workload.uid and equal_revision(workload, (taken,)):
            return Current(taken, collisions)
        collisions = (collisions or 0) + 1
