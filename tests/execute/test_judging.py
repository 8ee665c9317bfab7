"""When a check has passed: tables, and what holds for every stream of measurements.

* bounds; good ones in a row; failures in all; no data; the timeout
* against a second, slower reading of the rules; better measurements never pass later
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeep.execute.judging import Failed, Passed, Verdict, Waiting, bounds_of, judged, overdue
from gatekeep.metrics.measurement import Measurement
from gatekeep.model.errors import InvalidInputError
from gatekeep.model.waits import CheckWait

NONE = Measurement(missing="no data")
Stream = Sequence[tuple[float, Measurement]]


def check(**fields: Any) -> CheckWait:
    """At most 0.01 for 20 s; three failures or 100 s fail it."""
    return CheckWait(
        **{"name": "errors", "query": "q", "max": "0.01", "for_seconds": 20, "timeout_seconds": 100, **fields}
    )


def of(*texts: str, missing: str = "") -> Measurement:
    return Measurement(tuple(map(Decimal, texts)), missing)


GOOD, BAD = of("0.005"), of("0.05")


def verdict_of(wait: CheckWait, stream: Stream) -> tuple[Verdict, int]:
    """The verdict, and how many measurements it took."""
    verdict: Verdict = Waiting(0.0)
    for count, (time, found) in enumerate(stream):
        if not isinstance(verdict, Waiting):
            return verdict, count
        verdict = judged(wait, verdict, time, found)
    return verdict, len(stream)


def every(seconds: float, *found: Measurement) -> Stream:
    """One measurement every so many seconds, the first at once."""
    return [(seconds * at, item) for at, item in enumerate(found)]


@pytest.mark.parametrize(
    ("fields", "stream", "verdict"),
    [
        ({"for_seconds": 0}, every(10, GOOD), Passed("found 0.005")),
        ({}, every(10, GOOD, GOOD, GOOD), Passed("found 0.005")),
        ({}, every(10, GOOD, GOOD), Waiting(0, 0, 10, 0, "found 0.005")),
        ({"for_seconds": 25}, every(10, GOOD, GOOD, GOOD, GOOD), Passed("found 0.005")),
        ({}, every(10, GOOD, GOOD, BAD, GOOD), Waiting(0, 30, 0, 1, "found 0.005")),
        ({}, every(10, GOOD, GOOD, NONE, GOOD), Waiting(0, 30, 0, 0, "found 0.005")),
        ({}, every(10, GOOD, GOOD, NONE), Waiting(0, None, 0, 0, "no data")),
        ({}, every(10, BAD, GOOD, GOOD, GOOD), Passed("found 0.005")),
        ({}, every(10, BAD, BAD), Waiting(0, None, 0, 2, "found 0.05, expected at most 0.01")),
        ({}, every(10, BAD, GOOD, BAD, NONE, BAD), Failed("found 0.05, expected at most 0.01 (3 of 3 failures)")),
        ({"failures": 1}, every(10, of("0.01", "7", "8")),
         Failed("found 7 to 8 in 2 series, expected at most 0.01 (1 of 1 failures)")),
        ({"for_seconds": 0}, every(10, of("0.01")), Passed("found 0.01")),
        ({"for_seconds": 0}, every(10, of("0.001", "0.01")), Passed("found 0.001 to 0.01 in 2 series")),
        ({"for_seconds": 0}, every(10, of("-Infinity")), Passed("found -Infinity")),
        ({"for_seconds": 0, "max": None, "min": "-1"}, every(10, of("Infinity")), Passed("found Infinity")),
        ({"failures": 1, "max": None, "min": "0.9"}, every(10, of("0.8")),
         Failed("found 0.8, expected at least 0.9 (1 of 1 failures)")),
        ({"failures": 1, "min": "0"}, every(10, of("-1")),
         Failed("found -1, expected at least 0 and at most 0.01 (1 of 1 failures)")),
        ({"failures": 1}, every(10, of("Infinity")), Failed("found Infinity, expected at most 0.01 (1 of 1 failures)")),
        ({"failures": 1}, every(10, of("1", missing="1 of 2 series is NaN")),
         Failed("found 1, expected at most 0.01 (1 of 1 failures)")),
        ({"for_seconds": 0}, every(10, of("0", missing="1 of 2 series is NaN")),
         Waiting(0, None, 0, 0, "1 of 2 series is NaN")),
        ({"for_seconds": 0}, every(10, Measurement()), Waiting(0, None, 0, 0, "no data")),
        ({"for_seconds": 100}, [(0, GOOD), (100, GOOD)], Passed("found 0.005")),
        ({}, [(0, NONE), (100.5, GOOD)], Failed("not passed within 100 s; last: no data")),
        ({}, [(0, BAD), (101, BAD)], Failed("not passed within 100 s; last: found 0.05, expected at most 0.01")),
        ({}, [(95, GOOD), (101, GOOD)],
         Failed("not passed within 100 s; last: found 0.005, at most 0.01, for 0 of 20 s")),
    ],
)  # fmt: skip
def test_verdicts(fields: dict[str, Any], stream: Stream, verdict: Verdict) -> None:
    assert verdict_of(check(**fields), stream) == (verdict, len(stream))


def test_nothing_was_asked_in_time() -> None:
    assert overdue(check(), Waiting(0)) == Failed("not passed within 100 s; last: not asked yet")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max": None}, "check errors: expected max or min, found neither"),
        ({"max": "much"}, "check errors: expected a number as max, found 'much'"),
        ({"max": "NaN"}, "check errors: expected a number as max, found 'NaN'"),
        ({"min": "-inf"}, "check errors: expected a number as min, found '-inf'"),
    ],
)
def test_bounds_that_are_none(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        bounds_of(check(**fields))
    assert caught.value.message == said


kinds = st.sampled_from([NONE, BAD, GOOD])
streams = st.lists(st.tuples(st.integers(1, 15), kinds), max_size=15).map(
    lambda items: [(float(sum(gap for gap, _ in items[: at + 1])), kind) for at, (_, kind) in enumerate(items)]
)
waits = st.builds(
    check, for_seconds=st.integers(0, 30), failures=st.integers(1, 4), timeout_seconds=st.integers(20, 90)
)


def by_the_rules(wait: CheckWait, stream: Stream) -> tuple[type[Verdict], int]:
    """As the documentation says it, looking at the whole stream anew for each measurement."""
    for count, (now, last) in enumerate(stream, 1):
        seen = stream[:count]
        row = 0
        while row < count and seen[-1 - row][1] is GOOD:
            row += 1
        if now > wait.timeout_seconds or (last is BAD and sum(kind is BAD for _, kind in seen) >= wait.failures):
            return Failed, count
        if row and now - seen[-row][0] >= wait.for_seconds:
            return Passed, count
    return Waiting, len(stream)


@given(waits, streams)
def test_the_rules(wait: CheckWait, stream: Stream) -> None:
    verdict, count = verdict_of(wait, stream)
    assert (type(verdict), count) == by_the_rules(wait, stream)


@given(waits, streams, st.data())
def test_a_better_measurement_never_passes_later(wait: CheckWait, stream: Stream, data: st.DataObject) -> None:
    better = [(time, data.draw(st.sampled_from([kind, GOOD]))) for time, kind in stream]
    verdict, count = verdict_of(wait, stream)
    if isinstance(verdict, Passed):
        found, sooner = verdict_of(wait, better)
        assert isinstance(found, Passed)
        assert sooner <= count


@given(waits, streams)
def test_no_data_alone_never_passes_and_fails_only_by_time(wait: CheckWait, stream: Stream) -> None:
    verdict, _ = verdict_of(wait, [(time, NONE) for time, _ in stream])
    assert not isinstance(verdict, Passed)
    assert isinstance(verdict, Failed) == any(time > wait.timeout_seconds for time, _ in stream)
