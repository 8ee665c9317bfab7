"""Everything gatekeep looks at, listed once, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from gatekeep.cluster.kube.calls import Caller
from gatekeep.cluster.kube.lists import WorkloadItem, list_all, prepare
from gatekeep.cluster.resources import RESOURCES
from gatekeep.model.errors import ForbiddenError, NotFoundError
from gatekeep.model.objects import AdmissionObject, Budget, ConfigMap, EndpointSlice, Node, OwnedMeta, Pod, Service
from gatekeep.model.snapshot import ClusterIdentity, Snapshot

WORKLOAD_KINDS = ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet")
MANAGED = {"app.kubernetes.io/managed-by": "gatekeep"}
PARALLEL_LISTS = 16

ADMISSION_KINDS = ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")

T = TypeVar("T")


class AdmissionItem(msgspec.Struct, frozen=True, gc=False):
    """An admission policy or binding inside a list, which does not say its kind."""

    metadata: OwnedMeta


def snapshot(
    caller: Caller, namespaces: Sequence[str], identify: Callable[[], tuple[ClusterIdentity, frozenset[str]]]
) -> Snapshot:
    """The snapshot of ``namespaces`` (none: all). ``identify`` gives the identity and what of it could not be read.

    Nodes, ConfigMaps, admission policies, PodDisruptionBudgets and the identity may be missing; any other kind that may
    not be listed raises :class:`ForbiddenError`.
    """
    prepare((Pod, Service, EndpointSlice, WorkloadItem, Node, ConfigMap, AdmissionItem, Budget))
    threads = ThreadPoolExecutor(PARALLEL_LISTS, thread_name_prefix="gatekeep-list")
    try:
        jobs = _Jobs(caller, threads, tuple(sorted(set(namespaces))) or ("",))
        pods = jobs.start("Pod", Pod)  # first, since it takes longest
        services = jobs.start("Service", Service)
        slices = jobs.start("EndpointSlice", EndpointSlice)
        workloads = {kind: jobs.start(kind, WorkloadItem) for kind in WORKLOAD_KINDS}
        nodes = jobs.start("Node", Node)
        config_maps = jobs.start("ConfigMap", ConfigMap)
        admission = {kind: jobs.start(kind, AdmissionItem) for kind in ADMISSION_KINDS}
        budgets = jobs.start("PodDisruptionBudget", Budget)
        who, unknown = threads.submit(identify).result()
        return Snapshot(
            identity=who,
            pods=tuple(_joined(pods)),
            services=tuple(_joined(services)),
            slices=tuple(_joined(slices)),
            workloads=tuple(item.of(kind) for kind, parts in workloads.items() for item in _joined(parts)),
            nodes=tuple(jobs.optional("nodes", nodes)),
            config_maps=tuple(jobs.optional("configmaps", config_maps)),
            admission=tuple(
                AdmissionObject(kind=kind, metadata=item.metadata)
                for kind, parts in admission.items()
                for item in jobs.optional(RESOURCES[kind].plural, parts)
            ),
            budgets=tuple(jobs.optional("poddisruptionbudgets", budgets)),
            unserved=frozenset(jobs.unserved),
            missing=frozenset(jobs.missing) | unknown,
        )
    finally:
        # Not waiting: after an error, what still runs ends with its page as soon as the cluster is closed.
        threads.shutdown(wait=False, cancel_futures=True)


class _Jobs:
    """Lists under way."""

    def __init__(self, caller: Caller, threads: ThreadPoolExecutor, namespaces: tuple[str, ...]) -> None:
        self.caller = caller
        self.threads = threads
        self.namespaces = namespaces
        self.missing: set[str] = set()
        self.unserved: set[str] = set()

    def start(self, kind: str, item: type[T]) -> list[Future[list[T]]]:
        """One list for each namespace, or one for a kind that has none."""
        resource = RESOURCES[kind]
        labels = MANAGED if kind in ("ConfigMap", *ADMISSION_KINDS) else None

        def run(namespace: str) -> list[T]:
            return list_all(self.caller, resource, namespace, item, labels=labels).items

        return [self.threads.submit(run, name) for name in (self.namespaces if resource.namespaced else ("",))]

    def optional(self, plural: str, parts: list[Future[list[Any]]]) -> list[Any]:
        """What could be listed; the kind counts as missing when some of it could not."""
        found: list[Any] = []
        for part in parts:
            try:
                found.extend(part.result())
            except ForbiddenError:
                self.missing.add(plural)
            except NotFoundError:
                self.missing.add(plural)
                self.unserved.add(plural)
        return found


def _joined(parts: list[Future[list[T]]]) -> list[T]:
    if len(parts) == 1:
        return parts[0].result()
    return [item for part in parts for item in part.result()]
