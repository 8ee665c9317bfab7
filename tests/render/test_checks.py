"""Checks in words: in the table of a plan, and while they are waited for."""

from __future__ import annotations

import io
from typing import Any

import pytest

from gatekeep.model.events import CheckProgress, StepFinished, StepStarted
from gatekeep.model.plan import Step
from gatekeep.model.waits import CheckWait
from gatekeep.render.progress import Progress
from gatekeep.render.style import Style
from gatekeep.render.text import plan_text
from gatekeep.render.words import lines_of
from tests.render.samples import sample, step

QUERY = "sum(rate(errors[1m]))"


def check(**fields: Any) -> Step:
    given: dict[str, Any] = {"name": "error-rate", "query": QUERY, "max": "0.01", "for_seconds": 120}
    wait = CheckWait(**{**given, "timeout_seconds": 600, **fields})
    return step(1, 1, "Wait", "the canary does well", wait=wait)


def told(**fields: Any) -> CheckProgress:
    given: dict[str, Any] = {"number": 1, "name": "error-rate", "seen": "found 0.005", "bounds": "at most 0.01"}
    return CheckProgress(
        **{**given, "good": 40.0, "needed": 120, "failures": 0, "allowed": 3, "seconds": 50.0, **fields}
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, f"{QUERY} ≤ 0.01 for 2m, every 10s, aborts after 3 failures or 10m"),
        ({"for_seconds": 0, "failures": 1}, f"{QUERY} ≤ 0.01, every 10s, aborts after 1 failure or 10m"),
        ({"max": None, "min": "0.99"}, f"{QUERY} ≥ 0.99 for 2m, every 10s, aborts after 3 failures or 10m"),
        ({"min": "0"}, f"{QUERY} ≥ 0 and ≤ 0.01 for 2m, every 10s, aborts after 3 failures or 10m"),
        ({"query": "a\n  / b"}, "a / b ≤ 0.01 for 2m, every 10s, aborts after 3 failures or 10m"),
    ],
)
def test_the_condition(fields: dict[str, Any], words: str) -> None:
    assert lines_of(check(**fields)) == [("?", "check error-rate", words)]


@pytest.mark.parametrize("width", [60, 100, 160])
def test_the_table_of_a_plan(width: int) -> None:
    text = plan_text(sample(steps=(check(query=QUERY + "\x1b[2J"),)), Style(width=width))
    assert "check error-rate" in text
    assert "aborts after 3 failures or 10m" in " ".join(text.split())
    assert "\x1b" not in text
    assert "<=" in plan_text(sample(steps=(check(),)), Style(unicode=False, width=width))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "found 0.005, good for 40s of 2m"),
        ({"failures": 1}, "found 0.005, good for 40s of 2m, 1 of 3 failures"),
        ({"good": 0.0, "seen": "no data"}, "no data"),
        (
            {"good": 0.0, "seen": "found 1, expected at most 0.01", "failures": 2},
            "found 1, expected at most 0.01, 2 of 3 failures",
        ),
    ],
)
def test_how_far_it_is(fields: dict[str, Any], words: str) -> None:
    stream = io.StringIO()
    tell = Progress(stream, Style(), in_place=False, clock=lambda: 0.0)
    tell(StepStarted(check(), 1))
    tell(told(**fields))
    assert stream.getvalue() == f"[1/1] …    50s  {words}  ? check error-rate: {lines_of(check())[0].change}\n"


def test_a_check_that_runs_keeps_its_name_and_value_on_a_terminal() -> None:
    stream = io.StringIO()
    tell = Progress(stream, Style(width=76), in_place=True, clock=lambda: 0.0)
    tell(StepStarted(check(), 1))
    tell._last = -1.0
    tell(told())
    assert stream.getvalue().rpartition("\r\x1b[2K")[2] == (
        "[1/1] …    50s  found 0.005, good for 40s of 2m  ? check error-rate"
    )
    tell(StepFinished(1, 130.0))
    assert stream.getvalue().rpartition("\r\x1b[2K")[2] == "[1/1] ✔ 2m 10s  ? check error-rate\n"


def test_a_reason_that_says_the_same_is_left_out() -> None:
    twice = step(1, 1, "Wait", "check error-rate", wait=check().wait)
    for width in (100, 400):
        assert plan_text(sample(steps=(twice,), gates=()), Style(width=width)).count("check error-rate") == 1


def test_a_log_tells_turns_and_not_each_number() -> None:
    stream, now = io.StringIO(), [0.0]
    tell = Progress(stream, Style(), in_place=False, clock=lambda: now[0])
    tell(StepStarted(check(), 1))
    turns: dict[int, dict[str, Any]] = {
        12: {"failures": 1, "good": 0.0, "seen": "found 1, expected at most 0.01"},
        22: {"failures": 1},
    }
    current: dict[str, Any] = {}
    for second in range(1, 31):
        now[0] = float(second)
        current = turns.get(second, current)
        tell(told(**{"seen": f"found 0.00{second}", **current, "seconds": now[0]}))
    tell(StepFinished(1, 30.0))
    lines = stream.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["1.0s", "5.0s", "12s", "15s", "22s", "30s", "30s"]


def test_on_a_terminal_it_is_one_line() -> None:
    stream = io.StringIO()
    tell = Progress(stream, Style(width=60), in_place=True, clock=lambda: 1.0 + len(stream.getvalue()))
    tell(StepStarted(check(), 1))
    for second in (1.0, 2.0):
        tell(told(seconds=second))
    assert "\n" not in stream.getvalue()
    assert "good for 40s of 2m" in stream.getvalue()
