"""Which revision a DaemonSet's or StatefulSet's pods are of, once its template carries a label: found by content.

"The newest" alone would be wrong: when another writer changed the image meanwhile, the newest is his, and pods marked
as his would run the old image for ever. So the newest, that is the one the template stands at, must equal a revision
that pods carry, but for the label. Which revisions do is looked up after the template was written, since a rollout may
have come between the plan and that: pods of any of them are marked. Pods of others are his to replace; the count of
those that are up to date is then not waited for in full. This is also why values that were bound from an object read
again (an answer got lost) may safely be those of a later generation: then the revision is not the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gatekeep.execute.context import REVISION, Context
from gatekeep.execute.fields import OBSERVED, await_field, ref_of_wait
from gatekeep.execute.values import bind, value_of
from gatekeep.model.events import Note
from gatekeep.model.objects import controller_of
from gatekeep.model.plan import Step
from gatekeep.model.waits import FieldWait, RevisionWait

_LABELS = ("spec", "template", "metadata", "labels")


def await_revision(context: Context, step: Step, wait: RevisionWait) -> None:
    """Waits until the controller has seen the template, then binds values of the revision that pods may be marked as.

    Where there is none, another writer changed the template. Nothing is bound then, which leaves out what requires it.
    """
    seen = FieldWait(wait.object, OBSERVED, at_least=wait.observed, timeout_seconds=wait.timeout_seconds)
    await_field(context, step, seen)
    ref = ref_of_wait(wait.object)
    revisions = [
        item
        for item in context.list_objects("ControllerRevision", ref.namespace)
        if any(owner.get("controller") and owner.get("uid") == wait.object.uid
               for owner in item["metadata"].get("ownerReferences") or ())
    ]  # fmt: skip
    present = value_of(wait.revision, context.bound)
    newest = max(revisions, key=lambda item: int(item.get("revision") or 0), default=None)
    alike = _alike(context, wait, revisions, newest) if newest is not None else frozenset()
    carried = _carried(context, wait)
    if newest is None or not alike & {present, *carried}:
        context.listener(
            Note(
                message=f"{ref}: another writer changed its pod template; pods of revision {present} are not "
                "marked as up to date, and the rollout of that change goes on"
            )
        )
        return
    bind(context.bound, wait.bind, newest, str(ref))
    for name in wait.bind:
        context.alike[name] = alike
        context.replaced[name] = carried - alike - {_name(newest, wait.object.kind)}


def count_asked(context: Context, step: Step, wait: FieldWait) -> FieldWait:
    """How many pods must count as up to date: all, or where another writer replaces some, those that were marked."""
    names = [name for name in step.requires if context.replaced.get(name)]
    if not names:
        return wait
    newest = {context.bound[name] for name in names}
    pods = context.list_pods(wait.object.namespace)
    mine = [pod for pod in pods if (owner := controller_of(pod.metadata)) and owner.uid == wait.object.uid]
    marked = sum(pod.labels.get(REVISION) in newest for pod in mine)
    return msgspec.structs.replace(wait, equals=None, at_least=marked)


def _alike(
    context: Context, wait: RevisionWait, revisions: Iterable[Mapping[str, Any]], newest: Mapping[str, Any]
) -> frozenset[str]:
    """The revisions that the newest one differs from in the label alone: pods of any of them are of it now."""
    wanted = {**dict.fromkeys(wait.except_labels), wait.gate.key: value_of(wait.gate.value, context.bound)}
    content = _content(newest, dict.fromkeys(wait.except_labels))
    return frozenset(_name(item, wait.object.kind) for item in revisions if _content(item, wanted) == content)


def _carried(context: Context, wait: RevisionWait) -> frozenset[str]:
    """The revisions that its pods carry now: others than planned, where a rollout came between."""
    pods = context.list_pods(wait.object.namespace)
    mine = (pod for pod in pods if (owner := controller_of(pod.metadata)) and owner.uid == wait.object.uid)
    return frozenset(pod.labels[REVISION] for pod in mine if REVISION in pod.labels)


def _name(revision: Mapping[str, Any], kind: str) -> str:
    """What pods carry in their label ``controller-revision-hash``."""
    if kind == "StatefulSet":
        return str(revision["metadata"]["name"])
    return str((revision["metadata"].get("labels") or {}).get(REVISION))


def _content(revision: Mapping[str, Any], labels: Mapping[str, str | None]) -> Any:
    """The data of a revision with these labels in its template, those that are None taken off."""
    data = _plain(revision.get("data"))
    place = data
    for name in _LABELS:
        place = place.setdefault(name, {}) if isinstance(place, dict) else {}
    for key, value in labels.items():
        place.pop(key, None)
        if value is not None:
            place[key] = value
    return data


def _plain(value: Any) -> Any:
    """A copy without nulls: older API servers wrote ``creationTimestamp: null`` where newer ones write nothing."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
