"""Plans, made and proved: strategies, planning, the revert forecast and the proof put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath

import msgspec

from gatekeep.gitops.forecast import forecast
from gatekeep.gitops.templates import Manifests, TemplateChange, forecast_templates
from gatekeep.model.errors import RefusedError
from gatekeep.model.plan import (
    ClusterSource,
    Finding,
    Plan,
    PolicySource,
    Proof,
    Source,
    sealed,
)
from gatekeep.model.policy import LocatedPolicy
from gatekeep.model.record import GateName, Record, record_of, records_in
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.way_back import way_back_problem
from gatekeep.planning import explain
from gatekeep.planning.planner import PlanDraft, draft_plan, gate_task, retire_task
from gatekeep.planning.task import GateTask
from gatekeep.planning.templates import to_change
from gatekeep.proof.verify import prove, with_proof

_RANK = {"error": 0, "warning": 1, "info": 2}


def plan_gates(
    policies: Sequence[LocatedPolicy],
    snapshot: Snapshot,
    *,
    timeout_seconds: int = 300,
    revision: str | None = None,
    repository: str | None = None,
    findings: Sequence[Finding] = (),
    manifests: Manifests = (),
    expires_at: str | None = None,
    prune: bool = False,
) -> Plan:
    """The plan that brings all ``policies`` about, with its proof, which may not hold.

    ``findings`` are those of reading the policies; they stand in the plan too. ``manifests`` are what Git
    says beside them. ``prune`` retires the recorded gates of this ``repository`` that no policy names any more. Raises
    :class:`RefusedError` when the cluster is not as a policy needs it.
    """
    pairs: list[tuple[GateTask, Record | None]] = []
    for located in sorted(policies, key=lambda item: (item.policy.namespace, item.policy.name)):
        record = record_of(snapshot, GateName(located.policy.namespace, located.policy.name))
        pairs.append((_task(located, record, snapshot, timeout_seconds), record))
    named = {task.name for task, _ in pairs}
    if prune:
        pairs.extend(_pruned(named, snapshot, repository, timeout_seconds))
    _refuse_shared_services([task for task, _ in pairs])
    source = Source(repository=repository, revision=revision, policies=tuple(_source(located) for located in policies))
    found = (*findings, *_without_policy({task.name for task, _ in pairs}, snapshot, repository))
    return _finish(draft_plan(pairs, snapshot), pairs, snapshot, source, found, manifests, expires_at)


def _pruned(
    named: set[GateName], snapshot: Snapshot, repository: str | None, timeout_seconds: int
) -> Iterable[tuple[GateTask, Record | None]]:
    """The gates whose policy came from this very repository and is not there any more."""
    for gate, record in sorted(records_in(snapshot).items()):
        if gate not in named and repository is not None and record.repository == repository:
            yield retire_task(gate, record, snapshot, timeout_seconds), record


def _without_policy(named: set[GateName], snapshot: Snapshot, repository: str | None) -> Iterable[Finding]:
    """Recorded gates of the same namespaces that no policy names: their policy was deleted, or lies elsewhere."""
    namespaces = {name.namespace for name in named}
    for gate, record in sorted(records_in(snapshot).items()):
        if gate in named or gate.namespace not in namespaces:
            continue
        came = f"Its policy came from {record.repository}. " if record.repository not in (None, repository) else ""
        yield Finding(
            severity="warning",
            rule="gate-without-policy",
            object=f"TrafficGate {gate}",
            message=f"this gate stands in the cluster, but no policy here names it. {came}If its policy was deleted: "
            f"gatekeep retire {gate}, or apply --prune with the --repository that it came from",
        )


def plan_retirement(
    gate: GateName, snapshot: Snapshot, *, timeout_seconds: int = 300, expires_at: str | None = None
) -> Plan:
    """The plan that takes ``gate`` off. Raises :class:`RefusedError` when no record of it exists."""
    record = record_of(snapshot, gate)
    if record is None:
        known = sorted(
            f"{item.metadata.namespace}/{item.metadata.name.removeprefix('gatekeep-')}" for item in snapshot.config_maps
        )
        raise RefusedError(
            f"there is no record of a gate {gate}",
            hint=f"recorded gates: {', '.join(known)}"
            if known
            else "gatekeep status shows the gates that are recorded",
        )
    pairs: list[tuple[GateTask, Record | None]] = [(retire_task(gate, record, snapshot, timeout_seconds), record)]
    return _finish(draft_plan(pairs, snapshot), pairs, snapshot, Source(), (), (), expires_at)


def _task(located: LocatedPolicy, record: Record | None, snapshot: Snapshot, timeout_seconds: int) -> GateTask:
    try:
        return gate_task(located.policy, record, snapshot, timeout_seconds)
    except RefusedError as error:
        where = f"{located.position}: {error.where}" if error.where else str(located.position)
        raise RefusedError(error.message, where=where, hint=error.hint) from error


def _refuse_shared_services(tasks: Sequence[GateTask]) -> None:
    owner: dict[tuple[str, str], GateName] = {}
    for task in tasks:
        for service in task.services:
            other = owner.setdefault((service.namespace, service.name), task.name)
            if other != task.name:
                raise RefusedError(
                    f"two gates, {other} and {task.name}, want the same Service",
                    where=str(service.ref),
                    hint="leave the Service in one policy only",
                )


def _finish(
    draft: PlanDraft,
    pairs: Sequence[tuple[GateTask, Record | None]],
    snapshot: Snapshot,
    source: Source,
    findings: Sequence[Finding],
    manifests: Manifests,
    expires_at: str | None,
) -> Plan:
    explained = [item for task, record in pairs for item in explain.findings(task, record, snapshot)]
    found = [*explained, *_forecasts(draft, [task for task, _ in pairs], snapshot, manifests), *findings]
    plan = Plan(
        source=source,
        cluster=ClusterSource(
            uid=snapshot.identity.uid, server=snapshot.identity.server, version=snapshot.identity.version
        ),
        steps=draft.steps,
        services=draft.services,
        findings=tuple(sorted(found, key=lambda item: (item.rule != "later-pods", _RANK[item.severity]))),
        access=draft.access,
        proof=Proof(holds=False, states=0),
        gates=draft.gates,
        expires_at=expires_at,
    )
    result = prove(plan, snapshot)
    plan = with_proof(plan, result)
    problem = way_back_problem(plan, snapshot) if result.proof.holds else None
    if problem and any(task.unsettled for task, _ in pairs):
        message = f"an earlier run did not end, and this plan can only go on, not back to where it began: {problem}"
        finding = Finding(severity="warning", rule="no-way-back", message=message)
        plan = msgspec.structs.replace(plan, findings=(*plan.findings, finding))
    elif problem:
        proof = Proof(holds=False, states=result.proof.states, counter_example=problem)
        plan = msgspec.structs.replace(plan, proof=proof)
    return sealed(plan)


def _forecasts(
    draft: PlanDraft, tasks: Sequence[GateTask], snapshot: Snapshot, manifests: Manifests
) -> Iterable[Finding]:
    """Who else writes the selectors and templates that the plan writes."""
    patched = {(item.namespace, item.name) for step in draft.steps if step.action == "Patch" for item in step.changes
               if item.kind == "Service"}  # fmt: skip
    for task in tasks:
        services = [item for item in task.services if (item.namespace, item.name) in patched]
        yield from forecast(services, retiring=task.target is None)
        changes = [
            TemplateChange(item, key, task.templates[item.uid, key])
            for key in sorted({key for _, key in task.templates})
            for item in to_change(task.templates, key, task.holds, snapshot)
        ]
        yield from forecast_templates(changes, manifests)


def _source(located: LocatedPolicy) -> PolicySource:
    policy = located.policy
    return PolicySource(
        kind="TrafficGate",
        namespace=policy.namespace,
        name=policy.name,
        file=PurePath(located.position.file).as_posix(),
        line=located.position.line,
        digest=located.digest,
    )
