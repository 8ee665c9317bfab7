"""The desired rotation: what a strategy answers, and the one function that asks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatekeep.model.matching import in_match
from gatekeep.model.plan import Match
from gatekeep.model.policy import TrafficGate
from gatekeep.model.snapshot import Snapshot
from gatekeep.strategies import groups


@dataclass(frozen=True, kw_only=True)
class DesiredRotation:
    """Who should carry the gate label: ``members`` by uid now, and ``match`` for pods born since."""

    members: frozenset[str]
    match: Match


def desired_rotation(policy: TrafficGate, bases: Sequence[Mapping[str, str]], snapshot: Snapshot) -> DesiredRotation:
    """The rotation that ``policy`` asks for behind Services whose selectors without the gate are ``bases``.

    Raises :class:`RefusedError` when the cluster lacks an owner that the policy names.
    """
    match = groups.candidates(policy.spec.rotation.pool, bases, policy.namespace, snapshot)
    members = frozenset(
        pod.uid for pod in snapshot.pods_in(policy.namespace) if in_match(match, pod.labels, snapshot.owner_uids(pod))
    )
    return DesiredRotation(members=members, match=match)
