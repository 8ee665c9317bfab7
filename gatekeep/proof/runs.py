"""What a plan says of a run: how far it will have come, after which step, and what it measures on the way.

Nothing of it moves traffic. But it goes into the record, and the next plan begins where the record says: so a plan may
not skip a pause, leave out a check, or ask for less than its policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import msgspec

from gatekeep.model.durations import seconds_in
from gatekeep.model.plan import GateTarget, Plan
from gatekeep.model.policy import CanaryStep, PrometheusCheck, TrafficGate
from gatekeep.model.progress import Progress
from gatekeep.model.record import Record
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import CheckWait
from gatekeep.proof.gates import policy_of, recorded, reference
from gatekeep.proof.shape import LONGEST_WAIT_SECONDS

Passed = Sequence[tuple[int, str]]
"""The checks that the steps of one gate wait for: number of the step, and name."""


def problem_of(plan: Plan, snapshot: Snapshot) -> str | None:
    """What a gate of ``plan`` says of its run and cannot be; None when all may be so."""
    policies = {reference(gate): policy_of(gate) for gate in plan.gates}
    passed: dict[str, list[tuple[int, str]]] = {}
    for step in plan.steps:
        if isinstance(step.wait, CheckWait):
            passed.setdefault(step.policy, []).append((step.number, step.wait.name))
            if problem := _check_problem(step.wait, policies.get(step.policy)):
                return f"step {step.number}: {problem}"
    for gate in plan.gates:
        name = reference(gate)
        problem = _stages_problem(gate, len(plan.steps)) or _identity_problem(gate, policies[name], snapshot)
        problem = (
            problem
            or _clock_problem(gate, snapshot)
            or _course_problem(gate, policies[name], passed.get(name, ()), snapshot)
        )
        if problem:
            return f"{name} {problem}"
    return None


def _check_problem(wait: CheckWait, policy: TrafficGate | None) -> str | None:
    """It is the policy's check of that name, and asks for no less."""
    checks = {item.name: item.prometheus for item in policy.spec.checks} if policy is not None else {}
    wanted = checks.get(wait.name)
    if wanted is None:
        return f"the policy of its gate has no check {wait.name}"
    if wait.query != wanted.query:
        return f"the check {wait.name} asks another query than its policy"
    for word, said, asked in (("max", wait.max, wanted.max), ("min", wait.min, wanted.min)):
        if (None if said is None else Decimal(said)) != asked:
            return f"the check {wait.name} has {word} {said}, its policy {asked}"
    for word, number, right in _times(wait, wanted):
        if number != right:
            return f"the check {wait.name} has {word} {number}, its policy {right}"
    return None


def _times(wait: CheckWait, wanted: PrometheusCheck) -> Iterable[tuple[str, int, int]]:
    yield "for", wait.for_seconds, seconds_in(wanted.for_) or 0
    yield "interval", wait.interval_seconds, seconds_in(wanted.interval) or 1
    yield "failures", wait.failures, wanted.failures
    yield "timeout", wait.timeout_seconds, min(seconds_in(wanted.timeout) or 1, LONGEST_WAIT_SECONDS)


def is_recorded(gate: GateTarget, record: Record | None) -> bool:
    """The run of the very policy stands there now, or some run began there under it, and an undo leads back to it.

    An undo makes it part of the run that there is now, so its ``run`` may be another.
    """
    policy, then = policy_of(gate), gate.progress
    if record is None or policy is None or then is None:
        return False
    if then == record.progress and _is_of(record, policy):
        return True
    begun = [run.before for run in record.runs if run.before is not None and run.before.policy is not None]
    return any(
        item.progress is not None
        and item.policy is not None
        and item.policy.spec == policy.spec
        and msgspec.structs.replace(item.progress, run=then.run) == then
        for item in begun
    )


def _is_of(record: Record, policy: TrafficGate) -> bool:
    """What is recorded of a run is of this policy: as it was applied, or is under way."""
    return any(item is not None and item.spec == policy.spec for item in (record.policy, record.wanted))


