"""Checks of a canary: a query asked again and again until :mod:`gatekeep.execute.judging` knows."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from gatekeep.execute.barriers import REPORT_SECONDS
from gatekeep.execute.context import Context
from gatekeep.execute.judging import Failed, Passed, Verdict, Waiting, bounds_of, judged, overdue
from gatekeep.metrics.measurement import BadQueryError, Measure, Measurement
from gatekeep.model.errors import CheckFailedError, RefusedError
from gatekeep.model.events import CheckProgress
from gatekeep.model.plan import Plan, Step
from gatekeep.model.waits import CheckWait

_SLICE_SECONDS = 0.5
"""How long locks and signals are not looked at."""

_SHORTEST_INTERVAL_SECONDS = 1


def checks_of(plan: Plan) -> Iterator[CheckWait]:
    """The checks of a plan, in order."""
    return (step.wait for step in plan.steps if isinstance(step.wait, CheckWait))


def require_askable(context: Context) -> None:
    """Before the first write: somebody can be asked, and every bound is a number.

    Raises :class:`RefusedError` or :class:`InvalidInputError`.
    """
    for wait in checks_of(context.plan):
        bounds_of(wait)
        _measure_of(context, wait)


def await_check(context: Context, step: Step, wait: CheckWait) -> None:
    """Returns once the check has passed. Raises :class:`CheckFailedError` when it fails.

    The first question is asked at once, each later one ``intervalSeconds`` after the one before. Time is the cluster's.
    """
    clock, measure = context.cluster.clock, _measure_of(context, wait)
    so_far = Waiting(clock.monotonic())
    deadline = so_far.started + wait.timeout_seconds
    while True:
        asked = clock.monotonic()
        match verdict := _next(context, wait, so_far, asked, measure):
            case Passed():
                return
            case Failed():
                raise _failed(wait, verdict)
        so_far = verdict
        again = asked + max(wait.interval_seconds, _SHORTEST_INTERVAL_SECONDS)
        _pause(context, step, wait, so_far, min(again, deadline))
        if max(again, clock.monotonic()) > deadline:
            raise _failed(wait, overdue(wait, so_far))


def _next(context: Context, wait: CheckWait, so_far: Waiting, asked: float, measure: Measure) -> Verdict:
    """The verdict after one more question, asked at time ``asked``."""
    found = _answer(context, measure, wait.query, so_far.started + wait.timeout_seconds)
    return Failed(found.message) if isinstance(found, BadQueryError) else judged(wait, so_far, asked, found)


def _answer(context: Context, measure: Measure, query: str, deadline: float) -> Measurement | BadQueryError:
    """What was measured. Asked in a thread, so that a slow answer keeps nobody from the locks and from signals.

    The thread is a daemon: it must not outlive the run, whoever it waits for.
    """
    found: list[Measurement | BaseException] = []

    def ask() -> None:
        try:
            found.append(measure(query))
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=ask, name="gatekeep-check", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_SLICE_SECONDS)
        context.check()
        if not found and context.cluster.clock.monotonic() > deadline:
            return Measurement(missing="no answer")
    if isinstance(found[0], Measurement | BadQueryError):
        return found[0]
    raise found[0]


def _pause(context: Context, step: Step, wait: CheckWait, so_far: Waiting, until: float) -> None:
    """Tells how the check stands, at once and then every second, until it is time to ask again."""
    clock, told = context.cluster.clock, float("-inf")
    while True:
        now = clock.monotonic()
        if now - told >= REPORT_SECONDS:
            told = now
            context.listener(_progress(step, wait, so_far, now))
        if now >= until:
            return
        context.check()
        clock.sleep(min(until - now, _SLICE_SECONDS))


def _progress(step: Step, wait: CheckWait, so_far: Waiting, now: float) -> CheckProgress:
    return CheckProgress(
        number=step.number,
        name=wait.name,
        seen=so_far.seen,
        bounds=str(bounds_of(wait)),
        good=so_far.good_seconds,
        needed=wait.for_seconds,
        failures=so_far.failures,
        allowed=wait.failures,
        seconds=now - so_far.started,
    )


def _measure_of(context: Context, wait: CheckWait) -> Measure:
    if context.measure is None:
        raise RefusedError(
            f"check {wait.name} has nobody to ask: no Prometheus was named",
            hint="give --prometheus URL, or set GATEKEEP_PROMETHEUS",
        )
    return context.measure


def _failed(wait: CheckWait, verdict: Failed) -> CheckFailedError:
    return CheckFailedError(
        f"check {wait.name} failed: {verdict.reason}",
        hint=f"look at it in Prometheus: {' '.join(wait.query.split())}",
    )
