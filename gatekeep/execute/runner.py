"""Carries out the steps of one plan, in order, and stops at the first surprise.

Every write is guarded by its own ``test`` operations. Helper Services are removed, however the run ends.
"""

from __future__ import annotations

from typing import NoReturn

from gatekeep.execute import barriers, labels, services
from gatekeep.execute.barriers import WaitTimeoutError
from gatekeep.execute.context import Context, StoppedError
from gatekeep.execute.floor import check_floor
from gatekeep.execute.resend import resending
from gatekeep.model.errors import GatekeepError, IncompleteError, NotSettledError, SignalledError
from gatekeep.model.events import StepFinished, StepStarted
from gatekeep.model.plan import Plan, Step


def run(context: Context) -> None:
    """Every step of the plan.

    Raises the failure itself as long as nothing is written; after that :class:`IncompleteError` (steps are left) or
    :class:`NotSettledError` (all is written, only the last wait was not met in time).
    """
    late: WaitTimeoutError | None = None
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
    _act(context, step)
    context.listener(
        StepFinished(
            number=step.number,
            seconds=clock.monotonic() - start,
            skipped=tuple(context.skipped[skipped:]),
            added=tuple(context.added[added:]),
        )
    )


def _act(context: Context, step: Step) -> None:
    match step.action:
        case "Wait":
            resending(context.cluster.clock, lambda: barriers.wait_for(context, step))
        case "Create":
            services.create(context, step)
        case "Delete":
            services.delete(context, step)
        case "Patch" if step.changes and all(change.kind == "Service" for change in step.changes):
            services.select(context, step)
        case "Patch":
            check_floor(context, step)
            labels.label(context, step)


def _writes_are_left(plan: Plan, step: Step) -> bool:
    return any(later.changes and later.action != "Delete" for later in plan.steps if later.number > step.number)


def _stop(context: Context, step: Step, error: BaseException) -> NoReturn:
    """Removes the helpers and says what is done, what is left, and the way on and back."""
    services.remove_helpers(context)
    if not context.wrote:
        if isinstance(error, StoppedError):
            raise SignalledError(error.signal_number) from error
        raise error
    left = len(context.plan.steps) - step.number + 1
    done = f"stopped at step {step.number}, {left} of {len(context.plan.steps)} steps are left"
    hint = "the state is safe as it is: run the same command again to go on"
    raise IncompleteError(f"{done}: {_reason(error)}", hint=hint) from error


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
