"""Kubernetes objects, frozen, with only the fields that gatekeep uses.

Decoded straight from the API server's bytes; fields that are not named here are dropped while parsing, so a snapshot of
100,000 pods stays small. Field meanings: https://kubernetes.io/docs/reference/kubernetes-api/.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from gatekeep.model.selectors import LabelSelector


class ObjectRef(NamedTuple):
    """Names one object: ``Service dockercoins/rng``."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


class _Frozen(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, gc=False):
    """Data that holds no reference cycles, so the garbage collector need not look at it."""


class OwnerReference(_Frozen, frozen=True):
    kind: str
    name: str
    uid: str
    api_version: str = ""
    controller: bool = False


class ObjectMeta(_Frozen, frozen=True):
    """Metadata as every kind has it."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()


class PodAnnotations(_Frozen, frozen=True):
    """The annotations of a pod that gatekeep goes by; the others are never read."""

    isolated: str = msgspec.field(default="", name="gatekeep.dev/isolated")
    deletion_cost: str = msgspec.field(default="", name="controller.kubernetes.io/pod-deletion-cost")


class PodMeta(ObjectMeta, frozen=True):
    """Metadata of a pod. ``annotations`` is None where it has none at all: a patch must then make the map."""

    annotations: PodAnnotations | None = None


class ManagedFieldsEntry(_Frozen, frozen=True):
    """Who wrote which fields, and when."""

    manager: str = ""
    operation: str = ""
    time: str | None = None
    subresource: str = ""
    fields_v1: Mapping[str, Any] = msgspec.field(default_factory=dict, name="fieldsV1")


class OwnedMeta(ObjectMeta, frozen=True):
    """Metadata with the marks that tell which tool owns the object."""

    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)
    managed_fields: tuple[ManagedFieldsEntry, ...] = ()


class ContainerPort(_Frozen, frozen=True):
    container_port: int
    name: str = ""
    protocol: str = "TCP"


class Container(_Frozen, frozen=True):
    ports: tuple[ContainerPort, ...] = ()
    restart_policy: str = ""


class PodSpec(_Frozen, frozen=True):
    node_name: str = ""
    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()


class PodIP(_Frozen, frozen=True):
    ip: str


class Condition(_Frozen, frozen=True):
    type: str
    status: str


class ContainerStatus(_Frozen, frozen=True):
    restart_count: int = 0


class PodStatus(_Frozen, frozen=True):
    phase: str = "Pending"
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: tuple[PodIP, ...] = msgspec.field(default=(), name="podIPs")
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(_Frozen, frozen=True):
    metadata: PodMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def labels(self) -> Mapping[str, str]:
        return self.metadata.labels

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef("Pod", self.metadata.namespace, self.metadata.name)


class ServicePort(_Frozen, frozen=True):
    port: int
    name: str = ""
    protocol: str = "TCP"
    target_port: int | str | None = None
    app_protocol: str | None = None


class ServiceSpec(_Frozen, frozen=True):
    type: str = "ClusterIP"
    selector: Mapping[str, str] | None = None
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    ports: tuple[ServicePort, ...] = ()
    publish_not_ready_addresses: bool = False
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str | None = None
    internal_traffic_policy: str = "Cluster"
    external_traffic_policy: str = "Cluster"
    external_name: str = ""


class Service(_Frozen, frozen=True):
    metadata: OwnedMeta
    spec: ServiceSpec = ServiceSpec()

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef("Service", self.metadata.namespace, self.metadata.name)


class TargetRef(_Frozen, frozen=True):
    kind: str = ""
    name: str = ""
    namespace: str = ""
    uid: str = ""


class EndpointConditions(_Frozen, frozen=True):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(_Frozen, frozen=True):
    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    target_ref: TargetRef | None = None
    node_name: str = ""
    zone: str = ""


class EndpointPort(_Frozen, frozen=True):
    port: int | None = None
    name: str = ""
    protocol: str = "TCP"


class EndpointSlice(_Frozen, frozen=True):
    metadata: ObjectMeta
    address_type: str = "IPv4"
    endpoints: tuple[Endpoint, ...] | None = None
    ports: tuple[EndpointPort, ...] | None = None


class PodTemplateMeta(_Frozen, frozen=True):
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)


class PodTemplate(_Frozen, frozen=True):
    """``spec`` is only ever compared with that of another template; it never leaves the snapshot."""

    metadata: PodTemplateMeta = PodTemplateMeta()
    spec: Any = None


class WorkloadSpec(_Frozen, frozen=True):
    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplate = PodTemplate()
    paused: bool = False
    service_name: str = ""
    update_strategy: Mapping[str, Any] | None = None


class WorkloadStatus(_Frozen, frozen=True):
    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    desired_number_scheduled: int = 0
    updated_number_scheduled: int = 0
    update_revision: str = ""


class Workload(_Frozen, frozen=True):
    """A Deployment, ReplicaSet, DaemonSet or StatefulSet; ``kind`` says which."""

    kind: str
    metadata: OwnedMeta
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()
    api_version: str = "apps/v1"

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def uid(self) -> str:
        return self.metadata.uid

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(self.kind, self.metadata.namespace, self.metadata.name)


class AdmissionObject(_Frozen, frozen=True):
    """A MutatingAdmissionPolicy or its binding, of gatekeep's own; ``kind`` says which."""

    kind: str
    metadata: OwnedMeta

    @property
    def name(self) -> str:
        return self.metadata.name


class BudgetSpec(_Frozen, frozen=True):
    selector: LabelSelector | None = None


class Budget(_Frozen, frozen=True):
    """A PodDisruptionBudget."""

    metadata: ObjectMeta
    spec: BudgetSpec = BudgetSpec()


class Node(_Frozen, frozen=True):
    metadata: ObjectMeta


class ConfigMap(_Frozen, frozen=True):
    metadata: OwnedMeta
    data: Mapping[str, str] = msgspec.field(default_factory=dict)


class LeaseSpec(_Frozen, frozen=True):
    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(_Frozen, frozen=True):
    metadata: ObjectMeta
    spec: LeaseSpec = LeaseSpec()


def controller_of(meta: ObjectMeta) -> OwnerReference | None:
    """The one owner that controls the object, as ``metav1.GetControllerOf``; None for an orphan."""
    return next((owner for owner in meta.owner_references if owner.controller), None)
