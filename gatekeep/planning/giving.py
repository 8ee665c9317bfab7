"""When templates and admission change within a plan: who lacks the label, who loses it, who gets it back, who goes on.

What a change of templates consists of is in ``adoption``; the order around it is that of ``moves``.
"""

from __future__ import annotations

from gatekeep.model.objects import Workload
from gatekeep.model.waits import GateLabel
from gatekeep.planning.admitting import withdraw
from gatekeep.planning.adoption import change_templates, is_held
from gatekeep.planning.draft import Draft
from gatekeep.planning.task import GateTask
from gatekeep.planning.templates import still_held


def lacking(draft: Draft, task: GateTask, key: str, value: str | None) -> list[Workload]:
    """The workloads whose template should have ``value`` for ``key`` and has not, or that are held still.

    Of a Deployment that a killed run held, its ReplicaSets may lag behind.
    """
    named = [uid for (uid, other), wanted in task.templates.items() if other == key and wanted == value]
    found = [item for uid in sorted(named) if (item := draft.snapshot.workload_index.get(uid)) is not None]
    return [item for item in found if is_held(draft.workload(item), task.holds) or _lag(draft, task, item, key, value)]


def _lag(draft: Draft, task: GateTask, item: Workload, key: str, value: str | None) -> bool:
    sets = draft.snapshot.replica_sets_of(item.uid) if item.uid in task.holds else ()
    return any(draft.workload(one).spec.template.metadata.labels.get(key) != value for one in (item, *sets))


def restore(draft: Draft, task: GateTask) -> None:
    """On retiring, gives templates back the labels that gatekeep took off."""
    for key, value in sorted({(key, value) for (_, key), value in task.templates.items() if value is not None}):
        if found := lacking(draft, task, key, value):
            change_templates(draft, task, GateLabel(key=key, value=value), found)


def let_go(draft: Draft, task: GateTask) -> None:
    """Whatever a killed run held still and no step so far has let go: as it stands by now."""
    key = task.known[0].key
    for item in still_held(task.holds, draft.snapshot):
        if is_held(draft.workload(item), task.holds):
            sets = draft.snapshot.replica_sets_of(item.uid)
            present = next((one for one in sets if one.spec.replicas), item)
            value = draft.workload(present).spec.template.metadata.labels.get(key)
            change_templates(draft, task, GateLabel(key=key, value=value), [item])


def retract(draft: Draft, task: GateTask, key: str) -> None:
    """Nobody is born with the label any more: templates and admission first, then the pods."""
    withdraw(draft, task, key)
    leaving = lacking(draft, task, key, None)
    if leaving:
        change_templates(draft, task, GateLabel(key=key, value=None), leaving)
