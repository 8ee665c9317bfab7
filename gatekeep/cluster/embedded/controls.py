"""What the workload controllers see and do: informers, guarded writes, and no action on a list that lacks their own.

A write goes through only when the object is still as the controller saw it (its resourceVersion, on a real API server);
else the sync ends, and the event that is on its way starts another. Pods that a controller made or deleted it must have
seen before it counts again, which is what the original's expectations are for:
https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/controller_utils.go (ControllerExpectations).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gatekeep.cluster.embedded.claims import claim
from gatekeep.cluster.embedded.clock import VirtualClock
from gatekeep.cluster.embedded.informer import Informer
from gatekeep.cluster.embedded.podmaker import REVISION_HASH
from gatekeep.cluster.embedded.store import WORKLOADS, Object, Store, Stored
from gatekeep.model.objects import ObjectRef

SEEN_KINDS = (*WORKLOADS, "ControllerRevision")


class ConflictError(Exception):
    """The object is not as the controller saw it: the sync ends here."""


class Controls:
    """The hands and eyes of the workload controllers.

    ``admit`` is what the API server makes of a new pod; ``assumed`` are revisions that pods without a hash count as.
    """

    def __init__(
        self,
        store: Store,
        clock: VirtualClock,
        pods: Informer,
        lag: float,
        *,
        remove: Callable[[Stored], None],
        admit: Callable[[Object], Object],
        assumed: Mapping[str, str],
    ) -> None:
        self.store = store
        self.clock = clock
        self.pods = pods
        self.informers = {kind: Informer(kind, store, clock, lag) for kind in SEEN_KINDS}
        self._remove = remove
        self._admit = admit
        self._assumed = assumed
        self._expected: dict[ObjectRef, int] = {}

    @property
    def lag(self) -> float:
        """Seconds that events of workloads and ControllerRevisions take to the controllers."""
        return self.informers["Deployment"].lag

    @lag.setter
    def lag(self, seconds: float) -> None:
        for informer in self.informers.values():
            informer.lag = seconds

    def find(self, ref: ObjectRef) -> Stored | None:
        """The workload as the controllers last saw it."""
        return self.informers[ref.kind].find(ref.namespace, ref.name)

    def owned(self, kind: str, owner: Stored) -> list[Stored]:
        """The objects of a kind that ``owner`` controls, oldest first, as last seen."""
        found = [item for item in self.informers[kind].list(owner.ref.namespace) if item.controller_uid == owner.uid]
        return sorted(found, key=lambda item: (item.meta["creationTimestamp"], item.ref.name))

    def owned_pods(self, workload: Stored) -> list[Stored]:
        """The workload's pods as last seen, Terminating ones included, after releasing and adopting."""
        return claim(self.store, self.pods, workload)

    def is_blind(self, workload: Stored) -> bool:
        """The pods that were last made or deleted for the workload have not all been seen yet."""
        return self.pods.revision < self._expected.get(workload.ref, 0)

    def revision_of(self, pod: Stored) -> str | None:
        """The pod's ``controller-revision-hash``, or what it counts as."""
        return pod.labels.get(REVISION_HASH, self._assumed.get(pod.uid))

    def create_pod(self, workload: Stored, pod: Object) -> None:
        """Makes a pod, through admission."""
        before = self.store.revision
        self.store.create("Pod", self._admit(pod))
        self._expect(workload, before)

    def delete_pod(self, workload: Stored, seen: Stored) -> None:
        """Deletes a pod, unless another one has its name."""
        pod = self.store.find(seen.ref)
        before = self.store.revision
        if pod is not None and pod.uid == seen.uid:
            self._remove(pod)
        self._expect(workload, before)

    def update(self, seen: Stored, data: Object) -> Stored:
        """Stores ``data`` and returns it; the generation follows the spec. Raises :class:`ConflictError`."""
        current = self.store.find(seen.ref)
        if current is None or current.revision != seen.revision:
            raise ConflictError
        if seen.kind in WORKLOADS and data.get("spec") != seen.data.get("spec"):
            metadata = {**data["metadata"], "generation": seen.meta.get("generation", 0) + 1}
            data = {**data, "metadata": metadata}
        return self.store.update(current, data)

    def write_status(self, seen: Stored, status: Object) -> Stored:
        """Merges ``status`` into the object's. Raises :class:`ConflictError`."""
        return self.update(seen, {**seen.data, "status": {**(seen.data.get("status") or {}), **status}})

    def _expect(self, workload: Stored, before: int) -> None:
        if self.store.revision > before:
            self._expected[workload.ref] = self.store.revision
