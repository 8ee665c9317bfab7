"""Which revision a DaemonSet's or StatefulSet's pods are of, once its template carries a label: found by content.

"The newest" would be wrong: when another writer changed the image meanwhile, the newest is his, and pods marked as his
would run the old image for ever. So a revision must equal the pods' own but for the label. And it must be the newest as
well, that is the one the template stands at: else his change came later, his rollout replaces the pods in any case, and
the count of those that are up to date would never be full. That second rule is also why values that were bound from an
object read again (an answer got lost) may safely be those of a later generation: then the revision is not the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gatekeep.execute.context import REVISION, Context
from gatekeep.execute.fields import OBSERVED, await_field, ref_of_wait
from gatekeep.execute.values import bind, value_of
from gatekeep.model.events import Note
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
    found = _labelled(context, wait, present, revisions)
    if found is None:
        context.listener(
            Note(
                message=f"{ref}: another writer changed its pod template; pods of revision {present} are not "
                "marked as up to date, and the rollout of that change goes on"
            )
        )
        return
    bind(context.bound, wait.bind, found, str(ref))


def _labelled(
    context: Context, wait: RevisionWait, name: str, revisions: Iterable[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    newest_first = sorted(revisions, key=lambda item: int(item.get("revision") or 0), reverse=True)
    present = next((item for item in newest_first if _name(item, wait.object.kind) == name), None)
    if present is None:
        return None
    wanted = {**dict.fromkeys(wait.except_labels), wait.gate.key: value_of(wait.gate.value, context.bound)}
    newest = newest_first[0]
    same = _content(newest, dict.fromkeys(wait.except_labels)) == _content(present, wanted)
    return newest if same else None


def _name(revision: Mapping[str, Any], kind: str) -> object:
    """What pods carry in their label ``controller-revision-hash``."""
    if kind == "StatefulSet":
        return revision["metadata"]["name"]
    return (revision["metadata"].get("labels") or {}).get(REVISION)


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
