"""Pool: one group, and which of its newborn pods belong."""

from __future__ import annotations

from collections.abc import Sequence

from gatekeep.model.endpoints import is_ready, is_terminal
from gatekeep.model.objects import Pod
from gatekeep.model.policy import Group
from gatekeep.strategies.question import DesiredRotation, Question, uids_of


def rotation(question: Question, pool: Group) -> DesiredRotation:
    """With ``newPods: Hold`` who was there before the gate is in; who came after waits until it is admitted."""
    match = question.match(pool)
    pods = question.pods(match)
    if question.policy.spec.new_pods == "Join":
        return DesiredRotation(members=uids_of(pods), match=match, group=match)
    return DesiredRotation(members=uids_of(not_held(question, pods)), match=question.nobody(), group=match)


def not_held(question: Question, pods: Sequence[Pod]) -> list[Pod]:
    """Who of ``pods`` is in, or admitted: ready ones first, then the oldest. All of them while no gate stands."""
    if not question.standing:
        return list(pods)
    inside = [pod for pod in pods if question.is_in(pod)]
    held = sorted((pod for pod in pods if not question.is_in(pod) and not is_terminal(pod)), key=_age)
    admit = question.policy.spec.admit
    if admit == "All" or question.admits_all:
        return [*inside, *held]
    return [*inside, *held[: max(0, admit - len(inside))]]


def _age(pod: Pod) -> tuple[bool, str, str]:
    return not is_ready(pod), pod.metadata.creation_timestamp or "", pod.name
