"""Findings as text: what it is about, the message, and the rule it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gatekeep.model.plan import Finding, Severity
from gatekeep.render.layout import counted, paragraph
from gatekeep.render.style import Style

SYMBOLS: dict[Severity, str] = {"error": "✘", "warning": "!", "info": "·"}
LOOKS: dict[Severity, str] = {"error": "red", "warning": "yellow", "info": "cyan"}


def findings_text(findings: Iterable[Finding], style: Style) -> list[str]:
    """One paragraph for each finding, in the order given: a reader's eye starts at the top."""
    lines: list[str] = []
    for finding in findings:
        lines.extend(_finding(finding, style))
    return lines


def _finding(finding: Finding, style: Style) -> list[str]:
    symbol = style.text(SYMBOLS[finding.severity])
    message = f"{finding.object}: {finding.message}" if finding.object else finding.message
    place = f"{finding.file}:{finding.line}" if finding.line else finding.file
    about = style.text(" ".join(part for part in (finding.rule, place) if part))
    # Painted after wrapping: colour codes would count as columns.
    lines = paragraph(f"{style.text(message)}  [{about}]", style, first=f"  {symbol} ", rest="    ")
    lines[0] = lines[0].replace(symbol, style.paint(symbol, "bold", LOOKS[finding.severity]), 1)
    return lines


class LintItem(NamedTuple):
    """A finding about a file, with the column where one is known (else 0) and what to do."""

    finding: Finding
    column: int = 0
    hint: str = ""


def lint_text(items: Sequence[LintItem], policies: int, style: Style) -> str:
    """``file:line:column: severity: message`` a line, as editors and CI systems parse it, and a summary."""
    counts = lint_counts(items)
    tally = [counted(counts["errors"], "error"), counted(counts["warnings"], "warning")]
    if counts["notes"]:
        tally.append(counted(counts["notes"], "note"))
    symbol, look = ("✘", "red") if counts["errors"] else ("✔", "green")
    found = f"{counted(policies, 'policy', 'policies')}: " if not counts["errors"] else ""
    summary = f"{style.paint(style.text(symbol), 'bold', look)} {found}{', '.join(tally)}"
    return "\n".join([*(_located(item, style) for item in items), summary]) + "\n"


def lint_counts(items: Sequence[LintItem]) -> dict[str, int]:
    """How many items there are of each severity."""
    names: dict[str, Severity] = {"errors": "error", "warnings": "warning", "notes": "info"}
    return {name: sum(item.finding.severity == severity for item in items) for name, severity in names.items()}


def _located(item: LintItem, style: Style) -> str:
    finding = item.finding
    numbers = [str(number) for number in (finding.line, item.column) if number]
    place = ":".join([finding.file or finding.object, *numbers])
    head = f"{style.text(place)}: " if place else ""
    severity = style.paint(finding.severity, "bold", LOOKS[finding.severity])
    hint = f" {style.text(f'→ {item.hint}')}" if item.hint else ""
    rule = style.paint(f"[{style.text(finding.rule)}]", "dim")
    return f"{head}{severity}: {style.text(finding.message)}{hint}  {rule}"
