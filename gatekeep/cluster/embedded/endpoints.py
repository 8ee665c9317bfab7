"""The endpoint controller: reads pods and Services from two independent streams and writes EndpointSlices.

https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/endpointslice/endpointslice_controller.go. Every
slice write is an API write of its own, at its own time, so what lies between two of them can be seen.
"""

from __future__ import annotations

import random
from collections import deque

from gatekeep.cluster.embedded.clock import VirtualClock
from gatekeep.cluster.embedded.entries import ZONE_LABEL
from gatekeep.cluster.embedded.informer import Informer
from gatekeep.cluster.embedded.slices import Backends, SliceWrite, reconcile
from gatekeep.cluster.embedded.store import Event, Store, clone
from gatekeep.model.endpoints import CONTROLLER, MANAGED_BY_LABEL, SERVICE_NAME_LABEL, is_gateable
from gatekeep.model.objects import ObjectRef, Service
from gatekeep.model.selectors import matches_map

SYNC_DELAY = 0.010
WRITE_DELAY = 0.002
MAX_RETRIES = 15
"""After that a Service is dropped from the queue until something about it changes."""

Key = tuple[str, str]


class EndpointController:
    """Keeps the slices of every Service with a selector; one sync of a Service at a time, several changes in one."""

    def __init__(
        self, store: Store, clock: VirtualClock, pods: Informer, services: Informer, rng: random.Random
    ) -> None:
        self._store = store
        self._clock = clock
        self._pods = pods
        self._services = services
        self._rng = rng
        self._queued: set[Key] = set()
        self._running: set[Key] = set()
        self._dirty: set[Key] = set()
        self._failures: dict[Key, int] = {}
        pods.subscribe(self._on_pod)
        services.subscribe(self._on_service)

    def settle(self) -> None:
        """Brings all slices up to date at once, as if the controller had been running for long."""
        for stored in self._store.list("Service"):
            service: Service = stored.typed
            if is_gateable(service):
                for write in self._writes(service, self._backends(service)):
                    self._apply(write)

    def _on_pod(self, event: Event) -> None:
        versions = [stored for stored in (event.old, event.new) if stored is not None]
        for stored in self._services.list(event.stored.ref.namespace):
            service: Service = stored.typed
            if is_gateable(service) and any(matches_map(service.spec.selector, pod.labels) for pod in versions):
                self._enqueue((service.namespace, service.name))

    def _on_service(self, event: Event) -> None:
        ref = event.stored.ref
        self._failures.pop((ref.namespace, ref.name), None)
        self._enqueue((ref.namespace, ref.name))

    def _enqueue(self, key: Key, delay: float = SYNC_DELAY) -> None:
        if key in self._running:
            self._dirty.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._clock.after(delay, lambda: self._sync(key))

    def _sync(self, key: Key) -> None:
        self._queued.discard(key)
        stored = self._services.find(*key)
        if stored is None:
            return
        service: Service = stored.typed
        if not is_gateable(service):
            return
        self._running.add(key)
        backends = self._backends(service)
        self._write_next(key, deque(self._writes(service, backends)))
        if all(pod.spec.node_name in backends.zones or not pod.spec.node_name for pod in backends.pods):
            self._failures.pop(key, None)
        else:
            self._retry(key)

    def _backends(self, service: Service) -> Backends:
        zones = {node.ref.name: node.labels.get(ZONE_LABEL, "") for node in self._store.list("Node")}
        pods = self._pods.list(service.namespace)
        return Backends([pod.typed for pod in pods if matches_map(service.spec.selector, pod.labels)], zones)

    def _writes(self, service: Service, backends: Backends) -> tuple[SliceWrite, ...]:
        selected = {SERVICE_NAME_LABEL: service.name, MANAGED_BY_LABEL: CONTROLLER}
        existing = [stored.data for stored in self._store.list("EndpointSlice", service.namespace, selected)]
        return reconcile(service, backends, existing, self._rng)

    def _write_next(self, key: Key, writes: deque[SliceWrite]) -> None:
        if writes:
            self._apply(writes.popleft())
            self._clock.after(WRITE_DELAY, lambda: self._write_next(key, writes))
            return
        self._running.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self._enqueue(key)

    def _apply(self, write: SliceWrite) -> None:
        """One API write. A slice or Service that is gone meanwhile is left to the garbage collector."""
        meta = write.slice["metadata"]
        if write.verb == "create":
            owner = self._store.find(ObjectRef("Service", meta["namespace"], meta["labels"][SERVICE_NAME_LABEL]))
            if owner is None or owner.uid != meta["ownerReferences"][0]["uid"]:
                return
            self._store.create("EndpointSlice", {**clone(write.slice), "metadata": {**clone(meta), "generation": 1}})
            return
        stored = self._store.find(ObjectRef("EndpointSlice", meta["namespace"], meta["name"]))
        if stored is None:
            return
        if write.verb == "delete":
            self._store.delete(stored)
        else:
            metadata = {
                **clone(meta),
                "resourceVersion": stored.meta["resourceVersion"],
                "generation": stored.meta.get("generation", 0) + 1,
            }
            self._store.update(stored, {**clone(write.slice), "metadata": metadata})

    def _retry(self, key: Key) -> None:
        """A pod whose Node is unknown is left out for now, and the sync tried again after 1, 2, 4, … seconds."""
        failures = self._failures.get(key, 0)
        if failures < MAX_RETRIES:
            self._failures[key] = failures + 1
            self._clock.after(min(2.0**failures, 1000.0), lambda: self._enqueue(key, 0.0))
