"""Patches of workloads: held still, their template's label changed, let go again. Each is guarded and safe to resend.

An answer may get lost although the patch was carried out. Then the object is read again, and values are bound from what
stands by that time. Its generation may have moved on: a wait for that one is met later, never too early. The template
generation of a DaemonSet may be another writer's: then the revision that is looked up is not the newest any more, and
nothing that relies on it is done (see ``revisions``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import UNSET

from gatekeep.execute import fields
from gatekeep.execute.context import Context, ref_of
from gatekeep.execute.values import bind, field_at, value_of, with_values
from gatekeep.execute.writing import AGAIN_SECONDS, ATTEMPTS, write_all
from gatekeep.model.errors import NotFoundError, PatchRejectedError, RefusedError
from gatekeep.model.matching import in_match
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import FieldEdit, Op, field_patch, template_label, tokens_of, undo_field_patch
from gatekeep.model.plan import Change, Match, Plan, Step
from gatekeep.model.waits import Bound
from gatekeep.model.workloads import FIELD_MANAGER

KINDS = ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet")
UID = "/metadata/uid"
PAUSED = "/spec/paused"
STRATEGY = "/spec/updateStrategy"
TEMPLATE_LABELS = ("spec", "template", "metadata", "labels")
ON_DELETE = {"type": "OnDelete"}
_ROUNDS = 10


def change_workloads(context: Context, step: Step) -> None:
    """Writes every change of ``step``; with a ``match`` also the ReplicaSets that were made since the plan."""
    write_all(context, step, with_values(step.changes, context.bound), _write)
    if step.match is not None:
        _change_new_sets(context, step, step.match)


def held_before(plan: Plan) -> dict[ObjectRef, str]:
    """What an earlier run left held, and how: the plan lets it go and has not held it before."""
    found: dict[ObjectRef, str] = {}
    seen: set[ObjectRef] = set()
    for step in plan.steps:
        for change in step.changes:
            if (words := _ends_hold(change)) and ref_of(change) not in seen:
                found[ref_of(change)] = words
            if words or _begins_hold(change):
                seen.add(ref_of(change))
    return found


def _begins_hold(change: Change) -> str:
    """How the patch holds the workload still; empty when it does not."""
    writes = [(op.path, op.value) for op in change.patch if op.op != "test"]
    if (PAUSED, True) in writes:
        return "paused"
    return "set to OnDelete" if (STRATEGY, ON_DELETE) in writes else ""


def _ends_hold(change: Change) -> str:
    """How the workload is held until this patch lets it go; empty when it does not."""
    tests = [(op.path, op.value) for op in change.patch if op.op == "test"]
    written = {op.path for op in change.patch if op.op != "test"}
    if PAUSED in written and (PAUSED, True) in tests:
        return "paused"
    return "set to OnDelete" if STRATEGY in written and (STRATEGY, ON_DELETE) in tests else ""


def _write(context: Context, change: Change) -> None:
    """One workload. A ReplicaSet that is gone is skipped: no pod is born from it any more."""
    ref = ref_of(change)
    if words := _begins_hold(change):
        context.held[ref] = words  # before it is sent: it may be carried out without an answer
    for _ in range(ATTEMPTS):
        try:
            answer = context.send(lambda: context.cluster.patch(ref, change.patch))
        except NotFoundError as error:
            _gone(context, change, error)
            return
        except PatchRejectedError as error:
            rejected = error
            if _is_settled(context, change, error):
                return
            context.cluster.clock.sleep(AGAIN_SECONDS)
        else:
            _done(context, change, answer)
            return
    raise RefusedError(f"the API server refuses the patch: {rejected.message}", where=str(ref)) from rejected


def _is_settled(context: Context, change: Change, error: PatchRejectedError) -> bool:
    """The API server does not say which guard failed: read the object and see. False when all hold, so try again."""
    ref = ref_of(change)
    try:
        live = context.get(ref)
    except NotFoundError:
        live = {"metadata": {}}
    if field_at(live, UID) != change.uid:
        _gone(context, change, error)
        return True
    if _is_as_wanted(change, live):
        _done(context, change, live)
        return True
    for op in change.patch:
        if op.op == "test" and _field(live, op.path) != _value(op):
            if _begins_hold(change) or not _is_held(live):
                context.held.pop(ref, None)
            raise _broken(ref, op.path, _value(op), _field(live, op.path)) from error
    return False


def _done(context: Context, change: Change, answer: Mapping[str, Any]) -> None:
    if _ends_hold(change):
        context.held.pop(ref_of(change), None)
    bind(context.bound, change.bind, answer, str(ref_of(change)))


def _gone(context: Context, change: Change, error: Exception) -> None:
    ref = ref_of(change)
    context.held.pop(ref, None)
    if change.kind != "ReplicaSet":
        raise RefusedError("it is gone, or was deleted and created again", where=str(ref), hint="plan again") from error
    context.remarks.append(f"{ref} is gone: skipped")


def _is_as_wanted(change: Change, live: Mapping[str, Any]) -> bool:
    """The object is as the patch leads to, guards that it does not write included. A pause must be gatekeep's own."""
    wanted = {op.path: _value(op) for op in change.patch}
    if any(_field(live, path) != value for path, value in wanted.items()):
        return False
    return _begins_hold(change) != "paused" or _is_paused_by_us(live)


