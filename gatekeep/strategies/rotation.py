"""The desired rotation: what a strategy answers, and the one function that asks it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gatekeep.model.endpoints import is_ready, is_terminal
from gatekeep.model.matching import in_match
from gatekeep.model.objects import Pod
from gatekeep.model.plan import Match
from gatekeep.model.policy import Gate, TrafficGate
from gatekeep.model.snapshot import Snapshot
from gatekeep.strategies import groups


@dataclass(frozen=True, kw_only=True)
class DesiredRotation:
    """Who should carry the gate label: ``members`` by uid now, and ``match`` for pods born since.

    ``group`` is whoever may be a member; with ``newPods: Hold`` nobody born since is one.
    """

    members: frozenset[str]
    match: Match
    group: Match


def desired_rotation(
    policy: TrafficGate, bases: Sequence[Mapping[str, str]], snapshot: Snapshot, standing: Sequence[Gate] = ()
) -> DesiredRotation:
    """The rotation that ``policy`` asks for behind Services whose selectors without the gate are ``bases``.

    ``standing`` are the gates that stand on these Services, none while one of them has none: with ``newPods: Hold`` who
    was there before the gate is in, and who came after waits until it is admitted. Raises :class:`RefusedError` when
    the cluster lacks an owner that the policy names.
    """
    match = groups.candidates(policy.spec.rotation.pool, bases, policy.namespace, snapshot)
    pods = [pod for pod in snapshot.pods_in(policy.namespace) if in_match(match, pod.labels, snapshot.owner_uids(pod))]
    if policy.spec.new_pods == "Join":
        return DesiredRotation(members=_uids(pods), match=match, group=match)
    nobody = Match(namespace=policy.namespace, any_of=())
    if not standing:
        return DesiredRotation(members=_uids(pods), match=nobody, group=match)
    inside = [pod for pod in pods if _carries(pod, standing)]
    held = sorted((pod for pod in pods if not _carries(pod, standing) and not is_terminal(pod)), key=_age)
    admitted = held if policy.spec.admit == "All" else held[: max(0, policy.spec.admit - len(inside))]
    return DesiredRotation(members=_uids([*inside, *admitted]), match=nobody, group=match)


def _carries(pod: Pod, gates: Iterable[Gate]) -> bool:
    return any(pod.labels.get(gate.key) == gate.value for gate in gates)


def _uids(pods: Iterable[Pod]) -> frozenset[str]:
    return frozenset(pod.uid for pod in pods)


def _age(pod: Pod) -> tuple[bool, str, str]:
    """Ready ones first, then the oldest."""
    return not is_ready(pod), pod.metadata.creation_timestamp or "", pod.name
