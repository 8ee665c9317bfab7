"""The desired rotation: what a strategy answers, and the one function that asks it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gatekeep.model.endpoints import is_ready, is_terminal
from gatekeep.model.errors import RefusedError
from gatekeep.model.matching import in_match
from gatekeep.model.objects import Pod
from gatekeep.model.plan import Match
from gatekeep.model.policy import Canary, Gate, Group, TrafficGate
from gatekeep.model.snapshot import Snapshot
from gatekeep.strategies import canary, groups

_ZONE = "topology.kubernetes.io/zone"


@dataclass(frozen=True, kw_only=True)
class DesiredRotation:
    """Who should carry the gate label: ``members`` by uid now, and ``match`` for pods born since.

    ``group`` is whoever may be a member; of pods that are picked by number, or with ``newPods: Hold``, nobody born
    since is one. ``remark`` is what a reader should know of a share.
    """

    members: frozenset[str]
    match: Match
    group: Match
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a strategy is asked: for which policy, behind which selectors, and on which cluster.

    ``bases`` are the selectors of the Services without the gate; ``standing`` the gates that stand on all of them.
    """

    policy: TrafficGate
    bases: Sequence[Mapping[str, str]]
    snapshot: Snapshot
    standing: Sequence[Gate]

    def match(self, group: Group) -> Match:
        """The pods of ``group`` behind the Services. Raises :class:`RefusedError` for an owner that does not exist."""
        return groups.candidates(group, self.bases, self.policy.namespace, self.snapshot)

    def pods(self, match: Match) -> list[Pod]:
        """Who belongs to ``match`` now, by name."""
        snapshot = self.snapshot
        found = snapshot.pods_in(self.policy.namespace)
        return [pod for pod in found if in_match(match, pod.labels, snapshot.owner_uids(pod))]

    def is_in(self, pod: Pod) -> bool:
        """The pod carries a gate that stands."""
        return any(pod.labels.get(gate.key) == gate.value for gate in self.standing)

    def nobody(self) -> Match:
        """No pod that is born belongs."""
        return Match(namespace=self.policy.namespace, any_of=())


def desired_rotation(
    policy: TrafficGate, bases: Sequence[Mapping[str, str]], snapshot: Snapshot, standing: Sequence[Gate] = ()
) -> DesiredRotation:
    """The rotation that ``policy`` asks for behind Services whose selectors without the gate are ``bases``.

    ``standing`` are the gates that stand on these Services, none while one of them has none. Raises
    :class:`RefusedError` when the cluster is not as the strategy needs it.
    """
    question = Question(policy=policy, bases=bases, snapshot=snapshot, standing=standing)
    if policy.spec.rotation.canary is not None:
        return _canary(question, policy.spec.rotation.canary)
    return _pool(question, policy.spec.rotation.pool or Group())


def _pool(question: Question, pool: Group) -> DesiredRotation:
    """With ``newPods: Hold`` who was there before the gate is in; who came after waits until it is admitted."""
    policy, match = question.policy, question.match(pool)
    pods = question.pods(match)
    if policy.spec.new_pods == "Join":
        return DesiredRotation(members=_uids(pods), match=match, group=match)
    if not question.standing:
        return DesiredRotation(members=_uids(pods), match=question.nobody(), group=match)
    inside = [pod for pod in pods if question.is_in(pod)]
    held = sorted((pod for pod in pods if not question.is_in(pod) and not is_terminal(pod)), key=_age)
    admitted = held if policy.spec.admit == "All" else held[: max(0, policy.spec.admit - len(inside))]
    return DesiredRotation(members=_uids([*inside, *admitted]), match=question.nobody(), group=match)


def _canary(question: Question, wanted: Canary) -> DesiredRotation:
    """A group that is in rotation as a whole takes its newborn pods along; of one that is not, pods are picked."""
    stable, fresh = question.match(wanted.stable), question.match(wanted.canary)
    stable_pods, fresh_pods = question.pods(stable), question.pods(fresh)
    _refuse_overlap(stable_pods, fresh_pods)
    ready_stable = [pod for pod in stable_pods if _serves(pod)]
    ready_fresh = [pod for pod in fresh_pods if _serves(pod)]
    _refuse_empty(wanted.weight, len(ready_stable), len(ready_fresh))
    counts = canary.shares(len(ready_stable), len(ready_fresh), wanted.weight)
    group = Match(namespace=question.policy.namespace, any_of=(_part(stable), _part(fresh)))
    remark = canary.remark(counts, wanted.weight)
    picked = _picked(question, ready_fresh, counts.canary)
    if wanted.weight == 100:
        return DesiredRotation(members=_uids(fresh_pods), match=fresh, group=group, remark=remark)
    if counts.stable == len(ready_stable):
        return DesiredRotation(members=_uids([*stable_pods, *picked]), match=stable, group=group, remark=remark)
    some = _picked(question, ready_stable, counts.stable)
    return DesiredRotation(members=_uids([*some, *picked]), match=question.nobody(), group=group, remark=remark)


def _picked(question: Question, pods: Sequence[Pod], count: int) -> list[Pod]:
    zones = {node.metadata.name: node.metadata.labels.get(_ZONE, "") for node in question.snapshot.nodes}
    return canary.chosen(pods, count, question.is_in, zones)


def _refuse_overlap(stable: Iterable[Pod], fresh: Iterable[Pod]) -> None:
    both = sorted({pod.uid: pod for pod in stable}.keys() & {pod.uid for pod in fresh})
    if not both:
        return
    pod = next(pod for pod in fresh if pod.uid == both[0])
    raise RefusedError(
        f"{len(both)} pods belong to both groups of the canary, {pod.name} among them: which share would they be?",
        where=str(pod.ref),
        hint="make stable and canary disjoint, by owners or by a label that only one of them has",
    )


def _refuse_empty(weight: int, stable: int, fresh: int) -> None:
    """A group that should serve and has nobody to do it."""
    for name, count, needed in (("canary", fresh, weight > 0), ("stable", stable, weight < 100)):
        if needed and not count:
            raise RefusedError(
                f"the {name} group has no ready pod behind the Service, and weight {weight} wants some of it",
                hint="wait until its pods are ready, or correct the group",
            )


def _part(match: Match) -> Match:
    return Match(selector=match.selector, owner_uids=match.owner_uids, any_of=match.any_of, except_=match.except_)


def _serves(pod: Pod) -> bool:
    return is_ready(pod) and not is_terminal(pod) and pod.metadata.deletion_timestamp is None


def _uids(pods: Iterable[Pod]) -> frozenset[str]:
    return frozenset(pod.uid for pod in pods)


def _age(pod: Pod) -> tuple[bool, str, str]:
    """Ready ones first, then the oldest."""
    return not is_ready(pod), pod.metadata.creation_timestamp or "", pod.name
