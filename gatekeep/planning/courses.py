"""From what is asked for a gate to its course: the legs to take, who is set apart, and what is recorded of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gatekeep.model.durations import seconds_in
from gatekeep.model.errors import RefusedError
from gatekeep.model.matching import in_match
from gatekeep.model.objects import Pod, Service
from gatekeep.model.plan import Match
from gatekeep.model.policy import Check, Gate
from gatekeep.model.record import GateName, Record, services_of
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import CheckWait
from gatekeep.model.wording import listed
from gatekeep.planning import isolating, preflight, previewing, returning
from gatekeep.planning.admitting import refuse_unknown, wanted_admissions, withdrawn_admissions
from gatekeep.planning.task import (
    Comeback,
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
    check_templates,
    former_templates,
    given_by_others,
    wanted_templates,
)
from gatekeep.strategies.isolation import Apart, Asked, resolve
from gatekeep.strategies.moving import aborted, promoted, readopted
from gatekeep.strategies.question import Course, Question
from gatekeep.strategies.rotation import desired_course, desired_rotation, standing_course

KEPT_LIMIT = 1000


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
        returning=returning.lineages(apart, snapshot),
    )
    question = _moved(question, wanted)
    back: tuple[Comeback, ...] = ()
    if apart.returning:
        back = returning.comebacks(apart, bases, desired_rotation(question).match, policy.gate, snapshot)
        question = replace(question, isolated=apart.uids | returning.leaving(back))
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
    former = recorded if wanted.back_to is None else wanted.back_to.isolations
    if not (wanted.isolations or recorded or former):
        return Apart()  # the common case: no look at every pod
    asked = Asked(
        policies=wanted.isolations,
        recorded=former,
        complete=wanted.complete,
        now=snapshot.time,
        undoes=wanted.back_to is not None,
        inside=frozenset(pod.uid for pod in pods if pod.labels.get(wanted.policy.gate.key) == wanted.policy.gate.value),
    )
    behind = [pod for pod in pods if any(matches_map(base, pod.labels) for base in bases)]
    found = resolve(asked, behind, {pod.uid: pod for pod in pods})
    if wanted.back_to is None:
        return returning.without_stuck(found, pods, snapshot)
    returning.refuse_detached_since(found, recorded)
    # Whoever is recorded now comes back, though the beginning to go back to knew nothing of it.
    held = found.uids
    alive = {pod.uid for pod in pods}
    back = [(item, pod) for item in recorded for pod in item.pods if pod.uid in alive and pod.uid not in held]
    return returning.without_stuck(replace(found, returning=tuple(back)), pods, snapshot)


def _moved(question: Question, wanted: Wanted) -> Question:
    """The question as promote, abort or undo have it asked."""
    if wanted.back_to is not None:
        back = wanted.back_to
        return replace(question, progress=readopted(question, back.progress), inside=frozenset(back.picked) or None)
    if wanted.move == "abort":
        return replace(question, progress=aborted(question, wanted.reason))
    if wanted.move == "promote":
        held = question.policy.spec.new_pods == "Hold"
        return replace(question, progress=promoted(question), admits_all=held)
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
    return tuple(sorted(picked)) if len(picked) <= KEPT_LIMIT else ()


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
                f"{item.by} isolates {listed(held)}: without the gate nothing keeps a pod out of rotation",
                where=f"TrafficGate {name}",
                hint="end the isolation first: delete its document and apply the folder, or let it expire and apply",
            )
    task = retire_task(name, record, snapshot, timeout_seconds)
    return GateCourse(legs=(Leg(task),), previews=previewing.retired(name, record, task, snapshot))


def _spared(name: GateName, gate: Gate, record: Record | None, snapshot: Snapshot) -> Sparing:
    """Whose label was not put there by gatekeep: they had it before the gate, or their template gives it."""
    owners = given_by_others(gate, record.adopted if record else (), name.namespace, snapshot)
    return Sparing(owner_uids=owners, pod_uids=record.kept if record else ())


def _kept(name: GateName, gate: Gate, spared: Sparing, snapshot: Snapshot) -> frozenset[str]:
    pods = snapshot.pods_in(name.namespace)
    given = (pod.uid for pod in pods if pod.labels.get(gate.key) == gate.value and is_given(pod, spared, snapshot))
    return frozenset([*given, *spared.pod_uids])


def is_given(pod: Pod, spared: Sparing, snapshot: Snapshot) -> bool:
    """A template of somebody else gives the pod its label, or gave it before the gate."""
    return not snapshot.owner_uids(pod).isdisjoint(spared.owner_uids)
