"""Whether the workloads are still as a plan found them, or by now as it would leave them.

Generations and status never make a plan stale, nor does an old ReplicaSet that is gone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gatekeep.model.objects import Workload
from gatekeep.model.plan import Change, Plan, Step
from gatekeep.model.snapshot import Snapshot
from gatekeep.proof.templates import (
    KINDS,
    PAUSED,
    STRATEGY,
    is_set_step,
    is_template_label,
    label_in,
    set_matches,
    value_at,
)

_UID = "/metadata/uid"


def stale(step: Step, snapshot: Snapshot, seen: set[tuple[str, str]]) -> Iterable[str]:
    """One sentence for each thing that changed; ``seen`` are the fields that an earlier step relied on."""
    for change in step.changes:
        if change.kind in KINDS:
            yield from _changed(change, snapshot, seen)
    if step.match is not None and is_set_step(step):
        named = {change.uid for change in step.changes}
        for uid in step.match.owner_uids or ():
            for item in snapshot.replica_sets_of(uid):
                if item.uid not in named and _has_pods(item) and set_matches(step.match, item):
                    yield f"{item.ref} has pods, and was made or changed since the plan was made"


def fulfilled(plan: Plan, snapshot: Snapshot) -> bool:
    """Each field that the plan writes is as the last of its patches leaves it."""
    wanted: dict[tuple[str, str], Any] = {}
    kinds: dict[str, str] = {}
    for step in plan.steps:
        for change in step.changes:
            if change.kind in KINDS and change.uid is not None:
                kinds[change.uid] = change.kind
                wanted.update(((change.uid, op.path), None if op.op == "remove" else op.value)
                              for op in change.patch if op.op != "test")  # fmt: skip
    for (uid, path), value in wanted.items():
        item = snapshot.workload_index.get(uid)
        if item is None and kinds[uid] != "ReplicaSet":
            return False
        if item is not None and value_at(item, path) != value:
            return False
    return True


def _changed(change: Change, snapshot: Snapshot, seen: set[tuple[str, str]]) -> Iterable[str]:
    where = f"{change.kind} {change.namespace}/{change.name}"
    item = snapshot.workload_index.get(change.uid or "")
    if item is None:
        if (where, "") not in seen:
            seen.add((where, ""))
            yield from _gone(change, where, snapshot)
        return
    for op in change.patch:
        if op.op != "test" or op.path == _UID or (item.uid, op.path) in seen:
            continue
        seen.add((item.uid, op.path))
        if (found := value_at(item, op.path)) != op.value:
            was, now = _quoted(op.value), _quoted(found)
            yield f"{where}: {_words(op.path)} was {was} when the plan was made, now it is {now}"


def _gone(change: Change, where: str, snapshot: Snapshot) -> Iterable[str]:
    others = (item for item in snapshot.workloads_in(change.namespace)
              if (item.kind, item.name) == (change.kind, change.name))  # fmt: skip
    if other := next(others, None):
        yield f"{where} was deleted and created again (uid {other.uid}, planned {change.uid})"
    elif change.kind != "ReplicaSet":
        yield f"{where} is gone"


def _has_pods(item: Workload) -> bool:
    return bool(item.spec.replicas or item.status.replicas)


def _words(path: str) -> str:
    if path == PAUSED:
        return "its pause"
    if path == STRATEGY:
        return "its update strategy"
    return f"the label {label_in(path)} of its pod template" if is_template_label(path) else path


def _quoted(value: object) -> str:
    return "absent" if value is None else f"{value!r}"
