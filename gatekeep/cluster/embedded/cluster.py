"""The embedded cluster: store, controllers and virtual clock behind the ``Cluster`` protocol."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from gatekeep.cluster.embedded.access import access_to, is_forbidden, refused
from gatekeep.cluster.embedded.admission import Admission
from gatekeep.cluster.embedded.clock import VirtualClock, timestamp
from gatekeep.cluster.embedded.controls import Controls
from gatekeep.cluster.embedded.decoding import created, patched, updated
from gatekeep.cluster.embedded.defaults import service_addresses, with_defaults, with_kind
from gatekeep.cluster.embedded.deletion import Deletion
from gatekeep.cluster.embedded.endpoints import EndpointController
from gatekeep.cluster.embedded.garbage import GarbageCollector
from gatekeep.cluster.embedded.hooks import Hooks, WriteHook
from gatekeep.cluster.embedded.informer import Informer
from gatekeep.cluster.embedded.kubelet import Kubelet, conditions
from gatekeep.cluster.embedded.loading import load, put
from gatekeep.cluster.embedded.managed import TRACKED_KINDS, recorded
from gatekeep.cluster.embedded.mirroring import MirroringController
from gatekeep.cluster.embedded.observer import EmbeddedSliceWatch, Moment, SliceObserver
from gatekeep.cluster.embedded.reading import read_snapshot
from gatekeep.cluster.embedded.settling import settle
from gatekeep.cluster.embedded.store import Object, Store, Stored, clone
from gatekeep.cluster.embedded.workloads import WorkloadControllers
from gatekeep.model.admission import BINDING, POLICY
from gatekeep.model.errors import AlreadyExistsError, NotFoundError, PatchRejectedError
from gatekeep.model.objects import ObjectRef, Pod
from gatekeep.model.patches import Patch
from gatekeep.model.plan import Access
from gatekeep.model.snapshot import ClusterIdentity, Snapshot
from gatekeep.model.workloads import FIELD_MANAGER

IDENTITY = ClusterIdentity(server="embedded", version="v1.36.3")

Change = Callable[[Object], None]


class EmbeddedCluster:
    """A cluster in this process. Nothing happens in it but what the clock lets happen.

    Delays are in virtual seconds: ``pod_lag``, ``service_lag`` and ``workload_lag`` (workloads and their history, one
    stream per kind) hold up the watch streams into the controllers, ``pod_start`` lies between scheduling and Ready,
    ``pod_grace`` between a pod's deletion and its end, and ``write_latency`` is what each of the client's writes takes.
    The same ``seed`` gives the same uids, generated names and order of slice writes. ``forbidden`` lists what the
    client's identity may not do. Without ``mutating_admission`` such policies are not served, as before 1.36.
    """

    def __init__(
        self,
        objects: Iterable[Mapping[str, Any]],
        *,
        pod_lag: float = 0.0,
        service_lag: float = 0.0,
        workload_lag: float = 0.0,
        seed: int = 0,
        identity: ClusterIdentity = IDENTITY,
        forbidden: Collection[Access] = (),
        write_latency: float = 0.002,
        pod_start: float = 1.0,
        pod_grace: float = 0.0,
        mutating_admission: bool = True,
    ) -> None:
        self.clock = VirtualClock()
        self.write_latency = write_latency
        self._identity = identity
        self._forbidden = tuple(forbidden)
        self._unserved = () if mutating_admission else (POLICY, BINDING)
        self._hooks = Hooks()
        self._addresses = service_addresses()
        self._store = Store(self.clock, random.Random(f"{seed}:names"))
        load(self._store, objects, self._addresses)
        assumed = settle(self._store)
        self._pods = Informer("Pod", self._store, self.clock, pod_lag)
        self._services = Informer("Service", self._store, self.clock, service_lag)
        Kubelet(self._store, self.clock, pod_start)
        self._deletion = Deletion(self._store, self.clock, pod_grace)
        order = random.Random(f"{seed}:slices")
        endpoints = EndpointController(self._store, self.clock, self._pods, self._services, order)
        endpoints.settle()
        self._observer = SliceObserver(self._store, self.clock)
        GarbageCollector(self._store, self.clock, self._deletion.remove)
        MirroringController(self._store, self.clock, self._services)
        self._admission = Admission(self._store, self.clock)
        self._controls = Controls(
            self._store,
            self.clock,
            self._pods,
            workload_lag,
            remove=self._deletion.remove,
            admit=self._admission.admit,
            assumed=assumed,
        )
        WorkloadControllers(self._controls).start()

    @classmethod
    def from_list(cls, document: Mapping[str, Any], **options: Any) -> EmbeddedCluster:
        """A cluster that holds the ``items`` of a ``kind: List``; ``options`` as for the class."""
        return cls(document.get("items") or (), **options)

    # The Cluster protocol

    def identity(self) -> ClusterIdentity:
        """Which cluster this is; the uid is that of the kube-system Namespace, where it may be read."""
        with self.clock.lock:
            namespace = self._store.find(ObjectRef("Namespace", "", "kube-system"))
            if namespace is None or self._identity.uid or not self.may(access_to("get", "Namespace", "")):
                return self._identity
            return replace(self._identity, uid=namespace.uid)

    def snapshot(self, namespaces: Sequence[str]) -> Snapshot:
        """Everything gatekeep looks at. Nodes, ConfigMaps, admission policies, PodDisruptionBudgets and the kube-system
        Namespace may be ``missing``; any other kind that may not be listed raises :class:`ForbiddenError`."""
        with self.clock.lock:
            return read_snapshot(
                self._store, self.identity(), namespaces, self.may, self._unserved, time=self.clock.now()
            )

    def list_pods(self, namespace: str, selector: Mapping[str, str] | None = None) -> tuple[Pod, ...]:
        """The pods of a namespace that carry the labels of ``selector``, by name."""
        with self.clock.lock:
            self._allow("list", "Pod", namespace)
            return tuple(stored.typed for stored in _sorted(self._store.list("Pod", namespace, selector)))

    def get(self, ref: ObjectRef) -> dict[str, Any]:
        """The object as plain data. Raises :class:`NotFoundError`."""
        with self.clock.lock:
            self._allow("get", ref.kind, ref.namespace)
            return _copy(self._find(ref))

    def list_objects(self, kind: str, namespace: str, selector: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
        """The objects of a kind that carry the labels of ``selector``, by name."""
        with self.clock.lock:
            self._allow("list", kind, namespace)
            return tuple(_copy(stored) for stored in _sorted(self._store.list(kind, namespace, selector)))

    def create(
        self, kind: str, namespace: str, body: Mapping[str, Any], *, manager: str = FIELD_MANAGER
    ) -> dict[str, Any]:
        """Creates an object. Raises :class:`AlreadyExistsError`, and :class:`RefusedError` for an invalid one."""
        meta = body.get("metadata") or {}
        ref = ObjectRef(kind, namespace, meta.get("name") or f"{meta.get('generateName', '')}x")
        with self.clock.lock, self._write("create", ref):
            data = self._to_create(ref, body, self._addresses)
            return _copy(self._store.create(kind, self._recorded({}, data, kind, manager)))

    def dry_run_create(self, kind: str, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What :meth:`create` would return, with nothing stored: admission has seen it. No write to the hooks."""
        meta = body.get("metadata") or {}
        ref = ObjectRef(kind, namespace, meta.get("name") or f"{meta.get('generateName', '')}x")
        with self.clock.lock:
            self._allow("create", kind, namespace)
            data = self._to_create(ref, body, service_addresses())
            return self._store.preview(kind, self._recorded({}, data, kind, FIELD_MANAGER))

    def patch(self, ref: ObjectRef, patch: Patch, *, manager: str = FIELD_MANAGER) -> dict[str, Any]:
        """Applies a JSON Patch as the API server does; a patch that changes nothing leaves the resourceVersion alone.

        Raises :class:`PatchRejectedError` (422, 409), :class:`NotFoundError`, and :class:`GatekeepError` for another
        name (400) or more than 10,000 operations (413).
        """
        with self.clock.lock, self._write("patch", ref):
            stored = self._find(ref)
            return _copy(self._replace(stored, patched(ref, stored.data, patch), manager))

    def delete(self, ref: ObjectRef, uid: str | None = None) -> None:
        """Deletes the object. Raises :class:`NotFoundError`, or :class:`PatchRejectedError` (409) for another uid."""
        with self.clock.lock, self._write("delete", ref):
            stored = self._find(ref)
            if uid is not None and stored.uid != uid:
                raise PatchRejectedError(
                    f"expected uid {uid}, found {stored.uid}: another object has that name now (HTTP 409)",
                    where=str(ref),
                )
            self._deletion.remove(stored)

    @contextmanager
    def watch_slices(self, namespace: str, service: str) -> Iterator[EmbeddedSliceWatch]:
        """The EndpointSlices of a Service; its ``wait`` lets virtual time pass."""
        with self.clock.lock:
            self._allow("list", "EndpointSlice", namespace)
            self._allow("watch", "EndpointSlice", namespace)
            watch = EmbeddedSliceWatch(self._observer, self.clock, namespace, service)
        yield watch

    def may(self, access: Access) -> bool:
        """Whether the client's identity has the permission."""
        return not is_forbidden(access, self._forbidden)

    # What only an embedded cluster has: faults, other writers, and hindsight

    def lag(self, *, pods: float | None = None, services: float | None = None, workloads: float | None = None) -> None:
        """Delays the controllers' watch streams from now on, in seconds. Events on their way are not overtaken."""
        with self.clock.lock:
            self._pods.lag = self._pods.lag if pods is None else pods
            self._services.lag = self._services.lag if services is None else services
            self._controls.lag = self._controls.lag if workloads is None else workloads

    def before_write(self, callback: WriteHook) -> None:
        """Calls ``callback(verb, ref, count)`` before each of the client's writes; raising there prevents the write."""
        self._hooks.before.append(callback)

    def after_write(self, callback: WriteHook) -> None:
        """Calls ``callback`` after each of the client's writes; raising there means "applied, but no answer"."""
        self._hooks.after.append(callback)

    def history(self, namespace: str, service: str) -> tuple[Moment, ...]:
        """Every state the Service's slices passed through: monotonic seconds and the uids ready from then on."""
        with self.clock.lock:
            return self._observer.history(namespace, service)

    def add(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Another writer brings an object as it stands, status included (a pod with an address is running already).

        Raises :class:`InvalidInputError` for what no API server would hold, or a name that is taken.
        """
        with self.clock.lock:
            return _copy(put(self._store, data, self._addresses))

    def edit(self, ref: ObjectRef, change: Change, *, manager: str = "kubectl-edit") -> dict[str, Any]:
        """Another writer changes an object, status included: ``change`` is given a copy to work on."""
        with self.clock.lock:
            stored = self._find(ref)
            data = clone(stored.data)
            change(data)
            return _copy(self._replace(stored, data, manager, status=True))

    def kill(self, ref: ObjectRef) -> None:
        """Another writer deletes an object."""
        with self.clock.lock:
            self._deletion.remove(self._find(ref))

    def set_ready(self, ref: ObjectRef, ready: bool) -> None:
        """The kubelet reports a pod's readiness."""
        time = timestamp(self.clock.now())

        def change(data: Object) -> None:
            data["status"] = {**(data.get("status") or {}), "conditions": conditions(ready, time)}

        self.edit(ref, change, manager="kubelet")

    @contextmanager
    def _write(self, verb: str, ref: ObjectRef) -> Iterator[None]:
        self._allow(verb, ref.kind, ref.namespace)
        with self._hooks.around(verb, ref):
            try:
                yield
            finally:
                self.clock.sleep(self.write_latency)

    def _to_create(self, ref: ObjectRef, body: Mapping[str, Any], addresses: Iterator[str]) -> Object:
        """The object as it would be stored but for what the store gives it."""
        meta = body.get("metadata") or {}
        if meta.get("name") and self._store.find(ref) is not None:
            raise AlreadyExistsError("an object of that name exists already (HTTP 409)", where=str(ref))
        metadata = {**clone(meta), **({"namespace": ref.namespace} if ref.namespace else {})}
        new = created(ref, with_kind(ref.kind, {**clone(body), "metadata": metadata}))
        return with_defaults(ref.kind, self._admission.admit(new) if ref.kind == "Pod" else new, addresses)

    def _allow(self, verb: str, kind: str, namespace: str) -> None:
        access = access_to(verb, kind, namespace)
        if not self.may(access):
            raise refused(access)
        if kind in self._unserved:
            raise NotFoundError(f"cannot {verb} {access.resource}: the server does not serve them (HTTP 404)")

    def _find(self, ref: ObjectRef) -> Stored:
        stored = self._store.find(ref)
        if stored is None:
            raise NotFoundError("the object does not exist (HTTP 404)", where=str(ref))
        return stored

    def _replace(self, stored: Stored, data: Any, manager: str, *, status: bool = False) -> Stored:
        new = updated(stored.ref, stored.data, data, status=status)
        return self._store.update(stored, self._recorded(stored.data, new, stored.kind, manager))

    def _recorded(self, old: Mapping[str, Any], new: Object, kind: str, manager: str) -> Object:
        return recorded(old, new, manager, timestamp(self.clock.now())) if kind in TRACKED_KINDS else new


def _copy(stored: Stored) -> dict[str, Any]:
    copied: dict[str, Any] = clone(stored.data)
    return copied


def _sorted(items: Iterable[Stored]) -> list[Stored]:
    return sorted(items, key=lambda stored: stored.ref)
