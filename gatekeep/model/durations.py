"""Durations and times as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s?)?", re.ASCII)
_UNITS = (86400, 3600, 60, 1)
DAY = _UNITS[0]

Moment = datetime
"""A time that somebody else looked up: the core has no clock."""


def seconds_in(text: str) -> int | None:
    """``30s``, ``5m``, ``1h30m``, ``2d`` in seconds; a bare number counts them; None when it is none."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        return None
    return sum(int(number) * unit for number, unit in zip(match.groups(), _UNITS, strict=True) if number)


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


def age(seconds: float) -> str:
    """``40s``, ``4m``, ``2h 10m``, ``3d 4h``: no more exact than a person who reads it needs it."""
    left = max(0, int(seconds))
    for unit, smaller, letters in ((DAY, 3600, "dh"), (3600, 60, "hm")):
        if left >= unit:
            rest = left % unit // smaller
            return f"{left // unit}{letters[0]}" + (f" {rest}{letters[1]}" if rest else "")
    return f"{left // 60}m" if left >= 60 else f"{left}s"
