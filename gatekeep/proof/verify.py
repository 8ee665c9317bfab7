"""The proof of a plan: the only way to a :class:`VerifiedPlan`, and so to anything that may be applied."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import msgspec

from gatekeep.model.endpoints import is_local
from gatekeep.model.errors import PatchRejectedError
from gatekeep.model.objects import Service
from gatekeep.model.plan import Plan, Proof
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.proof import (
    bindings,
    claims,
    guards,
    holds,
    isolations,
    previews,
    remembered,
    runs,
    shape,
    simulate,
    targets,
    weights,
    workloads,
)
from gatekeep.proof.admissions import with_admission
from gatekeep.proof.explore import Verdict, explore
from gatekeep.proof.previews import Previews
from gatekeep.proof.scope import in_play, newborn, slices_of, touched
from gatekeep.proof.simulate import ServiceKey, SimulationError, Timeline
from gatekeep.proof.streams import TooManyPartsError
from gatekeep.proof.words import sentence

MALFORMED = "the document is malformed"
NO_NODES: Mapping[ServiceKey, frozenset[str]] = MappingProxyType({})


@dataclass(frozen=True)
class Allowance:
    """What need not keep an endpoint: nodes of a Service with a Local traffic policy, and preview Services.

    ``stages`` are the steps after which a Service has come to a rotation of its own, on the way to the last.
    """

    nodes: Mapping[ServiceKey, frozenset[str]]
    previews: Previews
    stages: Mapping[ServiceKey, tuple[int, ...]]


@dataclass(frozen=True)
class VerifiedPlan:
    """A plan whose proof holds on a snapshot. Only :func:`verified` makes one."""

    plan: Plan


@dataclass(frozen=True)
class Result:
    """The proof, and the least number of ready endpoints on the way, by Service."""

    proof: Proof
    least_ready: Mapping[ServiceKey, int]


def prove(
    plan: Plan,
    snapshot: Snapshot,
    *,
    exact: bool = True,
    may_empty: Mapping[ServiceKey, frozenset[str]] = NO_NODES,
    preview: Previews | None = None,
) -> Result:
    """Explores every reachable state of ``plan`` on what it assumes of ``snapshot``.

    ``exact`` False is for a document that comes from elsewhere. It allows for pods that came or went since the plan was
    made (they are not the plan's fault), and asks that everything in it belongs to its gates.
    ``may_empty`` names nodes of a Service with a Local traffic policy that need not keep an endpoint: on the way back,
    those that had none. ``preview`` are the preview Services (``previews_of``) where the plan's own gates do not say
    so: the way back has none, and leads back through those of the plan it is for.
    """
    try:
        found = previews.previews_of(plan, snapshot) if preview is None else preview
        return _proved(plan, snapshot, Allowance(may_empty, found, _stages_of(plan)), exact=exact)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        if exact:
            raise
        return _refuted(f"{MALFORMED}: {type(error).__name__}: {error}")  # it came from elsewhere: refuse, never crash


def _proved(plan: Plan, snapshot: Snapshot, allowed: Allowance, *, exact: bool) -> Result:
    if problem := shape.problem_of(plan) or bindings.problem_of(plan):
        return _refuted(problem)
    try:
        # A plan made of this very snapshot may assume nothing else; of a document, ``drift`` says what has changed.
        base = snapshot if exact else simulate.assumed(plan, snapshot)
    except (PatchRejectedError, TypeError) as error:
        return _refuted(f"a patch is not one that may be applied to pods: {error}")
    if problem := guards.problems(plan, base) or previews.problem_of(plan, base) or runs.problem_of(plan, base):
        return _refuted(problem)
    if problem := None if exact else targets.problem_of(plan, base):
        return _refuted(problem)
    try:
        timeline = simulate.replay(plan, base)
    except SimulationError as error:
        return _refuted(str(error))
    for look in (isolations.problem_of, remembered.problem_of, weights.problem_of):
        if problem := look(plan, base, timeline, exact=exact):
            return _refuted(problem)
    if problem := claims.problem_of(plan, base, timeline, exact=exact):
        return _refuted(problem)
    try:
        result = _explore_all(plan, base, timeline, allowed)
        later = workloads.explore(plan, base, timeline)
    except TooManyPartsError:
        return _refuted("a step has more kinds of pods than can be explored; split the policy into several gates")
    problem = later.problem or holds.problem_of(plan, base, timeline)
    if result.proof.holds and problem is None:
        problem = claims.waits_problem(plan, base, timeline, exact=exact)
    if not result.proof.holds or problem is None:
        proof = msgspec.structs.replace(result.proof, states=result.proof.states + later.states)
        return replace(result, proof=proof)
    return _refuted(problem)


def _stages_of(plan: Plan) -> Mapping[ServiceKey, tuple[int, ...]]:
    return {
        (gate.namespace, name): tuple(stage.through for stage in gate.stages)
        for gate in plan.gates
        for name in gate.services
    }


def verified(plan: Plan, snapshot: Snapshot, *, exact: bool = True) -> VerifiedPlan | Proof:
    """The plan as one that may be applied, or the proof that it may not."""
    result = prove(plan, snapshot, exact=exact)
    if not result.proof.holds:
        return result.proof
    return VerifiedPlan(plan)


def with_proof(plan: Plan, result: Result) -> Plan:
    """The plan with its verdict and the least ready endpoints filled in."""
    services = tuple(
        msgspec.structs.replace(item, least_ready=result.least_ready.get((item.namespace, item.name), len(item.before)))
        for item in plan.services
    )
    return msgspec.structs.replace(plan, proof=result.proof, services=services)


def final_snapshot(plan: Plan, snapshot: Snapshot) -> Snapshot:
    """The snapshot as it is once the plan is carried out. Raises :class:`SimulationError`."""
    timeline = simulate.replay(plan, simulate.assumed(plan, snapshot))
    found = snapshot.relabelled(timeline.labels, timeline.services.values())
    workloads = tuple(timeline.workloads[item.uid] for item in snapshot.workloads)
    found = found if workloads == snapshot.workloads else replace(found, workloads=workloads)
    return with_admission(found, plan)


def _refuted(reason: str) -> Result:
    return Result(Proof(holds=False, states=0, counter_example=reason), {})


def _explore_all(plan: Plan, snapshot: Snapshot, timeline: Timeline, allowed: Allowance) -> Result:
    floors = {(item.namespace, item.name): item.floor for item in plan.services}
    states = 0
    least: dict[ServiceKey, int] = {}
    for service in touched(snapshot, timeline):
        key = (service.namespace, service.name)
        for verdict in _explore_one(service, floors.get(key, 1), snapshot, timeline, allowed):
            states += verdict.states
            if verdict.least is not None:
                least.setdefault(key, verdict.least)
            if verdict.violation is not None:
                text = sentence(verdict.violation, verdict.classes)
                return Result(Proof(holds=False, states=states, counter_example=text), least)
    return Result(Proof(holds=True, states=states), least)


def _explore_one(
    service: Service, floor: int, snapshot: Snapshot, timeline: Timeline, allowed: Allowance
) -> Iterable[Verdict]:
    """The whole Service first, then each node where a Local traffic policy makes nodes matter."""
    key = (service.namespace, service.name)
    versions = in_play(service, snapshot, timeline)
    if versions[key][max(versions[key])] is None:
        return
    pods = snapshot.pods_in(service.namespace)
    ready = {
        name: snapshot.ready_uids(item)
        for name, steps in versions.items()
        if (item := next((found for found in steps.values() if found), None))
    }
    before = [pod for pod in pods if pod.uid in ready[key] and matches_map(service.spec.selector, pod.labels)]
    births = tuple(newborn(snapshot, service.namespace, timeline))
    look = functools.partial(
        explore,
        service,
        timeline,
        slices=slices_of(service, snapshot),
        preview=allowed.previews.get(key, frozenset()),
        stages=allowed.stages.get(key, ()),
    )
    yield look(pods, versions, ready, required=min(floor, len(before)), newborn=births)
    if not is_local(service):
        return
    for node in sorted({pod.spec.node_name for pod in before} - allowed.nodes.get(key, frozenset())):
        local = [pod for pod in pods if pod.spec.node_name == node]
        yield look(local, versions, ready, required=1, node=node)
