"""Gates and a snapshot in, ordered steps and their forecast out. The proof comes after, from another room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from gatekeep.model.durations import seconds_in
from gatekeep.model.errors import RefusedError
from gatekeep.model.matching import in_match
from gatekeep.model.objects import Pod, Service
from gatekeep.model.plan import Access, GateTarget, Hold, Match, ServiceForecast, Step
from gatekeep.model.policy import Check, Gate, floor_of
from gatekeep.model.progress import Stage
from gatekeep.model.record import GateName, Record, services_of
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import CheckWait, DurationWait
from gatekeep.planning import access, isolating, moves, preflight, previewing
from gatekeep.planning.admitting import refuse_unknown, wanted_admissions, withdrawn_admissions
from gatekeep.planning.adoption import holds_of
from gatekeep.planning.barriers import confirm
from gatekeep.planning.draft import Draft
from gatekeep.planning.task import (
    GateCourse,
    GateTask,
    Leg,
    Sparing,
    Wanted,
    base_of,
    is_unsettled,
    known_gates,
    standing_gates,
)
from gatekeep.planning.templates import (
    adopted_after,
    check_templates,
    former_templates,
    given_by_others,
    still_held,
    to_change,
    wanted_templates,
)
from gatekeep.strategies.isolation import Apart, Asked, resolve
from gatekeep.strategies.moving import aborted, promoted, readopted
from gatekeep.strategies.question import Course, Question
from gatekeep.strategies.rotation import desired_course, desired_rotation, standing_course

_KEPT_LIMIT = 1000
_NAMED = 6


@dataclass(frozen=True, kw_only=True)
class PlanDraft:
    """Everything of a plan but its source, its proof and its id."""

    steps: tuple[Step, ...]
    services: tuple[ServiceForecast, ...]
    access: tuple[Access, ...]
    gates: tuple[GateTarget, ...]


def gate_course(wanted: Wanted, record: Record | None, snapshot: Snapshot, timeout_seconds: int) -> GateCourse:
    """The course of bringing one policy about. Raises :class:`RefusedError` when the cluster is not as it needs it."""
    policy = wanted.policy
    name = GateName(policy.namespace, policy.name)
    services = preflight.find_services(policy.spec.services, name, snapshot)
    preflight.refuse_other_gates(name, services, snapshot)
    preview = previewing.name_of(policy)
    previewing.refuse_another(name, preview, record)
    known = known_gates(name, policy, record)
    preflight.check_gate(services, policy.gate, known, snapshot, preview)
    bases = [base_of(service.spec.selector or {}, known) for service in services]
    apart = _apart(wanted, record, bases, snapshot)
    question = Question(
        policy=policy,
        bases=bases,
        snapshot=snapshot,
        standing=standing_gates(services, known),
        progress=record.progress if record else None,
        former=previewing.active_color(record),
        isolated=apart.uids,
        returning=isolating.lineages(apart, snapshot),
    )
    question = _moved(question, wanted)
    back = isolating.comebacks(apart, bases, desired_rotation(question).match, policy.gate, snapshot)
    question = replace(question, isolated=apart.uids | isolating.leaving(back))
    course = desired_course(question) if wanted.back_to is None else standing_course(question)
    standing, released = isolating.releases(apart, policy.namespace, snapshot)
    tasks = _leg_tasks(question, course, services, known, record, timeout_seconds)
    return GateCourse(
        legs=tuple(
            Leg(task, leg.step, tuple((_check_wait(check), step) for check, step in leg.checks))
            for task, leg in zip(tasks, course.legs, strict=True)
        ),
        progress=course.progress,
        drain=previewing.drain_of(policy),
        previews=previewing.preview_tasks(question, tasks[-1]),
        apart=replace(apart, standing=standing),
        releases=released,
        comebacks=back,
        picked=_picked(question, tasks[-1]),
    )


def _apart(wanted: Wanted, record: Record | None, bases: Sequence[Mapping[str, str]], snapshot: Snapshot) -> Apart:
    pods = snapshot.pods_in(wanted.policy.namespace)
    recorded = record.isolations if record is not None else ()
    asked = Asked(
        policies=wanted.isolations,
        recorded=recorded if wanted.back_to is None else wanted.back_to.isolations,
        complete=wanted.complete,
        now=snapshot.time,
        undoes=wanted.back_to is not None,
        inside=frozenset(pod.uid for pod in pods if pod.labels.get(wanted.policy.gate.key) == wanted.policy.gate.value),
    )
    behind = [pod for pod in pods if any(matches_map(base, pod.labels) for base in bases)]
    found = resolve(asked, behind, {pod.uid: pod for pod in pods})
    if wanted.back_to is None:
        return isolating.without_stuck(found, pods, snapshot)
    # Whoever is recorded now comes back, though the beginning to go back to knew nothing of it.
    held = found.uids
    alive = {pod.uid for pod in pods}
    back = [(item, pod) for item in recorded for pod in item.pods if pod.uid in alive and pod.uid not in held]
    return isolating.without_stuck(replace(found, returning=tuple(back)), pods, snapshot)


def _moved(question: Question, wanted: Wanted) -> Question:
    """The question as promote, abort or undo have it asked."""
    if wanted.back_to is not None:
        back = wanted.back_to
        return replace(question, progress=readopted(question, back.progress), inside=frozenset(back.picked) or None)
    if wanted.move == "abort":
        return replace(question, progress=aborted(question, wanted.reason))
    if wanted.move == "promote":
        progress = promoted(question)
        return replace(question, progress=progress, admits_all=progress is None)
    return question


def _check_wait(check: Check) -> CheckWait:
    asked = check.prometheus
    return CheckWait(
        name=check.name,
        query=asked.query,
        max=None if asked.max is None else str(asked.max),
        min=None if asked.min is None else str(asked.min),
        for_seconds=seconds_in(asked.for_) or 0,
        interval_seconds=seconds_in(asked.interval) or 1,
        failures=asked.failures,
        timeout_seconds=seconds_in(asked.timeout) or 1,
    )


def _picked(question: Question, task: GateTask) -> tuple[str, ...]:
    """Who was picked by number until now, as far as that can be told: who is in, and no template gives the label."""
    if question.policy.spec.rotation.canary is None and question.policy.spec.new_pods == "Join":
        return ()
    snapshot = question.snapshot
    inside = (pod for pod in snapshot.pods_in(question.policy.namespace) if question.is_in(pod))
    picked = [pod.uid for pod in inside if in_match(task.group, pod.labels, snapshot.owner_uids(pod))]
    return tuple(sorted(picked)) if len(picked) <= _KEPT_LIMIT else ()


def _leg_tasks(
    question: Question,
    course: Course,
    services: tuple[Service, ...],
    known: tuple[Gate, ...],
    record: Record | None,
    timeout_seconds: int,
) -> list[GateTask]:
    """One task for each leg. On the way templates change only as far as they stay so at the end."""
    policy, snapshot = question.policy, question.snapshot
    name = GateName(policy.namespace, policy.name)
    end = course.legs[-1].rotation
    templates = wanted_templates(policy, end.match, question.bases, record, snapshot)
    holds = {item.uid: item for item in record.holds} if record else {}
    check_templates(templates, known, holds, snapshot)
    admitted = wanted_admissions(policy, end.match, snapshot)
    withdrawn = withdrawn_admissions(record, admitted)
    refuse_unknown(name, withdrawn, snapshot)
    spared = _spared(name, policy.gate, record, snapshot)
    last = GateTask(
        name=name,
        services=services,
        target=policy.gate,
        known=known,
        members=end.members,
        match=end.match,
        group=end.group,
        remark=end.remark,
        kept=_kept(name, policy.gate, spared, snapshot),
        floor=policy.spec.floor,
        timeout_seconds=timeout_seconds,
        policy=policy,
        unsettled=is_unsettled(record),
        templates=templates,
        holds=holds,
        admitted=admitted,
        withdrawn=withdrawn,
        holds_new=policy.spec.new_pods == "Hold",
        strips=spared,
    )
    tasks = []
    for leg in course.legs[:-1]:
        match = leg.rotation.match
        on_the_way = wanted_templates(policy, match, question.bases, record, snapshot)
        both = {place: value for place, value in on_the_way.items() if place in templates and templates[place] == value}
        given = wanted_admissions(policy, match, snapshot)
        tasks.append(
            replace(
                last,
                members=leg.rotation.members,
                match=match,
                remark=leg.rotation.remark,
                templates=both,
                admitted=tuple(item for item in given if item in admitted),
                withdrawn=(),
            )
        )
    tasks.append(last)
    return [replace(task, unsettled=task.unsettled and index == 0) for index, task in enumerate(tasks)]


def retire_task(name: GateName, record: Record, snapshot: Snapshot, timeout_seconds: int) -> GateTask:
    """The task of taking a recorded gate off. Services that are gone by now need nothing."""
    present = [item for item in services_of(record) if snapshot.service(name.namespace, item) is not None]
    services = preflight.find_services(present, name, snapshot)
    known = known_gates(name, record.policy, record)
    for service in services:
        if not base_of(service.spec.selector or {}, known):
            raise RefusedError(
                "without the gate the selector would be empty, and the Service's endpoints would freeze",
                where=str(service.ref),
                hint="give the Service a selector of its own first, such as the app label of its pods",
            )
    templates = former_templates(record)
    holds = {item.uid: item for item in record.holds}
    check_templates(templates, known, holds, snapshot)
    withdrawn = withdrawn_admissions(record, ())
    refuse_unknown(name, withdrawn, snapshot)
    spared = _spared(name, record.gate, record, snapshot)
    return GateTask(
        name=name,
        services=services,
        target=None,
        known=known,
        members=frozenset(),
        match=Match(namespace=name.namespace, any_of=()),
        kept=_kept(name, record.gate, spared, snapshot),
        floor=record.policy.spec.floor,
        timeout_seconds=timeout_seconds,
        policy=record.policy,
        unsettled=is_unsettled(record),
        templates=templates,
        holds=holds,
        withdrawn=withdrawn,
        strips=spared,
    )


def retire_course(name: GateName, record: Record, snapshot: Snapshot, timeout_seconds: int) -> GateCourse:
    """The course of taking a recorded gate off. Raises :class:`RefusedError` while one of its pods is isolated."""
    alive = {pod.uid for pod in snapshot.pods_in(name.namespace)}
    for item in record.isolations:
        held = [pod.name for pod in item.pods if pod.uid in alive]
        if held:
            raise RefusedError(
                f"{item.by} isolates {', '.join(held[:_NAMED])}: without the gate nothing keeps a pod out of rotation",
                where=f"TrafficGate {name}",
                hint="end the isolation first: delete its document and apply the folder, or let it expire and apply",
            )
    task = retire_task(name, record, snapshot, timeout_seconds)
    return GateCourse(legs=(Leg(task),), previews=previewing.retired(name, record, task, snapshot))


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
    if isolating.give_back(draft, course):
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


def _spared(name: GateName, gate: Gate, record: Record | None, snapshot: Snapshot) -> Sparing:
    """Whose label was not put there by gatekeep: they had it before the gate, or their template gives it."""
    owners = given_by_others(gate, record.adopted if record else (), name.namespace, snapshot)
    return Sparing(owner_uids=owners, pod_uids=record.kept if record else ())


def _kept(name: GateName, gate: Gate, spared: Sparing, snapshot: Snapshot) -> frozenset[str]:
    pods = snapshot.pods_in(name.namespace)
    given = (pod.uid for pod in pods if pod.labels.get(gate.key) == gate.value and _is_given(pod, spared, snapshot))
    return frozenset([*given, *spared.pod_uids])


def _is_given(pod: Pod, spared: Sparing, snapshot: Snapshot) -> bool:
    return not snapshot.owner_uids(pod).isdisjoint(spared.owner_uids)


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
        and not (task.strips is not None and _is_given(pod, task.strips, snapshot))
    ]
    return tuple(sorted(carrying)[:_KEPT_LIMIT])
