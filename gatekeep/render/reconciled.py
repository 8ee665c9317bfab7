"""What ``reconcile`` did, gate by gate, for whoever reads a log."""

from __future__ import annotations

from collections.abc import Sequence

from gatekeep.model.outcomes import Reconciled
from gatekeep.render.layout import Cell, counted, paragraph, seconds, table_rows
from gatekeep.render.style import Style


def reconciled_text(found: Sequence[Reconciled], style: Style) -> str:
    """One row for each gate; below it what is to be known of it."""
    if not found:
        return "no gates\n"
    rows = table_rows([[Cell(style.text(value)) for value in _row(item)] for item in found], style, indent="")
    lines: list[str] = []
    for item, block in zip(found, rows, strict=True):
        lines.extend(block)
        for text in (item.message, *item.hint.splitlines(), *item.warnings):
            lines.extend(paragraph(style.text(text), style, first="    ") if text else ())
    return "\n".join(lines) + "\n"


def _row(item: Reconciled) -> tuple[str, ...]:
    if item.outcome is None:
        return "✘", item.gate, f"failed (exit {item.exit_code})"
    counts = ", ".join(f"{one.name} {one.before:,} → {one.after:,} ready" for one in item.outcome.services)
    pause = ", paused" if item.paused else ""
    if not item.changed:
        return "·", item.gate, f"nothing to do{pause}"
    steps = f"{counted(item.outcome.steps, 'step')} in {seconds(item.outcome.seconds)}"
    return "✔", item.gate, f"{steps}; {counts}{pause}"
