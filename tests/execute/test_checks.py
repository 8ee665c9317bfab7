"""Checks in a run, on the embedded cluster: its clock is virtual, and what is measured is made up.

* when it is asked, what is told on the way, and how it ends
* failed: the error comes as itself, also after writes; helpers are gone; nobody who can be asked is refused before
* locks are kept and signals noticed, also while an answer is slow
"""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.execute import checks, lease, runner
from gatekeep.execute.context import Context, Stop, StoppedError
from gatekeep.metrics.measurement import BadQueryError, Measure, Measurement
from gatekeep.model.errors import (
    CheckFailedError,
    GatekeepError,
    IncompleteError,
    InvalidInputError,
    RefusedError,
    SignalledError,
    UnreachableError,
)
from gatekeep.model.events import CheckProgress, Event, ignore
from gatekeep.model.objects import ObjectRef
from gatekeep.model.plan import Plan, Step
from gatekeep.model.record import GateName
from gatekeep.model.waits import CheckWait
from tests.execute.faults import between
from tests.execute.world import LEASE, bare, helpers, wants
from tests.gates import NAMESPACE, gate, with_steps

QUERY = "sum(rate(errors[1m]))"
NONE = Measurement(missing="no data")


def check(**fields: Any) -> CheckWait:
    """At most 0.01 for 30 s, asked every 10; three failures or 100 s fail it."""
    given = {"name": "errors", "query": QUERY, "max": "0.01", "for_seconds": 30, "timeout_seconds": 100}
    return CheckWait(**{**given, **fields})


def value(text: str) -> Measurement:
    return Measurement((Decimal(text),))


class Metrics:
    """Gives the measurements in turn, the last one again and again, and notes when it was asked."""

    def __init__(self, made: EmbeddedCluster, *found: Measurement | Exception) -> None:
        self._clock = made.clock
        self._found = itertools.chain(found, itertools.repeat(found[-1]))
        self._start = made.clock.monotonic()
        self.asked: list[float] = []

    def __call__(self, query: str) -> Measurement:
        assert query == QUERY
        self.asked.append(self._clock.monotonic() - self._start)
        found = next(self._found)
        if isinstance(found, Exception):
            raise found
        return found


def never() -> int | None:
    return None


def step_of(wait: CheckWait) -> Step:
    return Step(1, 1, "Wait", "the canary does well", "TrafficGate dockercoins/rng", wait=wait)


def context_of(
    made: EmbeddedCluster, plan: Plan, measure: Measure | None, events: list[Event] | None = None, stop: Stop = never
) -> Context:
    return Context(made, plan, (events if events is not None else []).append, stop, 1, measure=measure)


def planned(made: EmbeddedCluster, *waits: CheckWait, at: int = 0) -> Plan:
    """The plan of a gate, with checks before the step at index ``at``."""
    plan = wants(gate())(made.snapshot([NAMESPACE]))
    return with_steps(plan, (*plan.steps[:at], *map(step_of, waits), *plan.steps[at:]))


def run(made: EmbeddedCluster, wait: CheckWait, measure: Measure, **options: Any) -> None:
    step = step_of(wait)
    plan = with_steps(planned(made), [step])
    checks.await_check(context_of(made, plan, measure, **options), step, wait)


def ends_with(wait: CheckWait, *found: Measurement | Exception) -> tuple[str, list[float]]:
    """The message of the failure, empty when it passes, and when it was asked."""
    made = bare()
    metrics = Metrics(made, *found)
    try:
        run(made, wait, metrics)
    except CheckFailedError as error:
        return error.message, metrics.asked
    return "", metrics.asked


GOOD, BAD = value("0.001"), value("0.5")
SAID = "check errors failed: "


