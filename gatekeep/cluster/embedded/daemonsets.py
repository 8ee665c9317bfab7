"""The DaemonSet controller: one pod per Node, and old pods replaced a few at a time.

https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/daemon/daemon_controller.go (manage,
updateDaemonSetStatus) and https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/daemon/update.go
(rollingUpdate). ``maxSurge`` is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatekeep.cluster.embedded.claims import is_active
from gatekeep.cluster.embedded.controls import Controls
from gatekeep.cluster.embedded.podmaker import GENERATION_ANNOTATION, TEMPLATE_GENERATION, daemon_labels, pod_of
from gatekeep.cluster.embedded.revisions import current_revision, hash_of
from gatekeep.cluster.embedded.store import Object, Stored
from gatekeep.cluster.embedded.surplus import oldest_first
from gatekeep.cluster.embedded.templates import annotation, share, template_of
from gatekeep.cluster.embedded.tolerations import runs_on
from gatekeep.model.endpoints import is_ready

ByNode = Mapping[str, list[Stored]]


class DaemonSetController:
    """Syncs one DaemonSet at a time."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def sync(self, daemon_set: Stored) -> None:
        """Makes, deletes and replaces pods, then writes the status. Raises ConflictError."""
        controls = self._controls
        if controls.is_blind(daemon_set):
            return  # The pod event that ends this blindness starts the sync again.
        pods = controls.owned_pods(daemon_set)
        current = current_revision(controls, daemon_set, controls.owned("ControllerRevision", daemon_set))
        revision = hash_of(current.revision)
        nodes = {node.ref.name for node in controls.store.list("Node") if runs_on(daemon_set.data, node.data)}
        self._one_per_node(daemon_set, pods, nodes, revision)
        if not controls.is_blind(daemon_set) and _strategy(daemon_set).get("type") != "OnDelete":
            self._replace_old(daemon_set, _by_node(pods), len(nodes), revision)
        status = self._status(daemon_set, _by_node(pods), nodes, revision)
        if current.collisions is not None:
            status["collisionCount"] = current.collisions
        controls.write_status(daemon_set, status)

    def _one_per_node(self, daemon_set: Stored, pods: Sequence[Stored], nodes: set[str], revision: str) -> None:
        """One pod per Node that the template may run on, a Terminating one too; of several the oldest stays."""
        by_node = _by_node(pods)
        unscheduled = sum(not pod.typed.spec.node_name for pod in pods)
        for node in sorted(nodes - by_node.keys())[unscheduled:]:
            pod = pod_of(daemon_set, template_of(daemon_set), daemon_labels(daemon_set, revision), node=node)
            self._controls.create_pod(daemon_set, pod)
        for node, found in by_node.items():
            keep = 1 if node in nodes else 0
            active = sorted((pod for pod in found if is_active(pod)), key=oldest_first)
            for spare in active[keep:]:
                self._controls.delete_pod(daemon_set, spare)

    def _replace_old(self, daemon_set: Stored, by_node: ByNode, wanted: int, revision: str) -> None:
        unavailable = 0
        broken: list[Stored] = []
        candidates: list[Stored] = []
        for found in by_node.values():
            active = [pod for pod in found if is_active(pod)]
            if len(active) != 1:
                unavailable += 1
            elif self._is_current(daemon_set, active[0], revision):
                unavailable += not is_ready(active[0].typed)
            elif not is_ready(active[0].typed):
                broken.append(active[0])
                unavailable += 1
            else:
                candidates.append(active[0])
        rolling = _strategy(daemon_set).get("rollingUpdate") or {}
        allowed = max(1, share(rolling.get("maxUnavailable", 1), wanted, up=True))
        for pod in (*broken, *candidates[: max(0, allowed - unavailable)]):
            self._controls.delete_pod(daemon_set, pod)

    def _is_current(self, daemon_set: Stored, pod: Stored, revision: str) -> bool:
        """Either label suffices (IsPodUpdated in pkg/controller/daemon/util/daemonset_util.go)."""
        generation = annotation(daemon_set, GENERATION_ANNOTATION)
        by_generation = generation is not None and pod.labels.get(TEMPLATE_GENERATION) == generation
        return by_generation or self._controls.revision_of(pod) == revision

    def _status(self, daemon_set: Stored, by_node: ByNode, nodes: set[str], revision: str) -> Object:
        """Counts by Node; of several pods on one the oldest counts."""
        oldest = [min(found, key=oldest_first) for node, found in by_node.items() if node in nodes]
        ready = sum(is_ready(pod.typed) for pod in oldest)
        return {
            "observedGeneration": daemon_set.meta.get("generation", 0),
            "desiredNumberScheduled": len(nodes),
            "currentNumberScheduled": len(oldest),
            "updatedNumberScheduled": sum(self._is_current(daemon_set, pod, revision) for pod in oldest),
            "numberReady": ready,
            "numberAvailable": ready,
            "numberMisscheduled": len(by_node.keys() - nodes),
        }


def _by_node(pods: Sequence[Stored]) -> dict[str, list[Stored]]:
    found: dict[str, list[Stored]] = {}
    for pod in pods:
        if pod.typed.spec.node_name:
            found.setdefault(pod.typed.spec.node_name, []).append(pod)
    return found


def _strategy(daemon_set: Stored) -> Object:
    found: Object = daemon_set.data["spec"].get("updateStrategy") or {}
    return found
