"""The workload controllers: who is looked at when, and the ReplicaSet controller.

They see pods through the same delayed stream as the endpoint controller, and workloads through one stream per kind:
kube-controller-manager shares its informers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from gatekeep.cluster.embedded.claims import is_active
from gatekeep.cluster.embedded.controls import ConflictError, Controls
from gatekeep.cluster.embedded.daemonsets import DaemonSetController
from gatekeep.cluster.embedded.deployments import DeploymentController
from gatekeep.cluster.embedded.informer import WATCH_LATENCY
from gatekeep.cluster.embedded.podmaker import pod_of
from gatekeep.cluster.embedded.statefulsets import StatefulSetController
from gatekeep.cluster.embedded.status import replica_set_status
from gatekeep.cluster.embedded.store import WORKLOADS, Event, Stored
from gatekeep.cluster.embedded.surplus import doomed
from gatekeep.cluster.embedded.templates import replicas_of, template_of
from gatekeep.model.objects import ObjectRef
from gatekeep.model.selectors import matches

SYNC_DELAY = 0.003
_OWN_PODS = ("ReplicaSet", "DaemonSet", "StatefulSet")


class WorkloadControllers:
    """ReplicaSet, Deployment, DaemonSet and StatefulSet."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self._queued: set[ObjectRef] = set()
        self._syncs: Mapping[str, Callable[[Stored], None]] = {
            "Deployment": DeploymentController(controls).sync,
            "ReplicaSet": self._sync_replica_set,
            "DaemonSet": DaemonSetController(controls).sync,
            "StatefulSet": StatefulSetController(controls, self._enqueue).sync,
        }
        controls.pods.subscribe(self._on_pod)
        for informer in controls.informers.values():
            informer.subscribe(self._on_workload)
        controls.store.subscribe(self._on_write)

    def start(self) -> None:
        """Looks at every workload once, as soon as an event about it would have come."""
        for kind in WORKLOADS:
            for stored in self._controls.store.list(kind):
                self._enqueue(stored.ref, WATCH_LATENCY + SYNC_DELAY)

    def _on_workload(self, event: Event) -> None:
        if event.stored.kind in WORKLOADS:
            self._enqueue(event.stored.ref)
        self._enqueue_owner(event.stored)

    def _on_write(self, event: Event) -> None:
        if event.stored.kind == "Node":
            for daemon_set in self._controls.store.list("DaemonSet"):
                self._enqueue(daemon_set.ref)

    def _on_pod(self, event: Event) -> None:
        for pod in (event.old, event.new):
            if pod is not None:
                self._enqueue_owner(pod)
        if event.new is None:
            self._enqueue_grand_owner(event.stored)
        elif event.new.controller_uid is None:
            for kind in _OWN_PODS:
                for workload in self._controls.informers[kind].list(event.new.ref.namespace):
                    if matches(workload.typed.spec.selector, event.new.labels):
                        self._enqueue(workload.ref)

    def _enqueue_owner(self, stored: Stored) -> None:
        for owner in stored.meta.get("ownerReferences") or ():
            if owner["kind"] in WORKLOADS:
                self._enqueue(ObjectRef(owner["kind"], stored.ref.namespace, owner["name"]))

    def _enqueue_grand_owner(self, pod: Stored) -> None:
        """A Deployment that recreates waits for the last old pod to go."""
        for replica_set in self._controls.informers["ReplicaSet"].list(pod.ref.namespace):
            if replica_set.uid == pod.controller_uid:
                self._enqueue_owner(replica_set)

    def _enqueue(self, ref: ObjectRef, delay: float = SYNC_DELAY) -> None:
        if ref not in self._queued:
            self._queued.add(ref)
            self._controls.clock.after(delay, lambda: self._sync(ref))

    def _sync(self, ref: ObjectRef) -> None:
        """One look at a workload. After a conflict the event that is on its way enqueues it again."""
        self._queued.discard(ref)
        workload = self._controls.find(ref)
        if workload is None or self._controls.store.find(ref) is None:
            return
        try:
            self._syncs[ref.kind](workload)
        except ConflictError:
            return

    def _sync_replica_set(self, replica_set: Stored) -> None:
        """Makes and deletes pods; a template that changed touches none. The status is written even when blind."""
        controls = self._controls
        pods = [pod for pod in controls.owned_pods(replica_set) if is_active(pod)]
        if not controls.is_blind(replica_set):
            for _ in range(replicas_of(replica_set) - len(pods)):
                controls.create_pod(replica_set, pod_of(replica_set, template_of(replica_set), {}))
            spare = len(pods) - replicas_of(replica_set)
            related = self._related_pods(replica_set) if spare > 0 else ()
            for pod in doomed(pods, related, spare, controls.clock.now()):
                controls.delete_pod(replica_set, pod)
        controls.write_status(replica_set, replica_set_status(replica_set, pods))

    def _related_pods(self, replica_set: Stored) -> Iterator[Stored]:
        """The active pods that any ReplicaSet of the same controller selects; none for one without a controller.

        https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/replicaset/replica_set.go
        (getIndirectlyRelatedPods)
        """
        namespace, owner = replica_set.ref.namespace, replica_set.controller_uid
        known = self._controls.informers["ReplicaSet"].list(namespace)
        selectors = [item.typed.spec.selector for item in known if owner is not None and item.controller_uid == owner]
        for pod in self._controls.pods.list(namespace):
            if is_active(pod) and any(matches(selector, pod.labels) for selector in selectors):
                yield pod
