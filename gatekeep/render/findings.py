"""Findings as text: what it is about, the message, and the rule it comes from."""

from __future__ import annotations

from collections.abc import Iterable

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


def lint_text(findings: Iterable[Finding], policies: int, style: Style) -> str:
    """``file:line:column: severity: message`` a line, as editors and CI systems parse it, and a summary."""
    lines: list[str] = []
    counts = {"error": 0, "warning": 0, "info": 0}
    for finding in findings:
        counts[finding.severity] += 1
        lines.append(_located(finding, style))
    tally = ", ".join(
        [counted(counts["error"], "error"), counted(counts["warning"], "warning")]
        + ([counted(counts["info"], "note")] if counts["info"] else [])
    )
    symbol, look = ("✘", "red") if counts["error"] else ("✔", "green")
    summary = f"{style.paint(style.text(symbol), 'bold', look)} {counted(policies, 'policy', 'policies')}: {tally}"
    return "\n".join([*lines, summary]) + "\n"


def _located(finding: Finding, style: Style) -> str:
    place = ":".join([finding.file, *([str(finding.line)] if finding.line else [])]) or finding.object
    severity = style.paint(finding.severity, "bold", LOOKS[finding.severity])
    head = f"{style.text(place)}: " if place else ""
    return f"{head}{severity}: {style.text(finding.message)} {style.paint(f'[{style.text(finding.rule)}]', 'dim')}"
