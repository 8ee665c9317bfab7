"""The workload controllers, as far as gating meets them: replace, release, adopt, scale. They roll nothing out.

They see pods through the same delayed stream as the endpoint controller (kube-controller-manager shares its informers),
and do not act on a list that lacks their own last write, which is what the original's expectations are for:
https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/controller_utils.go (ControllerExpectations).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gatekeep.cluster.embedded.claims import claim, newest_first, surplus
from gatekeep.cluster.embedded.clock import VirtualClock
from gatekeep.cluster.embedded.informer import Informer
from gatekeep.cluster.embedded.podmaker import pod_of
from gatekeep.cluster.embedded.status import workload_status
from gatekeep.cluster.embedded.store import WORKLOADS, Event, Object, Store, Stored
from gatekeep.cluster.embedded.tolerations import runs_on
from gatekeep.model.objects import ObjectRef
from gatekeep.model.selectors import matches

SYNC_DELAY = 0.010

Remove = Callable[[Stored], None]


class WorkloadControllers:
    """ReplicaSet, Deployment (through the ReplicaSets it has), DaemonSet and StatefulSet."""

    def __init__(self, store: Store, clock: VirtualClock, pods: Informer, remove: Remove) -> None:
        self._store = store
        self._clock = clock
        self._pods = pods
        self._remove = remove
        self._queued: set[ObjectRef] = set()
        self._expected: dict[ObjectRef, int] = {}
        self._failures: dict[ObjectRef, int] = {}
        self._syncs: Mapping[str, Callable[[Stored, list[Stored]], None]] = {
            "ReplicaSet": self._replicas,
            "DaemonSet": self._one_per_node,
            "StatefulSet": self._ordinals,
        }
        pods.subscribe(self._on_pod)
        store.subscribe(self._on_write)

    def start(self) -> None:
        """Looks at every workload once."""
        for kind in WORKLOADS:
            for stored in self._store.list(kind):
                self._enqueue(stored.ref)

    def _on_write(self, event: Event) -> None:
        stored = event.stored
        if stored.kind in WORKLOADS:
            self._enqueue(stored.ref)
            self._enqueue_owner(stored)
        elif stored.kind == "Node":
            for daemon_set in self._store.list("DaemonSet"):
                self._enqueue(daemon_set.ref)

    def _on_pod(self, event: Event) -> None:
        for pod in (event.old, event.new):
            if pod is not None:
                self._enqueue_owner(pod)
        if event.new is not None and event.new.controller_uid is None:
            for kind in self._syncs:
                for workload in self._store.list(kind, event.new.ref.namespace):
                    if matches(workload.typed.spec.selector, event.new.labels):
                        self._enqueue(workload.ref)

    def _enqueue_owner(self, stored: Stored) -> None:
        for owner in stored.meta.get("ownerReferences") or ():
            if owner["kind"] in WORKLOADS:
                self._enqueue(ObjectRef(owner["kind"], stored.ref.namespace, owner["name"]))

    def _enqueue(self, ref: ObjectRef) -> None:
        if ref not in self._queued:
            self._queued.add(ref)
            self._clock.after(SYNC_DELAY, lambda: self._sync(ref))

    def _sync(self, ref: ObjectRef) -> None:
        self._queued.discard(ref)
        workload = self._store.find(ref)
        if workload is None:
            return
        if ref.kind == "Deployment":
            self._scale(workload)
            self._write_status(workload, [])
            return
        before = self._store.revision
        if self._pods.revision < self._expected.get(ref, 0):
            return  # The pod event that ends this blindness enqueues the workload again.
        owned = claim(self._store, self._pods, workload)
        self._syncs[ref.kind](workload, owned)
        if self._store.revision > before:
            self._expected[ref] = self._store.revision
        self._write_status(workload, owned)

    def _replicas(self, workload: Stored, owned: list[Stored]) -> None:
        wanted = _replicas(workload)
        for _ in range(wanted - len(owned)):
            self._store.create("Pod", pod_of(self._store, workload))
        for pod in surplus(owned, len(owned) - wanted):
            self._delete(pod)

    def _one_per_node(self, workload: Stored, owned: list[Stored]) -> None:
        """One pod per Node that the template may run on; of several on a Node the oldest stays."""
        by_node: dict[str, list[Stored]] = {}
        for pod in owned:
            by_node.setdefault(pod.typed.spec.node_name, []).append(pod)
        unscheduled = len(by_node.pop("", ()))
        nodes = {node.ref.name for node in self._store.list("Node") if runs_on(workload.data, node.data)}
        for node in sorted(nodes - by_node.keys())[unscheduled:]:
            self._store.create("Pod", pod_of(self._store, workload, node=node))
        for node, pods in by_node.items():
            keep = 1 if node in nodes else 0
            for pod in sorted(pods, key=newest_first)[: max(0, len(pods) - keep)]:
                self._delete(pod)

    def _ordinals(self, workload: Stored, owned: list[Stored]) -> None:
        """NAME-0 … NAME-(replicas-1). A name that another pod holds stays missing; it is tried ever more rarely."""
        wanted = [f"{workload.ref.name}-{ordinal}" for ordinal in range(_replicas(workload))]
        names = {pod.ref.name for pod in owned}
        missing = [name for name in wanted if name not in names]
        taken = [name for name in missing if self._store.find(ObjectRef("Pod", workload.ref.namespace, name))]
        for name in missing:
            if name not in taken:
                self._store.create("Pod", pod_of(self._store, workload, name=name))
        for pod in owned:
            if pod.ref.name not in wanted:
                self._delete(pod)

        if taken:
            failures = self._failures[workload.ref] = self._failures.get(workload.ref, 0) + 1
            self._clock.after(min(0.005 * 2**failures, 1000.0), lambda: self._enqueue(workload.ref))
        else:
            self._failures.pop(workload.ref, None)

    def _scale(self, deployment: Stored) -> None:
        """Gives the newest ReplicaSet the Deployment's replicas; with two that have some a rollout is on: hands off."""
        sets = self._replica_sets(deployment)
        running = [item for item in sets if _replicas(item)]
        if len(running) > 1 or not sets:
            return
        target = running[0] if running else max(sets, key=_revision)
        wanted = _replicas(deployment)
        if _replicas(target) != wanted:
            spec = {**target.data["spec"], "replicas": wanted}
            metadata = {**target.meta, "generation": target.meta.get("generation", 0) + 1}
            self._store.update(target, {**target.data, "metadata": metadata, "spec": spec})

    def _replica_sets(self, deployment: Stored) -> list[Stored]:
        sets = self._store.list("ReplicaSet", deployment.ref.namespace)
        return [item for item in sets if item.controller_uid == deployment.uid]

    def _write_status(self, workload: Stored, owned: list[Stored]) -> None:
        current = self._store.find(workload.ref)
        if current is None:
            return
        parts = [item.data.get("status") or {} for item in self._replica_sets(current)]
        status: Object = {**(current.data.get("status") or {}), **workload_status(workload, owned, parts)}
        self._store.update(current, {**current.data, "status": status})

    def _delete(self, seen: Stored) -> None:
        pod = self._store.find(seen.ref)
        if pod is not None and pod.uid == seen.uid:
            self._remove(pod)


def _replicas(workload: Stored) -> int:
    found = workload.data["spec"].get("replicas")
    return 1 if found is None else int(found)


def _revision(replica_set: Stored) -> int:
    found = (replica_set.meta.get("annotations") or {}).get("deployment.kubernetes.io/revision", "0")
    return int(found) if found.isdigit() else 0
