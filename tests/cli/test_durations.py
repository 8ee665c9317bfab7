"""Durations and times on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import click
import pytest

from gatekeep.cli import durations
from gatekeep.model.durations import timestamp


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("2d", 172800), ("1d2h3m4s", 93784), ("90", 90), ("007", 7)],
)
def test_duration(text: str, seconds: int) -> None:
    assert durations.duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-5m", "5 m", "5M", "1.5h", "m", "5ms", "٣s", "9" * 30, "999d", "5m\n"]
)
def test_no_duration(text: str) -> None:
    with pytest.raises(click.BadParameter):
        durations.duration(text)


def test_zero_where_it_means_no_limit() -> None:
    assert durations.duration_or_zero("0") == 0


def test_time() -> None:
    assert durations.time("2026-12-01T13:00:00+01:00") == datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert timestamp(durations.time("2026-12-01T13:00:00.5+01:00")) == "2026-12-01T12:00:00Z"


@pytest.mark.parametrize("text", ["", "now", "2026-12-01", "2026-12-01T12:00:00", "0001-01-01T00:00:00+23:59"])
def test_no_time(text: str) -> None:
    with pytest.raises(click.BadParameter):
        durations.time(text)


def test_a_wait_is_a_day_long_at_most() -> None:
    assert durations.wait_limit("1d") == 86400
    with pytest.raises(click.BadParameter, match="at most 1d"):
        durations.wait_limit("25h")
