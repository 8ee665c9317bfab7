"""The preview Service of a blue/green gate: it shares the gate's key, and its pods carry the value ``preview``."""

from __future__ import annotations

from dataclasses import replace

from gatekeep.model.durations import seconds_in
from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Service
from gatekeep.model.plan import Match
from gatekeep.model.policy import PREVIEW_VALUE, BlueGreen, Floor, Gate, TrafficGate
from gatekeep.model.record import GateName, Record
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning.preflight import find_services
from gatekeep.planning.task import GateTask, Sparing, base_of, temporary_gate
from gatekeep.strategies import bluegreen
from gatekeep.strategies.question import Question


def name_of(policy: TrafficGate) -> str:
    """The preview Service of the policy; "" where it has none."""
    wanted = policy.spec.rotation.blue_green
    return wanted.preview.service if wanted is not None and wanted.preview is not None else ""


def drain_of(policy: TrafficGate) -> int:
    """How long the colour that left is let alone, in seconds."""
    wanted = policy.spec.rotation.blue_green
    return (seconds_in(wanted.drain) or 0) if wanted is not None and wanted.drain is not None else 0


def active_color(record: Record | None) -> str:
    """The colour that the recorded policy has in rotation; "" where it knows none."""
    wanted = record.policy.spec.rotation.blue_green if record is not None else None
    if record is None or wanted is None or not record.runs:
        return ""
    progress = record.progress
    return progress.former if progress is not None and progress.phase == "Aborted" else wanted.active


def refuse_another(name: GateName, preview: str, record: Record | None) -> None:
    """Raises :class:`RefusedError` when the record knows another preview Service, on which the key would stay."""
    former = name_of(record.policy) if record is not None else ""
    if former and former != preview:
        raise RefusedError(
            f"the preview Service was {former}, and the policy names {preview or 'none'}: {former} would keep the key, "
            "and no pod would ever carry its value again",
            where=f"TrafficGate {name}",
            hint=f"take the gate off and apply anew: gatekeep retire {name}",
        )


def preview_tasks(question: Question, task: GateTask) -> tuple[GateTask, ...]:
    """The task of bringing the idle colours behind the preview Service; none where there is none."""
    wanted = question.policy.spec.rotation.blue_green
    if wanted is None or wanted.preview is None:
        return ()
    return (_task(question, wanted, wanted.preview.service, task),)


def _task(question: Question, wanted: BlueGreen, service: str, task: GateTask) -> GateTask:
    gate = Gate(key=question.policy.gate.key, value=PREVIEW_VALUE)
    known = _known(task)
    services = find_services([service], task.name, question.snapshot)
    base = base_of(services[0].spec.selector or {}, known)
    _refuse_bare(base, services[0].ref, gate)
    rotation = bluegreen.idle(replace(question, bases=[base]), wanted)
    return _bare_task(task, gate, known, services, rotation.members, rotation.match)


def _known(task: GateTask) -> tuple[Gate, ...]:
    """Every key that the gate may have had, with the preview's value, and the one that stands in for a while."""
    temporary = temporary_gate(task.name.name)
    found = [Gate(key=item.key, value=PREVIEW_VALUE) for item in task.known if item != temporary]
    return (*dict.fromkeys(found), temporary)


def _bare_task(
    task: GateTask,
    gate: Gate | None,
    known: tuple[Gate, ...],
    services: tuple[Service, ...],
    members: frozenset[str],
    match: Match,
) -> GateTask:
    return replace(
        task,
        services=services,
        target=gate,
        known=known,
        members=members,
        match=match,
        group=match,
        kept=frozenset(),
        floor=Floor(min_ready=0),
        templates={},
        holds={},
        admitted=(),
        withdrawn=(),
        holds_new=False,
        remark="",
        strips=Sparing(owner_uids=(), pod_uids=()),
    )


def _refuse_bare(base: dict[str, str], where: object, gate: Gate) -> None:
    if not base:
        raise RefusedError(
            f"the selector is nothing but {gate.key}={gate.value}: without it the Service would reach every pod of the "
            "namespace",
            where=str(where),
            hint="give the preview Service a selector of its own first, such as the app label of its pods",
        )


def retired(name: GateName, record: Record, task: GateTask, snapshot: Snapshot) -> tuple[GateTask, ...]:
    """The task of taking the key off the preview Service, if it is still there."""
    service = name_of(record.policy)
    if not service or snapshot.service(name.namespace, service) is None:
        return ()
    gate = Gate(key=record.gate.key, value=PREVIEW_VALUE)
    known = _known(task)
    services = find_services([service], name, snapshot)
    _refuse_bare(base_of(services[0].spec.selector or {}, known), services[0].ref, gate)
    nobody = Match(namespace=name.namespace, any_of=())
    return (_bare_task(task, None, known, services, frozenset(), nobody),)
