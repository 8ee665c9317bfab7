"""How the recorded gates stand, read from one snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gatekeep.model.endpoints import counts_as_ready, is_terminal
from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Pod, Service
from gatekeep.model.outcomes import (
    GateStatus,
    GroupStatus,
    IsolationStatus,
    NodeStatus,
    RunStatus,
)
from gatekeep.model.policy import Group, Rotation
from gatekeep.model.progress import Isolated
from gatekeep.model.record import GateName, Record, records_in, services_of
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.standing import checks_ahead, run_status, seconds_since, strategy_of
from gatekeep.planning.explain import drift_of, recorded_rotation
from gatekeep.planning.task import base_of, gates_on, known_gates, standing_gates
from gatekeep.strategies.question import Question
from gatekeep.strategies.rotation import run_identity


@dataclass(frozen=True, kw_only=True)
class Standing(GateStatus):
    """A status, and what leads on from there.

    ``held`` are names of the pods that wait behind the Services with ``newPods: Hold``, ``checks`` names of those that
    come before the next pause, once somebody goes on.
    """

    held: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()


def gate_statuses(snapshot: Snapshot) -> tuple[Standing, ...]:
    """One status for each recorded gate, by namespace and name."""
    return tuple(_status(name, record, snapshot) for name, record in sorted(records_in(snapshot).items()))


class _Rotation(NamedTuple):
    """Who is in rotation by the Services' selectors, who of them is ready, and who would be without the gate."""

    members: list[Pod]
    ready: frozenset[str]
    candidates: list[Pod]


def _status(name: GateName, record: Record, snapshot: Snapshot) -> Standing:
    names = services_of(record)
    question = _question(name, record, snapshot)
    found = _rotation(name, record, snapshot)
    groups, problems = _groups(question, found)
    last = record.runs[0] if record.runs else None
    drift = drift_of(record, recorded_rotation(record, snapshot), snapshot)
    run = _run(question)
    return Standing(
        namespace=name.namespace,
        name=name.name,
        services=names,
        gate=f"{record.gate.key}={record.gate.value}",
        strategy=strategy_of(question.policy),
        stage=last.outcome if last else "never applied",
        members_ready=len(found.ready),
        members_total=len(found.members),
        candidates=len(found.candidates),
        drift=(*_alarms(name, record, snapshot), *problems, *drift),
        last_run=f"{last.action} {last.id} at {last.started} by {last.by}" if last else "",
        source=str(record.source) if record.source else "",
        run=run,
        groups=groups,
        nodes=_nodes(found),
        isolations=tuple(_isolation(item, name, snapshot) for item in record.isolations),
        held=_held(question, found, run),
        checks=checks_ahead(question.policy, run) if run is not None else (),
    )


def _held(question: Question, found: _Rotation, run: RunStatus | None) -> tuple[str, ...]:
    """Who waits until it is admitted. Pods of a canary are picked by weight, and no stable one is in at 100."""
    rotation = question.policy.spec.rotation
    if run is not None and run.weight == 100:
        return ()
    if question.policy.spec.new_pods != "Hold" or not (question.bases and question.standing):
        return ()
    group = rotation.canary.stable if rotation.canary is not None else rotation.pool or Group()
    inside = {pod.uid for pod in found.members}
    try:
        pods = question.pods(question.match(group))
    except RefusedError:
        return ()
    return tuple(pod.name for pod in pods if pod.uid not in inside and not is_terminal(pod))


def _question(name: GateName, record: Record, snapshot: Snapshot) -> Question:
    """What the strategy of the policy is asked; of a run that did not end, of the policy that it was for."""
    policy = record.wanted or record.policy
    known = known_gates(name, policy, record)
    services = [found for item in policy.spec.services if (found := snapshot.service(name.namespace, item)) is not None]
    return Question(
        policy=policy,
        bases=[base_of(item.spec.selector or {}, known) for item in services],
        snapshot=snapshot,
        standing=standing_gates(services, known),
        progress=record.progress,
        isolated=frozenset(pod.uid for item in record.isolations for pod in item.pods),
    )


