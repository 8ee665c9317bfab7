"""Paragraphs and tables that line up, for any width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gatekeep.render.style import Style, columns

GAP = "  "
_GLUE = "\x1f"
"""No text has it: whatever is shown was made harmless."""
_SIGN = re.compile(r"(?<!\S)([-+~]) (?=\S)")
NARROWEST = 24
"""A last column narrower than this is not worth reading."""


class Cell(NamedTuple):
    """Text that came through :meth:`Style.text`, and how to paint it."""

    text: str
    look: str = ""


def wrap(text: str, width: int) -> list[str]:
    """``text`` in lines of at most ``width`` columns; names are never broken at their hyphens, nor from their sign."""
    if columns(text) <= width:
        return [text]
    kept = _SIGN.sub(rf"\1{_GLUE}", text)
    lines = textwrap.wrap(kept, max(width, 10), break_on_hyphens=False, break_long_words=False) or [""]
    return [line.replace(_GLUE, " ") for line in lines]


def paragraph(text: str, style: Style, *, first: str = "", rest: str | None = None, look: str = "") -> list[str]:
    """``text`` wrapped, its first line after ``first``, the others after ``rest`` (default: as far in as the first)."""
    hanging = " " * columns(first) if rest is None else rest
    lines = wrap(text, style.width - columns(first))
    return [(hanging if number else first) + style.paint(line, look) for number, line in enumerate(lines)]


def table(rows: Sequence[Sequence[Cell]], style: Style, *, indent: str = "  ") -> list[str]:
    """Rows with columns that line up; the last column is wrapped below itself when the line would be too long."""
    return [line for block in table_rows(rows, style, indent=indent) for line in block]


def table_rows(rows: Sequence[Sequence[Cell]], style: Style, *, indent: str = "  ") -> list[list[str]]:
    """As :func:`table`, the lines of each row apart."""
    widths = column_widths(rows)
    return [list(_row(row, widths, style, indent)) for row in rows]


def column_widths(rows: Sequence[Sequence[Cell]]) -> list[int]:
    """The widest cell of each column."""
    return [max(columns(cell.text) for cell in column) for column in zip(*rows, strict=True)]


def _row(row: Sequence[Cell], widths: Sequence[int], style: Style, indent: str) -> Iterable[str]:
    head = indent + "".join(_padded(cell, width, style) + GAP for cell, width in zip(row[:-1], widths, strict=False))
    start = len(indent) + sum(width + len(GAP) for width in widths[:-1])
    lines = wrap(row[-1].text, max(style.width - start, NARROWEST))
    yield (head + style.paint(lines[0], row[-1].look)).rstrip()
    for line in lines[1:]:
        yield " " * start + style.paint(line, row[-1].look)


def _padded(cell: Cell, width: int, style: Style) -> str:
    return style.paint(cell.text, cell.look) + " " * (width - columns(cell.text))


def counted(number: int, one: str, many: str = "") -> str:
    """``1 step``, ``2 steps``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def some(names: Sequence[str], limit: int = 12) -> str:
    """Names in a row, cut with a count when there are more than ``limit``."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{', '.join(names[:limit])} and {len(names) - limit:,} more"


def cut(text: str, width: int) -> str:
    """``text`` on one line of at most ``width`` columns, cut between two words."""
    if columns(text) <= width:
        return text
    return wrap(text, width - 4)[0].rstrip(" ,;:") + " …"


def seconds(value: float) -> str:
    """``0.4s``, ``30s``, ``5m``, ``1m 5s``; whole numbers stay whole."""
    if value < 10:
        return f"{value}s" if isinstance(value, int) else f"{value:.1f}s"
    minutes, rest = divmod(round(value), 60)
    if not minutes:
        return f"{rest}s"
    return f"{minutes}m {rest}s" if rest else f"{minutes}m"
