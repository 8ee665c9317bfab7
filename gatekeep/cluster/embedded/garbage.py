"""The garbage collector: what an object owned goes after it.

https://kubernetes.io/docs/concepts/architecture/garbage-collection/#owners-dependents
"""

from __future__ import annotations

from collections.abc import Callable

from gatekeep.cluster.embedded.clock import VirtualClock
from gatekeep.cluster.embedded.store import WORKLOADS, Event, Store, Stored

DELAY = 0.010
_OWNERS = ("Service", *WORKLOADS)
_COLLECTED = ("EndpointSlice", "ReplicaSet", "ControllerRevision", "Pod")


class GarbageCollector:
    """Background deletion. Objects with another owner left keep living."""

    def __init__(self, store: Store, clock: VirtualClock, remove: Callable[[Stored], None]) -> None:
        self._store = store
        self._clock = clock
        self._remove = remove
        store.subscribe(self._on_write)

    def _on_write(self, event: Event) -> None:
        if event.new is None and event.stored.kind in _OWNERS:
            gone = event.stored
            self._clock.after(DELAY, lambda: self._collect(gone))

    def _collect(self, owner: Stored) -> None:
        for kind in _COLLECTED:
            for stored in self._store.list(kind, owner.ref.namespace):
                owners = stored.meta.get("ownerReferences") or ()
                if not owners or any(item["uid"] != owner.uid for item in owners):
                    continue
                self._remove(stored)
