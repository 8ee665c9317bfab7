"""Whether a check has passed: measurements and their times in, a verdict out. No clock, no network.

* Every series within the bounds: good. The check passes once good ones span ``for`` on end; with 0 at the first.
* Any series out of bounds: a failure, and ``for`` begins anew. So many failures in all fail the check.
* No data, NaN, no answer: neither; but ``for`` begins anew.
* Not passed within the timeout fails it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from gatekeep.metrics.measurement import Measurement
from gatekeep.model.errors import InvalidInputError
from gatekeep.model.waits import CheckWait


@dataclass(frozen=True)
class Waiting:
    """Neither passed nor failed. Times are in seconds of one clock.

    ``good_since`` is when the good measurements that still stand began (None: the last one was not good), and
    ``good_seconds`` what they span. ``seen`` is the last one in words.
    """

    started: float
    good_since: float | None = None
    good_seconds: float = 0.0
    failures: int = 0
    seen: str = "not asked yet"


@dataclass(frozen=True)
class Passed:
    """Done; ``seen`` is the last measurement in words."""

    seen: str


@dataclass(frozen=True)
class Failed:
    """Done; the reason names the number seen and the bound."""

    reason: str


Verdict = Waiting | Passed | Failed


class Bounds(NamedTuple):
    """What every series must lie within; None does not restrict."""

    least: Decimal | None
    most: Decimal | None

    def __str__(self) -> str:
        parts = (("at least", self.least), ("at most", self.most))
        return " and ".join(f"{words} {bound}" for words, bound in parts if bound is not None)

    def hold(self, value: Decimal) -> bool:
        """Whether ``value`` lies within; the bounds themselves do."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


def bounds_of(wait: CheckWait) -> Bounds:
    """The bounds as numbers. Raises :class:`InvalidInputError` where one is none, or none is given."""
    if wait.max is None and wait.min is None:
        raise InvalidInputError(f"check {wait.name}: expected max or min, found neither", hint="plan again")
    return Bounds(_number(wait, "min", wait.min), _number(wait, "max", wait.max))


def judged(wait: CheckWait, so_far: Waiting, now: float, found: Measurement) -> Verdict:
    """The verdict once ``found`` was measured at time ``now``."""
    bounds = bounds_of(wait)
    out = [value for value in found.values if not bounds.hold(value)]
    if now - so_far.started > wait.timeout_seconds:
        return overdue(wait, so_far)
    if out:
        failures = so_far.failures + 1
        seen = f"found {_words(out)}, expected {bounds}"
        if failures >= wait.failures:
            return Failed(f"{seen} ({failures} of {wait.failures} failures)")
        return Waiting(so_far.started, failures=failures, seen=seen)
    if found.missing or not found.values:
        return Waiting(so_far.started, failures=so_far.failures, seen=found.missing or "no data")
    since = now if so_far.good_since is None else so_far.good_since
    seen = f"found {_words(found.values)}"
    if now - since >= wait.for_seconds:
        return Passed(seen)
    return replace(so_far, good_since=since, good_seconds=now - since, seen=seen)


def overdue(wait: CheckWait, so_far: Waiting) -> Failed:
    """The verdict when the timeout is over."""
    good = f", {bounds_of(wait)}, for {so_far.good_seconds:.0f} of {wait.for_seconds} s"
    last = so_far.seen + (good if so_far.good_since is not None else "")
    return Failed(f"not passed within {wait.timeout_seconds} s; last: {last}")


def _words(values: tuple[Decimal, ...] | list[Decimal]) -> str:
    """One number, or the least and the greatest of several."""
    if len(values) == 1:
        return str(values[0])
    return f"{min(values)} to {max(values)} in {len(values)} series"


def _number(wait: CheckWait, field: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise InvalidInputError(f"check {wait.name}: expected a number as {field}, found {text!r}", hint="plan again")
    return value