def _stages_problem(gate: GateTarget, last: int) -> str | None:
    """Stages follow each other as the steps do, and lead to where the run will be."""
    end = gate.progress
    if end is None:
        return "says how far its run comes on the way, and not where it ends" if gate.stages else None
    if not end.run or end.step < 0:
        return f"has come to step {end.step} of the run {end.run!r}, which is none"
    through, step = 0, 0
    for stage in gate.stages:
        found = stage.progress
        if not max(through, 1) <= stage.through <= last:
            return f"has a stage after step {stage.through}, behind one after step {through}; the plan has {last} steps"
        if (found.run, found.phase) != (end.run, "Running"):
            return f"is in another run, or at its end, after step {stage.through}"
        if not step <= found.step <= end.step:
            return f"has done {found.step} steps of its run after step {stage.through}, {step} before, {end.step} then"
        if found.step == step and 0 < through < stage.through:
            return f"takes no step of its run between the steps {through} and {stage.through} of the plan"
        through, step = stage.through, found.step
    return None


def _identity_problem(gate: GateTarget, policy: TrafficGate | None, snapshot: Snapshot) -> str | None:
    """A run is of one policy: another one's says nothing of how far this has come."""
    end, record = gate.progress, recorded(gate, snapshot)
    if policy is None:
        return None
    canary = policy.spec.rotation.canary
    if end is None:
        return "does not say how far the run of its canary comes" if canary is not None and canary.steps else None
    former = next((item.former for item in (end, *(stage.progress for stage in gate.stages)) if item.former), "")
    if former and policy.spec.rotation.blue_green is None:
        return f"says that {former} was active before, and its policy has no colours"
    known = record.progress if record is not None else None
    if record is None or known is None or known.run != end.run or _is_of(record, policy) or is_recorded(gate, record):
        return None
    return "goes on with the recorded run, which is of another policy"


def _clock_problem(gate: GateTarget, snapshot: Snapshot) -> str | None:
    """A timed pause counts from ``since``: only the run says when that is. What was recorded keeps its time."""
    found: list[Progress] = [stage.progress for stage in gate.stages]
    if gate.progress is not None and not is_recorded(gate, recorded(gate, snapshot)):
        found.append(gate.progress)
    dated = next((item for item in found if item.since), None)
    return f"says that its run came to step {dated.step} at {dated.since}; a plan knows no time" if dated else None


def _course_problem(gate: GateTarget, policy: TrafficGate | None, passed: Passed, snapshot: Snapshot) -> str | None:
    """The steps of a canary are taken one after the other: no further than to the next pause, and no check untaken."""
    canary = policy.spec.rotation.canary if policy is not None else None
    steps, end = canary.steps if canary is not None else None, gate.progress
    if gate.stages and not steps:
        return "comes from stage to stage, and its policy has no steps"
    if not steps or end is None:
        return None
    if end.step > len(steps):
        return f"has done {end.step} steps of its canary, which has {len(steps)}"
    if end.phase == "Paused" and (end.step == len(steps) or steps[end.step].pause is None):
        return f"pauses after {end.step} steps of its canary, and no pause comes then"
    if end.phase == "Done" and end.step < len(steps):
        return f"is done after {end.step} of the {len(steps)} steps of its canary"
    record = recorded(gate, snapshot)
    if end.phase == "Aborted" or (not gate.stages and is_recorded(gate, record)):
        return None  # it goes back, or stays
    known = record.progress if record is not None else None
    begun = known is not None and known.run == end.run
    start = known.step if known is not None and begun and known.phase != "Aborted" and known.step <= end.step else 0
    return _pause_problem(steps, start + begun, end.step) or _untaken(gate, steps, start, passed)


def _pause_problem(steps: Sequence[CanaryStep], start: int, end: int) -> str | None:
    """The pause at which the run stands may be over; that of no other can be."""
    skipped = next((number for number in range(start, end) if steps[number].pause is not None), None)
    return f"goes past the pause that is step {skipped + 1} of its canary" if skipped is not None else None


def _untaken(gate: GateTarget, steps: Sequence[CanaryStep], start: int, passed: Passed) -> str | None:
    """Where a stage says that a check is passed, a step before has waited for it, and in the same order."""
    ends = [(stage.through, stage.progress.step) for stage in gate.stages]
    ends += [(passed[-1][0] if passed else 0, gate.progress.step)] if gate.progress is not None else []
    taken = 0
    for number in range(start, max((step for _, step in ends), default=start)):
        name = steps[number].check
        if name is None:
            continue
        last = next(through for through, step in ends if step > number)
        found = next((step for step, check in passed if check == name and taken < step <= last), None)
        if found is None:
            return f"says that the check {name}, step {number + 1} of its canary, is passed, and no step waits for it"
        taken = found
    return None
