"""Labelling steps: many pods in parallel, then a fresh list until nobody whom the step is for is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gatekeep.execute.context import REVISION, Context, ref_of
from gatekeep.execute.floor import check_floor
from gatekeep.execute.meddling import refuse_meddling
from gatekeep.execute.values import field_at, value_of, with_values
from gatekeep.execute.writing import AGAIN_SECONDS, ATTEMPTS, write_all
from gatekeep.model import patches
from gatekeep.model.errors import NotFoundError, PatchRejectedError, RefusedError
from gatekeep.model.matching import in_match
from gatekeep.model.objects import Pod
from gatekeep.model.patches import Op
from gatekeep.model.plan import Change, Match, Step
from gatekeep.model.waits import Bound, GateLabel

_ROUNDS = 10
_FINISHED = ("Succeeded", "Failed")


def label(context: Context, step: Step) -> None:
    """Writes every change of ``step``, then whoever was born since and belongs to its ``match``.

    Raises :class:`UnsafeError` when that would break a floor.
    """
    named = _named(context, step)
    check_floor(context, step, (*named, *_outstanding(context, step)) if _takes_off(step) else named)
    write_all(context, step, named, _write)
    if step.match is not None:
        admit_newborn(context, step)


def _named(context: Context, step: Step) -> tuple[Change, ...]:
    """The changes as they are sent; of pods to be marked, those whose revision equals the newest but for the label."""
    gate = step.match.gate if step.match is not None else None
    named = with_values(step.changes, context.bound)
    if gate is None or not isinstance(gate.value, Bound) or gate.value.name not in context.alike:
        return tuple(named)
    alike = context.alike[gate.value.name]
    return tuple(change for change in named if any(op.op == "test" and op.value in alike for op in change.patch[1:]))


def admit_newborn(context: Context, step: Step) -> bool:
    """Lists again until every pod of the match has the label as the step wants it. True when any was found.

    Raises :class:`RefusedError` for a pod that this run wrote: another writer changed that label again.
    """
    found = False
    for _ in range(_ROUNDS):
        newborn = _outstanding(context, step)
        if not newborn:
            return found
        found = True
        if _takes_off(step):
            check_floor(context, step, newborn)
        context.added.extend(change.name for change in newborn)
        write_all(context, step, newborn, _write)
    raise RefusedError(
        f"step {step.number}: pods are born faster than they can be labelled",
        hint="wait for the rollout to end, then apply again",
    )


def _takes_off(step: Step) -> bool:
    return step.match is not None and step.match.gate is not None and step.match.gate.value is None


def _outstanding(context: Context, step: Step) -> tuple[Change, ...]:
    """Changes for the pods of the match, as they are now, that do not have the label as the step wants it."""
    match = step.match
    if match is None or match.gate is None:
        return ()
    key, value = match.gate.key, value_of(match.gate.value, context.bound)
    required = dict(match.selector.match_labels) if match.selector else {}
    pods = context.list_pods(match.namespace, required)
    refuse_meddling(context, pods)
    return tuple(
        _change(pod, key, value)
        for pod in pods
        if pod.labels.get(key) != value
        and _had(context, match.gate, pod.labels.get(key))
        and pod.status.phase not in _FINISHED
        and pod.uid not in match.except_uids
        and in_match(match, pod.labels, context.owner_uids(pod) if _asks_owners(match) else frozenset())
    )


def _had(context: Context, gate: GateLabel, value: str | None) -> bool:
    """The pod has the value that the step asks for, or a revision that is equal to it but for the gate label."""
    if isinstance(gate.value, Bound) and gate.value.name in context.alike:
        return value in context.alike[gate.value.name]
    return gate.old is None or bool(value == value_of(gate.old, context.bound))


def _asks_owners(match: Match) -> bool:
    return match.owner_uids is not None or bool(match.any_of) or bool(match.except_)


def _change(pod: Pod, key: str, value: str | None) -> Change:
    old = pod.labels.get(key)
    return Change(
        api_version="v1",
        kind="Pod",
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        patch=patches.label_patch(pod.uid, {key: (old, value)}),
        undo=patches.label_patch(pod.uid, {key: (value, old)}),
    )


def _write(context: Context, change: Change) -> None:
    """One pod. One that is gone is skipped; one that is as wanted already needs nothing."""
    for _ in range(ATTEMPTS):
        try:
            context.send(lambda: context.cluster.patch(ref_of(change), change.patch))
        except NotFoundError:
            context.skipped.append(change.name)
            return
        except PatchRejectedError as error:
            rejected = error
            if _is_settled(context, change, error):
                return
            context.cluster.clock.sleep(AGAIN_SECONDS)
        else:
            _remember(context, change)
            return
    raise RefusedError(f"the API server refuses the patch: {rejected.message}", where=str(ref_of(change))) from rejected


def _remember(context: Context, change: Change) -> None:
    """The labels as this run left them. (Every pod has its own entry, so threads do not meet here.)"""
    context.written.setdefault(change.uid or "", {}).update(_wanted(change))


def _wanted(change: Change) -> dict[str, str | None]:
    return patches.written_labels(change.patch)


def _is_settled(context: Context, change: Change, error: PatchRejectedError) -> bool:
    """The API server does not say which guard failed: read the pod and see. False when all hold, so try again."""
    ref = ref_of(change)
    try:
        live = context.get(ref)
    except NotFoundError:
        live = {"metadata": {}}
    if live["metadata"].get("uid") != change.uid:
        context.skipped.append(change.name)
        return True
    labels = live["metadata"].get("labels") or {}
    if all(labels.get(key) == value for key, value in _wanted(change).items()) and _annotated(change, live):
        _remember(context, change)
        return True
    broken = _broken_guards(change.patch, labels)
    if REVISION in broken and REVISION in _wanted(change):
        context.remarks.append(f"{ref} is of revision {labels.get(REVISION)} by now: it is not marked")
        return True
    for key, expected in broken.items():
        raise RefusedError(
            f"somebody else changed the pod since the plan was made: the label {key} is {labels.get(key)!r}, "
            f"expected {expected!r}", where=str(ref), hint="plan again, and look at who writes this label",
        ) from error  # fmt: skip
    return False


def _annotated(change: Change, live: Mapping[str, Any]) -> bool:
    """The annotations are as the change leaves them."""
    edits = [op for op in change.patch if op.op != "test" and not patches.is_label(op.path)]
    return all(field_at(live, op.path) == (None if op.op == "remove" else op.value) for op in edits)


def _broken_guards(patch: Sequence[Op], labels: Mapping[str, str]) -> dict[str, object]:
    """The labels that are not as the patch expects them, and what it expects."""
    tests = {
        patches.tokens_of(op.path)[2]: op.value
        for op in patch
        if op.op == "test" and op.path.startswith("/metadata/labels/")
    }
    return {key: expected for key, expected in tests.items() if labels.get(key) != expected}
