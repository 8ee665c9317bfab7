"""promote, abort and undo: plans that move a run by the record alone. Git stays the desired state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import ManagedFieldsEntry, ObjectRef
from gatekeep.model.plan import Plan
from gatekeep.model.record import Beginning, GateName, Record, Run, records_in
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.workloads import FIELD_MANAGER
from gatekeep.operations.finish import finish
from gatekeep.operations.plan import require_record
from gatekeep.planning.courses import gate_course, retire_course
from gatekeep.planning.task import GateCourse, Wanted, is_unsettled

DONE = "done"


def plan_promotion(gate: GateName, snapshot: Snapshot, *, timeout_seconds: int = 300) -> Plan:
    """The plan that ends the pause at which the run stands, starts an aborted run again, or admits held pods.

    Raises :class:`RefusedError` when there is nothing to promote.
    """
    record = require_record(gate, snapshot)
    wanted = Wanted(policy=record.wanted or record.policy, move="promote")
    return finish([(gate_course(wanted, record, snapshot, timeout_seconds), record)], snapshot)


def plan_abort(gate: GateName, snapshot: Snapshot, *, reason: str = "", timeout_seconds: int = 300) -> Plan:
    """The plan that returns to the stable state: weight 0, the former colour, or where a pool's unfinished run began.

    Raises :class:`RefusedError` when there is nothing to abort.
    """
    record = require_record(gate, snapshot)
    policy = record.wanted or record.policy
    if policy.spec.rotation.pool is not None and is_unsettled(record) and record.runs and record.runs[0].before:
        course = _back_to(gate, record.runs[0].before, record, snapshot, timeout_seconds)
    else:
        wanted = Wanted(policy=policy, move="abort", reason=reason or "aborted by hand")
        course = gate_course(wanted, record, snapshot, timeout_seconds)
    return finish([(course, record)], snapshot)


def plan_undo(run_id: str, snapshot: Snapshot, *, namespace: str | None = None, timeout_seconds: int = 300) -> Plan:
    """The plan back to where a run began, for every gate that the run was for.

    Raises :class:`RefusedError` when no such run is recorded, and where a selector or a template is not as the last run
    left it, naming who changed it.
    """
    records = {gate: record for gate, record in records_in(snapshot).items() if namespace in (None, gate.namespace)}
    found = _runs_of(run_id, records)
    pairs = []
    for gate, run in found:
        record = records[gate]
        _refuse_changed(gate, record, snapshot)
        if run.before is None:
            raise RefusedError(
                f"run {run.id} does not say where it began: an older gatekeep wrote it", where=f"TrafficGate {gate}"
            )
        pairs.append((_back_to(gate, run.before, record, snapshot, timeout_seconds), record))
    return finish(pairs, snapshot)


def _runs_of(run_id: str, records: Mapping[GateName, Record]) -> list[tuple[GateName, Run]]:
    found = [(gate, run) for gate, record in sorted(records.items()) for run in record.runs if run.id == run_id]
    if not found:
        raise RefusedError(f"no run {run_id} is recorded", hint="gatekeep history lists the runs that are")
    return found


def _back_to(gate: GateName, before: Beginning, record: Record, snapshot: Snapshot, timeout_seconds: int) -> GateCourse:
    """The course back; where no gate stood before, that of taking it off."""
    if before.policy is None:
        return retire_course(gate, record, snapshot, timeout_seconds)
    wanted = Wanted(policy=before.policy, move="undo", back_to=before)
    return gate_course(wanted, record, snapshot, timeout_seconds)


def _refuse_changed(gate: GateName, record: Record, snapshot: Snapshot) -> None:
    """What the last run left must still be so; a run that did not end left nothing whole."""
    last = record.runs[0]
    if last.outcome != DONE:
        return
    for name, selector in sorted(last.selectors.items()):
        service = snapshot.service(gate.namespace, name)
        live = dict(service.spec.selector or {}) if service is not None else None
        if service is not None and live != dict(selector):
            raise _changed(service.ref, "selector", service.metadata.managed_fields, "f:selector", last)
    for item in record.adopted:
        workload = snapshot.workload_index.get(item.uid)
        if item.by != "Template" or workload is None:
            continue
        if workload.spec.template.metadata.labels.get(item.key) != item.value:
            raise _changed(
                workload.ref, f"template label {item.key}", workload.metadata.managed_fields, "f:template", last
            )


def _changed(ref: ObjectRef, what: str, entries: Sequence[ManagedFieldsEntry], field: str, run: Run) -> RefusedError:
    return RefusedError(
        f"the {what} is not as run {run.id} left it at {run.ended}: {_who(entries, field)} changed it since",
        where=str(ref),
        hint="an undo would overwrite that; apply the policy you want instead",
    )


def _who(entries: Iterable[ManagedFieldsEntry], field: str) -> str:
    """Who wrote the field last, by managedFields; gatekeep itself is not who changed it behind its back."""
    writers = [item for item in entries if field in _spec_of(item) and item.manager != FIELD_MANAGER]
    others = writers or [item for item in entries if item.manager != FIELD_MANAGER and not item.subresource]
    if not others:
        return "somebody (no managedFields say who)"
    last = max(others, key=lambda item: item.time or "")
    return f"{last.manager} ({last.operation}, {last.time or 'no time'})"


def _spec_of(item: ManagedFieldsEntry) -> Mapping[str, Any]:
    found = item.fields_v1.get("f:spec")
    return found if isinstance(found, Mapping) else {}


def failed_gates(plan: Plan, snapshot: Snapshot) -> list[GateName]:
    """The gates whose run a failed check of ``plan`` has aborted: it was to go on, and the record says it is over."""
    records = records_in(snapshot)
    going = [gate for gate in plan.gates if gate.progress is not None and gate.progress.phase != "Aborted"]
    names = [GateName(gate.namespace, gate.name) for gate in going]
    return [name for name in names if name in records and _is_aborted(records[name])]


def _is_aborted(record: Record) -> bool:
    return record.progress is not None and record.progress.phase == "Aborted"
