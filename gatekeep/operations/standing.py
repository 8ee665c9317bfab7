"""Where the run of a gate stands, read from its record."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from gatekeep.cluster.protocol import Cluster
from gatekeep.execute import history
from gatekeep.model.durations import parse_time, seconds_in
from gatekeep.model.outcomes import GateRun, RunStatus
from gatekeep.model.plan import Plan
from gatekeep.model.policy import Canary, CanaryStep, TrafficGate
from gatekeep.model.progress import Progress
from gatekeep.model.record import GateName
from gatekeep.strategies.runs import weight_at


def strategy_of(policy: TrafficGate) -> str:
    """``pool``, ``canary`` or ``blueGreen``, as the policy writes it."""
    rotation = policy.spec.rotation
    if rotation.canary is not None:
        return "canary"
    return "blueGreen" if rotation.blue_green is not None else "pool"


def run_status(policy: TrafficGate, progress: Progress | None, now: datetime | None) -> RunStatus | None:
    """Where the run of ``policy`` stands; None for a pool, which has no run."""
    rotation = policy.spec.rotation
    found = progress or Progress(run="", phase="Running")
    phase = progress.phase if progress is not None else ""
    if rotation.canary is not None:
        return _canary(rotation.canary, found, phase, now)
    if rotation.blue_green is None:
        return None
    back = found.phase == "Aborted" and found.former in rotation.blue_green.colors
    return RunStatus(
        phase=phase,
        color=found.former if back else rotation.blue_green.active,
        former=rotation.blue_green.active if back else found.former,
        since=found.since,
        age=seconds_since(found.since, now),
        reason=found.reason,
    )


def _canary(canary: Canary, progress: Progress, phase: str, now: datetime | None) -> RunStatus:
    steps = canary.steps or ()
    weight = canary.weight if canary.steps is None else weight_at(steps, progress.step)
    pause = steps[progress.step].pause if phase == "Paused" and progress.step < len(steps) else None
    return RunStatus(
        phase=phase,
        step=min(progress.step, len(steps)),
        steps=len(steps),
        weight=0 if phase == "Aborted" else weight,
        since=progress.since,
        age=seconds_since(progress.since, now),
        pause=seconds_in(pause) if isinstance(pause, str) else None,
        reason=progress.reason,
    )


def checks_ahead(policy: TrafficGate, run: RunStatus) -> tuple[str, ...]:
    """Names of the checks that come before the next pause, once somebody goes on with the run."""
    canary = policy.spec.rotation.canary
    if canary is None or canary.steps is None:
        return ()
    done = {"Paused": run.step + 1, "Aborted": 0}.get(run.phase, run.step)
    return tuple(step.check for step in _to_pause(canary.steps[done:]) if step.check is not None)


def _to_pause(steps: Iterable[CanaryStep]) -> Iterable[CanaryStep]:
    return itertools.takewhile(lambda step: step.pause is None, steps)


def asks_again(plan: Plan, gate: GateName) -> bool:
    """The run of ``gate`` comes to a check before its first pause when it is started again."""
    again = GateRun(namespace=gate.namespace, name=gate.name, strategy="canary", run=RunStatus(phase="Aborted"))
    return gate in gates_asking(plan, [again])


def gates_asking(plan: Plan, runs: Iterable[GateRun]) -> frozenset[GateName]:
    """The gates of ``plan`` whose ``runs`` come to a check before the next pause."""
    policies = {GateName(gate.namespace, gate.name): _policy(gate.policy) for gate in plan.gates}
    return frozenset(
        name for item in runs
        if (policy := policies.get(name := GateName(item.namespace, item.name))) and checks_ahead(policy, item.run)
    )  # fmt: skip


def _policy(document: Mapping[str, Any] | None) -> TrafficGate | None:
    """The plan's copy of the policy; None where it is none, for a document may hold anything."""
    try:
        return msgspec.convert(document, TrafficGate)
    except msgspec.ValidationError:
        return None


def seconds_since(moment: str, now: datetime | None) -> int | None:
    """How long ago that was; None where one of the two is not known."""
    then = parse_time(moment) if moment else None
    return None if then is None or now is None else int((now - then).total_seconds())


def seconds_between(start: str, end: str) -> int | None:
    """How long it took; None where one of the two is not known."""
    return seconds_since(start, parse_time(end) if end else None)


def standing_runs(cluster: Cluster, plan: Plan) -> tuple[GateRun, ...]:
    """Where the runs of the plan's gates stand now, by their records; a gate without a run is left out."""
    found = []
    for gate in plan.gates:
        if gate.progress is None:
            continue
        record, _ = history.read(cluster, GateName(gate.namespace, gate.name))
        if record is None:
            continue
        policy = record.wanted or record.policy
        run = run_status(policy, record.progress, cluster.clock.now())
        if run is not None:
            found.append(GateRun(namespace=gate.namespace, name=gate.name, strategy=strategy_of(policy), run=run))
    return tuple(found)
