"""A plan as a person on call reads it: what to know, what happens to each Service, the steps, the proof, what to do."""

from __future__ import annotations

from gatekeep.model.plan import Plan, Proof, ServiceForecast
from gatekeep.render.around import around_text
from gatekeep.render.courses import courses_text, ends_at
from gatekeep.render.findings import findings_text
from gatekeep.render.layout import Cell, counted, paragraph, some, table
from gatekeep.render.runs import Command, after_abort, plain_command
from gatekeep.render.steps import steps_text
from gatekeep.render.style import Style

SHORT_ID = 12
REFUSED_NEXT = (
    "mend what the sentence above names (more ready pods, another group, or a lower floor.minReady in the policy), and "
    "plan again"
)


def plan_text(
    plan: Plan, style: Style, *, proved: bool = True, next_step: str = "", command: Command = plain_command
) -> str:
    """The whole plan. ``proved`` is False for a stored verdict that nobody proved again."""
    blocks = [_header(plan, style)]
    if plan.findings:
        blocks.append([style.paint("Findings", "bold"), *findings_text(plan.findings, style)])
    if plan.writes or not plan.proof.holds:
        previews = {(gate.namespace, gate.preview) for gate in plan.gates}
        blocks.extend(_service(item, style, preview=(item.namespace, item.name) in previews) for item in plan.services)
        blocks.extend(courses_text(plan, style))
        blocks.append(steps_text(plan.steps, style))
        if plan.proof.holds:
            blocks.append(around_text(plan, style, command, proved=proved))
        holds = any(gate.holds for gate in plan.gates)
        blocks.append(verdict_text(plan.proof, style, proved=proved, holds=holds))
    else:
        blocks.append(_nothing(plan, style))
    if not plan.proof.holds:
        blocks.append(paragraph(style.text(REFUSED_NEXT), style, first="Next: "))
    if next_step:
        blocks.append([f"Next: {style.text(next_step)}"])  # not wrapped: it is there to be copied
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def short_id(plan_id: str) -> str:
    """The first digits of a plan's id, enough to tell two plans apart."""
    return plan_id.removeprefix("sha256:")[:SHORT_ID]


def verdict_text(proof: Proof, style: Style, *, proved: bool = True, holds: bool = False) -> list[str]:
    """``proved`` with the number of states, or the counter-example in one sentence.

    ``holds`` says that the plan holds workloads still, whose controllers the proof then looks at, too.
    """
    if not proof.holds:
        reason = style.text(proof.counter_example or "the plan keeps no invariant")
        lines = paragraph(f"REFUSED: {reason}", style, first=f"{style.text('✘')} ", look="red")
        return [*lines, "  Nothing was written."]
    if not proved:
        text = f"The document says: proved, {counted(proof.states, 'state')}. `gatekeep verify` proves it again."
        return paragraph(text, style, first="· " if style.unicode else "- ")
    if not proof.states:
        return [style.paint(f"{style.text('✔')} nothing to prove: traffic does not change", "green")]
    text = (
        f"proved: {counted(proof.states, 'state')}, every order of the watch streams, and pods that die or are born on "
        "the way: no Service falls below its floor"
    )
    text += ", and no pod restarts." if holds else "."
    return paragraph(text, style, first=f"{style.text('✔')} ", look="green")


def endpoints_words(service: ServiceForecast, *, preview: bool = False) -> str:
    """``before 6 → least 6 → after 6   at least 6 must stay (floor 3)``; of a ``preview`` nothing must."""
    counts = f"before {len(service.before):,} → least {service.least_ready:,} → after {len(service.after):,}"
    if preview:
        return f"{counts}   a preview: may have none on the way"
    return f"{counts}   at least {required(service):,} must stay (floor {service.floor:,})"


def required(service: ServiceForecast) -> int:
    """The ready endpoints that must stay all the way: not fewer than at both ends, and never below the floor."""
    before, after = len(service.before), len(service.after)
    return max(min(before, after), min(service.floor, before))


def _header(plan: Plan, style: Style) -> list[str]:
    rows = [("plan", short_id(plan.id) + (f"  expires {plan.expires_at}" if plan.expires_at else ""))]
    identity = [plan.cluster.server, plan.cluster.version, f"uid {plan.cluster.uid}" if plan.cluster.uid else ""]
    rows.append(("cluster", "  ".join(part for part in identity if part) or "unknown"))
    gates = _gates(plan)
    if gates:
        rows.append(("gates" if len(gates) > 1 else "gate", some(gates, 6)))
    origin = "  ".join(part for part in (plan.source.repository, plan.source.revision) if part)
    if origin:
        rows.append(("source", origin))
    return table([(Cell(name, "dim"), Cell(style.text(value))) for name, value in rows], style, indent="")


def _gates(plan: Plan) -> list[str]:
    """``dockercoins/rng active=yes (rng.yaml:3)`` for each gate, or that it is retired."""
    places = {(item.namespace, item.name): f"({item.file}:{item.line})" for item in plan.source.policies}
    if not plan.gates:
        return [f"{namespace}/{name} {place}" for (namespace, name), place in places.items()]
    found = []
    for gate in plan.gates:
        what = f"{gate.key}={gate.value}" if gate.action == "Gate" else f"retire {gate.key}={gate.value}"
        found.append(f"{gate.namespace}/{gate.name} {what} {places.get((gate.namespace, gate.name), '')}".rstrip())
    return found


def _service(service: ServiceForecast, style: Style, *, preview: bool) -> list[str]:
    before, after = set(service.before), set(service.after)
    joining, leaving = sorted(after - before), sorted(before - after)
    rows = [("endpoints", endpoints_words(service, preview=preview), "" if preview else _look(service))]
    if joining:
        rows.append(("joining", f"{len(joining):,}: {some(joining)}", "green"))
    if leaving:
        rows.append(("leaving", f"{len(leaving):,}: {some(leaving)}", "red"))
        staying = sorted(before & after)
        rows.append(("staying", f"{len(staying):,}: {some(staying)}" if staying else "nobody", ""))
    if not joining and not leaving:
        rows.append(("rotation", f"the same {counted(len(before), 'pod')}: {some(sorted(before))}", ""))
    title = style.paint(style.text(f"Service {service.namespace}/{service.name}"), "bold")
    return [title, *table([(Cell(name, "dim"), Cell(style.text(text), look)) for name, text, look in rows], style)]


def _look(service: ServiceForecast) -> str:
    if service.least_ready < required(service):
        return "red"
    return "yellow" if service.least_ready < len(service.before) else ""


def _nothing(plan: Plan, style: Style) -> list[str]:
    """One calm line for each gate, and what its Services have."""
    tick = style.paint(style.text("✔"), "green")
    named = [(item.namespace, item.name, ends_at(item)) for item in plan.gates]
    named = named or [(item.namespace, item.name, "") for item in plan.source.policies]
    gates = [
        f"{tick} {style.text(f'{namespace}/{name}')}: nothing to do" + (f"  {style.text(end)}" if end else "")
        for namespace, name, end in named
    ]
    ready = [
        f"  {style.text(f'Service {item.namespace}/{item.name}')}: {counted(len(item.after), 'ready pod')} in rotation"
        f", floor {item.floor:,}"
        for item in plan.services
    ]
    aborted = [gate for gate in plan.gates if gate.progress is not None and gate.progress.phase == "Aborted"]
    git = paragraph(style.text(after_abort(aborted)), style, first="  ") if aborted else []
    return [*(gates or [f"{tick} nothing to do"]), *ready, *git]
