"""What status says of a gate below its row: the run, the groups, the nodes, who is isolated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from gatekeep.model.durations import age
from gatekeep.model.outcomes import GateRun, GroupStatus, IsolationStatus, NodeStatus
from gatekeep.render.layout import counted, some
from gatekeep.render.runs import CANARY, POLICIES, Command, asking, next_of, run_words

if TYPE_CHECKING:
    from gatekeep.operations.status import Standing

FEW_NODES = 6
DONE = "done"
OUTCOMES = {"done": "done", "running": "running, or killed", "never applied": "never applied"}
OUTDATED = "the policy or the canary's pods changed since: the next apply starts a new run"


class Row(NamedTuple):
    """A name, what is said, and how to paint it."""

    name: str
    text: str
    look: str = ""


class Lead(NamedTuple):
    """What leads on from where a gate stands: a command, or a change in Git, and what comes of it."""

    what: str
    words: str


def outcome_words(outcome: str) -> str:
    """``done``, ``failed: WHY``."""
    flat = " ".join(outcome.split())
    return OUTCOMES.get(flat, f"failed: {flat}")


def leads(gate: Standing, command: Command, *, needs_address: bool = True) -> list[Lead]:
    """The next command at a glance; a check needs a Prometheus unless that is known already."""
    found: list[Lead] = []
    asks = bool(gate.checks) and needs_address
    if gate.run is not None and gate.run.outdated:
        found.append(Lead(POLICIES, "starts a new run"))
    elif gate.run is not None:
        item = GateRun(namespace=gate.namespace, name=gate.name, strategy=gate.strategy, run=gate.run)
        after = next_of(item, POLICIES, command, asks=asks)
        found.extend(Lead(*pair) for pair in (after.commands if after is not None else ()))
        if gate.run.phase == "Running" and gate.stage != DONE:
            found.append(Lead(asking(POLICIES, asks=asks), "goes on, if no run is under way"))
        if gate.run.phase == "Aborted":
            found.append(Lead(*_lasting(gate)))
    elif gate.stage not in (DONE, "running"):
        found.append(Lead(POLICIES, "goes on from the run that failed"))
    if gate.held:
        found.append(
            Lead(command("promote", f"{gate.namespace}/{gate.name}"), "admits who is held; or raise spec.admit")
        )
    return [*found, *(_returning(item) for item in gate.isolations if not item.ended)]


def _lasting(gate: Standing) -> tuple[str, str]:
    if gate.strategy == CANARY:
        return "in Git: set weight 0, or revert the change", "makes the abort permanent"
    color = gate.run.color if gate.run is not None else ""
    return f"in Git: write active: {color}", "makes it permanent"


def _returning(item: IsolationStatus) -> Lead:
    pods = "pod" if len(item.pods) == 1 else "pods"
    if _is_overdue(item):
        return Lead(POLICIES, f"returns the {pods} of {item.name}")
    return Lead(f"in Git: delete {item.by}, and apply", f"returns its {pods}")


def standing_rows(gate: Standing) -> list[Row]:
    """A pool without isolations has none: its row says it all."""
    rows = []
    if gate.run is not None:
        words = "; ".join(part for part in (run_words(gate.run), OUTDATED if gate.run.outdated else "") if part)
        look = {"Aborted": "yellow", "Paused": "cyan"}.get(gate.run.phase, "")
        rows.extend([Row("run", words, look)] if words else [])
        rows.append(Row("groups", _groups(gate.groups)))
        rows.append(Row("nodes", _nodes(gate.nodes)))
    if gate.held:
        rows.append(Row("held", f"{counted(len(gate.held), 'pod')} ({some(gate.held, 3)})", "yellow"))
    return [row for row in (*rows, *map(_isolated, gate.isolations)) if row.text]


def _groups(groups: Iterable[GroupStatus]) -> str:
    """``stable 9/9, canary 1/1 (8 out)``: ready of those in rotation, as in the row above."""
    return ", ".join(
        f"{item.name} {item.members_ready}/{item.members_total}"
        + (f" ({item.pods - item.members_total} out)" if item.pods > item.members_total else "")
        for item in groups
    )


def _nodes(nodes: Sequence[NodeStatus]) -> str:
    """Each of a few nodes; of many, how many pods each has."""
    if len(nodes) <= FEW_NODES:
        return ", ".join(f"{item.name} {item.members_ready}/{item.members_total}" for item in nodes)
    counts = [item.members_ready for item in nodes]
    least, most = min(counts), max(counts)
    return f"on {len(nodes)} nodes, {least if least == most else f'{least}..{most}'} ready each"


def _isolated(item: IsolationStatus) -> Row:
    head = f"{item.name} ({item.mode})"
    if item.ended:
        return Row("isolated", f"{head}: nobody, {item.ended}; delete its document, if it is still there", "dim")
    pods = f"{counted(len(item.pods), 'pod')} ({some(item.pods, 3)})"
    since = f" for {age(item.age)}" if item.age is not None else ""
    look = "red" if _is_overdue(item) else "yellow"
    return Row("isolated", f"{head}: {pods}{since}, {_end(item)}: {item.reason}", look)


def _is_overdue(item: IsolationStatus) -> bool:
    return item.left is not None and item.left <= 0


def _end(item: IsolationStatus) -> str:
    if not item.expires:
        return "never expires"
    if item.left is None:
        return f"expires at {item.expires}"
    if _is_overdue(item):
        return f"OVERDUE since {age(-item.left)}"
    return f"expires in {age(item.left)}"
