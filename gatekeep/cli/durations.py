"""Durations and times as people write them on a command line. The functions are click types."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click

_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s?)?", re.ASCII)
_UNITS = (86400, 3600, 60, 1)
LONGEST = 366 * 86400


def duration(text: str) -> int:
    """``30s``, ``5m``, ``1h30m``, ``2d`` in seconds; a bare number counts seconds."""
    return _seconds(text, least=1)


def wait_limit(text: str) -> int:
    """As :func:`duration`, at most a day: what waits longer is not waited for."""
    seconds = duration(text)
    if seconds > _UNITS[0]:
        raise click.BadParameter(f"expected at most 1d, found {text!r}")
    return seconds


def duration_or_zero(text: str) -> int:
    """As :func:`duration`; ``0`` means without limit."""
    return _seconds(text, least=0)


def time(text: str) -> datetime:
    """An RFC 3339 time with its zone, as ``2026-12-01T12:00:00Z``, in UTC."""
    found = parse_time(text)
    if found is None:
        raise click.BadParameter(f"expected a time such as 2026-12-01T12:00:00Z, found {text!r}")
    return found


def parse_time(text: str) -> datetime | None:
    """A time in UTC, or None when ``text`` is none or names no zone."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _seconds(text: str, *, least: int) -> int:
    match = _DURATION.fullmatch(text)
    if match is not None and text:
        seconds = sum(int(number) * unit for number, unit in zip(match.groups(), _UNITS, strict=True) if number)
        if least <= seconds <= LONGEST:
            return seconds
    raise click.BadParameter(f"expected a duration such as 30s, 5m or 1h30m, found {text!r}")
