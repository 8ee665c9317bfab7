"""Durations and times as people write them on a command line. The functions are click types."""

from __future__ import annotations

from datetime import datetime

import click

from gatekeep.model.durations import DAY, parse_time, seconds_in

LONGEST = 366 * 86400


def duration(text: str) -> int:
    """``30s``, ``5m``, ``1h30m``, ``2d`` in seconds; a bare number counts seconds."""
    return _seconds(text, least=1)


def wait_limit(text: str) -> int:
    """As :func:`duration`, at most a day: what waits longer is not waited for."""
    seconds = duration(text)
    if seconds > DAY:
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


def _seconds(text: str, *, least: int) -> int:
    seconds = seconds_in(text)
    if seconds is not None and least <= seconds <= LONGEST:
        return seconds
    raise click.BadParameter(f"expected a duration such as 30s, 5m or 1h30m, found {text!r}")
