"""The steps of a plan as a table: number, phase, symbol, objects, change or condition, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatekeep.model.plan import Step
from gatekeep.render.layout import Cell, column_widths, counted, table, table_rows, wrap
from gatekeep.render.style import Style
from gatekeep.render.words import Line, alike, lines_of, match_words, together, totals, workload_names
from gatekeep.render.workloads import is_mark

LEGEND = "+ adds   - removes   ~ changes   ? waits until the cluster shows it"
PHASES = "phase: begins when the one before it is done, its waits included"
LOOKS = {"+": "green", "-": "red", "~": "yellow", "?": "cyan"}
HEAD = ("#", "phase", " ", "object", "change or condition")
WIDE_ENOUGH = 45
"""Columns that a step's reason needs beside the rest; with fewer it stands below."""


def steps_text(steps: Sequence[Step], style: Style) -> list[str]:
    """The table with its title and legend."""
    names = workload_names(steps)
    title = style.paint("Steps", "bold")
    if not steps:
        return [f"{title}  none"]
    number = f"{len(steps):,} in {counted(len({step.phase for step in steps}), 'phase')}"
    title += "  " + style.paint(": ".join(part for part in (number, totals(steps)) if part), "dim")
    rows = [(group[0], cells) for group in _groups(steps) for cells in _cells(group, style)]
    heads = tuple(Cell(text, "dim") for text in HEAD)
    cells = [heads, *(row for _, row in rows)]
    beside = style.width - 2 - sum(width + 2 for width in column_widths(cells))
    body = _beside(cells, rows, style, names) if beside >= WIDE_ENOUGH else _below(cells, rows, style, names)
    return [title, *body, *("  " + style.paint(line, "dim") for line in (LEGEND, PHASES))]


def _groups(steps: Sequence[Step]) -> list[list[Step]]:
    """Waits that follow each other and are alike share a row."""
    groups: list[list[Step]] = []
    for step in steps:
        if groups and alike(groups[-1][0], step):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _lines(group: Sequence[Step]) -> list[Line]:
    return lines_of(group[0]) if len(group) == 1 else [together(group)]


def _cells(group: Sequence[Step], style: Style) -> list[tuple[Cell, ...]]:
    """One row for each kind of change in the step; number and phase only on the first."""
    rows: list[tuple[Cell, ...]] = []
    step, last = group[0], group[-1]
    numbers = f"{step.number:>2}" if last is step else f"{step.number:>2}-{last.number}"
    for at, line in enumerate(_lines(group)):
        number, phase = (numbers, f"{step.phase:>5}") if at == 0 else ("", "")
        look = LOOKS[line.symbol]
        rows.append(
            (
                Cell(number),
                Cell(phase, "dim"),
                Cell(line.symbol, look),
                Cell(style.text(line.objects)),
                Cell(style.text(line.change), look),
            )
        )
    return rows


def _beside(
    cells: Sequence[tuple[Cell, ...]], rows: Sequence[tuple[Step, object]], style: Style, names: Mapping[str, str]
) -> list[str]:
    whys = (Cell(_why(step, style, names) if first else "", "dim") for step, first in _firsts(rows))
    reasons = [Cell("why", "dim"), *whys]
    return table([(*row, reason) for row, reason in zip(cells, reasons, strict=True)], style)


def _below(
    cells: Sequence[tuple[Cell, ...]], rows: Sequence[tuple[Step, object]], style: Style, names: Mapping[str, str]
) -> list[str]:
    head, *blocks = table_rows(cells, style)
    start = 2 + sum(width + 2 for width in column_widths(cells)[:3])
    lines = list(head)
    for block, (step, last) in zip(blocks, _lasts(rows), strict=True):
        lines.extend(block)
        if last and (why := _why(step, style, names)):
            lines.extend(" " * start + style.paint(line, "dim") for line in wrap(why, style.width - start))
    return lines


def _firsts(rows: Sequence[tuple[Step, object]]) -> list[tuple[Step, bool]]:
    return [(step, at == 0 or rows[at - 1][0] is not step) for at, (step, _) in enumerate(rows)]


def _lasts(rows: Sequence[tuple[Step, object]]) -> list[tuple[Step, bool]]:
    return [(step, at + 1 == len(rows) or rows[at + 1][0] is not step) for at, (step, _) in enumerate(rows)]


def _why(step: Step, style: Style, names: Mapping[str, str]) -> str:
    """Empty where the row says it already."""
    if step.match is None or is_mark(step):
        return "" if any(step.reason == line.objects for line in lines_of(step)) else style.text(step.reason)
    if any(change.kind != "Pod" for change in step.changes):
        return style.text(f"{step.reason}, and ReplicaSets made until then")
    if step.match.any_of == ():
        return style.text(f"{step.reason}; nobody born until then")
    born = ", and those born until then" if step.changes else ""
    return style.text(f"{step.reason}{born} ({match_words(step.match, names)})")
