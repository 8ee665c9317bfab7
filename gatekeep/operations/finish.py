"""From courses to a plan: steps, findings, the revert forecast, the proof and the way back put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from gatekeep.gitops.forecast import forecast
from gatekeep.gitops.templates import Manifests, TemplateChange, forecast_templates
from gatekeep.model.plan import ClusterSource, Finding, Plan, Proof, Source, sealed
from gatekeep.model.record import Record
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.way_back import way_back_problem
from gatekeep.planning import explain
from gatekeep.planning.planner import PlanDraft, draft_plan
from gatekeep.planning.task import GateCourse, GateTask
from gatekeep.planning.templates import to_change
from gatekeep.proof.verify import prove, with_proof

_RANK = {"error": 0, "warning": 1, "info": 2}


def finish(
    pairs: Sequence[tuple[GateCourse, Record | None]],
    snapshot: Snapshot,
    *,
    source: Source | None = None,
    findings: Sequence[Finding] = (),
    manifests: Manifests = (),
    expires_at: str | None = None,
) -> Plan:
    """The plan of all courses with its findings, its proof and its id."""
    draft = draft_plan(pairs, snapshot)
    explained = [item for course, record in pairs for item in explain.findings(course, record, snapshot)]
    found = [*explained, *_forecasts(draft, [course.task for course, _ in pairs], snapshot, manifests), *findings]
    plan = Plan(
        source=source or Source(),
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
    if problem and any(course.legs[0].task.unsettled for course, _ in pairs):
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
