"""What a plan does besides its steps: the way back, what else is written, what a wait means, whom nobody moves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gatekeep.model.plan import GateTarget, Plan
from gatekeep.render.layout import Cell, paragraph, seconds, some, table
from gatekeep.render.runs import Command, plain_command
from gatekeep.render.style import Style
from gatekeep.render.words import selector_change

PREVIOUS = "put the previous {policies} back in Git and apply {them}"
AGAIN = "keep the {policies} in Git and apply {them} again"
UNDO = "undo the run that carries it out: that run prints the command at its end, and gatekeep history shows its id"
_SHOWN = 6


class Back(NamedTuple):
    """How to go back: in a sentence, or by commands, and the ready endpoints on that way."""

    words: str
    commands: tuple[str, ...]
    counts: str


def way_back(plan: Plan, command: Command = plain_command, run_id: str = "") -> Back:
    """Retiring undoes a plan only where no gate stood before it; else Git knows the way, or the record of the run.

    ``run_id`` is that of a run that has taken place.
    """
    fresh = [gate for gate in plan.gates if gate.action == "Gate" and not stood_before(plan, gate)]
    stood = [gate for gate in plan.gates if gate.action == "Gate" and gate not in fresh]
    moves = [gate for gate in stood if gate.progress is not None or gate.isolations or not plan.source.policies]
    commands = [command("retire", f"{gate.namespace}/{gate.name}") for gate in fresh]
    if moves and run_id:
        commands.append(command("undo", run_id))
    words = [
        UNDO if moves and not run_id else "",
        _words(PREVIOUS, [gate for gate in stood if gate not in moves]),
        _words(AGAIN, [gate for gate in plan.gates if gate.action == "Retire"]),
    ]
    return Back("; ".join(part for part in words if part), tuple(commands), _counts(plan))


def stood_before(plan: Plan, gate: GateTarget) -> bool:
    """True unless every Service of the gate had a selector to which the plan adds the gate's key, and nothing else."""
    return not all(_is_added(plan, gate, name) for name in gate.services)


def back_lines(plan: Plan, style: Style, command: Command = plain_command, run_id: str = "") -> list[str]:
    """The way back as lines of their own; a command is never wrapped, so that it can be copied."""
    back, title = way_back(plan, command, run_id), "way back"
    head = f"{title} (planned and proved: {back.counts})" if back.counts else title
    words = f"{head}: {back.words}" if back.words else head
    return [
        *paragraph(style.text(words), style, first="  ", rest="    "),
        *(f"    {style.text(line)}" for line in back.commands),
    ]


def around_text(plan: Plan, style: Style, command: Command = plain_command, *, proved: bool = True) -> list[str]:
    """Below the steps of a plan that writes and whose proof holds."""
    rows = [("also writes", _books(plan.gates))]
    timeouts = sorted({step.wait.timeout_seconds for step in plan.steps if step.wait is not None})
    if timeouts:
        limit = f"up to {seconds(timeouts[-1])} each"
        rows.append(
            ("waits", f"{limit}; if one is not met, apply stops, removes its helper Services and says how to go on")
        )
    if holds := _holds(plan):
        rows.append(("holds still", holds))
    if any(set(service.before) - set(service.after) for service in plan.services):
        rows.append(("leaving pods", "keep their established connections; no new one reaches them"))
    back = way_back(plan, command)
    made = f"{'planned and proved' if proved else 'planned'} with this plan"
    words = f" {back.words}" if back.words else ""
    rows.append(("way back", (f"{made} ({back.counts}):" if back.counts else f"{made}:") + words))
    lines = table([(Cell(name, "dim"), Cell(style.text(text))) for name, text in rows if text], style)
    start = " " * (4 + max(len(name) for name, _ in rows))
    return [*lines, *(start + style.text(line) for line in back.commands)]


def _holds(plan: Plan) -> str:
    """Which workloads stand still for a moment; empty where none does."""
    found = [f"{hold.kind} {gate.namespace}/{hold.name}" for gate in plan.gates for hold in gate.holds]
    names = list(dict.fromkeys(found))
    whose = "its" if len(names) == 1 else "their"
    words = f", for a moment: nothing restarts, and none of {whose} rollouts begins"
    return some(names, _SHOWN) + words if names else ""


def _words(text: str, gates: Sequence[GateTarget]) -> str:
    """The sentence for ``gates``; empty without any. Several are named, as not all of a plan's may be meant."""
    if not gates:
        return ""
    if len(gates) == 1:
        return text.format(policies="policy", them="it")
    names = some([f"{gate.namespace}/{gate.name}" for gate in gates], _SHOWN)
    return text.format(policies=f"policies ({names})", them="them")


def _is_added(plan: Plan, gate: GateTarget, service: str) -> bool:
    patches = [
        change.patch
        for step in plan.steps
        if step.action == "Patch"
        for change in step.changes
        if (change.kind, change.namespace, change.name) == ("Service", gate.namespace, service)
    ]
    moves = [move for patch in patches if (move := selector_change(patch)) is not None]
    if not moves:
        return False
    before, after = moves[0][0], moves[-1][1]
    return gate.key not in before and all(after.get(key) == value for key, value in before.items())


def _counts(plan: Plan) -> str:
    """``3 → 6 ready`` for one Service; the names come with several."""
    moves = [(item.name, f"{len(item.after):,} → {len(item.before):,} ready") for item in plan.services]
    if len(moves) == 1:
        return moves[0][1]
    return some([f"{name} {move}" for name, move in moves], _SHOWN)


def _books(gates: Sequence[GateTarget]) -> str:
    names = some([f"{gate.namespace}/gatekeep-{gate.name}" for gate in gates], _SHOWN)
    if not names:
        return ""
    retired = all(gate.action == "Retire" for gate in gates)
    return f"ConfigMap and Lease {names}{', deleted at the end' if retired else ''}"
