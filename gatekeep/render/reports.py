"""What a command says when it is done: outcomes of an apply, verdicts of a verify, a cluster's gates and runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gatekeep.model.durations import age
from gatekeep.model.outcomes import GateStatus, Outcome, PastRun
from gatekeep.model.plan import Plan
from gatekeep.render.around import back_lines
from gatekeep.render.layout import (
    Cell,
    counted,
    cut,
    paragraph,
    seconds,
    some,
    table,
    table_rows,
)
from gatekeep.render.runs import Command, plain_command, run_words, strategy_words
from gatekeep.render.standing import OUTCOMES, Lead, leads, outcome_words, standing_rows
from gatekeep.render.style import Style, columns
from gatekeep.render.text import short_id, verdict_text

if TYPE_CHECKING:
    from gatekeep.operations.status import Standing
    from gatekeep.operations.verify import Verification

SHORT_OUTCOME = 24
"""Columns that leave room on the line for who ran it."""


def outcome_text(
    outcome: Outcome, plan: Plan, style: Style, command: Command = plain_command, news: Sequence[str] = ()
) -> str:
    """What was applied, and the endpoints as they were observed, not as they were predicted; ``news`` stand below."""
    tick = style.paint(style.text("✔"), "bold", "green")
    if not outcome.wrote:
        return "\n".join([f"{tick} nothing to do", *news]) + "\n"
    if not outcome.steps:
        return "\n".join([f"{tick} recorded; no step was needed", *news]) + "\n"
    lines = [f"{tick} applied plan {short_id(plan.id)}: {counted(outcome.steps, 'step')} in {seconds(outcome.seconds)}"]
    rows = [
        (
            Cell(style.text(f"Service {item.namespace}/{item.name}")),
            Cell(style.text(f"ready before {item.before:,} → least {item.least:,} → after {item.after:,}")),
        )
        for item in outcome.services
    ]
    lines.extend(table(rows, style))
    for words, names in (
        ("skipped, gone since the plan", outcome.skipped),
        ("added, born since the plan", outcome.added),
    ):
        if names:
            text = f"{counted(len(names), 'pod')} {words}: {some(names)}"
            lines.extend(paragraph(style.text(text), style, first="  "))
    return "\n".join([*lines, *news, *back_lines(plan, style, command, outcome.run_id)]) + "\n"


def verification_text(verification: Verification, plan: Plan, style: Style) -> str:
    """The verdict of a proof made now, whether the id fits, and what changed since the plan."""
    lines = [
        style.text(f"plan {short_id(plan.id)}"),
        *verdict_text(verification.proof, style, holds=any(gate.holds for gate in plan.gates)),
    ]
    if not verification.id_fits:
        cross = f"{style.text('✘')} "
        lines.extend(paragraph("the id does not fit the content: it was edited", style, first=cross, look="red"))
    if verification.stale:
        head = "stale: the cluster is not as the plan found it" if verification.proof.holds else "stale as well:"
        lines.append(f"{style.paint(style.text('✘'), 'red')} {head}")
        for change in verification.stale:
            lines.extend(paragraph(style.text(change), style, first="    "))
    elif verification.proof.holds and verification.id_fits:
        lines.append(f"{style.paint(style.text('✔'), 'green')} fresh: the cluster is as the plan found it")
    return "\n".join(lines) + "\n"


def status_text(
    gates: Sequence[Standing], style: Style, command: Command = plain_command, *, needs_address: bool = True
) -> str:
    """One row for each gate, and below it how it stands, what leads on, its last run and what drifted."""
    if not gates:
        return "no gates\n"
    heads = ("NAMESPACE", "GATE", "LABEL", "SERVICES", "STRATEGY", "READY", "OUT")
    rows = [tuple(Cell(text, "dim") for text in heads)]
    rows.extend(tuple(Cell(style.text(value)) for value in _gate_row(gate)) for gate in gates)
    head, *blocks = table_rows(rows, style, indent="")
    lines = list(head)
    for gate, block in zip(gates, blocks, strict=True):
        lines.extend([*([""] if len(lines) > len(head) else []), *block])
        rows_below = standing_rows(gate)
        standing = [(Cell(row.name, "dim"), Cell(style.text(row.text), row.look)) for row in rows_below]
        lines.extend(table(standing, style))
        lines.extend(_leads(leads(gate, command, needs_address=needs_address), style, [row.name for row in rows_below]))
        lines.extend(_last_run(gate, style))
        for text in gate.drift:
            first, *more = paragraph(style.text(f"drift: {text}"), style, first="  ! ", rest="    ")
            lines.extend([first.replace("!", style.paint("!", "bold", "yellow"), 1), *more])
    return "\n".join(lines) + "\n"


def _leads(found: Sequence[Lead], style: Style, names: Sequence[str]) -> list[str]:
    """Commands in a column of their own, below the other rows of the gate; they are never wrapped."""
    width = max(map(len, (*names, "next")))
    cells = [
        (
            Cell(f"{'' if at else 'next':<{width}}", "dim"),
            Cell(style.text(lead.what)),
            Cell(style.text(lead.words), "dim"),
        )
        for at, lead in enumerate(found)
    ]
    return table(cells, style)


def _last_run(gate: GateStatus, style: Style) -> list[str]:
    """The outcome first, in full; who ran it is cut where the line has no room."""
    outcome = outcome_words(gate.stage)
    if not gate.last_run:
        return [f"  {style.paint(style.text(f'last run: {outcome}'), 'dim')}"]
    if columns(outcome) <= SHORT_OUTCOME:
        line = cut(style.text(f"last run: {outcome}, {gate.last_run}"), style.width - 2)
        return [f"  {style.paint(line, 'dim')}"]
    return [
        *paragraph(style.text(f"last run: {outcome}"), style, first="  ", rest="    "),
        f"    {style.paint(cut(style.text(gate.last_run), style.width - 4), 'dim')}",
    ]


def _gate_row(gate: GateStatus) -> tuple[str, ...]:
    """READY is ready of all pods in rotation, OUT the pods that the Service would have without its gate."""
    return (
        gate.namespace,
        gate.name,
        gate.gate,
        some(gate.services, 3),
        strategy_words(gate.strategy, gate.run),
        f"{gate.members_ready}/{gate.members_total}",
        str(gate.candidates - gate.members_total),
    )


def history_text(runs: Sequence[PastRun], style: Style) -> str:
    """One row for each run, newest first; below it why it failed, who ran which plan, and from where."""
    if not runs:
        return "no runs\n"
    heads = ("OUTCOME", "RUN", "ACTION", "GATE", "WHEN", "TOOK")
    rows = [tuple(Cell(text, "dim") for text in heads)]
    rows.extend(tuple(Cell(style.text(value)) for value in _run_row(item)) for item in runs)
    head, *blocks = table_rows(rows, style, indent="")
    lines = list(head)
    for item, block in zip(runs, blocks, strict=True):
        below = f"by {item.by}, plan {short_id(item.plan)}, at {item.started}, from {began_words(item)}"
        lines.extend(block)
        if item.outcome not in OUTCOMES:
            lines.extend(paragraph(style.text(outcome_words(item.outcome)), style, first="  "))
        lines.extend(paragraph(style.text(below), style, first="  ", look="dim"))
    return "\n".join(lines) + "\n"


def _run_row(item: PastRun) -> tuple[str, ...]:
    when = f"{age(item.age)} ago" if item.age is not None else item.started
    took = seconds(item.seconds) if item.seconds is not None else "-"
    outcome = item.outcome if item.outcome in OUTCOMES else "failed"
    return outcome, item.id, item.action, f"{item.namespace}/{item.name}", when, took


def began_words(item: PastRun) -> str:
    """``canary, weight 10, step 2 of 6: a pause of 10m``, ``no gate``."""
    if not item.known:
        return "where the record does not say"
    if not item.strategy:
        return "no gate"
    parts = [strategy_words(item.strategy, item.began), run_words(item.began) if item.began is not None else ""]
    parts.append(f"{counted(item.isolated, 'pod')} isolated" if item.isolated else "")
    return ", ".join(part for part in parts if part)