@pytest.mark.parametrize(
    ("fields", "found", "message", "asked"),
    [
        ({}, [GOOD], "", [0, 10, 20, 30]),
        ({"for_seconds": 0}, [GOOD], "", [0]),
        ({"interval_seconds": 7}, [GOOD], "", [0, 7, 14, 21, 28, 35]),
        ({}, [BAD, NONE, GOOD], "", [0, 10, 20, 30, 40, 50]),
        ({}, [BAD], SAID + "found 0.5, expected at most 0.01 (3 of 3 failures)", [0, 10, 20]),
        ({"interval_seconds": 0}, [BAD], SAID + "found 0.5, expected at most 0.01 (3 of 3 failures)", [0, 1, 2]),
        ({}, [NONE], SAID + "not passed within 100 s; last: no data", list(range(0, 101, 10))),
        ({"timeout_seconds": 25}, [GOOD],
         SAID + "not passed within 25 s; last: found 0.001, at most 0.01, for 20 of 30 s", [0, 10, 20]),
        ({"timeout_seconds": 5}, [Measurement(missing="refused")], SAID + "not passed within 5 s; last: refused", [0]),
        ({}, [GOOD, BadQueryError("the query is refused")], SAID + "the query is refused", [0, 10]),
    ],
)  # fmt: skip
def test_how_it_ends(fields: dict[str, Any], found: list[Any], message: str, asked: list[float]) -> None:
    assert ends_with(check(**fields), *found) == (message, asked)


def test_the_time_out_is_not_overdrawn() -> None:
    made = bare()
    start = made.clock.monotonic()
    error = raised(CheckFailedError, lambda: run(made, check(timeout_seconds=25), Metrics(made, NONE)))
    assert (error.exit_code, error.hint) == (4, f"look at it in Prometheus: {QUERY}")
    assert made.clock.monotonic() - start == 25


def test_an_answer_that_takes_long_is_as_old_as_its_question() -> None:
    made = bare()
    metrics = Metrics(made, GOOD)

    def slow(query: str) -> Measurement:
        found = metrics(query)
        made.clock.sleep(12)
        return found

    run(made, check(), slow)
    assert metrics.asked == [0, 12, 24, 36]


def test_what_is_told_on_the_way() -> None:
    made, events = bare(), list[Event]()
    run(made, check(interval_seconds=2, for_seconds=4), Metrics(made, BAD, NONE, GOOD), events=events)
    told = [event for event in events if isinstance(event, CheckProgress)]
    assert {(event.number, event.name, event.bounds, event.needed, event.allowed) for event in told} == {
        (1, "errors", "at most 0.01", 4, 3)
    }
    assert [(event.seconds, event.seen, event.good, event.failures) for event in told] == [
        (at, seen, good, 1)
        for start, seen, good in [
            (0, "found 0.5, expected at most 0.01", 0),
            (2, "no data", 0),
            (4, "found 0.001", 0),
            (6, "found 0.001", 2),
        ]
        for at in (start, start + 1, start + 2)
    ]


def test_a_mistake_in_measuring_is_not_swallowed() -> None:
    made = bare()
    with pytest.raises(ZeroDivisionError):
        run(made, check(), Metrics(made, ZeroDivisionError()))


def locked(context: Context) -> Context:
    """The context, holding the gate's lock."""
    name = GateName(NAMESPACE, "rng")
    options: dict[str, Any] = {"holder": "me", "plan_id": "", "timeout": 1, "listener": ignore, "check": never}
    context.locks.append(lease.acquire(context.cluster, name, **options))
    return context


def test_locks_are_kept_meanwhile() -> None:
    made, renewed, wait = bare(), list[float](), check(for_seconds=90)
    plan = with_steps(planned(made), [step_of(wait)])
    context = locked(context_of(made, plan, Metrics(made, GOOD)))
    made.after_write(lambda verb, ref, count: renewed.append(made.clock.monotonic()) if ref == LEASE else None)
    times = [made.clock.monotonic(), made.clock.monotonic() + 90]
    checks.await_check(context, plan.steps[0], wait)
    assert max(after - before for before, after in itertools.pairwise(sorted([*times, *renewed]))) <= 11


@pytest.mark.parametrize(
    ("seconds", "kind", "asked"), [(15, CheckFailedError, [0, 10, 20]), (60, IncompleteError, [0, 10, 20])]
)
def test_an_api_server_that_goes_away_forgets_no_failure(
    seconds: int, kind: type[GatekeepError], asked: list[float]
) -> None:
    """For a moment it is not missed; for as long as the lock may be lost it ends the run, and nothing is asked anew."""
    made = bare()
    gone: list[float] = []

    def guard(name: str) -> None:
        if gone and made.clock.monotonic() - gone[0] < seconds:
            raise UnreachableError("away")

    plan = planned(made, check(failures=3 if seconds < 20 else 9, timeout_seconds=100), at=1)
    metrics = Metrics(made, BAD)

    def measure(query: str) -> Measurement:
        gone.append(made.clock.monotonic())
        return metrics(query)

    context = context_of(made, plan, measure)
    context.cluster = between(made, guard)
    raised(kind, lambda: runner.run(locked(context)))
    assert [round(at - metrics.asked[0]) for at in metrics.asked] == asked


