"""The objects an embedded cluster starts with, or that another writer brings: as they stand, gaps filled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from gatekeep.cluster.embedded.decoding import decoded
from gatekeep.cluster.embedded.defaults import with_defaults
from gatekeep.cluster.embedded.store import Object, Store, Stored, clone
from gatekeep.cluster.resources import RESOURCES
from gatekeep.model.errors import InvalidInputError, PatchRejectedError
from gatekeep.model.objects import EndpointSlice, ObjectRef


def load(store: Store, objects: Iterable[Mapping[str, Any]], addresses: Iterator[str]) -> None:
    """Stores ``objects``; kinds that gatekeep does not know are left out.

    Without any Node, the nodes that pods run on are made: a list without nodes is not a cluster without them. Raises
    :class:`InvalidInputError` for what no API server can hold.
    """
    for item in objects:
        if item.get("kind") in RESOURCES:
            put(store, item, addresses)
    if not store.list("Node"):
        names = {pod.typed.spec.node_name for pod in store.list("Pod")} - {""}
        for name in sorted(names):
            store.create("Node", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})


def put(store: Store, item: Mapping[str, Any], addresses: Iterator[str]) -> Stored:
    """Stores one object. Raises :class:`InvalidInputError` as :func:`load` does, also for a name that is taken."""
    kind = item["kind"]
    meta = item.get("metadata") or {}
    if not meta.get("name"):
        raise InvalidInputError(f"expected a name for every object, found a {kind} without one")
    ref = ObjectRef(kind, meta.get("namespace", ""), meta["name"])
    if store.find(ref) is not None:
        raise InvalidInputError("expected each object once, found another of that name", where=str(ref))
    return store.create(kind, _prepared(ref, item, addresses))


def _prepared(ref: ObjectRef, item: Mapping[str, Any], addresses: Iterator[str]) -> Object:
    try:
        if ref.kind == "EndpointSlice":
            msgspec.convert(item, EndpointSlice)
            return with_defaults(ref.kind, clone(item), addresses)
        return with_defaults(ref.kind, decoded(ref, item), addresses)
    except (PatchRejectedError, msgspec.ValidationError) as error:
        raise InvalidInputError(f"no API server would hold this object: {error}", where=str(ref)) from error
