"""A plan as one comment on a pull request: what a reviewer has to know, the steps folded away, never too long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gatekeep.model.plan import Finding, Plan, Step
from gatekeep.render.around import way_back
from gatekeep.render.brief import Move, gates_of, moves_of, others_of, place_of, reverts_of, verdict_of
from gatekeep.render.courses import courses_text
from gatekeep.render.inert import block, code, prose
from gatekeep.render.layout import counted
from gatekeep.render.runs import Command, plain_command
from gatekeep.render.steps import steps_text
from gatekeep.render.style import Style
from gatekeep.render.text import short_id

LIMIT = 65_000
"""Characters of the whole comment; GitHub takes 65,536."""

_SERVICES, _FINDINGS, _REVERTS, _RUNS, _BACK = 14_000, 14_000, 7_000, 5_000, 4_000
_NAMED = 12
_STYLE = Style(width=110)
_NOT_IN_MARKER = re.compile(r"[^A-Za-z0-9./_-]")
_MARKED = 20


def plan_markdown(plan: Plan, *, proved: bool = True, command: Command = plain_command) -> str:
    """The comment. Everything from outside is in code spans, in fenced blocks, or harmless words."""
    verdict = verdict_of(plan, proved=proved)
    parts = [marker(plan), f"### {verdict.mark} gatekeep: {verdict.title}", prose(verdict.words)]
    if plan.writes or not plan.proof.holds:
        parts.append(_within([_service(move) for move in moves_of(plan)], _SERVICES, "Service"))
        runs = [line for found in courses_text(plan, _STYLE) for line in found]
        if runs:
            parts.append(block(_fitting(runs, _RUNS)))
    reverts = reverts_of(plan)
    if reverts:
        parts.append(
            "#### Who might revert it\n\n" + _within([_finding(item) for item in reverts], _REVERTS, "finding")
        )
    if found := _findings(plan):
        parts.append(found)
    if plan.writes and plan.proof.holds:
        parts.append(_back(plan, command, proved=proved))
    foot = _foot(plan)
    if plan.steps:
        room = LIMIT - sum(len(part) + 2 for part in (*parts, foot))
        parts.append(_steps(plan, room))
    return "\n\n".join([*parts, foot]) + "\n"


def marker(plan: Plan) -> str:
    """A comment nobody sees, by which a pipeline finds its own comment again and replaces it."""
    names = [_NOT_IN_MARKER.sub("", name)[:130] for name in gates_of(plan)]
    more = [f"and-{len(names) - _MARKED}-more"] if len(names) > _MARKED else []
    return f"<!-- gatekeep: {' '.join([*names[:_MARKED], *more])} -->"


def _service(move: Move) -> str:
    title = f"**Service** {code(f'{move.namespace}/{move.name}')}"
    lines = [f"{title}: {move.before:,} → least {move.least:,} → {move.after:,} ready; {move.rest}"]
    for verb, names in (("joins", move.joining), ("leaves", move.leaving)):
        if names:
            lines.append(f"- {verb}, {len(names):,}: {_some(names)}")
    if not move.joining and not move.leaving:
        lines.append(f"- the same {counted(len(move.staying), 'pod')}: {_some(move.staying)}")
    elif move.leaving:
        lines.append(f"- stays, {len(move.staying):,}: {_some(move.staying)}" if move.staying else "- nobody stays")
    return "\n".join(lines) + "\n"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(code(name) for name in names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED:,} more" if len(names) > _NAMED else shown


def _findings(plan: Plan) -> str:
    lines: list[str] = []
    for title, items in others_of(plan):
        lines.extend([f"\n**{title}**\n", *(_finding(item) for item in items)])
    return "#### Findings\n\n" + _within(lines, _FINDINGS, "finding") if lines else ""


def _finding(finding: Finding) -> str:
    about = f"{code(finding.object)}: " if finding.object else ""
    place = f", {code(place_of(finding))}" if finding.file else ""
    return f"- {about}{prose(finding.message)} ({code(finding.rule)}{place})"


def _back(plan: Plan, command: Command, *, proved: bool) -> str:
    back = way_back(plan, command)
    made = "planned and proved with this plan" if proved else "planned with this plan"
    parts = ["#### The way back", f"{made}: {prose(back.counts)}" if back.counts else made]
    if back.commands:
        parts.append(block(_fitting(back.commands, _BACK), "sh"))
    if back.words:
        parts.append(prose(back.words))
    return "\n\n".join(parts)


def _steps(plan: Plan, room: int) -> str:
    """All steps, or as many as there is room for and how many are left."""
    phases = counted(len({step.phase for step in plan.steps}), "phase")
    summary = f"<details><summary>{counted(len(plan.steps), 'step')} in {phases}</summary>"
    least, most = 0, len(plan.steps)
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if len(_table(plan.steps, middle, summary)) <= room else (least, middle - 1)
    return _table(plan.steps, least, summary)


def _table(steps: Sequence[Step], shown: int, summary: str) -> str:
    """The first ``shown`` steps, folded away."""
    left = len(steps) - shown
    parts = [summary, block(steps_text(steps[:shown], _STYLE)[1:] if shown else [])]
    if left:
        parts.append(f"… {left:,} more {'step' if left == 1 else 'steps'}; `gatekeep show PLAN` has all")
    return "\n\n".join([*parts, "</details>"])


def _foot(plan: Plan) -> str:
    parts = [f"plan {code(short_id(plan.id))}"]
    if plan.cluster.server or plan.cluster.uid:
        parts.append(f"cluster {code(plan.cluster.server or plan.cluster.uid or '')}")
    if plan.source.revision:
        parts.append(f"revision {code(plan.source.revision)}")
    if plan.expires_at:
        parts.append(f"expires {code(plan.expires_at)}")
    return " · ".join(parts)


def _within(items: Sequence[str], budget: int, what: str) -> str:
    """The items that fit, and how many do not."""
    fitting = _fitting(items, budget)
    left = len(items) - len(fitting)
    rest = [f"\n… {counted(left, f'more {what}')}; `gatekeep show PLAN` has all"] if left else []
    return "\n".join([*fitting, *rest]).strip("\n")


def _fitting(items: Iterable[str], budget: int) -> list[str]:
    found, used = [], 0
    for item in items:
        used += len(item) + 1
        if used > budget:
            break
        found.append(item)
    return found
