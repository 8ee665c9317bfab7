"""Annotations on pods. No selector looks at them; a plan writes two, each by itself and as carefully as a label."""

from __future__ import annotations

from typing import Any, NamedTuple

from gatekeep.model.objects import Pod, PodAnnotations
from gatekeep.model.patches import Patch, tokens_of

ISOLATED = "gatekeep.dev/isolated"
COST = "controller.kubernetes.io/pod-deletion-cost"
_ALL = "/metadata/annotations"
_LEAST, _MOST = -(2**31), 2**31 - 1


class Note(NamedTuple):
    """One annotation that a patch moves from ``old`` to ``new``; None is absent."""

    key: str
    old: str | None
    new: str | None


_STRANGE = Note("", None, None)


def without_notes(patch: Patch) -> Patch:
    """What the patch does to anything else."""
    if not any(op.path.startswith(_ALL) for op in patch):  # the rule, on 100,000 pods
        return patch
    return tuple([op for op in patch if not op.path.startswith(_ALL)])


def note_of(patch: Patch) -> Note | None:
    """The annotation that ``patch`` writes; None when it touches none. A key of "" stands for anything else.

    It is one key with its test, or the whole map: of a pod that had none, or that is left with none.
    """
    ops = [op for op in patch if op.path.startswith(_ALL)]
    if not ops:
        return None
    if len(ops) != 2 or ops[0].op != "test" or ops[1].op == "test" or ops[0].path != ops[1].path:
        return _STRANGE
    old, new = ops[0].value, None if ops[1].op == "remove" else ops[1].value
    tokens = tokens_of(ops[0].path)
    if ops[0].path == _ALL:
        return _of_maps(old, new)
    found = Note(tokens[-1], old, new)
    known = len(tokens) == 3 and ops[0].path.startswith(f"{_ALL}/")
    return found if known and old != new and _is_text(old) and _is_text(new) else _STRANGE


def problem_of(patch: Patch, undo: Patch) -> str | None:
    """Why a patch may not write the annotation that it does, whoever the pod is."""
    note, back = note_of(patch), note_of(undo)
    if note is None and back is None:
        return None
    if note is None or note.key not in (ISOLATED, COST):
        return f"may write one annotation, {ISOLATED} or {COST}, with a test of its old value, and no other"
    if back != (note.key, note.new, note.old):
        return f"does not take {note.key} back by its undo"
    if note.key == COST and not _is_cost(note.new):
        return f"writes {COST}={note.new}, which is no number that Kubernetes reads"
    return None


def live_note(pod: Pod, key: str) -> str | None:
    """The annotation as the pod has it; an empty one is none."""
    notes = pod.metadata.annotations or PodAnnotations()
    return {ISOLATED: notes.isolated, COST: notes.deletion_cost}.get(key) or None


def makes_the_map(patch: Patch) -> bool:
    """The patch relies on it that the pod has no annotation at all."""
    return any(op.op == "test" and op.path == _ALL and op.value is None for op in patch)


def _of_maps(old: Any, new: Any) -> Note:
    entries = new if old is None else old
    if (old is None) == (new is None) or not isinstance(entries, dict) or len(entries) != 1:
        return _STRANGE
    ((key, value),) = entries.items()
    if not isinstance(value, str):
        return _STRANGE
    return Note(key, None, value) if old is None else Note(key, value, None)


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_cost(value: str | None) -> bool:
    """A cost is marked, never taken off."""
    digits = (value or "").removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) < 11 and _LEAST <= int(value or "") <= _MOST
