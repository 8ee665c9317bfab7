"""The proof of a plan: the only way to a :class:`VerifiedPlan`, and so to anything that may be applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from gatekeep.model.endpoints import MANAGED_BY_LABEL, SERVICE_NAME_LABEL, is_gateable
from gatekeep.model.errors import PatchRejectedError
from gatekeep.model.objects import ObjectMeta, Pod, Service
from gatekeep.model.plan import ExistsWait, Plan, Proof, ServiceForecast
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.proof import guards, simulate
from gatekeep.proof.explore import Verdict, Versions, explore
from gatekeep.proof.simulate import Barrier, PodWrites, ServiceKey, ServiceWrites, SimulationError, Timeline
from gatekeep.proof.streams import TooManyPartsError
from gatekeep.proof.words import sentence


@dataclass(frozen=True)
class VerifiedPlan:
    """A plan whose proof holds on a snapshot. Only :func:`verified` makes one."""

    plan: Plan


@dataclass(frozen=True)
class Result:
    """The proof, and the least number of ready endpoints on the way, by Service."""

    proof: Proof
    least_ready: Mapping[ServiceKey, int]


def prove(plan: Plan, snapshot: Snapshot, *, exact: bool = True) -> Result:
    """Explores every reachable state of ``plan`` on what it assumes of ``snapshot``.

    ``exact`` False allows for pods that came or went since the plan was made; they are not the plan's fault.
    """
    if problem := _shape_problem(plan):
        return _refuted(problem)
    try:
        base = simulate.assumed(plan, snapshot)
    except (PatchRejectedError, TypeError) as error:
        return _refuted(f"a patch is not one that may be applied to pods: {error}")
    if problem := guards.problems(plan, base):
        return _refuted(problem)
    try:
        timeline = simulate.replay(plan, base)
    except SimulationError as error:
        return _refuted(str(error))
    if problem := _claims_problem(plan, base, timeline, exact=exact):
        return _refuted(problem)
    try:
        return _explore_all(plan, base, timeline)
    except TooManyPartsError:
        return _refuted("a step has more kinds of pods than can be explored; split the policy into several gates")


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
    pods = tuple(_relabelled(pod, timeline.labels[pod.uid]) for pod in snapshot.pods)
    return Snapshot(
        identity=snapshot.identity,
        pods=pods,
        services=tuple(timeline.services.values()),
        workloads=snapshot.workloads,
        nodes=snapshot.nodes,
        config_maps=snapshot.config_maps,
        missing=snapshot.missing,
    )


def _relabelled(pod: Pod, labels: Mapping[str, str]) -> Pod:
    if labels is pod.labels:
        return pod
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, labels=labels))


def _refuted(reason: str) -> Result:
    return Result(Proof(holds=False, states=0, counter_example=reason), {})


def _shape_problem(plan: Plan) -> str | None:
    """Steps are told apart by their numbers, here and on the way, so these must be the order in which they stand."""
    for number, step in enumerate(plan.steps, 1):
        if step.number != number:
            return f"step {step.number} stands where step {number} should"
        if (step.action == "Wait") != (step.wait is not None) or (step.wait and step.changes):
            return f"step {step.number} must be either a wait or a write"
    return None


def _claims_problem(plan: Plan, snapshot: Snapshot, timeline: Timeline, *, exact: bool) -> str | None:
    """The plan must say truly whom it labels, where it starts and where it ends."""
    if exact and (problem := _unnamed_problem(plan, snapshot, timeline)):
        return problem
    for claim in plan.services:
        service = snapshot.service(claim.namespace, claim.name)
        final = timeline.services.get((claim.namespace, claim.name))
        if service is None or final is None:
            return f"Service {claim.namespace}/{claim.name} does not exist"
        ready = snapshot.ready_uids(service)
        alive = frozenset(pod.name for pod in snapshot.pods_in(claim.namespace) if pod.uid in ready)
        before = _ready_names(service, snapshot, {})
        after = _ready_names(final, snapshot, timeline.labels)
        for word, said, found in (("starts", claim.before, before), ("ends", claim.after, after)):
            if not _agrees(frozenset(said), found, claim, alive, exact=exact):
                return (
                    f"the plan says that Service {claim.namespace}/{claim.name} {word} with {len(said)} ready pods, "
                    f"but it {word} with {len(found)}"
                )
    return _silence_problem(plan, snapshot, timeline)


def _unnamed_problem(plan: Plan, snapshot: Snapshot, timeline: Timeline) -> str | None:
    named = {step.number: {change.uid for change in step.changes} for step in plan.steps if step.match}
    for moment in timeline.moments:
        if isinstance(moment, PodWrites) and moment.step in named:
            others = moment.labels.keys() - named[moment.step]
            if others:
                pods = sorted(str(pod.ref) for pod in snapshot.pods if pod.uid in others)
                return f"step {moment.step} does not name {pods[0]}, which its match would label"
    return None


def _silence_problem(plan: Plan, snapshot: Snapshot, timeline: Timeline) -> str | None:
    """A Service whose rotation the plan changes must be named in it."""
    named = {(claim.namespace, claim.name) for claim in plan.services}
    for service in _touched(snapshot, timeline):
        key = (service.namespace, service.name)
        final = timeline.services.get(key)
        if key in named or final is None:
            continue
        before, after = (_ready_names(service, snapshot, {}), _ready_names(final, snapshot, timeline.labels))
        if before != after:
            return (
                f"the plan changes the ready pods of Service {key[0]}/{key[1]} from {len(before)} to {len(after)} "
                "and does not say so"
            )
    return None


def _agrees(
    said: frozenset[str], found: frozenset[str], claim: ServiceForecast, alive: frozenset[str], *, exact: bool
) -> bool:
    """Without ``exact``, pods that the plan does not know and pods that are gone or not ready by now do not count."""
    if exact:
        return said == found
    known = frozenset(claim.before) | frozenset(claim.after)
    return said & alive <= found and found & known <= said


def _ready_names(service: Service, snapshot: Snapshot, labels: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    ready = snapshot.ready_uids(service)
    return frozenset(
        pod.name
        for pod in snapshot.pods_in(service.namespace)
        if pod.uid in ready and matches_map(service.spec.selector, labels.get(pod.uid, pod.labels))
    )


def _explore_all(plan: Plan, snapshot: Snapshot, timeline: Timeline) -> Result:
    floors = {(item.namespace, item.name): item.floor for item in plan.services}
    states = 0
    least: dict[ServiceKey, int] = {}
    for service in _touched(snapshot, timeline):
        key = (service.namespace, service.name)
        for verdict in _explore_one(service, floors.get(key, 1), snapshot, timeline):
            states += verdict.states
            if verdict.least is not None:
                least.setdefault(key, verdict.least)
            if verdict.violation is not None:
                text = sentence(verdict.violation, verdict.classes)
                return Result(Proof(holds=False, states=states, counter_example=text), least)
    return Result(Proof(holds=True, states=states), least)


def _touched(snapshot: Snapshot, timeline: Timeline) -> Iterable[Service]:
    """Every Service that an edited label or selector can move, named by the plan or not."""
    edited: set[str] = set()
    patched: set[ServiceKey] = set()
    original = {pod.uid: pod.labels for pod in snapshot.pods}
    for moment in timeline.moments:
        if isinstance(moment, PodWrites):
            for uid, labels in moment.labels.items():
                edited.update(key for key, _ in labels.items() ^ original[uid].items())
        if isinstance(moment, ServiceWrites):
            patched.update(moment.services)
    for service in sorted(snapshot.services, key=lambda item: (item.namespace, item.name)):
        key = (service.namespace, service.name)
        selectors = set(service.spec.selector or {})
        helper = guards.are_helper_labels(service.metadata.labels)  # serves nobody, whichever gate it is of
        if is_gateable(service) and not helper and (key in patched or selectors & edited):
            yield service


def _explore_one(service: Service, floor: int, snapshot: Snapshot, timeline: Timeline) -> Iterable[Verdict]:
    """The whole Service first, then each node where a Local traffic policy makes nodes matter."""
    versions = _in_play(service, snapshot, timeline)
    if versions[service.namespace, service.name][max(versions[service.namespace, service.name])] is None:
        return
    pods = snapshot.pods_in(service.namespace)
    ready = {
        key: snapshot.ready_uids(item)
        for key, steps in versions.items()
        if (item := next((found for found in steps.values() if found), None))
    }
    before, after = _edges(service, versions, pods, timeline, ready[service.namespace, service.name])
    required = max(min(len(before), len(after)), min(floor, len(before)))
    slices = _slices(service, snapshot)
    newborn = tuple(_newborn(snapshot, service.namespace))
    yield explore(service, timeline, pods, versions, ready, required=required, slices=slices, newborn=newborn)
    if not _is_local(service):
        return
    for node in sorted({pod.spec.node_name for pod in before}):
        local = [pod for pod in pods if pod.spec.node_name == node]
        yield explore(service, timeline, local, versions, ready, required=1, slices=slices, node=node)


def _edges(
    service: Service, versions: Versions, pods: Sequence[Pod], timeline: Timeline, ready: frozenset[str]
) -> tuple[tuple[Pod, ...], tuple[Pod, ...]]:
    steps = versions[service.namespace, service.name]
    final = steps[max(steps)] or service
    alive = [pod for pod in pods if pod.uid in ready]
    return (
        tuple(pod for pod in alive if matches_map(service.spec.selector, pod.labels)),
        tuple(pod for pod in alive if matches_map(final.spec.selector, timeline.labels[pod.uid])),
    )


def _in_play(service: Service, snapshot: Snapshot, timeline: Timeline) -> Versions:
    """The Service, its helpers (whoever is asked about one of its selectors) and the markers, after each step."""
    key = (service.namespace, service.name)
    found: dict[ServiceKey, dict[int, Service | None]] = {key: {0: service}}
    _record(found[key], key, timeline)
    selectors = [item.spec.selector for item in found[key].values() if item]
    for moment in timeline.moments:
        if not isinstance(moment, Barrier):
            continue
        name = (moment.wait.namespace, moment.wait.service)
        helpful = isinstance(moment.wait, ExistsWait) or dict(moment.wait.selector) in selectors
        if name in found or not helpful:
            continue
        found[name] = {0: snapshot.service(*name)}
        _record(found[name], name, timeline)
    return found


def _record(steps: dict[int, Service | None], key: ServiceKey, timeline: Timeline) -> None:
    for moment in timeline.moments:
        if isinstance(moment, ServiceWrites) and key in moment.services:
            steps[moment.step] = moment.services[key]


def _slices(service: Service, snapshot: Snapshot) -> int:
    return sum(
        1
        for item in snapshot.slices
        if item.metadata.namespace == service.namespace
        and item.metadata.labels.get(SERVICE_NAME_LABEL) == service.name
        and MANAGED_BY_LABEL in item.metadata.labels
        and item.endpoints
    )


def _newborn(snapshot: Snapshot, namespace: str) -> Iterable[Pod]:
    """What the adversary may let be born at any time: one pod of each template, with the template's labels only."""
    for workload in snapshot.workloads_in(namespace):
        labels = workload.spec.template.metadata.labels
        if labels:
            yield Pod(metadata=ObjectMeta(name=f"newborn of {workload.ref}", namespace=namespace, labels=labels))


def _is_local(service: Service) -> bool:
    spec = service.spec
    outside = spec.type in ("NodePort", "LoadBalancer") and spec.external_traffic_policy == "Local"
    return outside or spec.internal_traffic_policy == "Local"
