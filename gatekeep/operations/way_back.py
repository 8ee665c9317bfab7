"""The way back: a plan of its own, by the one general order, with its own barriers and its own proof."""

from __future__ import annotations

from gatekeep.model.errors import RefusedError
from gatekeep.model.plan import ClusterSource, Plan, Proof, Source
from gatekeep.model.record import GateName, records_in
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning.draft import Draft
from gatekeep.planning.planner import draft_plan
from gatekeep.planning.reverse import released, reverse_courses
from gatekeep.planning.task import is_unsettled
from gatekeep.proof.previews import previews_of
from gatekeep.proof.verify import final_snapshot, prove


def way_back(plan: Plan, snapshot: Snapshot, end: Snapshot) -> Plan:
    """The plan that leads from ``end``, where ``plan`` ends, to ``snapshot``, where it began; unproved.

    A pod that the plan releases stays released: its controller has replaced it by then.
    """
    floors = {(item.namespace, item.name): min(item.floor, len(item.before)) for item in plan.services}
    courses = [course for gate in plan.gates for course in reverse_courses(gate, snapshot, end, floors)]
    draft = draft_plan([(course, None) for course in courses], end)
    return Plan(
        source=Source(),
        cluster=ClusterSource(uid=snapshot.identity.uid),
        steps=draft.steps,
        services=draft.services,
        findings=(),
        access=draft.access,
        proof=Proof(holds=False, states=0),
    )


def way_back_problem(plan: Plan, snapshot: Snapshot) -> str | None:
    """Why there is no proved way back from ``plan``; None when there is one."""
    if not plan.writes:
        return None
    end = final_snapshot(plan, snapshot)
    try:
        back = way_back(plan, snapshot, end)
    except RefusedError as error:
        return f"there is no plan back: {error.message}"
    proof = prove(back, end, may_empty=bare_nodes(plan, snapshot), preview=previews_of(plan, snapshot)).proof
    if not proof.holds:
        return f"the plan back is not safe: {proof.counter_example}"
    reached = {(item.namespace, item.name): item.after for item in (*plan.services, *back.services)}
    for item in plan.services:
        service = snapshot.service(item.namespace, item.name)
        before = Draft(snapshot).ready(service, service.spec.selector or {}) if service else ()
        gone = {pod.name for gate in plan.gates for pod in released(gate, snapshot, end)}
        if {*reached[item.namespace, item.name]} - gone != {*before} - gone:
            return f"the plan back does not restore the rotation of Service {item.namespace}/{item.name}"
    return None


def starts_unsettled(plan: Plan, snapshot: Snapshot) -> bool:
    """The plan goes on from a run that did not end: there is nothing whole to go back to, only forward is safe."""
    records = records_in(snapshot)
    return any(is_unsettled(records.get(GateName(gate.namespace, gate.name))) for gate in plan.gates)


def bare_nodes(plan: Plan, snapshot: Snapshot) -> dict[tuple[str, str], frozenset[str]]:
    """The nodes on which each Service of the plan had no ready endpoint to begin with."""
    found = {}
    for item in plan.services:
        service = snapshot.service(item.namespace, item.name)
        held = set(Draft(snapshot).ready(service, service.spec.selector or {})) if service else set()
        pods = snapshot.pods_in(item.namespace)
        used = {pod.spec.node_name for pod in pods if pod.name in held}
        found[item.namespace, item.name] = frozenset(pod.spec.node_name for pod in pods) - used
    return found