def test_a_signal_between_two_questions() -> None:
    made = bare()
    start = made.clock.monotonic()

    def stop() -> int | None:
        return signal.SIGTERM if made.clock.monotonic() - start > 4 else None

    with pytest.raises(StoppedError):
        run(made, check(), Metrics(made, GOOD), stop=stop)
    assert made.clock.monotonic() - start <= 5


def test_a_signal_while_nobody_answers() -> None:
    made, over = bare(), threading.Event()

    def hang(query: str) -> Measurement:
        over.wait(60)
        return GOOD

    asked = itertools.count()
    with pytest.raises(StoppedError):
        run(made, check(), hang, stop=lambda: signal.SIGINT if next(asked) else None)
    over.set()


def test_no_answer_until_the_time_is_over() -> None:
    made, over = bare(), threading.Event()

    def hang(query: str) -> Measurement:
        over.wait(60)
        return GOOD

    def stop() -> int | None:
        made.clock.sleep(30)  # real time passes on a real cluster
        return None

    with pytest.raises(CheckFailedError, match="not passed within 100 s; last: no answer"):
        run(made, check(), hang, stop=stop)
    over.set()


def writes(made: EmbeddedCluster) -> list[ObjectRef]:
    found: list[ObjectRef] = []
    made.after_write(lambda verb, ref, count: found.append(ref))
    return found


def raised(kind: type[GatekeepError], act: Callable[[], object]) -> GatekeepError:
    with pytest.raises(kind) as caught:
        act()
    assert type(caught.value) is kind
    return caught.value


@pytest.mark.parametrize("at", range(7))
def test_a_failed_check_comes_as_itself_and_leaves_no_helper(at: int) -> None:
    made = bare()
    plan = planned(made, check(), at=at)
    assert len(plan.steps) == 7
    context = context_of(made, plan, Metrics(made, BAD))
    raised(CheckFailedError, lambda: runner.run(context))
    assert context.wrote == (at > 0)
    assert helpers(made) == []


def test_a_check_that_passes_is_one_step_of_many() -> None:
    made = bare()
    runner.run(context_of(made, planned(made, check(), check(name="latency"), at=3), Metrics(made, GOOD)))
    assert made.get(ObjectRef("Service", NAMESPACE, "rng"))["spec"]["selector"] == {"active": "yes", "app": "rng"}


@pytest.mark.parametrize(
    ("wait", "asks", "kind", "said"),
    [
        (check(), False, RefusedError, "check errors has nobody to ask: no Prometheus was named"),
        (check(max="much"), True, InvalidInputError, "expected a number as max, found 'much'"),
        (check(max=None), True, InvalidInputError, "expected max or min, found neither"),
    ],
)
def test_refused_before_the_first_write(wait: CheckWait, asks: bool, kind: type[GatekeepError], said: str) -> None:
    made = bare()
    plan, written = planned(made, wait, at=4), writes(made)
    error = raised(kind, lambda: runner.run(context_of(made, plan, Metrics(made, GOOD) if asks else None)))
    assert said in error.message
    assert error.hint
    assert written == []


@pytest.mark.parametrize(("at", "kind"), [(0, SignalledError), (2, IncompleteError)])
def test_a_signal_at_a_check_is_no_failed_check(at: int, kind: type[GatekeepError]) -> None:
    made = bare()
    metrics = Metrics(made, NONE)
    stop = lambda: signal.SIGTERM if metrics.asked else None  # noqa: E731
    raised(kind, lambda: runner.run(context_of(made, planned(made, check(), at=at), metrics, stop=stop)))


def test_a_plan_without_checks_needs_nobody() -> None:
    made = bare()
    runner.run(context_of(made, planned(made), None))


def names(waits: Iterable[CheckWait]) -> list[str]:
    return [wait.name for wait in waits]


def test_the_checks_of_a_plan() -> None:
    made = bare()
    assert names(checks.checks_of(planned(made, check(), check(name="latency"), at=3))) == ["errors", "latency"]