def _rotation(name: GateName, record: Record, snapshot: Snapshot) -> _Rotation:
    known = known_gates(name, record.policy, record)
    services = [found for item in services_of(record) if (found := snapshot.service(name.namespace, item)) is not None]
    members = _distinct(pod for item in services for pod in _matched(item, item.spec.selector or {}, snapshot))
    candidates = _distinct(
        pod for item in services for pod in _matched(item, base_of(item.spec.selector or {}, known), snapshot)
    )
    ready = (pod.uid for pod in members if any(counts_as_ready(pod, service) for service in services))
    return _Rotation(members, frozenset(ready), candidates)


def _run(question: Question) -> RunStatus | None:
    """Where the run stands, and whether the next apply goes on with it or begins another one."""
    found = run_status(question.policy, question.progress, question.snapshot.time)
    if found is None or question.progress is None:
        return found
    try:
        outdated = bool(question.bases) and run_identity(question) != question.progress.run
    except RefusedError:
        return found
    return RunStatus(**{**found.__dict__, "outdated": outdated})


def _groups(question: Question, found: _Rotation) -> tuple[tuple[GroupStatus, ...], tuple[str, ...]]:
    """The groups of the strategy with their pods, and what is wrong with a group that cannot be told."""
    counted, problems = [], []
    if not question.bases:
        return (), ()
    for name, group in _named(question.policy.spec.rotation):
        try:
            pods = question.pods(question.match(group))
        except RefusedError as error:
            problems.append(error.message)
            continue
        inside = {pod.uid for pod in found.members} & {pod.uid for pod in pods}
        ready = len(inside & found.ready)
        counted.append(GroupStatus(name=name, members_ready=ready, members_total=len(inside), pods=len(pods)))
    return tuple(counted), tuple(dict.fromkeys(problems))


def _named(rotation: Rotation) -> list[tuple[str, Group]]:
    if rotation.canary is not None:
        return [("stable", rotation.canary.stable), ("canary", rotation.canary.canary)]
    if rotation.blue_green is not None:
        return sorted(rotation.blue_green.colors.items())
    return [("pool", rotation.pool or Group())]


def _nodes(found: _Rotation) -> tuple[NodeStatus, ...]:
    """Members by node; pods that are on no node yet are left out."""
    placed: dict[str, list[Pod]] = {}
    for pod in found.members:
        if pod.spec.node_name:
            placed.setdefault(pod.spec.node_name, []).append(pod)
    return tuple(
        NodeStatus(name=node, members_ready=sum(pod.uid in found.ready for pod in pods), members_total=len(pods))
        for node, pods in sorted(placed.items())
    )


def _isolation(item: Isolated, name: GateName, snapshot: Snapshot) -> IsolationStatus:
    """Whom it holds, of those who still live."""
    alive = {pod.uid for pod in snapshot.pods_in(name.namespace)}
    held = tuple(pod.name for pod in item.pods if pod.uid in alive)
    past = seconds_since(item.expires or "", snapshot.time)
    ended = item.ended or ("" if held else "its pods are gone")
    return IsolationStatus(
        name=item.name,
        mode=item.mode,
        reason=item.reason,
        by=item.by,
        pods=held,
        since=item.since,
        age=seconds_since(item.since, snapshot.time),
        expires=item.expires or "",
        left=None if past is None else -past,
        ended=ended,
    )


def _alarms(name: GateName, record: Record, snapshot: Snapshot) -> Iterable[str]:
    """What a person on call has to know first."""
    for item in services_of(record):
        service = snapshot.service(name.namespace, item)
        if service is None:
            yield f"Service {name.namespace}/{item} is gone"
            continue
        selector = service.spec.selector or {}
        if not any(counts_as_ready(pod, service) for pod in _matched(service, selector, snapshot)):
            yield f"{service.ref} has no ready endpoint"
        if record.wanted is not None and not gates_on(selector, (record.gate, *record.pending)):
            yield f"the last run did not end: no gate stands on {service.ref} yet"


def _matched(service: Service, selector: Mapping[str, str], snapshot: Snapshot) -> Iterable[Pod]:
    return (pod for pod in snapshot.pods_in(service.namespace) if matches_map(selector, pod.labels))


def _distinct(pods: Iterable[Pod]) -> list[Pod]:
    return list({pod.uid: pod for pod in pods}.values())
