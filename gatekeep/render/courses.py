"""What a plan means for the run of each gate: the stages of a canary, the switch of colours, who is isolated."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gatekeep.model.durations import age, seconds_in
from gatekeep.model.plan import GateTarget, Plan
from gatekeep.model.policy import BlueGreen, Canary, CanaryStep, TrafficGate
from gatekeep.model.progress import Progress
from gatekeep.model.waits import DurationWait
from gatekeep.render.layout import Cell, counted, paragraph, some, table
from gatekeep.render.style import Style

_SHOWN = 6
MODES = {"Gate": "stays owned, is not replaced", "Detach": "released from its controller, which replaces it"}


def courses_text(plan: Plan, style: Style) -> list[list[str]]:
    """A block for each gate that has a run or isolated pods; none for a plain pool."""
    blocks = [block for gate in plan.gates for block in (_course(gate, plan, style), _isolated(gate, style))]
    return [block for block in blocks if block]


def ends_at(gate: GateTarget) -> str:
    """``paused at step 2 of 6 (weight 10)``: where the run stands once the plan is done; empty without a run."""
    policy, progress = _policy(gate), gate.progress
    if policy is None or progress is None:
        return ""
    canary = policy.spec.rotation.canary
    if canary is None or canary.steps is None or progress.phase == "Aborted":
        return f"aborted: {progress.reason}" if progress.phase == "Aborted" else ""
    of = len(canary.steps)
    if progress.phase == "Paused":
        return f"paused at step {progress.step + 1} of {of} (weight {_weight(canary.steps, progress.step)})"
    return f"all {of} steps done" if progress.phase == "Done" else ""


def _policy(gate: GateTarget) -> TrafficGate | None:
    """The plan's copy of the policy; None where it is none, for a document may hold anything."""
    try:
        return msgspec.convert(gate.policy, TrafficGate)
    except msgspec.ValidationError:
        return None


def _course(gate: GateTarget, plan: Plan, style: Style) -> list[str]:
    policy = _policy(gate)
    if policy is None or gate.progress is None:
        return []
    rotation = policy.spec.rotation
    if gate.progress.phase == "Aborted":
        return _aborted(gate, gate.progress, rotation.blue_green, style)
    if rotation.canary is not None and rotation.canary.steps is not None:
        return _stages(gate, gate.progress, rotation.canary, plan, style)
    if rotation.blue_green is not None:
        return _switch(gate, gate.progress, rotation.blue_green, plan, style)
    return []


def _title(gate: GateTarget, words: str, style: Style) -> str:
    return style.paint(style.text(f"Run of {gate.namespace}/{gate.name}"), "bold") + f"  {style.text(words)}"


def _aborted(gate: GateTarget, progress: Progress, blue_green: BlueGreen | None, style: Style) -> list[str]:
    stands = f"{blue_green.active} → {progress.former}" if blue_green is not None else "weight 0"
    lines = paragraph(style.text(progress.reason), style, first="  reason  ") if progress.reason else []
    return [_title(gate, f"aborted: {stands}", style), *lines]


def _stages(gate: GateTarget, progress: Progress, canary: Canary, plan: Plan, style: Style) -> list[str]:
    """A line for each step of the policy that the plan takes, with the numbers of its own steps."""
    steps = canary.steps or ()
    reached = [(stage.through, stage.progress.step) for stage in gate.stages]
    reached.append((_last(gate, plan), progress.step))
    rows, before = [], _first(gate, plan) - 1
    for through, step in reached:
        if 0 < step <= len(steps) and (steps[step - 1].pause is None or through > before):
            rows.append((f"step {step}", _step(steps, step), _numbers(before + 1, through)))
        before = max(before, through)
    paused = progress.phase == "Paused" and progress.step < len(steps)
    if paused:
        rows.append((f"step {progress.step + 1}", _pause(steps[progress.step]), "the plan ends here"))
    end = f"reaches the pause at step {progress.step + 1} of {len(steps)}" if paused else "reaches the last step"
    return [_title(gate, end, style), *_table(rows, style)]


def _step(steps: Sequence[CanaryStep], number: int) -> str:
    step = steps[number - 1]
    if step.check is not None:
        return f"check {step.check}"
    return f"weight {_weight(steps, number)}"


def _pause(step: CanaryStep) -> str:
    return f"pause {age(seconds_in(step.pause) or 0)}" if isinstance(step.pause, str) else "pause until promoted"


def _weight(steps: Sequence[CanaryStep], done: int) -> int:
    weights = [step.weight for step in steps[:done] if step.weight is not None]
    return weights[-1] if weights else 0


def _first(gate: GateTarget, plan: Plan) -> int:
    return min((step.number for step in plan.steps if step.policy == _reference(gate)), default=1)


def _last(gate: GateTarget, plan: Plan) -> int:
    return max((step.number for step in plan.steps if step.policy == _reference(gate)), default=0)


def _reference(gate: GateTarget) -> str:
    return f"TrafficGate {gate.namespace}/{gate.name}"


def _numbers(first: int, last: int) -> str:
    if last < first:
        return "as it is"
    return f"plan step {first}" if first == last else f"plan steps {first}-{last}"


def _switch(gate: GateTarget, progress: Progress, wanted: BlueGreen, plan: Plan, style: Style) -> list[str]:
    """From one colour to the other; nothing where the plan switches none."""
    moves = [item for item in plan.services if item.namespace == gate.namespace and item.name in gate.services]
    new = wanted.active
    old = progress.former or _other(wanted)
    if not any(set(item.before) - set(item.after) for item in moves):
        return []
    joins = any(set(item.after) - set(item.before) for item in moves)
    rows = [("both answer", f"for a moment: {new} joins before {old} leaves")] if joins else []
    waits = [step for step in plan.steps if isinstance(step.wait, DurationWait) and step.policy == _reference(gate)]
    if wanted.drain is not None and waits:
        drain = age(seconds_in(wanted.drain) or 0)
        rows.append(("drain", f"{drain} once {old} is out, for connections that last  (plan step {waits[-1].number})"))
    if gate.preview:
        rows.append(("preview", f"Service {gate.preview} reaches {old} at the end; until then it has no endpoint"))
    title = f"switches {old} → {new}" if joins else f"{old} leaves, {new} stays"
    return [_title(gate, title, style), *_table(rows, style)]


def _other(wanted: BlueGreen) -> str:
    """Who serves until now, where no record knows a former colour: of two it is the other one."""
    others = sorted(set(wanted.colors) - {wanted.active})
    return others[0] if len(others) == 1 else "the other colours"


def _table(rows: Sequence[Sequence[str]], style: Style) -> list[str]:
    """What happens, in the second column, stands out."""
    looks = ("dim", "", "dim")
    cells = [[Cell(style.text(text), look) for text, look in zip(row, looks, strict=False)] for row in rows]
    return table(cells, style)


def _isolated(gate: GateTarget, style: Style) -> list[str]:
    """Who is out of rotation once the plan is done, why, and until when."""
    rows = []
    for item in gate.isolations:
        if item.pods:
            pods = f"{counted(len(item.pods), 'pod')}: {some([pod.name for pod in item.pods], _SHOWN)}"
            end = f"until {item.expires}" if item.expires else "never expires"
            rows.append((item.name, pods))
            rows.append(("", f"{item.mode}: {MODES.get(item.mode, '')}; {end}; {item.reason}"))
    if not rows:
        return []
    return [style.paint(style.text(f"Isolated from {gate.namespace}/{gate.name}"), "bold"), *_table(rows, style)]
