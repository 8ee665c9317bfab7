"""A plan as one HTML page: no script, no network, and everything from outside escaped.

One steps through it by links; what is long is folded away by ``details``, which every browser can open by keyboard.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence

from gatekeep.model.plan import Finding, Plan
from gatekeep.render.around import way_back
from gatekeep.render.brief import Move, gates_of, moves_of, others_of, place_of, reverts_of, verdict_of
from gatekeep.render.courses import courses_text
from gatekeep.render.escape import escape
from gatekeep.render.html_steps import steps_html
from gatekeep.render.html_style import POLICY, STYLE
from gatekeep.render.inert import shortened
from gatekeep.render.layout import counted
from gatekeep.render.runs import Command, plain_command
from gatekeep.render.style import Style
from gatekeep.render.text import short_id

LIMIT = 1_900_000
"""Bytes of the whole page."""

_NAMED, _SERVICES, _FINDINGS = 100, 300, 300
_HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#steps">Skip to the steps</a>
"""


def plan_html(plan: Plan, *, proved: bool = True, command: Command = plain_command) -> str:
    """The page, at most :data:`LIMIT` bytes; steps that do not fit are counted."""
    names = gates_of(plan)
    title = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") or "nothing"
    head = _HEAD.format(policy=html.escape(POLICY), title=text(f"gatekeep plan: {title}"), style=STYLE)
    parts = [head, "<header>\n", *_verdict(plan, title, proved=proved), "</header>\n<main>\n"]
    if plan.writes or not plan.proof.holds:
        parts.extend(_services(plan))
    parts.extend(_findings("Who might revert it", reverts_of(plan)))
    for severity, items in others_of(plan):
        parts.extend(_findings(severity, items))
    if plan.writes and plan.proof.holds:
        parts.extend(_back(plan, command, proved=proved))
    foot = "</main>\n</body>\n</html>\n"
    room = LIMIT - sum(len(part.encode()) for part in (*parts, foot))
    return "".join([*parts, *steps_html(plan, room), foot])


def text(value: object) -> str:
    """Anything from outside, as text and nothing else."""
    return html.escape(shortened(escape(str(value))), quote=True)


def code(value: object) -> str:
    """A name."""
    return f"<code>{text(value)}</code>"


def _verdict(plan: Plan, title: str, *, proved: bool) -> Iterator[str]:
    verdict = verdict_of(plan, proved=proved)
    yield f"<h1>gatekeep plan: {text(title)}</h1>\n"
    yield f'<div class="verdict {verdict.look}"><strong>{verdict.mark} {verdict.title}</strong>'
    yield f"<p>{text(verdict.words)}</p></div>\n<dl>\n"
    rows = [
        ("plan", short_id(plan.id)), ("cluster", " ".join(filter(None, (plan.cluster.server, plan.cluster.version)))),
        ("uid", plan.cluster.uid or ""), ("repository", plan.source.repository or ""),
        ("revision", plan.source.revision or ""), ("expires", plan.expires_at or ""),
    ]  # fmt: skip
    yield from (f"<dt>{name}</dt><dd>{code(value)}</dd>\n" for name, value in rows if value)
    yield "</dl>\n"


def _services(plan: Plan) -> Iterator[str]:
    moves = moves_of(plan)
    yield "<h2>Services</h2>\n"
    for move in moves[:_SERVICES]:
        yield from _service(move)
    yield _more(len(moves) - _SERVICES, "Service")
    runs = courses_text(plan, Style(width=100))
    for lines in runs[:_SERVICES]:
        yield f'<pre tabindex="0">{html.escape(chr(10).join(shortened(line) for line in lines[:_NAMED]))}</pre>\n'


def _service(move: Move) -> Iterator[str]:
    yield f"<h3>Service {code(f'{move.namespace}/{move.name}')}</h3>\n<dl>\n<dt>ready endpoints</dt>"
    yield f"<dd>before {move.before:,} → least {move.least:,} → after {move.after:,}; {text(move.rest)}</dd>\n"
    for verb, names in (("joining", move.joining), ("leaving", move.leaving), ("staying", move.staying)):
        if names:
            yield f"<dt>{verb}</dt><dd>{named(names, _NAMED)}</dd>\n"
    yield "</dl>\n"


def named(names: Sequence[str], limit: int) -> str:
    """Names with their number; many are folded away, and more than ``limit`` are counted."""
    shown = ", ".join(code(name) for name in names[:limit]) + (
        f" and {len(names) - limit:,} more" if len(names) > limit else ""
    )
    if len(names) <= 12:
        return f"{len(names):,}: {shown}"
    return f"<details><summary>{counted(len(names), 'pod')}</summary>{shown}</details>"


def _findings(title: str, findings: Sequence[Finding]) -> Iterator[str]:
    if findings:
        yield f"<h2>{title}</h2>\n<ul>\n"
        yield from (_finding(item) for item in findings[:_FINDINGS])
        yield "</ul>\n"
        yield _more(len(findings) - _FINDINGS, "finding")


def _finding(finding: Finding) -> str:
    about = f"{code(finding.object)}: " if finding.object else ""
    place = f", {code(place_of(finding))}" if finding.file else ""
    rule = f'<span class="soft">({code(finding.rule)}{place})</span>'
    return (
        f'<li><span class="{finding.severity}">{finding.severity}</span> {about}{text(finding.message)} {rule}</li>\n'
    )


def _back(plan: Plan, command: Command, *, proved: bool) -> Iterator[str]:
    back = way_back(plan, command)
    made = "planned and proved with this plan" if proved else "planned with this plan"
    yield f"<h2>The way back</h2>\n<p>{text(': '.join(part for part in (made, back.counts) if part))}</p>\n"
    if back.commands:
        yield f'<pre tabindex="0">{_joined(back.commands)}</pre>\n'
    if back.words:
        yield f"<p>{text(back.words)}</p>\n"


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(text(line) for line in list(lines)[:_SERVICES])


def _more(number: int, what: str) -> str:
    return (
        f'<p class="soft">… {counted(number, f"more {what}")}; gatekeep show PLAN has all</p>\n' if number > 0 else ""
    )
