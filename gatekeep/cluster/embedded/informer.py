"""A watch stream into the controllers: every event in order, each a while after it happened."""

from __future__ import annotations

from collections.abc import Callable

from gatekeep.cluster.embedded.clock import VirtualClock
from gatekeep.cluster.embedded.store import Event, Store, Stored

WATCH_LATENCY = 0.001


class Informer:
    """The objects of one kind as the controllers know them.

    ``lag`` may change while events are on their way; they never overtake one another, as on a real watch connection.
    """

    def __init__(self, kind: str, store: Store, clock: VirtualClock, lag: float) -> None:
        self.lag = lag
        self.revision = store.revision
        self._kind = kind
        self._clock = clock
        self._last_delivery = 0.0
        self._handlers: list[Callable[[Event], None]] = []
        self._cache: dict[str, dict[str, Stored]] = {}
        for stored in store.list(kind):
            self._remember(stored)
        store.subscribe(self._on_write)

    def subscribe(self, handler: Callable[[Event], None]) -> None:
        """Calls ``handler`` with each event when it arrives."""
        self._handlers.append(handler)

    def find(self, namespace: str, name: str) -> Stored | None:
        """The object as last seen, or None."""
        return self._cache.get(namespace, {}).get(name)

    def list(self, namespace: str) -> list[Stored]:
        """The objects of a namespace as last seen, in the order they were first seen."""
        return list(self._cache.get(namespace, {}).values())

    def _on_write(self, event: Event) -> None:
        if event.stored.kind != self._kind:
            return
        due = max(self._last_delivery, self._clock.monotonic() + max(WATCH_LATENCY, self.lag))
        self._last_delivery = due
        self._clock.at(due, lambda: self._deliver(event))

    def _deliver(self, event: Event) -> None:
        self.revision = event.revision
        if event.new is not None:
            self._remember(event.new)
        else:
            ref = event.stored.ref
            self._cache[ref.namespace].pop(ref.name, None)
        for handler in self._handlers:
            handler(event)

    def _remember(self, stored: Stored) -> None:
        self._cache.setdefault(stored.ref.namespace, {})[stored.ref.name] = stored
