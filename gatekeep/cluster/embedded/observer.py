"""Who looks at EndpointSlices: the record of every state a Service passed through, and watches."""

from __future__ import annotations

from gatekeep.cluster.embedded.clock import VirtualClock
from gatekeep.cluster.embedded.store import Event, Store, Stored
from gatekeep.model.endpoints import SERVICE_NAME_LABEL, ready_in_slices
from gatekeep.model.objects import EndpointSlice

Key = tuple[str, str]
Moment = tuple[float, frozenset[str]]
"""Monotonic seconds, and the uids that were ready from then on."""


class SliceObserver:
    """Sees every write of a slice at the moment it happens."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self._clock = clock
        self._slices: dict[Key, dict[str, EndpointSlice]] = {}
        self._versions: dict[Key, int] = {}
        self._history: dict[Key, list[Moment]] = {}
        for stored in store.list("EndpointSlice"):
            self._slices.setdefault(_key(stored), {})[stored.ref.name] = stored.typed
        for key in self._slices:
            self._note(key)
        store.subscribe(self._on_write)

    def history(self, namespace: str, service: str) -> tuple[Moment, ...]:
        """One entry for the start (if there were slices) and one for each slice write since."""
        return tuple(self._history.get((namespace, service), ()))

    def slices(self, namespace: str, service: str) -> tuple[EndpointSlice, ...]:
        """The slices that carry the Service's name, by name; whoever manages them."""
        found = self._slices.get((namespace, service), {})
        return tuple(found[name] for name in sorted(found))

    def version(self, namespace: str, service: str) -> int:
        """A number that grows with every write of one of the Service's slices."""
        return self._versions.get((namespace, service), 0)

    def _on_write(self, event: Event) -> None:
        if event.stored.kind != "EndpointSlice":
            return
        key = _key(event.stored)
        if event.new is not None:
            self._slices.setdefault(key, {})[event.new.ref.name] = event.new.typed
        else:
            self._slices.get(key, {}).pop(event.stored.ref.name, None)
        self._note(key)

    def _note(self, key: Key) -> None:
        self._versions[key] = self._versions.get(key, 0) + 1
        ready = ready_in_slices(self._slices[key].values(), key[1])
        self._history.setdefault(key, []).append((self._clock.monotonic(), ready))


class EmbeddedSliceWatch:
    """Follows the slices of one Service; waiting lets virtual time pass."""

    def __init__(self, observer: SliceObserver, clock: VirtualClock, namespace: str, service: str) -> None:
        self._observer = observer
        self._clock = clock
        self._where = (namespace, service)
        self._seen = observer.version(namespace, service)

    def current(self) -> tuple[EndpointSlice, ...]:
        """The slices as they are."""
        with self._clock.lock:
            self._seen = self._observer.version(*self._where)
            return self._observer.slices(*self._where)

    def wait(self, seconds: float) -> tuple[EndpointSlice, ...]:
        """The slices after the next change since they were last looked at, or as they are after ``seconds``."""
        with self._clock.lock:
            if not self._changed():
                self._clock.run_until(self._changed, seconds)
            return self.current()

    def _changed(self) -> bool:
        return self._observer.version(*self._where) > self._seen


def _key(stored: Stored) -> Key:
    return (stored.ref.namespace, stored.labels.get(SERVICE_NAME_LABEL, ""))
