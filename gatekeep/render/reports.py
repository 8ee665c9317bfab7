"""What a command says when it is done: the outcome of an apply, the verdict of a verify, the gates of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gatekeep.model.outcomes import GateStatus, Outcome
from gatekeep.model.plan import Plan
from gatekeep.render.around import Retire, back_lines, plain_retire
from gatekeep.render.layout import Cell, counted, cut, paragraph, seconds, some, table, table_rows
from gatekeep.render.style import Style
from gatekeep.render.text import short_id, verdict_text

if TYPE_CHECKING:
    from gatekeep.operations.verify import Verification


def outcome_text(outcome: Outcome, plan: Plan, style: Style, retire: Retire = plain_retire) -> str:
    """What was applied, and the endpoints as they were observed, not as they were predicted."""
    tick = style.paint(style.text("✔"), "bold", "green")
    if not outcome.wrote:
        return f"{tick} nothing to do\n"
    if not outcome.steps:
        return f"{tick} recorded; no step was needed\n"
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
    return "\n".join([*lines, *back_lines(plan, style, retire)]) + "\n"


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


def status_text(gates: Sequence[GateStatus], style: Style) -> str:
    """One row for each gate, and below it its last run and what drifted."""
    if not gates:
        return "no gates\n"
    heads = ("NAMESPACE", "GATE", "LABEL", "SERVICES", "STRATEGY", "READY", "OUT")
    rows = [tuple(Cell(text, "dim") for text in heads)]
    rows.extend(tuple(Cell(style.text(value)) for value in _gate_row(gate)) for gate in gates)
    head, *blocks = table_rows(rows, style, indent="")
    lines = list(head)
    for gate, block in zip(gates, blocks, strict=True):
        last = f"{gate.last_run}: {gate.stage}" if gate.last_run else gate.stage
        last = cut(" ".join(f"last run: {last}".split()), style.width - 2)
        lines.extend([*block, "  " + style.paint(style.text(last), "dim")])
        for text in gate.drift:
            first, *more = paragraph(style.text(f"drift: {text}"), style, first="  ! ", rest="    ")
            lines.extend([first.replace("!", style.paint("!", "bold", "yellow"), 1), *more])
    return "\n".join(lines) + "\n"


def _gate_row(gate: GateStatus) -> tuple[str, ...]:
    """READY is ready of all pods in rotation, OUT the pods that the Service would have without its gate."""
    return (
        gate.namespace,
        gate.name,
        gate.gate,
        some(gate.services, 3),
        gate.strategy,
        f"{gate.members_ready}/{gate.members_total}",
        str(gate.candidates - gate.members_total),
    )
