"""The mirroring controller, which adds a second set of slices to a Service that lost its selector.

The legacy Endpoints object, no longer kept up to date, is mirrored: both sets go on listing pods that are gone.
https://github.com/kubernetes/kubernetes/tree/master/pkg/controller/endpointslicemirroring
"""

from __future__ import annotations

from gatekeep.cluster.embedded.clock import VirtualClock
from gatekeep.cluster.embedded.informer import Informer
from gatekeep.cluster.embedded.store import Event, Store, Stored, clone
from gatekeep.model.endpoints import CONTROLLER, MANAGED_BY_LABEL, SERVICE_NAME_LABEL
from gatekeep.model.objects import ObjectRef

MIRROR = "endpointslicemirroring-controller.k8s.io"
SYNC_DELAY = 0.010


class MirroringController:
    """Mirrors when a selector goes, and stops when it is back."""

    def __init__(self, store: Store, clock: VirtualClock, services: Informer) -> None:
        self._store = store
        self._clock = clock
        services.subscribe(self._on_service)

    def _on_service(self, event: Event) -> None:
        if event.old is not None and event.new is not None:
            ref = event.new.ref
            self._clock.after(SYNC_DELAY, lambda: self._sync(ref))

    def _sync(self, ref: ObjectRef) -> None:
        service = self._store.find(ref)
        if service is None:
            return
        mirrored = self._slices(ref, MIRROR)
        if service.typed.spec.selector or service.typed.spec.type == "ExternalName":
            for item in mirrored:
                self._store.delete(item)
        elif not mirrored:
            for item in self._slices(ref, CONTROLLER):
                self._mirror(item)

    def _mirror(self, original: Stored) -> None:
        if not original.data["endpoints"]:
            return
        data = clone(original.data)
        labels = {**data["metadata"]["labels"], MANAGED_BY_LABEL: MIRROR}
        prefix = data["metadata"]["labels"][SERVICE_NAME_LABEL]
        kept = {key: data["metadata"][key] for key in ("namespace", "ownerReferences")}
        metadata = {"generateName": f"{prefix}-", **kept, "labels": labels, "generation": 1}
        self._store.create("EndpointSlice", {**data, "metadata": metadata})

    def _slices(self, ref: ObjectRef, manager: str) -> list[Stored]:
        selected = {SERVICE_NAME_LABEL: ref.name, MANAGED_BY_LABEL: manager}
        return self._store.list("EndpointSlice", ref.namespace, selected)
