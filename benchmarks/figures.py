"""Samples, the lines made of them, and the table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

HEADS = ("what", "measured", "peer", "ratio", "budget", "ok?")


class Unit(NamedTuple):
    """How a number is written: multiplied by ``factor``, with ``digits`` after the point."""

    name: str
    factor: float = 1.0
    digits: int = 0


MS = Unit("ms", 1000.0)
MS1 = Unit("ms", 1000.0, 1)
SECONDS = Unit("s", 1.0, 2)
PER_SECOND = Unit("pods/s")


@dataclass(frozen=True)
class Samples:
    """The same thing measured several times. ``lower`` says that less is better."""

    values: tuple[float, ...]
    unit: Unit
    lower: bool = True

    @property
    def best(self) -> float:
        """The sample that was disturbed least."""
        return min(self.values) if self.lower else max(self.values)

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        """``median 12.3 ms (11.9 to 14.0, n=9)``"""
        if len(self.values) == 1:
            return f"{self._text(self.values[0])} {self.unit.name}"
        span = f"{self._text(min(self.values))} to {self._text(max(self.values))}"
        return f"{self._text(self.median)} {self.unit.name} ({span}, n={len(self.values)})"

    def _text(self, value: float) -> str:
        return f"{value * self.unit.factor:,.{self.unit.digits}f}"


@dataclass(frozen=True)
class Budget:
    """What a ratio (or, without a peer, a value) has to keep."""

    limit: float
    text: str
    at_most: bool = True

    def kept(self, value: float) -> bool:
        """Whether ``value`` is within it."""
        return value <= self.limit if self.at_most else value >= self.limit


def at_most(limit: float, unit: str = "×") -> Budget:
    """``≤ 3 ×``"""
    return Budget(limit, f"≤ {limit:g} {unit}")


def at_least(limit: float, unit: str = "×") -> Budget:
    """``≥ 2.5 ×``"""
    return Budget(limit, f"≥ {limit:g} {unit}", at_most=False)


@dataclass(frozen=True)
class Line:
    """One line of the table. ``judged`` is the number that the budget is about, ``note`` stands below the table.

    ``raw`` goes into the JSON.
    """

    what: str
    measured: str
    peer: str = ""
    ratio: str = ""
    budget: Budget | None = None
    judged: float | None = None
    note: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool | None:
        """None where there is nothing to judge."""
        return None if self.budget is None or self.judged is None else self.budget.kept(self.judged)

    @property
    def verdict(self) -> str:
        """As it stands in the table."""
        return {True: "yes", False: "NO", None: ""}[self.ok]

    def document(self) -> dict[str, Any]:
        """As it stands in the JSON."""
        return {**asdict(self), "ok": self.ok}


def compared(what: str, mine: Samples, peer: Samples, budget: Budget | None = None, *, by: str = "median") -> Line:
    """A line with both and their ratio: of the medians, of the best samples, or of each round, then the median."""
    if by == "round":
        ratio = statistics.median(one / other for one, other in zip(mine.values, peer.values, strict=True))
    else:
        ratio = getattr(mine, by) / getattr(peer, by)
    return Line(
        what,
        str(mine),
        str(peer),
        f"{ratio:.2f} ({by})",
        budget,
        ratio,
        raw={"measured": mine.values, "peer": peer.values, "ratio": ratio},
    )


def alone(what: str, mine: Samples, budget: Budget | None = None, *, factor: float = 1.0) -> Line:
    """A line without a peer; ``factor`` turns the median into the budget's unit."""
    return Line(what, str(mine), budget=budget, judged=mine.median * factor, raw={"measured": mine.values})


def table(lines: Sequence[Line]) -> str:
    """Markdown, with columns that line up in a terminal."""
    rows = [
        HEADS,
        *((x.what, x.measured, x.peer, x.ratio, x.budget.text if x.budget else "", x.verdict) for x in lines),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    text = [_row(row, widths) for row in rows]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    notes = [f"{line.what.strip()}: {line.note}" for line in lines if line.note]
    return "\n".join([*text, "", *notes] if notes else text)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"
