"""Blue/green: one colour is in rotation as a whole; the others wait, behind a preview Service where there is one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Pod, Workload
from gatekeep.model.policy import BlueGreen, Group
from gatekeep.model.progress import Progress
from gatekeep.model.wording import listed
from gatekeep.model.workloads import adoptable, is_born_in
from gatekeep.strategies import runs
from gatekeep.strategies.question import Course, DesiredRotation, Leg, Question, serves, uids_of, union_of


def rotation(question: Question, wanted: BlueGreen) -> DesiredRotation:
    """The rotation of the colour that is active where the run stands."""
    return _of(question, wanted, color(question, wanted))


def course(question: Question, wanted: BlueGreen) -> Course:
    """The switch to the active colour, or where nothing else serves, what keeps it as it is.

    Raises :class:`RefusedError` for a switch to a colour that is not ready as a whole, and for one that has nobody.
    """
    name = color(question, wanted)
    pods = {other: question.pods(question.match(group)) for other, group in wanted.colors.items()}
    _refuse_overlap(pods)
    switches = any(_is_serving(question, pod) for other, found in pods.items() if other != name for pod in found)
    aborts = name != wanted.active  # who goes back takes what there is; the floor holds all the same
    if (switches and not aborts) or not any(serves(pod) for pod in pods[name]):
        _refuse_unready(question, wanted, name, pods[name])
    return Course((Leg(_of(question, wanted, name)),), _progress(question, wanted))


def idle(question: Question, wanted: BlueGreen) -> DesiredRotation:
    """Who is behind the preview Service: the pods of every colour but the active one."""
    active = color(question, wanted)
    matches = [question.match(group) for name, group in sorted(wanted.colors.items()) if name != active]
    group = union_of(matches, question)
    return DesiredRotation(members=uids_of(question.pods(group)), match=group, group=group)


def color(question: Question, wanted: BlueGreen) -> str:
    """The colour that is to be active: that of the policy, or after an abort the one before."""
    progress = question.own(identity(question))
    if progress is not None and progress.phase == "Aborted" and progress.former in wanted.colors:
        return progress.former
    return wanted.active


def identity(question: Question) -> str:
    """The run is known by the spec alone: templates of a colour change all the time."""
    return runs.identity(question.policy, None, question.snapshot)


def _progress(question: Question, wanted: BlueGreen) -> Progress:
    run = identity(question)
    own = question.own(run)
    if own is not None and own.phase == "Aborted":
        return own
    former = own.former if own is not None else question.former
    return Progress(run=run, phase="Done", former=former if former in wanted.colors else "")


def _of(question: Question, wanted: BlueGreen, name: str) -> DesiredRotation:
    match = question.match(wanted.colors[name])
    group = union_of([question.match(item) for _, item in sorted(wanted.colors.items())], question)
    pods = question.pods(match)
    return DesiredRotation(
        members=uids_of(pods), match=match, group=group, remark=_remark(question, wanted, name, pods)
    )


def _remark(question: Question, wanted: BlueGreen, name: str, pods: Sequence[Pod]) -> str:
    others = {
        other: sum(_is_serving(question, pod) for pod in question.pods(question.match(group)))
        for other, group in sorted(wanted.colors.items()) if other != name
    }  # fmt: skip
    serving = [f"{count} of {other}" for other, count in others.items() if count]
    if not serving or not question.standing:
        return ""
    return f"for a moment both colours answer: {len(pods)} pods of {name} join before {' and '.join(serving)} leave"


def _is_serving(question: Question, pod: Pod) -> bool:
    """The pod is in rotation; while no gate stands everybody is."""
    return not question.standing or question.is_in(pod)


def _refuse_overlap(pods: Mapping[str, Sequence[Pod]]) -> None:
    for (one, first), (other, second) in itertools.combinations(sorted(pods.items()), 2):
        both = sorted((pod for pod in first if pod.uid in uids_of(second)), key=lambda pod: pod.name)
        if both:
            raise RefusedError(
                f"{len(both)} pods are of both colours, {one} and {other}, {both[0].name} among them",
                where=str(both[0].ref),
                hint="make the colours disjoint, by owners or by a label that only one of them has",
            )


def _out_of_reach(question: Question, group: Group) -> int:
    """How many pods the colour has in the namespace, behind the Service or not."""
    return len(question.pods(replace(question, bases=[{}]).match(group)))


def _refuse_unready(question: Question, wanted: BlueGreen, name: str, pods: Sequence[Pod]) -> None:
    match = question.match(wanted.colors[name])
    waiting = [pod.name for pod in pods if not serves(pod)]
    if not pods and (others := _out_of_reach(question, wanted.colors[name])):
        raise RefusedError(
            f"the colour {name} is to be active, and its {others} pods are not behind the Service: its selector leaves "
            "them out",
            hint="give the Service a selector that the pods of all colours match; the gate tells them apart",
        )
    if waiting or not pods:
        found = f"{len(waiting)} of its {len(pods)} pods are not ready ({listed(waiting)})" if pods else "it has no pod"
        raise RefusedError(
            f"the colour {name} is to be active, and {found}: nothing is switched until every one of them is",
            hint="wait until they are ready; kubectl rollout status shows it",
        )
    snapshot, namespace = question.snapshot, question.policy.namespace
    apart = [pod for pod in snapshot.pods_in(namespace) if pod.uid in question.isolated]
    for item in adoptable(namespace, snapshot):
        there = sum(item.uid in snapshot.owner_uids(pod) for pod in pods)
        if not is_born_in(match, item, snapshot):
            continue
        if there + sum(item.uid in snapshot.owner_uids(pod) for pod in apart) < _replicas(item):
            rollout = f"kubectl -n {namespace} rollout status {item.kind.lower()}/{item.name}"
            raise RefusedError(
                f"the colour {name} is to be active, and {there} of the {_replicas(item)} pods that {item.kind} "
                f"{item.name} wants are there",
                where=str(item.ref),
                hint=f"wait for them: {rollout}",
            )


def _replicas(item: Workload) -> int:
    """How many pods the workload wants; a count that nobody wrote is 1."""
    if item.kind == "DaemonSet":
        return item.status.desired_number_scheduled
    return 1 if item.spec.replicas is None else item.spec.replicas
