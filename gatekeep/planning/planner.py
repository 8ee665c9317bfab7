"""Gates and a snapshot in, ordered steps and their forecast out. The proof comes after, from another room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from gatekeep.model.objects import Service
from gatekeep.model.plan import Access, GateTarget, Hold, ServiceForecast, Step
from gatekeep.model.policy import Gate, floor_of
from gatekeep.model.progress import Stage
from gatekeep.model.record import Record
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import DurationWait
from gatekeep.planning import access, isolating, moves, preflight, returning
from gatekeep.planning.adoption import holds_of
from gatekeep.planning.barriers import confirm
from gatekeep.planning.courses import KEPT_LIMIT, is_given
from gatekeep.planning.draft import Draft
from gatekeep.planning.task import (
    GateCourse,
    GateTask,
)
from gatekeep.planning.templates import (
    adopted_after,
    still_held,
    to_change,
)


@dataclass(frozen=True, kw_only=True)
class PlanDraft:
    """Everything of a plan but its source, its proof and its id."""

    steps: tuple[Step, ...]
    services: tuple[ServiceForecast, ...]
    access: tuple[Access, ...]
    gates: tuple[GateTarget, ...]


def draft_plan(courses: Iterable[tuple[GateCourse, Record | None]], snapshot: Snapshot) -> PlanDraft:
    """The steps of all courses, one gate after the other."""
    draft = Draft(snapshot)
    pairs = tuple(courses)
    targets = []
    for course, record in pairs:
        draft.delete_leftovers(
            preflight.leftovers(course.name, snapshot),
            reason="remove what an interrupted run left",
            policy=course.task.reference,
        )
        draft.stages.clear()
        _follow(draft, course)
        targets.append(_gate_target(course, record, tuple(draft.stages), snapshot))
    return PlanDraft(
        steps=tuple(draft.steps),
        services=tuple(
            _forecast(draft, task, item)
            for course, _ in pairs
            for task in (course.task, *course.previews)
            for item in task.services
        ),
        access=access.needed(draft.steps),
        gates=tuple(targets),
    )


def _follow(draft: Draft, course: GateCourse) -> None:
    """Leg by leg, each with its checks; then the idle colour, and who is set apart or comes back."""
    begin = len(draft.steps)
    for leg in course.legs:
        moves.move(draft, leg.task)
        _reach(draft, course, leg.step)
        for wait, step in leg.checks:
            draft.await_(wait, reason=f"check {wait.name}", policy=leg.task.reference)
            draft.next_phase()
            _reach(draft, course, step)
    if course.drain and len(draft.steps) > begin:
        reason = "let connections to the pods that left come to their end"
        draft.await_(DurationWait(seconds=course.drain), reason=reason, policy=course.task.reference)
        draft.next_phase()
    for task in course.previews:
        moves.move(draft, task)
    isolating.set_apart(draft, course)
    if returning.give_back(draft, course):
        confirm(draft, course.task, "confirm that they are in rotation")
        draft.next_phase()


def _reach(draft: Draft, course: GateCourse, step: int) -> None:
    """The end of the course is what the record says once all is done; a stage is what lies before it."""
    progress = course.progress
    if progress is not None and progress.phase != "Aborted" and step < progress.step:
        draft.reach(msgspec.structs.replace(progress, phase="Running", step=step))


def _forecast(draft: Draft, task: GateTask, service: Service) -> ServiceForecast:
    before = Draft(draft.snapshot).ready(service, service.spec.selector or {})
    return ServiceForecast(
        namespace=service.namespace,
        name=service.name,
        before=before,
        after=draft.ready(service, draft.selector(service)),
        floor=floor_of(task.floor, len(before)),
        least_ready=0,
    )


def _gate_target(
    course: GateCourse, record: Record | None, stages: tuple[Stage, ...], snapshot: Snapshot
) -> GateTarget:
    task = course.task
    gate = task.target or (record.gate if record else Gate(key="", value=""))
    policy: Mapping[str, object] | None = msgspec.to_builtins(task.policy) if task.target else None
    return GateTarget(
        namespace=task.name.namespace,
        name=task.name.name,
        action="Gate" if task.target else "Retire",
        key=gate.key,
        value=gate.value,
        services=tuple(service.name for service in task.services),
        policy=policy,
        kept=_recorded_kept(task, record, snapshot),
        adopted=(*adopted_after(task.target, task.templates, record, snapshot), *task.admitted),
        holds=_holds(task, snapshot),
        progress=course.progress,
        stages=stages,
        isolations=course.apart.standing,
        preview=course.previews[0].services[0].name if course.previews else "",
        picked=course.picked,
    )


def _holds(task: GateTask, snapshot: Snapshot) -> tuple[Hold, ...]:
    keys = sorted({key for _, key in task.templates})
    held = {item.uid: item for key in keys for item in to_change(task.templates, key, task.holds, snapshot)}
    held.update((item.uid, item) for item in still_held(task.holds, snapshot))
    return holds_of(held.values(), task.holds)


def _recorded_kept(task: GateTask, record: Record | None, snapshot: Snapshot) -> tuple[str, ...]:
    """What the record must remember: as it was, or for a new gate the pods that carry the label already.

    For a gate that is pending the record knows it already: the labels that a killed run put on are not older than it.
    """
    if task.target is None:
        return ()
    if record is not None and task.target in (record.gate, *record.pending):
        return record.kept
    if any((item.spec.selector or {}).get(task.target.key) == task.target.value for item in task.services):
        return ()
    carrying = [
        pod.uid
        for pod in snapshot.pods_in(task.name.namespace)
        if pod.labels.get(task.target.key) == task.target.value
        and not (task.strips is not None and is_given(pod, task.strips, snapshot))
    ]
    return tuple(sorted(carrying)[:KEPT_LIMIT])
