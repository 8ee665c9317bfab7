"""What a strategy is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from gatekeep.model.endpoints import is_ready, is_terminal
from gatekeep.model.matching import in_match
from gatekeep.model.objects import Pod
from gatekeep.model.plan import Match
from gatekeep.model.policy import Check, Gate, Group, TrafficGate
from gatekeep.model.progress import Progress
from gatekeep.model.snapshot import Snapshot
from gatekeep.strategies import groups


@dataclass(frozen=True, kw_only=True)
class DesiredRotation:
    """Who should carry the gate label: ``members`` by uid now, and ``match`` for pods born since.

    ``group`` is whoever may be a member; of pods that are picked by number, or with ``newPods: Hold``, nobody born
    since is one. ``remark`` is what a reader should know of it.
    """

    members: frozenset[str]
    match: Match
    group: Match
    remark: str = ""


class Leg(NamedTuple):
    """A rotation on the way, how many steps of the run are done then, and the checks to pass, each with that number."""

    rotation: DesiredRotation
    step: int = 0
    checks: tuple[tuple[Check, int], ...] = ()


class Course(NamedTuple):
    """The rotations to bring about one after the other, and how far the run has come then."""

    legs: tuple[Leg, ...]
    progress: Progress | None = None


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a strategy is asked: for which policy, behind which selectors, and on which cluster.

    ``bases`` are the selectors of the Services without the gate; ``standing`` the gates that stand on all of them.
    ``progress`` is where the run stands, of whichever identity. ``former`` is the colour that was active before this
    policy. ``isolated`` pods, by uid, belong to no group; ``returning`` ones, released until now, belong to the
    controllers (uids) that they come back to. ``inside`` says by uid who counts as in, instead of the labels.
    ``admits_all`` lets in whoever is held.
    """

    policy: TrafficGate
    bases: Sequence[Mapping[str, str]]
    snapshot: Snapshot
    standing: Sequence[Gate] = ()
    progress: Progress | None = None
    former: str = ""
    isolated: frozenset[str] = frozenset()
    returning: Mapping[str, frozenset[str]] | None = None
    inside: frozenset[str] | None = None
    admits_all: bool = False

    def match(self, group: Group) -> Match:
        """The pods of ``group`` behind the Services. Raises :class:`RefusedError` for an owner that does not exist."""
        found = groups.candidates(group, self.bases, self.policy.namespace, self.snapshot)
        return msgspec.structs.replace(found, except_uids=tuple(sorted(self.isolated)))

    def pods(self, match: Match) -> list[Pod]:
        """Who belongs to ``match`` now, by name."""
        found = self.snapshot.pods_in(self.policy.namespace)
        return [pod for pod in found if pod.uid not in self.isolated and in_match(match, pod.labels, self._owners(pod))]

    def _owners(self, pod: Pod) -> frozenset[str]:
        found = self.snapshot.owner_uids(pod)
        return found | self.returning.get(pod.uid, found) if self.returning else found

    def is_in(self, pod: Pod) -> bool:
        """The pod carries a gate that stands, or counts as one that does."""
        if self.inside is not None:
            return pod.uid in self.inside
        return any(pod.labels.get(gate.key) == gate.value for gate in self.standing)

    def own(self, run: str) -> Progress | None:
        """Where the run of that identity stands; None when what is recorded is another's."""
        return self.progress if self.progress is not None and self.progress.run == run else None

    def nobody(self) -> Match:
        """No pod that is born belongs."""
        return Match(namespace=self.policy.namespace, any_of=())


def serves(pod: Pod) -> bool:
    """The pod can take requests, and is not on its way out."""
    return is_ready(pod) and not is_terminal(pod) and pod.metadata.deletion_timestamp is None


def uids_of(pods: Iterable[Pod]) -> frozenset[str]:
    """Their uids."""
    return frozenset(pod.uid for pod in pods)


def part_of(match: Match) -> Match:
    """``match`` as one of several in a union."""
    return Match(selector=match.selector, owner_uids=match.owner_uids, any_of=match.any_of, except_=match.except_)


def union_of(matches: Iterable[Match], question: Question) -> Match:
    """Whoever belongs to one of ``matches``."""
    return Match(
        namespace=question.policy.namespace,
        any_of=tuple(part_of(item) for item in matches),
        except_uids=tuple(sorted(question.isolated)),
    )
