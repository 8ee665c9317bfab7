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
from gatekeep.model.selectors import keys_of
from gatekeep.model.snapshot import Snapshot
from gatekeep.proof.simulate import with_selector

_ELSE = "somebody-else"


def problems(plan: Plan, snapshot: Snapshot) -> str | None:
    """The first patch that would overwrite what another writer did, touch a key it must not, or that ``undo`` does not
    take back; None when there is none."""
    services = dict(snapshot.service_index)
    pods = {pod.uid: pod for pod in snapshot.pods}
    checked: set[tuple[str, str]] = set()
    for step in plan.steps:
        for change in step.changes:
            if change.kind == "Pod" and (problem := _pod_problem(change, pods, snapshot, checked)):
                return f"step {step.number}: {problem}"
            if change.kind == "Service" and (problem := _service_problem(step, change, services)):
                return f"step {step.number}: {problem}"
            if change.kind not in ("Pod", "Service"):
                return f"step {step.number} touches a {change.kind}, which no plan of this version does"
    return None


def _pod_problem(
    change: Change, pods: Mapping[str, Pod], snapshot: Snapshot, checked: set[tuple[str, str]]
) -> str | None:
    where = f"Pod {change.namespace}/{change.name}"
    if not _guards_uid(change.patch, change.uid):
        return f"the patch of {where} has no test of its uid: it would label another pod of that name"
    rest = tuple(op for op in change.patch if op.path != "/metadata/uid")
    if problem := _label_problem(rest, tuple(op for op in change.undo if op.path != "/metadata/uid")):
        return f"the patch of {where} {problem}"
    for op in rest:
        key = patches.tokens_of(op.path)[2]
        if (change.namespace, key) in checked:
            continue
        checked.add((change.namespace, key))
        for workload in snapshot.workloads_in(change.namespace):
            if key in keys_of(workload.spec.selector):
                return f"the patch of {where} touches the label {key}, by which {workload.ref} selects its pods"
    return None


def _guards_uid(patch: Patch, uid: object) -> bool:
    return any(op.op == "test" and op.path == "/metadata/uid" and op.value == uid for op in patch)


@functools.lru_cache(maxsize=1024)
def _label_problem(rest: Patch, undo: Patch) -> str | None:
    """Pods that are alike share one evaluation."""
    assumed: dict[str, Any] = {op.path: op.value for op in rest if op.op == "test"}
    for op in rest:
        if op.op != "test" and op.path not in assumed:
            return f"writes {op.path} without a test of its old value: it would overwrite another writer"
    labels = {patches.tokens_of(path)[2]: value for path, value in assumed.items() if value is not None}
    before = {"metadata": {"labels": labels}}
    for path, value in assumed.items():
        key = patches.tokens_of(path)[2]
        for other in {_ELSE, None} - {value}:
            changed = {**labels, key: other} if other is not None else {k: v for k, v in labels.items() if k != key}
            if _applies({"metadata": {"labels": changed}}, rest):
                return f"does not notice when another writer sets {key} to {other!r}"
    try:
        if patches.apply(patches.apply(before, rest), undo) != before:
            return "is not taken back by its undo"
    except PatchRejectedError as error:
        return f"is not taken back by its undo: {error.message}"
    return None


def _service_problem(step: Step, change: Change, services: dict[tuple[str, str], Service]) -> str | None:
    where = f"Service {change.namespace}/{change.name}"
    key = (change.namespace, change.name)
    if step.action == "Create":
        services.pop(key, None)
        return None
    if step.action == "Delete":
        return None if _has_uid_test(change.patch) else f"the deletion of {where} has no test of its uid"
    live = services.get(key)
    if live is None:
        return f"{where} does not exist"
    document: dict[str, Any] = {
        "metadata": {"uid": live.metadata.uid},
        "spec": {"selector": dict(live.spec.selector or {})},
    }
    if _applies({**document, "metadata": {"uid": _ELSE}}, change.patch):
        return f"the patch of {where} has no test of its uid"
    meddled = {**document["spec"]["selector"], _ELSE: "x"}
    if _applies({**document, "spec": {"selector": meddled}}, change.patch):
        return f"the patch of {where} does not test the whole selector that it relies on"
    try:
        after = patches.apply(document, change.patch)
        if patches.apply(after, change.undo) != document:
            return f"the patch of {where} is not taken back by its undo"
    except PatchRejectedError as error:
        return f"the patch of {where} does not apply: {error.message}"
    selector = after["spec"].get("selector")
    if not selector:
        return f"the patch of {where} leaves it without a selector: its endpoints would freeze"
    services[key] = with_selector(live, selector)
    return None


def _has_uid_test(patch: tuple[Op, ...]) -> bool:
    return any(op.op == "test" and op.path == "/metadata/uid" and op.value is not None for op in patch)


def _applies(document: Any, patch: Patch) -> bool:
    try:
        patches.apply(document, patch)
    except PatchRejectedError:
        return False
    return True
