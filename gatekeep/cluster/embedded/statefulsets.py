"""The StatefulSet controller: NAME-0, NAME-1, …, one after the other, old ones replaced from the highest down.

https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/statefulset/stateful_set_control.go
(updateStatefulSet). Volume claims are not looked at, and one pod at a time is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gatekeep.cluster.embedded.claims import is_active
from gatekeep.cluster.embedded.controls import Controls
from gatekeep.cluster.embedded.podmaker import ordinal_labels, pod_of
from gatekeep.cluster.embedded.revisions import Current, current_revision, recorded_template
from gatekeep.cluster.embedded.store import Object, Stored
from gatekeep.cluster.embedded.templates import replicas_of
from gatekeep.model.endpoints import is_ready
from gatekeep.model.objects import ObjectRef

FIRST_RETRY = 0.005
LONGEST_RETRY = 1000.0


class StatefulSetController:
    """Syncs one StatefulSet at a time; ``again`` starts another sync of it."""

    def __init__(self, controls: Controls, again: Callable[[ObjectRef], None]) -> None:
        self._controls = controls
        self._again = again
        self._failures: dict[ObjectRef, int] = {}

    def sync(self, stateful_set: Stored) -> None:
        """Makes, deletes and replaces pods, then writes the status. Raises ConflictError."""
        controls = self._controls
        if controls.is_blind(stateful_set):
            return  # The pod event that ends this blindness starts the sync again.
        pods = controls.owned_pods(stateful_set)
        known = controls.owned("ControllerRevision", stateful_set)
        update = current_revision(controls, stateful_set, known)
        name = (stateful_set.data.get("status") or {}).get("currentRevision")
        current = next((item for item in known if item.ref.name == name), update.revision)
        if self._fill(stateful_set, pods, current, update.revision) and self._shrink(stateful_set, pods):
            self._replace_old(stateful_set, pods, update.revision)
        controls.write_status(stateful_set, self._status(stateful_set, pods, current, update))

    def _fill(self, stateful_set: Stored, pods: Sequence[Stored], current: Stored, update: Stored) -> bool:
        """Makes what is missing; in order, each waits until the one before is ready. True when all are there."""
        by_name = {pod.ref.name: pod for pod in pods}
        ordered = stateful_set.data["spec"].get("podManagementPolicy") != "Parallel"
        missing = taken = False
        for ordinal in _ordinals(stateful_set):
            name = f"{stateful_set.ref.name}-{ordinal}"
            pod = by_name.get(name)
            if pod is None:
                missing = True
                taken |= not self._make(stateful_set, name, current if ordinal < _partition(stateful_set) else update)
            elif is_active(pod) and is_ready(pod.typed):
                continue
            if ordered:
                missing = True
                break
        self._retry(stateful_set, taken)
        return not missing

    def _make(self, stateful_set: Stored, name: str, revision: Stored) -> bool:
        """False when another pod has the name."""
        if self._controls.store.find(ObjectRef("Pod", stateful_set.ref.namespace, name)) is not None:
            return False
        added = ordinal_labels(name, revision.ref.name)
        self._controls.create_pod(stateful_set, pod_of(stateful_set, recorded_template(revision), added, name=name))
        return True

    def _retry(self, stateful_set: Stored, failed: bool) -> None:
        """A name that another pod holds is tried ever more rarely."""
        ref = stateful_set.ref
        if failed:
            failures = self._failures[ref] = self._failures.get(ref, 0) + 1
            self._controls.clock.after(min(FIRST_RETRY * 2**failures, LONGEST_RETRY), lambda: self._again(ref))
        else:
            self._failures.pop(ref, None)

    def _shrink(self, stateful_set: Stored, pods: Sequence[Stored]) -> bool:
        """Deletes pods beyond the last ordinal, the highest first; True when there is none."""
        wanted = {f"{stateful_set.ref.name}-{ordinal}" for ordinal in _ordinals(stateful_set)}
        surplus = sorted((pod for pod in pods if pod.ref.name not in wanted), key=_ordinal)
        if surplus and is_active(surplus[-1]):
            self._controls.delete_pod(stateful_set, surplus[-1])
        return not surplus

    def _replace_old(self, stateful_set: Stored, pods: Sequence[Stored], update: Stored) -> None:
        """Deletes the highest old pod when all others are available; it comes back as a new one."""
        if _strategy(stateful_set).get("type") == "OnDelete":
            return
        if not all(is_active(pod) and is_ready(pod.typed) for pod in pods):
            return
        for pod in sorted(pods, key=_ordinal, reverse=True):
            if _ordinal(pod) >= _partition(stateful_set) and self._controls.revision_of(pod) != update.ref.name:
                self._controls.delete_pod(stateful_set, pod)
                return

    def _status(self, stateful_set: Stored, pods: Sequence[Stored], current: Stored, update: Current) -> Object:
        """Counts of the pods as seen; a rollout is over when all are new and ready (completeRollingUpdate)."""
        active = [pod for pod in pods if is_active(pod)]
        revisions = [self._controls.revision_of(pod) for pod in active]
        ready = sum(is_ready(pod.typed) for pod in active)
        updated = revisions.count(update.revision.ref.name)
        rolling = _strategy(stateful_set).get("type") != "OnDelete"
        complete = rolling and replicas_of(stateful_set) == updated == ready == len(pods)
        return {
            "observedGeneration": stateful_set.meta.get("generation", 0),
            "replicas": len(pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
            "currentReplicas": updated if complete else revisions.count(current.ref.name),
            "updatedReplicas": updated,
            "currentRevision": (update.revision if complete else current).ref.name,
            "updateRevision": update.revision.ref.name,
            "collisionCount": update.collisions or 0,
        }


def _ordinals(stateful_set: Stored) -> range:
    start = int((stateful_set.data["spec"].get("ordinals") or {}).get("start") or 0)
    return range(start, start + replicas_of(stateful_set))


def _ordinal(pod: Stored) -> int:
    return int(pod.ref.name.rpartition("-")[2])


def _strategy(stateful_set: Stored) -> Object:
    found: Object = stateful_set.data["spec"].get("updateStrategy") or {}
    return found


def _partition(stateful_set: Stored) -> int:
    """The first ordinal that is rolled out; those below keep the current revision."""
    partition = int((_strategy(stateful_set).get("rollingUpdate") or {}).get("partition") or 0)
    return _ordinals(stateful_set).start + partition