def _is_paused_by_us(live: Mapping[str, Any]) -> bool:
    entries = live["metadata"].get("managedFields") or ()
    path = "/fieldsV1/f:spec/f:paused"
    return any(entry.get("manager") == FIELD_MANAGER and field_at(entry, path) is not None for entry in entries)


def _is_held(live: Mapping[str, Any]) -> bool:
    return bool(field_at(live, PAUSED)) or field_at(live, STRATEGY) == ON_DELETE


def _value(op: Op) -> Any:
    return None if op.op == "remove" or op.value is UNSET else op.value


def _field(live: Mapping[str, Any], path: str) -> Any:
    """The field; ``paused: false`` and no ``paused`` are the same."""
    found = field_at(live, path)
    return None if found is False else found


def _broken(ref: ObjectRef, path: str, expected: object, found: object) -> RefusedError:
    """Which guard does not hold, what that means, and what to do."""
    again = "run the same command again: it plans from what stands then"
    if path == PAUSED and not expected:
        what = "somebody else paused it since the plan was made"
        again = f"find out why; when it may go on, kubectl -n {ref.namespace} rollout resume deployment/{ref.name}, "
        again += "then plan again"
    elif path == PAUSED:
        what = "somebody else resumed it while it was held still: its controller may replace pods now"
    elif path == STRATEGY:
        what = "somebody else changed its update strategy"
    elif tokens_of(path)[:-1] == TEMPLATE_LABELS:
        what = f"somebody else changed the label {tokens_of(path)[-1]} in its pod template"
        again = "plan again, and look at who writes this template"
    else:
        what = "somebody else changed it since the plan was made"
    return RefusedError(f"{what}: {path} is {found!r}, expected {expected!r}", where=str(ref), hint=again)


def _change_new_sets(context: Context, step: Step, match: Match) -> None:
    """Lists again until every ReplicaSet of the match has the label; each one found is waited for right here."""
    for _ in range(_ROUNDS):
        new = tuple(_outstanding(context, match))
        if not new:
            return
        context.remarks.extend(f"{ref_of(change)} was made since the plan, done too" for change in new)
        write_all(context, step, new, _write)
        for change in new:
            for name in change.bind or {}:
                if name in context.bound:  # else it was gone
                    fields.await_observed(context, step, change, Bound(name))
    raise RefusedError(
        f"step {step.number}: ReplicaSets are made faster than they can be changed",
        hint="is the Deployment still paused? Wait for its rollout to end, then apply again",
    )


def _outstanding(context: Context, match: Match) -> Iterator[Change]:
    """Changes for the ReplicaSets of the match, as they are now, whose template differs in the label."""
    if match.gate is None:
        return
    path = template_label(match.gate.key)
    wanted = value_of(match.gate.value, context.bound)
    for item in context.list_objects("ReplicaSet", match.namespace):
        meta, old = item["metadata"], field_at(item, path)
        owners = frozenset(owner["uid"] for owner in meta.get("ownerReferences") or () if owner.get("controller"))
        if (
            old != wanted
            and (match.gate.old is None or old == value_of(match.gate.old, context.bound))
            and meta["uid"] not in match.except_uids
            and in_match(match, meta.get("labels") or {}, owners)
        ):  # fmt: skip
            yield _change(item, path, old, wanted)


def _change(item: Mapping[str, Any], path: str, old: str | None, new: str | None) -> Change:
    meta = item["metadata"]
    return Change(
        api_version="apps/v1",
        kind="ReplicaSet",
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        patch=field_patch(meta["uid"], [FieldEdit(path, old, new)]),
        undo=undo_field_patch(meta["uid"], [FieldEdit(path, old, new)]),
        bind={f"replicaset/{meta['name']}.seen": "/metadata/generation"},
    )
