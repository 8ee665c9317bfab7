"""How many pods each ReplicaSet of a Deployment gets: pure arithmetic.

https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/deployment/util/deployment_util.go
(NewRSNewReplicas, ResolveFenceposts, GetReplicaSetProportion) and
https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/deployment/rolling.go (reconcileOldReplicaSets).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gatekeep.cluster.embedded.store import Object, Stored
from gatekeep.cluster.embedded.templates import annotated_number, replicas_of, share, status_of
from gatekeep.model.objects import ObjectRef

DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
_DEFAULT = "25%"


def surge_of(deployment: Stored) -> int:
    """How many pods more than wanted there may be; none under Recreate."""
    if _is_recreate(deployment):
        return 0
    return share(_rolling(deployment).get("maxSurge", _DEFAULT), replicas_of(deployment), up=True)


def unavailable_of(deployment: Stored) -> int:
    """How many of the wanted pods may be missing; at least one where no surge is allowed."""
    wanted = replicas_of(deployment)
    found = share(_rolling(deployment).get("maxUnavailable", _DEFAULT), wanted, up=False)
    return min(wanted, found or (0 if surge_of(deployment) else 1))


def sum_of(sets: Iterable[Stored], field: str) -> int:
    """The sum of a number in the statuses."""
    return sum(status_of(item, field) for item in sets)


def up_to(deployment: Stored, new: Stored | None, known: Sequence[Stored]) -> int:
    """How many pods the new ReplicaSet gets now; ``known`` are all there are."""
    wanted, have = replicas_of(deployment), replicas_of(new) if new else 0
    if _is_recreate(deployment) or have >= wanted:
        return wanted
    room = wanted + surge_of(deployment) - sum(map(replicas_of, known))
    return have + max(0, min(room, wanted - have))


def reduced(deployment: Stored, new: Stored | None, old: Sequence[Stored]) -> dict[ObjectRef, int]:
    """What is left of the old ReplicaSets: first the pods that are not available go, then as many as may."""
    known = [*old, *([new] if new else [])]
    least = replicas_of(deployment) - unavailable_of(deployment)
    waiting = replicas_of(new) - status_of(new, "availableReplicas") if new else 0
    spare = sum(map(replicas_of, known)) - least - waiting
    left = {item.ref: replicas_of(item) for item in old}
    for item in old:
        broken = min(max(0, spare), max(0, left[item.ref] - status_of(item, "availableReplicas")))
        left[item.ref] -= broken
        spare -= broken
    available = min(spare, sum_of(known, "availableReplicas") - least)
    for item in old:
        fewer = min(max(0, available), left[item.ref])
        left[item.ref] -= fewer
        available -= fewer
    return left


def proportional(deployment: Stored, new: Stored | None, old: Sequence[Stored]) -> dict[ObjectRef, int]:
    """A scale in the middle of a rollout: every ReplicaSet with pods gets its part, the largest what is left over."""
    active = [item for item in (*old, *([new] if new else [])) if replicas_of(item)]
    wanted = replicas_of(deployment)
    limit = wanted + surge_of(deployment) if wanted else 0
    missing = limit - sum(map(replicas_of, active))
    ordered = sorted(active, key=replicas_of, reverse=True)
    left = missing
    sizes = {item.ref: replicas_of(item) for item in ordered}
    for item in ordered:
        before = annotated_number(item, MAX_REPLICAS) or status_of(deployment, "replicas")
        part = round(sizes[item.ref] * limit / before) - sizes[item.ref] if before and wanted else -sizes[item.ref]
        part = min(part, left) if missing > 0 else max(part, left)
        sizes[item.ref] += part
        left -= part
    if ordered and missing:
        sizes[ordered[0].ref] = max(0, sizes[ordered[0].ref] + left)
    return sizes


def _is_recreate(deployment: Stored) -> bool:
    return (deployment.data["spec"].get("strategy") or {}).get("type") == "Recreate"


def _rolling(deployment: Stored) -> Object:
    found: Object = (deployment.data["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    return found
