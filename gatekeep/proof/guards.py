"""Another writer may touch any field between two steps: every patch must notice, and say so by failing."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from gatekeep.model import patches
from gatekeep.model.errors import PatchRejectedError
from gatekeep.model.objects import Pod, Service
from gatekeep.model.patches import Op, Patch
from gatekeep.model.plan import Change, Plan, Step
from gatekeep.model.selectors import is_reserved, key_problems, keys_of, value_problems
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import Bound
from gatekeep.proof import admissions, notes, relabel
from gatekeep.proof.bindings import bindings_of, omission_problem
from gatekeep.proof.helpers import Helpers
from gatekeep.proof.isolations import Isolations, isolations_of
from gatekeep.proof.notes import without_notes
from gatekeep.proof.simulate import with_selector
from gatekeep.proof.templates import KINDS, is_set_step
from gatekeep.proof.workload_guards import WorkloadGuards, recorded_holds

_ELSE = "somebody-else"
_UID = "/metadata/uid"
Checked = dict[tuple[str, str], str | None]
"""Why a label key of a namespace may not be written; None when it may."""


def problems(plan: Plan, snapshot: Snapshot) -> str | None:
    """The first patch that would overwrite what another writer did, touch a key it must not, or that ``undo`` does not
    take back; None when there is none."""
    services = dict(snapshot.service_index)
    pods = {pod.uid: pod for pod in snapshot.pods}
    checked: Checked = {}
    apart = isolations_of(plan, snapshot)
    helpers = Helpers(plan, snapshot)
    waits, bindings = relabel.revision_waits(plan), bindings_of(plan)
    workloads = WorkloadGuards(
        snapshot, dict(snapshot.workload_index), recorded_holds(snapshot),
        lambda namespace, key: _key_problem(namespace, key, snapshot, checked),
    )  # fmt: skip
    for step in plan.steps:
        if len({(change.kind, change.namespace, change.name) for change in step.changes}) < len(step.changes):
            return f"step {step.number} writes one object twice: which write comes last is chance"
        if problem := omission_problem(step, bindings) or workloads.wait_problem(step, bindings):
            return f"step {step.number}: {problem}"
        if relabel.is_relabel(step):
            if problem := relabel.problem_of(step, waits, pods, snapshot):
                return f"step {step.number}: {problem}"
            continue
        for change in step.changes:
            if change.kind in KINDS and (problem := workloads.change_problem(step, change)):
                return f"step {step.number}: {problem}"
            if change.kind == "Pod" and (problem := _pod_problem(step, change, pods, apart, checked)):
                return f"step {step.number}: {problem}"
            if change.kind == "Service" and (problem := _service_problem(step, change, services, helpers)):
                return f"step {step.number}: {problem}"
        problem = workloads.match_problem(step) if is_set_step(step) and step.match else None
        if problem := problem or _match_problem(step, snapshot, checked):
            return f"step {step.number}: {problem}"
    return helpers.left() or admissions.problem_of(plan, snapshot)


def _pod_problem(
    step: Step, change: Change, pods: Mapping[str, Pod], apart: Isolations, checked: Checked
) -> str | None:
    where = f"Pod {change.namespace}/{change.name}"
    if step.action != "Patch":
        return f"no plan may {step.action.lower()} pods, as {where}"
    if not change.uid or change.object is not None or change.bind is not None:
        return f"the patch of {where} must name its uid, and do nothing but patch"
    pod = pods.get(change.uid)
    if pod is not None and (pod.namespace, pod.name) != (change.namespace, change.name):
        return f"the uid {change.uid} is that of {pod.ref}, not of {where}"
    rest, undo = _behind_uid_test(change.patch, change.uid), _behind_uid_test(change.undo, change.uid)
    if rest is None or undo is None:
        word = "patch" if rest is None else "undo"
        return f"the {word} of {where} does not begin with a test of its uid: it would label another pod of that name"
    labels, back = without_notes(rest), without_notes(undo)
    problem = None
    if labels is not rest or back is not undo:
        problem = notes.problem_of(rest, undo) or apart.note_problem(step, change, pod)
    try:
        problem = problem or _label_problem(labels, back)
    except TypeError:  # a list or a map cannot be hashed
        problem = "holds a value that is no label value"
    if problem is None:
        found = [(key, _key_problem(change.namespace, key, apart.snapshot, checked)) for key in _keys(labels)]
        owned = {key: said for key, said in found if said is not None}
        problem = apart.key_problem(step, change, pod, owned) if owned else None
    return f"the patch of {where} {problem}" if problem else None


def _match_problem(step: Step, snapshot: Snapshot, checked: Checked) -> str | None:
    """Whom a match labels is written as carefully as who is named, and with the same label."""
    match = step.match
    if match is None or is_set_step(step):
        return None
    if match.gate is None or step.action != "Patch":
        return "a match says which label to put on, on a step that patches pods"
    value = match.gate.value
    if isinstance(value, Bound) or match.gate.old is not None or step.requires:
        return f"{match.gate.key} is no label whose value a run finds out"
    writes = ("add", "replace", "remove") if value is None else ("add", "replace")
    edits = [op for item in step.changes for op in without_notes(item.patch[1:]) if op.op in writes]
    written = {(_keys((op,))[0], None if op.op == "remove" else op.value) for op in edits}
    if written - {(match.gate.key, value)}:
        return f"the match puts on {match.gate.key}={value}, the patches another label"
    if value_problems(value or "") or key_problems(match.gate.key):
        return f"{match.gate.key}={value} is no valid label"
    if problem := _key_problem(match.namespace, match.gate.key, snapshot, checked):
        return f"the match touches the label {match.gate.key}, {problem}"
    return None


def _key_problem(namespace: str, key: str, snapshot: Snapshot, checked: Checked) -> str | None:
    """Why no plan may write the label ``key``; each key is looked at once."""
    if (namespace, key) not in checked:
        checked[namespace, key] = _owner_of_key(namespace, key, snapshot)
    return checked[namespace, key]


def _owner_of_key(namespace: str, key: str, snapshot: Snapshot) -> str | None:
    if is_reserved(key):
        return "by which Kubernetes' own controllers live"
    for workload in snapshot.workloads_in(namespace):
        if key in keys_of(workload.spec.selector):
            return f"by which {workload.ref} selects its pods"
    return None


def _behind_uid_test(patch: Patch, uid: object) -> Patch | None:
    if not patch or patch[0].op != "test" or patch[0].path != _UID or patch[0].value != uid:
        return None
    return patch[1:]


@functools.lru_cache(maxsize=1024)
def _keys(rest: Patch) -> tuple[str, ...]:
    return tuple(dict.fromkeys(patches.tokens_of(op.path)[2] for op in rest))


@functools.lru_cache(maxsize=1024)
def _label_problem(rest: Patch, undo: Patch) -> str | None:
    """Pods that are alike share one evaluation. The undo must be as careful as the patch."""
    if stray := next((op.path for op in (*rest, *undo) if not _is_label(op.path)), None):
        return f"may only touch labels, not {stray}"
    if any(op.op in ("add", "replace") and not isinstance(op.value, str) for op in (*rest, *undo)):
        return "writes a value that is no label value"
    if problem := _careless(rest):
        return problem
    if problem := _careless(undo):
        return f"has an undo that {problem}"
    assumed: dict[str, Any] = {op.path: op.value for op in rest if op.op == "test"}
    before = {"metadata": {"labels": _labels_of(assumed)}}
    try:
        if patches.apply(patches.apply(before, rest), undo) != before:
            return "is not taken back by its undo"
    except PatchRejectedError as error:
        return f"is not taken back by its undo: {error.message}"
    return None


def _is_label(path: str) -> bool:
    return path.count("/") == 3 and path.startswith("/metadata/labels/")


def _labels_of(assumed: Mapping[str, Any]) -> dict[str, Any]:
    return {patches.tokens_of(path)[2]: value for path, value in assumed.items() if value is not None}


def _careless(rest: Patch) -> str | None:
    """What the patch would overwrite without noticing."""
    assumed: dict[str, Any] = {op.path: op.value for op in rest if op.op == "test"}
    for op in rest:
        if op.op != "test" and op.path not in assumed:
            return f"writes {op.path} without a test of its old value: it would overwrite another writer"
    labels = _labels_of(assumed)
    for path, value in assumed.items():
        key = patches.tokens_of(path)[2]
        for other in {_ELSE, None} - {value}:
            changed = {**labels, key: other} if other is not None else {k: v for k, v in labels.items() if k != key}
            if _applies({"metadata": {"labels": changed}}, rest):
                return f"does not notice when another writer sets {key} to {other!r}"
    return None


def _service_problem(
    step: Step, change: Change, services: dict[tuple[str, str], Service], helpers: Helpers
) -> str | None:
    key = (change.namespace, change.name)
    if step.action == "Create":
        services.pop(key, None)
        return helpers.creation_problem(step, change)
    if step.action == "Delete":
        return helpers.deletion_problem(step, change, services.get(key))
    live = services.get(key)
    where = f"Service {change.namespace}/{change.name}"
    if live is None:
        return f"{where} does not exist"
    if change.object is not None or change.bind is not None:
        return f"the patch of {where} must do nothing but patch"
    for op in (*change.patch, *change.undo):
        if problem := _selector_op_problem(op):
            return f"the patch of {where} {problem}"
    return _selector_problem(where, change, live, services)


def _selector_problem(
    where: str, change: Change, live: Service, services: dict[tuple[str, str], Service]
) -> str | None:
    """The patch notices every other writer, and its undo takes it back; ``services`` then hold the outcome."""
    document: dict[str, Any] = {
        "metadata": {"uid": live.metadata.uid},
        "spec": {"selector": dict(live.spec.selector or {})},
    }
    if problem := _unguarded(document, change.patch):
        return f"the patch of {where} {problem}"
    try:
        after = patches.apply(document, change.patch)
        if patches.apply(after, change.undo) != document:
            return f"the patch of {where} is not taken back by its undo"
    except PatchRejectedError as error:
        return f"the patch of {where} does not apply: {error.message}"
    if problem := _unguarded(after, change.undo):
        return f"the undo of {where} {problem}"
    selector = after["spec"]["selector"]
    if not selector:
        return f"the patch of {where} leaves it without a selector: its endpoints would freeze"
    services[change.namespace, change.name] = with_selector(live, selector)
    return None


def _unguarded(document: dict[str, Any], patch: Patch) -> str | None:
    if _applies({**document, "metadata": {"uid": _ELSE}}, patch):
        return "has no test of its uid"
    meddled = {**(document["spec"].get("selector") or {}), _ELSE: "x"}
    if _applies({**document, "spec": {"selector": meddled}}, patch):
        return "does not test the whole selector that it relies on"
    return None


def _selector_op_problem(op: Op) -> str | None:
    """A test of the uid or of the whole selector, or a write of one of its keys."""
    if op.path == _UID and op.op == "test":
        return None if isinstance(op.value, str) else "tests a uid that is none"
    if op.path == "/spec/selector" and op.op == "test":
        return None if _is_string_map(op.value) else "tests a selector that is none"
    if not op.path.startswith("/spec/selector/") or op.path.count("/") != 3:
        return f"may only touch the selector, not {op.path}"
    if op.op in ("add", "replace") and (not isinstance(op.value, str) or value_problems(op.value)):
        return "writes a value that is no label value"
    return None


def _is_string_map(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values())


def _applies(document: Any, patch: Patch) -> bool:
    try:
        patches.apply(document, patch)
    except PatchRejectedError:
        return False
    return True
