"""What status says of a gate below its row: the run, the groups, the nodes, who is isolated."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gatekeep.model.durations import age
from gatekeep.model.outcomes import GateStatus, GroupStatus, IsolationStatus, NodeStatus
from gatekeep.render.layout import counted, some
from gatekeep.render.runs import run_words

FEW_NODES = 6
OUTDATED = "the policy or the canary's pods changed since: the next apply starts a new run"


class Row(NamedTuple):
    """A name, what is said, and how to paint it."""

    name: str
    text: str
    look: str = ""


def standing_rows(gate: GateStatus) -> list[Row]:
    """A pool without isolations has none: its row says it all."""
    rows = []
    if gate.run is not None:
        words = "; ".join(part for part in (run_words(gate.run), OUTDATED if gate.run.outdated else "") if part)
        look = {"Aborted": "yellow", "Paused": "cyan"}.get(gate.run.phase, "")
        rows.extend([Row("run", words, look)] if words else [])
        rows.append(Row("groups", _groups(gate.groups)))
        rows.append(Row("nodes", _nodes(gate.nodes)))
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
        return f"OVERDUE since {age(-item.left)}, apply returns it"
    return f"expires in {age(item.left)}"
