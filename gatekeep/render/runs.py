"""Where the run of a canary or a blue/green switch stands, in words; what goes on from there; what Git has to say."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NamedTuple

from gatekeep.model.durations import age
from gatekeep.model.outcomes import GateRun, RunStatus
from gatekeep.model.plan import GateTarget
from gatekeep.render.layout import Cell, paragraph, table
from gatekeep.render.style import Style

Command = Callable[[str, str], str]
"""The command of that name for a gate (NAMESPACE/NAME) or a run, ready to be copied."""

CANARY = "canary"
POLICIES = "gatekeep apply -f POLICIES"
"""The apply of whoever knows where the policies lie."""
PROMETHEUS = " --prometheus URL"
"""What a command needs besides when the steps that it takes hold a check."""
HELD = "Git still says newPods: Hold: pods that are born later wait again"
REVERT = "Git still says otherwise: revert the change there, or the next apply brings it back"


def plain_command(verb: str, what: str) -> str:
    """The command for a cluster that needs no flags."""
    return f"gatekeep {verb} {what}"


def strategy_words(strategy: str, run: RunStatus | None) -> str:
    """``pool``, ``canary, weight 10``, ``blue/green, green``."""
    if run is None:
        return strategy
    if strategy == CANARY:
        return strategy if run.weight is None else f"canary, weight {run.weight}"
    return f"blue/green, {run.color}"


def run_words(run: RunStatus) -> str:
    """``step 2 of 6: paused 4m of 10m``; empty for what has no steps and stands as its policy says."""
    match run.phase:
        case "Aborted":
            at = f" after step {run.step} of {run.steps}" if run.steps else ""
            ago = f" {age(run.age)} ago" if run.age is not None else ""
            return f"aborted{at}{ago}: {run.reason or 'no reason was given'}"
        case "Paused":
            return f"step {run.step + 1} of {run.steps}: {_pause(run)}"
        case "Running" if run.steps:
            return f"step {run.step} of {run.steps} done, and under way; if no run is, the next apply goes on"
        case "Done" if run.steps:
            return f"all {run.steps} steps done"
        case "" if run.steps:
            return f"no step of {run.steps} done"
    return ""


def _pause(run: RunStatus) -> str:
    if run.pause is None:
        return "paused until promoted" if run.age is None else f"paused for {age(run.age)}, until promoted"
    if run.age is None:
        return f"a pause of {age(run.pause)}"
    if run.age >= run.pause:
        return f"its pause of {age(run.pause)} is over, the next apply goes on"
    return f"paused {age(run.age)} of {age(run.pause)}"


def asking(command: str, *, asks: bool) -> str:
    """``command`` with the flag that it needs when a check comes in what it does."""
    return command + PROMETHEUS if asks else command


class Next(NamedTuple):
    """Where the run of a gate stands after a command, and the commands that lead on from there."""

    words: str
    commands: tuple[tuple[str, str], ...] = ()


def next_of(item: GateRun, apply: str, command: Command, *, asks: bool = False) -> Next | None:
    """None for a run that has nothing to say: a canary that holds one weight for good.

    ``asks`` says that a check comes before the next pause.
    """
    run, name = item.run, f"{item.namespace}/{item.name}"
    apply, promote = asking(apply, asks=asks), asking(command("promote", name), asks=asks)
    abort = command("abort", name)
    if run.phase == "Done" and item.strategy != CANARY:
        return Next(f"done: {run.color} is active")
    if run.phase == "Done":
        return Next(f"done: step {run.steps} of {run.steps}, weight {run.weight}") if run.steps else None
    if run.phase == "Aborted":
        stands = f"weight {run.weight}" if item.strategy == CANARY else f"{run.color} is active"
        again = "starts the run again" if item.strategy == CANARY else "switches again"
        return Next(f"aborted, {stands}: {run.reason}", ((promote, again),))
    if run.phase != "Paused":
        return None
    where = f"paused at step {run.step + 1} of {run.steps} (weight {run.weight})"
    out = (abort, "takes the canary out")
    if run.pause is None:
        return Next(f"{where} until it is promoted", ((promote, "goes on"), out))
    left = max(0, run.pause - (run.age or 0))
    if not left:
        return Next(f"{where}, and the pause is over", ((apply, "goes on"), out))
    later = f"goes on, {age(left)} from now"
    return Next(where, ((apply, later), (promote, "goes on now"), out))


def next_text(
    runs: Sequence[GateRun],
    apply: str,
    command: Command,
    style: Style,
    asking_gates: Container[tuple[str, str]] = (),
) -> list[str]:
    """For each run where it stands, and below it the commands, which are never wrapped.

    Of ``asking_gates``, by namespace and name, a check comes before the next pause.
    """
    lines: list[str] = []
    for item in runs:
        found = next_of(item, apply, command, asks=(item.namespace, item.name) in asking_gates)
        if found is not None:
            lines.extend(paragraph(style.text(f"{item.namespace}/{item.name}: {found.words}"), style, first="  "))
            rows = [(Cell(style.text(line)), Cell(style.text(words), "dim")) for line, words in found.commands]
            lines.extend(table(rows, style, indent="    "))
    return lines


def after_promote(gates: Sequence[GateTarget]) -> str:
    """What Git has to say so that a promotion lasts, by the plan for it."""
    kinds = {_strategy(gate) for gate in gates}
    if any("steps" in _part(_rotation(gate), CANARY) for gate in gates):
        return "Git has the steps already; nothing to change"
    held = any(_part(gate.policy, "spec").get("newPods") == "Hold" for gate in gates)
    return "Git asks for it already; nothing to change" if kinds & {CANARY, "blueGreen"} and not held else HELD


def after_abort(gates: Sequence[GateTarget]) -> str:
    """What Git has to say so that an abort lasts, by the plan for it."""
    kinds = {_strategy(gate): gate for gate in gates}
    again = "a change of the policy or of the canary's pods starts a new run"
    if CANARY in kinds:
        return f"Git still asks for it: {again}; to make it permanent set weight 0 or revert the change"
    if "blueGreen" in kinds:
        progress = kinds["blueGreen"].progress
        color = progress.former if progress is not None else "the former colour"
        return f"write active: {color} in Git to make it permanent"
    return REVERT


def after_undo(action: str) -> str:
    """What Git has to say so that the undoing of such a run lasts."""
    if action in ("promote", "abort"):
        return f"Git says nothing of the {action} that was undone; nothing to change there"
    return "Git brings about what it says with the next apply" if action == "undo" else REVERT


def _strategy(gate: GateTarget) -> str:
    """The strategy that the plan's copy of the policy names; the copy may be anything."""
    return next(iter(_rotation(gate)), "")


def _rotation(gate: GateTarget) -> Mapping[str, Any]:
    return _part(_part(gate.policy, "spec"), "rotation")


def _part(document: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    found = (document or {}).get(name)
    return found if isinstance(found, Mapping) else {}
