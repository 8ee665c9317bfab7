"""Which pods go first when a ReplicaSet has too many, and which one stays when a DaemonSet has several on a Node.

https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/controller_utils.go (ActivePodsWithRanks),
https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/replicaset/replica_set.go (getPodsToDelete) and
https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/daemon/daemon_controller.go
(podByCreationTimestampAndPhase).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import cmp_to_key
from typing import Any, NamedTuple

from gatekeep.cluster.embedded.store import Stored
from gatekeep.model.endpoints import is_ready

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_COST = re.compile(r"-[0-9]+|0|[1-9][0-9]*")
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


class _Pod(NamedTuple):
    """What decides, in this order but for the uid; ``group`` is the lower the sooner the pod goes."""

    group: tuple[bool, int, bool, int, int]
    ready_since: datetime | None
    restarts: tuple[int, int]
    created: datetime | None
    uid: str


def doomed(pods: Iterable[Stored], related: Iterable[Stored], count: int, now: datetime) -> list[Stored]:
    """The ``count`` of ``pods`` that are deleted first; ``related`` are the active pods of the whole Deployment.

    Where the original goes by chance the name decides.
    """
    if count <= 0:
        return []
    nodes = Counter(pod.typed.spec.node_name for pod in related)
    found = [(_judged(pod, nodes), pod) for pod in sorted(pods, key=lambda pod: pod.ref.name)]

    def compare(one: tuple[_Pod, Stored], other: tuple[_Pod, Stored]) -> int:
        return _compare(one[0], other[0], now)

    return [pod for _, pod in sorted(found, key=cmp_to_key(compare))[:count]]


def oldest_first(pod: Stored) -> tuple[str, str]:
    """A sort key: of a DaemonSet's pods on a Node the first one stays; within one second the name decides."""
    return (pod.meta["creationTimestamp"], pod.ref.name)


def deletion_cost(annotations: Mapping[str, str]) -> int | None:
    """KEP-2255: 0 without the annotation, None for a value that is no number.

    https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/apis/core/helper/helpers.go
    (GetDeletionCostFromPodAnnotations)
    """
    value = annotations.get(DELETION_COST, "0")
    number = int(value) if _COST.fullmatch(value) else None
    return number if number is not None and -(2**31) <= number < 2**31 else None


def _judged(pod: Stored, nodes: Mapping[str, int]) -> _Pod:
    typed = pod.typed
    node, ready = typed.spec.node_name, is_ready(typed)
    cost = deletion_cost(pod.meta.get("annotations") or {}) or 0
    group = (bool(node), _PHASES.get(typed.status.phase, 0), ready, cost, -nodes.get(node, 0))
    since = _ready_since(pod) if ready else None
    return _Pod(group, since, _restarts(pod), _time(pod.meta["creationTimestamp"]), pod.uid)


def _compare(one: _Pod, other: _Pod, now: datetime) -> int:
    """Negative when ``one`` goes before ``other``."""
    if one.group != other.group:
        return -1 if one.group < other.group else 1
    if one.ready_since != other.ready_since:
        return _by_age(one.ready_since, other.ready_since, one, other, now)
    if one.restarts != other.restarts:
        return -1 if one.restarts > other.restarts else 1
    if one.created != other.created:
        return _by_age(one.created, other.created, one, other, now)
    return 0


def _by_age(since: datetime | None, others: datetime | None, one: _Pod, other: _Pod, now: datetime) -> int:
    """The younger one; of two that are about as old the one with the lower uid (KEP-2185, LogarithmicScaleDown)."""
    if since is None or others is None:
        return -1 if since is None else 1
    magnitude, others_magnitude = _magnitude(now - since), _magnitude(now - others)
    if magnitude != others_magnitude:
        return -1 if magnitude < others_magnitude else 1
    return -1 if one.uid < other.uid else 1


def _magnitude(age: timedelta) -> int:
    """The whole part of the binary logarithm of nanoseconds; -1 for none."""
    return max(0, age // timedelta(microseconds=1) * 1000).bit_length() - 1


def _ready_since(pod: Stored) -> datetime | None:
    conditions = (pod.data.get("status") or {}).get("conditions") or ()
    return next((_time(item.get("lastTransitionTime")) for item in conditions if item["type"] == "Ready"), None)


def _restarts(pod: Stored) -> tuple[int, int]:
    """Of ordinary containers and of sidecars, each time the one that restarted most (maxContainerRestarts)."""
    status, spec = pod.data.get("status") or {}, pod.data.get("spec") or {}
    sidecars = {item.get("name") for item in spec.get("initContainers") or () if item.get("restartPolicy") == "Always"}
    started = [item for item in status.get("initContainerStatuses") or () if item.get("name") in sidecars]
    return _most(status.get("containerStatuses") or ()), _most(started)


def _most(statuses: Iterable[Mapping[str, Any]]) -> int:
    return max((int(item.get("restartCount") or 0) for item in statuses), default=0)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
