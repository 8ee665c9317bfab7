"""Canary: stable and canary pods share the rotation, by number; a run takes it from weight to weight."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Pod
from gatekeep.model.policy import Canary
from gatekeep.model.progress import Progress
from gatekeep.strategies import runs, shares
from gatekeep.strategies.pool import not_held
from gatekeep.strategies.question import Course, DesiredRotation, Leg, Question, serves, uids_of, union_of

_ZONE = "topology.kubernetes.io/zone"


def rotation(question: Question, wanted: Canary) -> DesiredRotation:
    """The rotation at the weight where the run stands."""
    progress = question.own(identity(question, wanted))
    if progress is not None and progress.phase == "Aborted":
        return at_weight(question, wanted, 0)
    if wanted.steps is None:
        return at_weight(question, wanted, wanted.weight or 0)
    return at_weight(question, wanted, runs.weight_at(wanted.steps, progress.step if progress else 0))


def course(question: Question, wanted: Canary) -> Course:
    """To the next pause. An aborted run stays aborted, whatever its steps say."""
    run = identity(question, wanted)
    progress = question.own(run)
    if progress is not None and progress.phase == "Aborted":
        return Course((Leg(at_weight(question, wanted, 0), progress.step),), progress)
    if wanted.steps is None:
        return Course((Leg(at_weight(question, wanted, wanted.weight or 0)),), Progress(run=run, phase="Done"))
    done = runs.begin(wanted.steps, progress, question.snapshot.time)
    end = runs.end_of(wanted.steps, done)
    checks = {check.name: check for check in question.policy.spec.checks}
    legs: list[Leg] = []
    for leg in runs.legs(wanted.steps, done):
        found = at_weight(question, wanted, leg.weight)
        # Who is picked for one weight is in by the time of the next.
        question = replace(question, inside=found.members)
        legs.append(Leg(found, leg.step, tuple((checks[name], step) for name, step in leg.checks)))
    paused = end < len(wanted.steps)
    return Course(tuple(legs), Progress(run=run, phase="Paused" if paused else "Done", step=end))


def identity(question: Question, wanted: Canary) -> str:
    """The run is known by the spec and by the templates of the canary group."""
    return runs.identity(question.policy, question.match(wanted.canary), question.snapshot)


def at_weight(question: Question, wanted: Canary, weight: int) -> DesiredRotation:
    """A group that is in rotation as a whole takes its newborn pods along; of one that is not, pods are picked."""
    stable, fresh = question.match(wanted.stable), question.match(wanted.canary)
    stable_pods, fresh_pods = question.pods(stable), question.pods(fresh)
    _refuse_overlap(stable_pods, fresh_pods)
    holds = question.policy.spec.new_pods == "Hold"
    waiting = 0
    if holds:
        everybody = len(stable_pods)
        stable_pods = not_held(question, stable_pods)
        waiting = everybody - len(stable_pods)
    ready_stable = [pod for pod in stable_pods if serves(pod)]
    ready_fresh = [pod for pod in fresh_pods if serves(pod)]
    _refuse_empty(weight, len(ready_stable), len(ready_fresh), waiting)
    counts = shares.shares(len(ready_stable), len(ready_fresh), weight)
    group = union_of((stable, fresh), question)
    remark = shares.remark(counts, weight)
    picked = _picked(question, ready_fresh, counts.canary)
    match = question.nobody()
    if weight == 100:
        members, match = uids_of(fresh_pods), match if holds else fresh
    elif counts.stable == len(ready_stable):
        members, match = uids_of([*stable_pods, *picked]), match if holds else stable
    else:
        members = uids_of([*_picked(question, ready_stable, counts.stable), *picked])
    return DesiredRotation(members=members, match=match, group=group, remark=remark)


def _picked(question: Question, pods: Sequence[Pod], count: int) -> list[Pod]:
    zones = {node.metadata.name: node.metadata.labels.get(_ZONE, "") for node in question.snapshot.nodes}
    return shares.chosen(pods, count, question.is_in, zones)


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


def _refuse_empty(weight: int, stable: int, fresh: int, waiting: int) -> None:
    """A group that should serve and has nobody to do it; ``waiting`` of the stable pods are held."""
    if weight < 100 and not stable and waiting:
        raise RefusedError(
            f"the {waiting} stable pods are held, and weight {weight} wants some of them in rotation",
            hint="let them in: write admit: All, or a number, and apply; or gatekeep promote",
        )
    for name, count, needed in (("canary", fresh, weight > 0), ("stable", stable, weight < 100)):
        if needed and not count:
            way = "; gatekeep abort takes the canary out" if name == "canary" else ""
            raise RefusedError(
                f"the {name} group has no ready pod behind the Service, and weight {weight} wants some of it",
                hint=f"wait until its pods are ready, or correct the group{way}",
            )
