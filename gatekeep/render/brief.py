"""What every view of a plan says, before it is written as Markdown or HTML: the verdict, who moves, who may revert."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gatekeep.model.plan import Finding, Plan, ServiceForecast, Severity
from gatekeep.render.layout import counted
from gatekeep.render.style import Style
from gatekeep.render.text import required, verdict_text

SEVERITIES: tuple[tuple[Severity, str], ...] = (("error", "Errors"), ("warning", "Warnings"), ("info", "Notes"))
REVERTS = ("will-be-reverted", "other-writer")
"""Rules of findings that say who else writes what the plan writes."""

_UNWRAPPED = Style(width=1_000_000)


class Verdict(NamedTuple):
    """``mark`` says at a glance what ``title`` says in words and ``words`` in full; ``look`` names the three."""

    mark: str
    title: str
    words: str
    look: str


class Move(NamedTuple):
    """What happens to one Service, by name of pod."""

    namespace: str
    name: str
    before: int
    least: int
    after: int
    rest: str
    joining: tuple[str, ...]
    leaving: tuple[str, ...]
    staying: tuple[str, ...]


def verdict_of(plan: Plan, *, proved: bool) -> Verdict:
    """The verdict; a stored one is quoted as such."""
    holds = any(gate.holds for gate in plan.gates)
    words = " ".join(line.strip() for line in verdict_text(plan.proof, _UNWRAPPED, proved=proved, holds=holds))
    words = words[2:] if words[1:2] == " " else words
    if not plan.proof.holds:
        return Verdict("✘", "refused", words, "bad")
    if not plan.writes:
        return Verdict("✔", "nothing to do", "The cluster is as the policies ask for.", "good")
    if not proved:
        words = (
            f"The document says: proved, {counted(plan.proof.states, 'state')}. gatekeep verify PLAN proves it again."
        )
        return Verdict("·", "a saved plan, not proved again", words, "open")
    return Verdict("✔", "proved", words, "good")


def moves_of(plan: Plan) -> list[Move]:
    """The Services, those first that lose or gain pods."""
    previews = {(gate.namespace, gate.preview) for gate in plan.gates}
    found = [_move(item, preview=(item.namespace, item.name) in previews) for item in plan.services]
    return sorted(found, key=lambda move: (not move.leaving, not move.joining, move.namespace, move.name))


def _move(service: ServiceForecast, *, preview: bool) -> Move:
    before, after = set(service.before), set(service.after)
    rest = f"at least {required(service):,} must stay (floor {service.floor:,})"
    return Move(
        service.namespace, service.name, len(service.before), service.least_ready, len(service.after),
        "a preview: may have none on the way" if preview else rest,
        tuple(sorted(after - before)), tuple(sorted(before - after)), tuple(sorted(before & after)),
    )  # fmt: skip


def reverts_of(plan: Plan) -> list[Finding]:
    """Who might take back what the plan does."""
    return [item for item in plan.findings if item.rule in REVERTS]


def others_of(plan: Plan) -> list[tuple[str, list[Finding]]]:
    """The other findings by severity, the gravest first."""
    rest = [item for item in plan.findings if item.rule not in REVERTS]
    groups = [(title, [item for item in rest if item.severity == severity]) for severity, title in SEVERITIES]
    return [(title, items) for title, items in groups if items]


def place_of(finding: Finding) -> str:
    """``rng.yaml:3``; empty for a finding of no file."""
    return f"{finding.file}:{finding.line}" if finding.line else finding.file


def gates_of(plan: Plan) -> list[str]:
    """``namespace/name`` of each gate, sorted."""
    named: Iterable[tuple[str, str]] = [(item.namespace, item.name) for item in plan.gates]
    named = named or [(item.namespace, item.name) for item in plan.source.policies]
    return sorted({f"{namespace}/{name}" for namespace, name in named})
