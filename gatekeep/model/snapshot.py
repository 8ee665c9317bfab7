"""The immutable cluster state that a plan is computed from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

import msgspec

from gatekeep.model.endpoints import counts_as_ready, named_target_ports
from gatekeep.model.objects import (
    AdmissionObject,
    Budget,
    ConfigMap,
    EndpointSlice,
    Node,
    ObjectMeta,
    ObjectRef,
    Pod,
    Service,
    Workload,
    controller_of,
)


@dataclass(frozen=True, kw_only=True)
class ClusterIdentity:
    """Which cluster this is: the uid of its kube-system Namespace, or None where that may not be read."""

    uid: str | None = None
    server: str = ""
    version: str = ""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything gatekeep looks at, listed once. Planning never reads the cluster again.

    ``missing`` names the kinds that could not be listed or that a dump does not hold, as ``nodes``; ``unserved`` those
    that this API server does not know. ``admission`` holds gatekeep's own admission policies and bindings only.
    ``time`` is when it was listed, by the API server's clock; None where nobody said.
    """

    identity: ClusterIdentity = field(default_factory=ClusterIdentity)
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    workloads: tuple[Workload, ...] = ()
    nodes: tuple[Node, ...] = ()
    config_maps: tuple[ConfigMap, ...] = ()
    admission: tuple[AdmissionObject, ...] = ()
    budgets: tuple[Budget, ...] = ()
    time: datetime | None = None
    missing: frozenset[str] = frozenset()
    unserved: frozenset[str] = frozenset()

    @cached_property
    def service_index(self) -> dict[tuple[str, str], Service]:
        """Services by namespace and name."""
        return {(service.namespace, service.name): service for service in self.services}

    @cached_property
    def workload_index(self) -> dict[str, Workload]:
        """Workloads by uid."""
        return {workload.uid: workload for workload in self.workloads}

    @cached_property
    def pods_by_namespace(self) -> dict[str, tuple[Pod, ...]]:
        """Pods by namespace, sorted by name so that equal clusters give equal plans."""
        grouped: dict[str, list[Pod]] = {}
        for pod in self.pods:
            grouped.setdefault(pod.namespace, []).append(pod)
        return {namespace: tuple(sorted(pods, key=_by_name)) for namespace, pods in grouped.items()}

    def service(self, namespace: str, name: str) -> Service | None:
        """The Service of that name, or None."""
        return self.service_index.get((namespace, name))

    def pods_in(self, namespace: str) -> tuple[Pod, ...]:
        """All pods of a namespace, sorted by name."""
        return self.pods_by_namespace.get(namespace, ())

    @cached_property
    def _owned(self) -> dict[str, tuple[Workload, ...]]:
        found: dict[str, list[Workload]] = {}
        for item in self.workloads:
            owner = controller_of(item.metadata)
            if owner is not None:
                found.setdefault(owner.uid, []).append(item)
        return {uid: tuple(sorted(items, key=_by_age)) for uid, items in found.items()}

    def replica_sets_of(self, uid: str) -> tuple[Workload, ...]:
        """The ReplicaSets that the Deployment of that uid controls, oldest first, as its controller goes by them."""
        return self._owned.get(uid, ())

    @cached_property
    def _pods_by_owner(self) -> dict[str, tuple[Pod, ...]]:
        found: dict[str, list[Pod]] = {}
        for pod in self.pods:
            owner = controller_of(pod.metadata)
            if owner is not None:
                found.setdefault(owner.uid, []).append(pod)
        return {uid: tuple(sorted(pods, key=_by_name)) for uid, pods in found.items()}

    def pods_of(self, workload: Workload) -> tuple[Pod, ...]:
        """The pods that ``workload`` itself controls, by name."""
        return self._pods_by_owner.get(workload.uid, ())

    def services_in(self, namespace: str) -> tuple[Service, ...]:
        """All Services of a namespace, sorted by name."""
        return tuple(
            sorted((item for item in self.services if item.namespace == namespace), key=lambda item: item.name)
        )

    def workloads_in(self, namespace: str) -> tuple[Workload, ...]:
        """All workloads of a namespace, sorted by kind and name."""
        found = (item for item in self.workloads if item.metadata.namespace == namespace)
        return tuple(sorted(found, key=lambda item: (item.kind, item.name)))

    def owners_of(self, meta: ObjectMeta) -> tuple[ObjectRef, ...]:
        """The chain of controllers above an object, nearest first: ReplicaSet, Deployment."""
        return tuple(ref for ref, _ in self.owner_chain(meta))

    def owner_chain(self, meta: ObjectMeta) -> tuple[tuple[ObjectRef, str], ...]:
        """The chain of controllers above an object with their uids, nearest first."""
        owner = controller_of(meta)
        if owner is None:
            return ()
        key = (meta.namespace, owner.uid)
        if key not in self._chains:
            self._chains[key] = self._climb(meta)
        return self._chains[key]

    def _climb(self, meta: ObjectMeta) -> tuple[tuple[ObjectRef, str], ...]:
        chain: list[tuple[ObjectRef, str]] = []
        owner = controller_of(meta)
        while owner is not None and len(chain) < 5:
            chain.append((ObjectRef(owner.kind, meta.namespace, owner.name), owner.uid))
            workload = self.workload_index.get(owner.uid)
            owner = controller_of(workload.metadata) if workload else None
        return tuple(chain)

    def owner_uids(self, pod: Pod) -> frozenset[str]:
        """The uids of every controller above ``pod``; looked up once per direct owner."""
        owner = controller_of(pod.metadata)
        if owner is None:
            return frozenset()
        if owner.uid not in self._lineages:
            self._lineages[owner.uid] = frozenset(uid for _, uid in self.owner_chain(pod.metadata))
        return self._lineages[owner.uid]

    def ready_uids(self, service: Service) -> frozenset[str]:
        """Uids of the pods of the Service's namespace that count as ready behind it, whatever its selector.

        Looked up once for all Services that ask the same of a pod: the same address families and named ports.
        """
        families = service.spec.ip_families
        key = (service.namespace, families if len(families) > 1 else (), named_target_ports(service))
        if key not in self._ready:
            pods = self.pods_in(service.namespace)
            self._ready[key] = frozenset(pod.uid for pod in pods if counts_as_ready(pod, service))
        return self._ready[key]

    @cached_property
    def _ready(self) -> dict[tuple[str, tuple[str, ...], tuple[tuple[str, str], ...]], frozenset[str]]:
        return {}

    @cached_property
    def _chains(self) -> dict[tuple[str, str], tuple[tuple[ObjectRef, str], ...]]:
        return {}

    @cached_property
    def _lineages(self) -> dict[str, frozenset[str]]:
        return {}

    def relabelled(self, labels: Mapping[str, Mapping[str, str]], services: Iterable[Service]) -> Snapshot:
        """The same pods with other labels, by uid, behind these Services, whose slices are not known.

        Who is ready and who owns whom stays as it was.
        """
        pods = tuple([_with_labels(pod, labels.get(pod.metadata.uid, pod.metadata.labels)) for pod in self.pods])
        found = replace(self, pods=pods, services=tuple(services), slices=())
        found._ready.update(self._ready)
        found._lineages.update(self._lineages)
        found._chains.update(self._chains)
        return found

    def top_owner(self, pod: Pod) -> ObjectRef | None:
        """The workload that people name: the Deployment, not its ReplicaSet. None for a pod without owner."""
        chain = self.owners_of(pod.metadata)
        return chain[-1] if chain else None


def _with_labels(pod: Pod, labels: Mapping[str, str]) -> Pod:
    metadata = pod.metadata
    if labels is metadata.labels:
        return pod
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(metadata, labels=labels))


def _by_age(item: Workload) -> tuple[str, str]:
    return (item.metadata.creation_timestamp or "", item.name)


def _by_name(pod: Pod) -> str:
    return pod.metadata.name


def names(pods: Iterable[Pod]) -> tuple[str, ...]:
    """The names of ``pods``, sorted."""
    return tuple(sorted(pod.name for pod in pods))
