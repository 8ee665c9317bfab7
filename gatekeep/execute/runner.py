"""Carries out the steps of one plan, in order, and stops at the first surprise.

Every write is guarded by its own ``test`` operations. Helper Services are removed, however the run ends; a workload
that is held still by then is named.
"""

from __future__ import annotations

from typing import NoReturn

from gatekeep.execute import admission, barriers, checks, fields, history, labels, revisions, services, workloads
from gatekeep.execute.barriers import WaitTimeoutError
from gatekeep.execute.context import Context, StoppedError
from gatekeep.execute.resend import resending
from gatekeep.model.durations import timestamp
from gatekeep.model.errors import (
    CheckFailedError,
    GatekeepError,
    IncompleteError,
    NotSettledError,
    SignalledError,
)
from gatekeep.model.events import Note, StepFinished, StepStarted
from gatekeep.model.plan import GateTarget, Plan, Step
from gatekeep.model.progress import Progress
from gatekeep.model.record import GateName
from gatekeep.model.waits import AdmissionWait, CheckWait, DurationWait, FieldWait, RevisionWait


def run(context: Context) -> None:
    """Every step of the plan.

    Raises the failure itself as long as nothing is written; after that :class:`IncompleteError` (steps are left) or
    :class:`NotSettledError` (all is written, only the last wait was not met in time). A :class:`CheckFailedError`
    always comes as itself: it is no accident, and what to do then is known.
    """
    checks.require_askable(context)
    late: WaitTimeoutError | None = None
    context.held.update(workloads.held_before(context.plan))
    for step in context.plan.steps:
        if late is not None and step.action != "Delete":
            continue
        try:
            _take(context, step)
        except WaitTimeoutError as error:
            if _writes_are_left(context.plan, step):
                _stop(context, step, error)
            late = error
        except BaseException as error:
            _stop(context, step, error)
    if late is not None:
        raise NotSettledError(
            f"every step is written, but {late.message}", hint="gatekeep plan shows what is left; " + late.hint
        ) from late


def _take(context: Context, step: Step) -> None:
    context.check()
    clock = context.cluster.clock
    start = clock.monotonic()
    skipped, added = len(context.skipped), len(context.added)
    context.listener(StepStarted(step=step, total=len(context.plan.steps)))
    missing = [name for name in step.requires if name not in context.bound]
    if missing:
        context.listener(Note(message=f"step {step.number} is left out: there is no {', '.join(missing)}"))
    else:
        _act(context, step)
        _reached(context, step)
        context.tell()
    context.listener(
        StepFinished(
            number=step.number,
            seconds=clock.monotonic() - start,
            skipped=tuple(context.skipped[skipped:]),
            added=tuple(context.added[added:]),
            left_out=bool(missing),
        )
    )


def _reached(context: Context, step: Step) -> None:
    """Writes how far a run has come once this step is done, for whoever goes on after this one is killed."""
    for gate in context.plan.gates:
        for stage in gate.stages:
            if stage.through == step.number:
                context.check()
                _record(context, gate, stage.progress)


def _aborted(context: Context, step: Step, error: CheckFailedError) -> None:
    """Whoever comes next takes the canary out; that the run is over must depend on no process and no signal."""
    for gate in context.plan.gates:
        if step.policy == f"TrafficGate {gate.namespace}/{gate.name}" and gate.progress is not None:
            done = [stage.progress.step for stage in gate.stages if stage.through < step.number]
            where = done[-1] if done else _recorded_step(context, gate, gate.progress.run)
            progress = Progress(run=gate.progress.run, phase="Aborted", step=where, reason=error.message)
            _record(context, gate, progress)


def _recorded_step(context: Context, gate: GateTarget, run: str) -> int:
    """Where the run stood when the plan began."""
    record, _ = history.read(context.cluster, GateName(gate.namespace, gate.name))
    return record.progress.step if record and record.progress and record.progress.run == run else 0


def _record(context: Context, gate: GateTarget, progress: Progress) -> None:
    for lock in context.locks:
        lock.keep()
    now = timestamp(context.cluster.clock.now())
    history.advance(context.cluster, GateName(gate.namespace, gate.name), progress, now)


def _act(context: Context, step: Step) -> None:
    kinds = {change.kind for change in step.changes}
    match step.action:
        case "Wait" if isinstance(step.wait, CheckWait):  # not resent: that would forget its failures
            checks.await_check(context, step, step.wait)
        case "Wait":
            resending(context.cluster.clock, lambda: _wait(context, step))
        case "Create" if kinds <= admission.KINDS:
            admission.create(context, step)
        case "Create":
            services.create(context, step)
        case "Delete":
            services.delete(context, step)
        case "Patch" if kinds == {"Service"}:
            services.select(context, step)
        case "Patch" if kinds and kinds <= set(workloads.KINDS):
            workloads.change_workloads(context, step)
        case "Patch":
            labels.label(context, step)


def _wait(context: Context, step: Step) -> None:
    match step.wait:
        case FieldWait():
            fields.await_field(context, step, revisions.count_asked(context, step, step.wait))
        case RevisionWait():
            revisions.await_revision(context, step, step.wait)
        case AdmissionWait():
            admission.await_admission(context, step, step.wait)
        case DurationWait():
            fields.await_duration(context, step.wait)
        case _:
            barriers.wait_for(context, step)


def _writes_are_left(plan: Plan, step: Step) -> bool:
    """Removing a helper Service changes nothing for anybody; to go without a policy does."""
    return any(
        step.action != "Delete" or change.kind in admission.KINDS
        for step in plan.steps[step.number :]
        for change in step.changes
    )


def _stop(context: Context, step: Step, error: BaseException) -> NoReturn:
    """Removes the helpers and says what is done, what is left, and the way on and back."""
    services.remove_helpers(context)
    context.tell()
    if isinstance(error, CheckFailedError):
        _aborted(context, step, error)
        raise error
    if not context.wrote:
        if isinstance(error, StoppedError):
            raise SignalledError(error.signal_number) from error
        raise error
    left = len(context.plan.steps) - step.number + 1
    done = f"stopped at step {step.number}, {left} of {len(context.plan.steps)} steps are left"
    hint = f"the state is safe as it is{_held(context)}: run the same command again to go on"
    raise IncompleteError(f"{done}: {_reason(error)}", hint=hint) from error


def _held(context: Context) -> str:
    """What the run leaves held still, and what that means."""
    if not context.held:
        return ""
    names = ", ".join(f"{ref} is {words}" for ref, words in sorted(context.held.items()))
    return f" ({names}: nothing restarts because of that, and no rollout of it runs until a run has gone on)"


def _reason(error: BaseException) -> str:
    match error:
        case GatekeepError():
            return str(error)
        case KeyboardInterrupt():
            return "interrupted"
        case Exception():
            return f"a bug in gatekeep, please report it: {type(error).__name__}: {error}"
        case _:
            raise error
