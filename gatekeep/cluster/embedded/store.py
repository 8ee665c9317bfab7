"""What etcd and the API server's storage do: objects by name, one revision for all, and events in that order."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from gatekeep.cluster.embedded.clock import VirtualClock, timestamp
from gatekeep.model.admission import BINDING, POLICY
from gatekeep.model.objects import (
    AdmissionObject,
    Budget,
    ConfigMap,
    EndpointSlice,
    Lease,
    Node,
    ObjectRef,
    Pod,
    Service,
    Workload,
)
from gatekeep.model.selectors import matches_map

GENERATED = "bcdfghjklmnpqrstvwxz2456789"
"""The letters of generated names: https://github.com/kubernetes/apimachinery/blob/master/pkg/util/rand/rand.go"""

WORKLOADS = ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet")
COUNTED = (*WORKLOADS, "Job", POLICY, BINDING)
"""Kinds whose ``metadata.generation`` counts changes of their spec."""
TYPES: Mapping[str, type[Any]] = {
    "Pod": Pod,
    "Service": Service,
    "EndpointSlice": EndpointSlice,
    "Node": Node,
    "ConfigMap": ConfigMap,
    "Lease": Lease,
    "PodDisruptionBudget": Budget,
    **dict.fromkeys((POLICY, BINDING), AdmissionObject),
    **dict.fromkeys(WORKLOADS, Workload),
}

Object = dict[str, Any]


class Stored:
    """One version of one object. Nobody changes ``data`` in place: a write stores a new one."""

    def __init__(self, kind: str, data: Object, revision: int) -> None:
        self.kind = kind
        self.data = data
        self.revision = revision
        self.meta: Object = data["metadata"]

    @cached_property
    def ref(self) -> ObjectRef:
        """Which object this is."""
        return ObjectRef(self.kind, self.meta.get("namespace", ""), self.meta["name"])

    @property
    def uid(self) -> str:
        """The object's uid."""
        return str(self.meta["uid"])

    @cached_property
    def controller_uid(self) -> str | None:
        """The uid of the one owner that controls it, as ``metav1.GetControllerOf``; None for an orphan."""
        owners: Iterable[Object] = self.meta.get("ownerReferences") or ()
        return next((str(owner["uid"]) for owner in owners if owner.get("controller")), None)

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """The object's labels; empty when it has none."""
        return self.meta.get("labels") or {}

    @cached_property
    def typed(self) -> Any:
        """The object as the model's class for its kind."""
        return msgspec.convert(self.data, TYPES[self.kind])


class Event(NamedTuple):
    """One write: ``old`` is None for a creation, ``new`` for a deletion."""

    revision: int
    old: Stored | None
    new: Stored | None

    @property
    def stored(self) -> Stored:
        """The newest version that there is."""
        found = self.new or self.old
        assert found is not None
        return found


class Store:
    """The objects. Every write gets the next revision and is told to all subscribers at once, in order."""

    def __init__(self, clock: VirtualClock, rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self._kinds: dict[str, dict[str, dict[str, Stored]]] = {}
        self._subscribers: list[Callable[[Event], None]] = []
        self.revision = 1

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        """Calls ``subscriber`` with every write from now on."""
        self._subscribers.append(subscriber)

    def find(self, ref: ObjectRef) -> Stored | None:
        """The object of that name, or None."""
        return self._kinds.get(ref.kind, {}).get(ref.namespace, {}).get(ref.name)

    def list(self, kind: str, namespace: str = "", selector: Mapping[str, str] | None = None) -> list[Stored]:
        """The objects of a kind in the order they were made; no namespace means all, no selector everything."""
        namespaces = self._kinds.get(kind, {})
        chosen = namespaces.values() if not namespace else (namespaces.get(namespace, {}),)
        found = (stored for objects in chosen for stored in objects.values())
        return [stored for stored in found if matches_map(selector or {}, stored.labels)]

    def create(self, kind: str, data: Object) -> Stored:
        """Stores a new object, with the metadata that the server gives it where there is none yet."""
        self._complete(kind, data["metadata"])
        return self._put(kind, data, None)

    def preview(self, kind: str, data: Object) -> Object:
        """The new object as :meth:`create` would store it, but for the resourceVersion; asking changes nothing."""
        state = self._rng.getstate()
        self._complete(kind, data["metadata"])
        self._rng.setstate(state)
        return data

    def _complete(self, kind: str, meta: Object) -> None:
        if not meta.get("name"):
            meta["name"] = self._generated(kind, meta.get("namespace", ""), meta.pop("generateName"))
        meta.setdefault("uid", self.new_uid())
        meta.setdefault("creationTimestamp", timestamp(self._clock.now()))
        if kind in (*COUNTED, "Pod"):
            meta.setdefault("generation", 1)

    def update(self, old: Stored, data: Object) -> Stored:
        """Stores a new version; an equal one changes nothing, not even the resourceVersion."""
        if data == old.data:
            return old
        return self._put(old.kind, data, old)

    def delete(self, old: Stored) -> None:
        """Removes the object."""
        del self._kinds[old.kind][old.ref.namespace][old.ref.name]
        self.revision += 1
        self._tell(Event(self.revision, old, None))

    def new_uid(self) -> str:
        """A fresh uid; the same seed gives the same ones."""
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))

    def _put(self, kind: str, data: Object, old: Stored | None) -> Stored:
        self.revision += 1
        metadata = {**data["metadata"], "resourceVersion": str(self.revision)}
        new = Stored(kind, {**data, "metadata": metadata}, self.revision)
        self._kinds.setdefault(kind, {}).setdefault(new.ref.namespace, {})[new.ref.name] = new
        self._tell(Event(self.revision, old, new))
        return new

    def _tell(self, event: Event) -> None:
        for subscriber in self._subscribers:
            subscriber(event)

    def _generated(self, kind: str, namespace: str, prefix: str) -> str:
        while True:
            name = prefix[:58] + "".join(self._rng.choices(GENERATED, k=5))
            if self.find(ObjectRef(kind, namespace, name)) is None:
                return name


def clone(value: Any) -> Any:
    """A deep copy of JSON data."""
    if isinstance(value, Mapping):
        return {key: clone(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clone(item) for item in value]
    return value
