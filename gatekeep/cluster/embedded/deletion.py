"""How objects go: at once, or Terminating until their grace period is over and their finalizers are gone.

https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
"""

from __future__ import annotations

from gatekeep.cluster.embedded.clock import VirtualClock, timestamp
from gatekeep.cluster.embedded.store import Event, Object, Store, Stored

GRACE = "deletionGracePeriodSeconds"


class Deletion:
    """Deletes objects; a pod takes ``pod_grace`` virtual seconds to end."""

    def __init__(self, store: Store, clock: VirtualClock, pod_grace: float) -> None:
        self._store = store
        self._clock = clock
        self._pod_grace = pod_grace
        store.subscribe(self._on_write)

    def remove(self, stored: Stored) -> None:
        """Deletes an object, or marks it Terminating; deleting it again changes nothing."""
        grace = self._pod_grace if stored.kind == "Pod" else 0.0
        if "deletionTimestamp" in stored.meta:
            return
        if grace <= 0 and not stored.meta.get("finalizers"):
            self._store.delete(stored)
            return
        self._mark(stored, {"deletionTimestamp": timestamp(self._clock.now()), GRACE: int(grace)})
        self._clock.after(grace, lambda: self._finish(stored))

    def _finish(self, seen: Stored) -> None:
        stored = self._store.find(seen.ref)
        if stored is None or stored.uid != seen.uid:
            return
        if stored.meta.get("finalizers"):
            self._mark(stored, {GRACE: 0})
        else:
            self._store.delete(stored)

    def _mark(self, stored: Stored, fields: Object) -> None:
        self._store.update(stored, {**stored.data, "metadata": {**stored.meta, **fields}})

    def _on_write(self, event: Event) -> None:
        """The last finalizer of a Terminating object went."""
        stored = event.new
        if stored is None or "deletionTimestamp" not in stored.meta or stored.meta.get("finalizers"):
            return
        if event.old is not None and event.old.meta.get("finalizers") and not stored.meta.get(GRACE):
            self._clock.after(0.0, lambda: self._finish(stored))
