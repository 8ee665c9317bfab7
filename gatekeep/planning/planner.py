"""Gates and a snapshot in, ordered steps and their forecast out. The proof comes after, from another room."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Pod, Service
from gatekeep.model.plan import Access, GateTarget, Hold, Match, ServiceForecast, Step
from gatekeep.model.policy import Gate, TrafficGate, floor_of
from gatekeep.model.record import GateName, Record, services_of
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning import access, moves, preflight
from gatekeep.planning.admitting import refuse_unknown, wanted_admissions, withdrawn_admissions
from gatekeep.planning.adoption import holds_of
from gatekeep.planning.draft import Draft
from gatekeep.planning.task import GateTask, Sparing, base_of, is_unsettled, known_gates, standing_gates
from gatekeep.planning.templates import (
    adopted_after,
    check_templates,
    former_templates,
    given_by_others,
    still_held,
    to_change,
    wanted_templates,
)
from gatekeep.strategies.rotation import desired_rotation

_KEPT_LIMIT = 1000


@dataclass(frozen=True, kw_only=True)
class PlanDraft:
    """Everything of a plan but its source, its proof and its id."""

    steps: tuple[Step, ...]
    services: tuple[ServiceForecast, ...]
    access: tuple[Access, ...]
    gates: tuple[GateTarget, ...]


def gate_task(policy: TrafficGate, record: Record | None, snapshot: Snapshot, timeout_seconds: int) -> GateTask:
    """The task of bringing one policy about. Raises :class:`RefusedError` when the cluster is not as it needs it."""
    name = GateName(policy.namespace, policy.name)
    services = preflight.find_services(policy.spec.services, name, snapshot)
    preflight.refuse_other_gates(name, services, snapshot)
    known = known_gates(name, policy, record)
    preflight.check_gate(services, policy.gate, known, snapshot)
    bases = [base_of(service.spec.selector or {}, known) for service in services]
    rotation = desired_rotation(policy, bases, snapshot, standing_gates(services, known))
    templates = wanted_templates(policy, rotation.match, bases, record, snapshot)
    holds = {item.uid: item for item in record.holds} if record else {}
    check_templates(templates, known, holds, snapshot)
    admitted = wanted_admissions(policy, rotation.match, snapshot)
    withdrawn = withdrawn_admissions(record, admitted)
    refuse_unknown(name, withdrawn, snapshot)
    spared = _spared(name, policy.gate, record, snapshot)
    return GateTask(
        name=name,
        services=services,
        target=policy.gate,
        known=known,
        members=rotation.members,
        match=rotation.match,
        group=rotation.group,
        remark=rotation.remark,
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


def draft_plan(tasks: Iterable[tuple[GateTask, Record | None]], snapshot: Snapshot) -> PlanDraft:
    """The steps of all tasks, one gate after the other."""
    draft = Draft(snapshot)
    pairs = tuple(tasks)
    for task, _ in pairs:
        draft.delete_leftovers(
            preflight.leftovers(task.name, snapshot),
            reason="remove what an interrupted run left",
            policy=task.reference,
        )
        moves.move(draft, task)
    return PlanDraft(
        steps=tuple(draft.steps),
        services=tuple(_forecast(draft, task, item) for task, _ in pairs for item in task.services),
        access=access.needed(draft.steps),
        gates=tuple(_gate_target(task, record, snapshot) for task, record in pairs),
    )


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


def _gate_target(task: GateTask, record: Record | None, snapshot: Snapshot) -> GateTarget:
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
