"""Does a plan restart nobody, and are later pods born as it says? The rules of the workload controllers, view by view.

Which rules these are, and where they stand in Kubernetes: ``docs/design/0009-later-pods.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gatekeep.model.matching import in_match
from gatekeep.model.objects import Workload, controller_of
from gatekeep.model.plan import Match, Plan
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.workloads import born_labels
from gatekeep.proof.courses import Course, Scene, scene
from gatekeep.proof.deployments import Rollout, rollouts, touched_keys
from gatekeep.proof.holds import recorded_adoptions
from gatekeep.proof.relabel import is_relabel
from gatekeep.proof.revisions import Replacement, is_on_delete, replacements
from gatekeep.proof.simulate import Barrier, Timeline
from gatekeep.proof.templates import is_set_step, labels_of, same_strategy
from gatekeep.proof.workload_guards import recorded_holds


class Verdict(NamedTuple):
    """What is wrong in one sentence, None when nothing is, and how many states were looked at."""

    problem: str | None
    states: int


def explore(plan: Plan, snapshot: Snapshot, timeline: Timeline) -> Verdict:
    """Looks at every view that each controller of a workload of ``plan`` can have."""
    found = scene(plan, snapshot, timeline)
    if not found.courses:
        return Verdict(None, 0)
    states = 0
    controllers: tuple[Rollout | Replacement, ...] = (*rollouts(found), *replacements(found))
    for controller in controllers:
        problem = controller.problem()
        states += controller.states
        if problem:
            return Verdict(problem, states)
    return Verdict(_births_problem(found) or _end_problem(found), states)


def _births_problem(found: Scene) -> str | None:
    """Nobody is born otherwise after the list of the step that labels pods: else it would wait for the next run."""
    for course in found.courses.values():
        item = course.start
        if item.kind == "Deployment":
            if problem := _membership_problem(found, course):
                return problem
            continue
        owned = controller_of(item.metadata) is not None
        if not owned and (problem := _membership_problem(found, course)):
            return problem
        if owned and not item.spec.replicas:
            continue  # no pod is born from it while its Deployment is held still
        for key in sorted(touched_keys([course])):
            if problem := _unlike_births(found, course, key):
                return problem
    return None


def _unlike_births(found: Scene, course: Course, key: str) -> str | None:
    """For each value that the template gets: at the last list of that label before the next, it is seen to have it."""
    edits = course.edits(lambda item: labels_of(item).get(key))
    for edit, following in zip(edits, [*edits[1:], None], strict=True):
        value = labels_of(course.at(edit)).get(key)
        lists = [step for step, _ in _lists(found.plan, key, value) if following is None or step < following]
        if not lists:
            continue
        known = _confirmed(found, course.start, lists[-1])
        seen = [item for step, item in course.versions if step <= lists[-1] and step >= known]
        if any(labels_of(item).get(key) != value for item in seen):
            word = f"without {key}={value}" if value is not None else f"with {key}"
            return (
                f"a pod of {course.start.ref} may be born {word} after step {lists[-1]} has listed the pods: its "
                "controller may not have seen the template by then"
            )
    return None


def _confirmed(found: Scene, item: Workload, before: int) -> int:
    """The last step whose write of ``item`` its controller must have read before the step ``before``.

    All objects of a kind travel on one stream, so what is read of one says that all earlier steps were read.
    """
    writes = [step for step, _ in found.course(item).versions]
    known = 0
    for moment in found.timeline.moments:
        if not isinstance(moment, Barrier) or moment.step > before:
            continue
        seen = found.observed(moment.wait)
        live = found.snapshot.workload_index.get(seen[0]) if seen is not None else None
        if seen is None or live is None or live.kind != item.kind:
            continue
        last = [step for step in writes if step < seen[1] or (step == seen[1] and live.uid == item.uid)]
        known = max(known, *last, 0)
    return known


def _lists(plan: Plan, key: str, value: str | None) -> Iterable[tuple[int, Match]]:
    """The steps that bring pods to this label and list them again."""
    for step in plan.steps:
        match = step.match
        if match is None or match.gate is None or is_relabel(step) or is_set_step(step):
            continue
        if (match.gate.key, match.gate.value) == (key, value):
            yield step.number, match


def _membership_problem(found: Scene, course: Course) -> str | None:
    """A template gives a label only where the pods that are born from it belong to the step that puts it on pods.

    The way back has no group: it restores what was. So does retiring what gatekeep took off a template.
    """
    if not found.plan.gates:
        return None
    item = course.start
    taken = {
        (one.uid, one.key, one.value)
        for gate in found.plan.gates
        for one in recorded_adoptions(gate, found.snapshot)
        if one.by == "Taken"
    }
    uids = frozenset([item.uid, *(one.uid for one in found.snapshot.replica_sets_of(item.uid))])
    for key in sorted(touched_keys([course])):
        for step in course.edits(lambda one, key=key: labels_of(one).get(key)):  # type: ignore[misc]
            value = labels_of(course.at(step)).get(key)
            if value is None or _is_given(found, item, key, value) or (item.uid, key, value) in taken:
                continue
            born = born_labels(course.at(step))
            if not any(in_match(m, born, uids) for _, m in _lists(found.plan, key, value)):
                return (
                    f"step {step} makes later pods of {item.ref} carry {key}={value}, and no step puts that on the "
                    "pods that it has"
                )
    return None


def _is_given(found: Scene, item: Workload, key: str, value: str) -> bool:
    """A run that was killed between the ReplicaSets and their Deployment left it so: pods are born with it already."""
    sets = [one for one in found.snapshot.replica_sets_of(item.uid) if one.spec.replicas]
    return item.spec.paused and bool(sets) and all(labels_of(one).get(key) == value for one in sets)


def _end_problem(found: Scene) -> str | None:
    holds = recorded_holds(found.snapshot)
    for uid, course in found.courses.items():
        start, end, hold = course.start, course.end, holds.get(uid)
        if start.kind == "Deployment" and start.spec.paused and hold is None:
            return f"{start.ref} is paused, and no run of gatekeep paused it"
        if end.spec.paused:
            return f"{start.ref} is left paused at the end"
        wanted = start.spec.update_strategy
        if hold is not None and hold.strategy is not None and is_on_delete(start):
            wanted = hold.strategy
        if not same_strategy(end.spec.update_strategy, wanted):
            return f"{start.ref} is left with another update strategy than it had"
    return _disagreement(found)


def _disagreement(found: Scene) -> str | None:
    """A ReplicaSet that a later undo would lead to gives the same label as its Deployment."""
    for item in found.snapshot.workloads:
        if item.kind != "Deployment":
            continue
        sets = found.snapshot.replica_sets_of(item.uid)
        courses = [found.course(one) for one in (item, *sets)]
        for key in sorted(touched_keys(courses)):
            end: Mapping[str, Workload] = {course.start.uid: course.end for course in courses}
            wanted = labels_of(end[item.uid]).get(key)
            for one in sets:
                if labels_of(end[one.uid]).get(key) != wanted:
                    return f"{one.ref} and {item.ref} do not agree on the label {key} at the end"
    return None
