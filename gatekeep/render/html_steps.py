"""The steps of a plan in HTML: an index, and a card for each, with who is in rotation once its phase is done."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator

import msgspec

from gatekeep.model.plan import Change, Plan, Step
from gatekeep.render.escape import escape
from gatekeep.render.inert import shortened
from gatekeep.render.layout import counted, some
from gatekeep.render.rotations import Group, Rotations, State, rotations_of
from gatekeep.render.words import lines_of

_PODS, _NAMES, _PATCHES = 40, 12, 3
_COLUMNS, _ROWS, _INDEX = 12, 40, 400
_LONGEST = 4_000
_NAVIGATION = 250
"""Bytes that the beginning of a card takes at most."""

_STILL = {"in", "out"}
_MARKS = {"in": "in", "out": "out", "joins": "+ joins", "leaves": "− leaves"}


def steps_html(plan: Plan, room: int) -> Iterator[str]:
    """The section, within ``room`` bytes."""
    phases = counted(len({step.phase for step in plan.steps}), "phase")
    number = f"{len(plan.steps):,} in {phases}" if plan.steps else "none"
    yield f'<h2 id="steps">Steps: {number}</h2>\n'
    rotations = rotations_of(plan)
    if plan.services and not rotations.services:
        yield '<p class="soft">There are too many phases and pods to show who is in rotation after each.</p>\n'
    cards = list(_fitting(plan, rotations, room - 200_000 if len(plan.steps) > _INDEX else room - 100_000))
    if len(plan.steps) > 1:
        yield '<nav aria-label="steps"><ol class="index">\n'
        yield from (
            f'<li><a href="#step-{step.number}">{_title(step)}</a></li>\n' for step in plan.steps[: len(cards)][:_INDEX]
        )
        yield "</ol></nav>\n"
    for at, card in enumerate(cards, 1):
        yield from (_open(at, len(cards)), card)
    if left := len(plan.steps) - len(cards):
        yield f'<p class="soft">… {counted(left, "more step")}; gatekeep show PLAN has all</p>\n'


def _fitting(plan: Plan, rotations: Rotations, room: int) -> Iterator[str]:
    for at, step in enumerate(plan.steps):
        ends = at + 1 == len(plan.steps) or plan.steps[at + 1].phase != step.phase
        card = "".join(_card(step, rotations if ends else None))
        room -= len(card.encode()) + _NAVIGATION
        if room < 0:
            return
        yield card


def _text(value: str, limit: int = 1_000) -> str:
    return html.escape(shortened(escape(value), limit), quote=True)


def _title(step: Step) -> str:
    line = lines_of(step)[0]
    return f"{line.symbol} <code>{_text(line.objects, 200)}</code>"


def _open(number: int, last: int) -> str:
    """How a card begins: with links to its neighbours."""
    links = "".join(
        f'<a href="#step-{other}">{words}</a>'
        for other, words in ((number - 1, "← previous"), (number + 1, "next →"))
        if 1 <= other <= last
    )
    begin = f'<section class="step" id="step-{number}" aria-labelledby="title-{number}">'
    return f'{begin}\n<nav>{links}<a href="#steps">all</a></nav>\n'


def _card(step: Step, rotations: Rotations | None) -> Iterator[str]:
    phase = f'<span class="soft">phase {step.phase}</span>'
    yield f'<h3 id="title-{step.number}">{step.number}. {_title(step)} {phase}</h3>\n'
    lines = lines_of(step)[:_ROWS]
    for line in lines:
        objects = f"{line.symbol} {_text(line.objects)}: " if len(lines) > 1 else ""
        yield f"<p>{objects}<code>{_text(line.change)}</code></p>\n"
    yield f'<p class="soft">{_text(step.reason)}</p>\n'
    yield from _details(step)
    if rotations is not None and step.phase in rotations.phases:
        yield from _matrix(rotations, rotations.phases.index(step.phase), step.phase)
    yield "</section>\n"


def _details(step: Step) -> Iterator[str]:
    if step.changes:
        names = some([_text(change.name, 80) for change in step.changes], _PODS)
        what = "the patch" if len(step.changes) == 1 else f"{len(step.changes):,} patches"
        yield f"<details><summary>{what}</summary><p>{names}</p>\n"
        yield from (_document(change) for change in step.changes[:_PATCHES])
        if len(step.changes) > _PATCHES:
            yield f'<p class="soft">… {len(step.changes) - _PATCHES:,} more of them</p>\n'
        yield "</details>\n"
    if step.wait is not None:
        found = json.dumps(msgspec.to_builtins(step.wait), sort_keys=True, ensure_ascii=False)
        yield f'<details><summary>the wait</summary><pre tabindex="0">{_text(found, _LONGEST)}</pre></details>\n'


def _document(change: Change) -> str:
    """What is sent, an operation a line."""
    found = [change.object] if change.object is not None else msgspec.to_builtins(change.patch)
    lines = "\n".join(_text(json.dumps(item, sort_keys=True, ensure_ascii=False), _LONGEST) for item in found)
    return f'<pre tabindex="0">{lines}</pre>\n'


def _matrix(rotations: Rotations, at: int, phase: int) -> Iterator[str]:
    """Services across, pods down: who is in, who joins and who leaves, in words as well as in colour."""
    services, groups = rotations.services[:_COLUMNS], _rows(rotations, at)
    if not groups:
        yield f'<p class="soft">once phase {phase} is done: nobody has joined or left</p>\n'
        return
    yield '<div class="wide" tabindex="0"><table>'
    yield f'<caption class="soft">in rotation once phase {phase} is done</caption>\n'
    heads = "".join(f'<th scope="col">{_text(f"{namespace}/{name}", 120)}</th>' for namespace, name in services)
    yield f'<thead><tr><th scope="col">pods</th>{heads}</tr></thead>\n<tbody>\n'
    for group in groups[:_ROWS]:
        cells = "".join(f'<td class="{state}">{_MARKS[state]}</td>' for state in group.states[at][:_COLUMNS])
        yield f'<tr><th scope="row">{_pods(group)}</th>{cells}</tr>\n'
    yield "</tbody></table></div>\n"
    left = len(groups) - _ROWS, len(rotations.services) - _COLUMNS
    words = [
        counted(number, f"more {what}") for number, what in zip(left, ("row", "Service"), strict=True) if number > 0
    ]
    if words:
        yield f'<p class="soft">… {", ".join(words)}</p>\n'


def _rows(rotations: Rotations, at: int) -> list[Group]:
    """Who joins or leaves in this phase, by name while they are few; then one row for all who stay as they are."""
    movers = [group for group in rotations.groups if not set(group.states[at]) <= _STILL]
    if sum(len(group.pods) for group in movers) <= _ROWS:
        movers = [Group(group.namespace, (pod,), group.states) for group in movers for pod in group.pods]
    rest: dict[tuple[str, tuple[State, ...]], list[Group]] = {}
    for group in rotations.groups:
        if set(group.states[at]) <= _STILL:
            rest.setdefault((group.namespace, group.states[at]), []).append(group)
    still = [Group(found[0].namespace, tuple(sorted(pod for group in found for pod in group.pods)), found[0].states)
             for found in rest.values()]  # fmt: skip
    return sorted(movers, key=lambda group: (group.namespace, group.pods)) + still if movers else []


def _pods(group: Group) -> str:
    if len(group.pods) == 1:
        return f"<code>{_text(group.pods[0], 120)}</code>"
    shown = some([_text(pod, 80) for pod in group.pods], _NAMES)
    return f"{len(group.pods):,} pods <code>{shown}</code>"
