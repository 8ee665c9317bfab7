"""Durations and times as people write them on a command line."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import click

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_UNITS = (86400, 3600, 60, 1)
LONGEST = 366 * 86400


class Duration(click.ParamType):
    """``30s``, ``5m``, ``1h30m``, ``2d``; a bare number counts seconds. Becomes whole seconds."""

    name = "duration"

    def __init__(self, *, zero: bool = False) -> None:
        self.least = 0 if zero else 1

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds, or a usage error that says how to write it."""
        if isinstance(value, int):
            return value
        seconds = parse_duration(str(value))
        if seconds is None or not self.least <= seconds <= LONGEST:
            self.fail(f"expected a duration such as 30s, 5m or 1h30m, found {value!r}", param, ctx)
        return seconds


class Time(click.ParamType):
    """An RFC 3339 time with its zone, as ``2026-12-01T12:00:00Z``."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time in UTC, or a usage error that says how to write it."""
        if isinstance(value, datetime):
            return value
        found = parse_time(str(value))
        if found is None:
            self.fail(f"expected a time such as 2026-12-01T12:00:00Z, found {value!r}", param, ctx)
        return found


def parse_duration(text: str) -> int | None:
    """Seconds, or None when ``text`` is no duration."""
    if text.isascii() and text.isdigit():
        return int(text[:12])
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    return sum(int(number[:12]) * unit for number, unit in zip(match.groups(), _UNITS, strict=True) if number)


def parse_time(text: str) -> datetime | None:
    """A time in UTC, or None when ``text`` is none or names no zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
