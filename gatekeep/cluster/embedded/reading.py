"""A snapshot of the store, decoded to the model's classes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from gatekeep.cluster.embedded.access import access_to, refused
from gatekeep.cluster.embedded.store import WORKLOADS, Store, Stored
from gatekeep.cluster.resources import RESOURCES
from gatekeep.model.admission import BINDING, POLICY
from gatekeep.model.plan import Access
from gatekeep.model.record import MANAGED_BY
from gatekeep.model.snapshot import ClusterIdentity, Snapshot

OPTIONAL = ("Node", "ConfigMap", POLICY, BINDING, "PodDisruptionBudget")
"""Kinds that a snapshot may lack; without the others there is nothing to plan with."""


def read_snapshot(
    store: Store,
    identity: ClusterIdentity,
    namespaces: Sequence[str],
    may: Callable[[Access], bool],
    unserved: Collection[str] = (),
    *,
    time: datetime,
) -> Snapshot:
    """Every kind, listed in ``namespaces`` (none given means all). Raises :class:`ForbiddenError`, see ``OPTIONAL``."""
    plurals = frozenset(RESOURCES[kind].plural for kind in unserved)
    missing = {*plurals, *(() if identity.uid else ("namespaces",))}

    def listed(kind: str, selector: Mapping[str, str] | None = None) -> Iterable[Any]:
        places = (namespaces or ("",)) if RESOURCES[kind].namespaced else ("",)
        found: list[Stored] = []
        for place in dict.fromkeys(places):
            access = access_to("list", kind, place)
            if may(access):
                found += store.list(kind, place, selector)
            elif kind in OPTIONAL:
                missing.add(RESOURCES[kind].plural)
            else:
                raise refused(access)
        return tuple(stored.typed for stored in sorted(found, key=lambda stored: stored.ref))

    return Snapshot(
        identity=identity,
        pods=tuple(listed("Pod")),
        services=tuple(listed("Service")),
        slices=tuple(listed("EndpointSlice")),
        workloads=tuple(item for kind in WORKLOADS for item in listed(kind)),
        nodes=tuple(listed("Node")),
        config_maps=tuple(listed("ConfigMap", {MANAGED_BY: "gatekeep"})),
        admission=tuple(item for kind in (POLICY, BINDING) for item in listed(kind, {MANAGED_BY: "gatekeep"})),
        budgets=tuple(listed("PodDisruptionBudget")),
        time=time,
        unserved=plurals,
        missing=frozenset(missing),
    )
