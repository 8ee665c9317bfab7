"""A plan as ``kubectl diff`` shows changes: a file LIVE and a file MERGED for each object, with the fields it writes.

Strings are always double-quoted, so that no reader takes ``"yes"`` for a boolean. Objects that the plan creates and
deletes again, as shadow Services, do not appear, nor does what it takes back, as a pause.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from gatekeep.model.objects import ObjectRef, Workload
from gatekeep.model.patches import Op, Patch, apply
from gatekeep.model.plan import Change, Plan
from gatekeep.model.snapshot import Snapshot

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
# What some YAML parser reads as a boolean or null, whatever the case.
_TRAPS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_LONGEST_NAME = 200


class FileDiff(NamedTuple):
    """One object before and after; an empty text means that it does not exist."""

    name: str
    live: str
    merged: str


def file_diffs(plan: Plan, snapshot: Snapshot) -> tuple[FileDiff, ...]:
    """The objects that are different after the plan, by file name."""
    changes: dict[ObjectRef, list[tuple[str, Change]]] = {}
    for step in plan.steps:
        for change in step.changes:
            ref = ObjectRef(change.kind, change.namespace, change.name)
            changes.setdefault(ref, []).append((step.action, change))
    live_views = _live_views(snapshot, frozenset(changes))
    found = []
    for ref, actions in changes.items():
        live = live_views.get(ref)
        merged = _merged(live, actions)
        if live != merged:
            name = _file_name(actions[0][1])
            found.append(FileDiff(name, _document(live, actions[0][1]), _document(merged, actions[0][1])))
    return tuple(sorted(found))


def to_yaml(value: Any, indent: int = 0) -> str:
    """Plain data as YAML with every string in double quotes and keys sorted."""
    pad = "  " * indent
    if isinstance(value, Mapping) and value:
        return "".join(f"{pad}{_key(key)}:{_nested(item, indent)}" for key, item in sorted(value.items()))
    if isinstance(value, list | tuple) and value:
        return "".join(f"{pad}-{_nested(item, indent)}" for item in value)
    return f"{pad}{json.dumps(value)}\n"


def _nested(value: Any, indent: int) -> str:
    if isinstance(value, Mapping | list | tuple) and value:
        return "\n" + to_yaml(value, indent + 1)
    return f" {json.dumps(value)}\n"


def _key(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) and key.lower() not in _TRAPS else json.dumps(key)


def _live_views(snapshot: Snapshot, wanted: frozenset[ObjectRef]) -> dict[ObjectRef, dict[str, Any]]:
    """The fields that plans write, of the objects that are wanted."""
    views: dict[ObjectRef, dict[str, Any]] = {}
    for pod in snapshot.pods:
        if pod.ref in wanted:
            views[pod.ref] = {"metadata": {"labels": dict(pod.labels), "uid": pod.uid}}
    for service in snapshot.services:
        if service.ref in wanted:
            selector = None if service.spec.selector is None else dict(service.spec.selector)
            views[service.ref] = {"metadata": {"uid": service.metadata.uid}, "spec": {"selector": selector}}
    for workload in snapshot.workloads:
        if workload.ref in wanted:
            views[workload.ref] = _workload(workload)
    return views


def _workload(item: Workload) -> dict[str, Any]:
    spec: dict[str, Any] = {"template": {"metadata": {"labels": dict(item.spec.template.metadata.labels)}}}
    if item.spec.paused:
        spec["paused"] = True
    if item.spec.update_strategy is not None:
        spec["updateStrategy"] = item.spec.update_strategy
    return {"metadata": {"uid": item.uid}, "spec": spec}


def _merged(live: dict[str, Any] | None, actions: Sequence[tuple[str, Change]]) -> dict[str, Any] | None:
    """The view after every action on the object, in the plan's order; None when it is gone."""
    current = live
    for action, change in actions:
        if action == "Create":
            current = {**(change.object or {})}
        elif action == "Delete":
            current = None
        elif current is not None:
            current = apply(current, _unbound(change.patch))
    return current


def _unbound(patch: Patch) -> Patch:
    """Without the guards on the uid: a bound one is known only once the step that sees it has run. So are values."""
    return tuple(_spoken(op) for op in patch if op.path != "/metadata/uid")


def _spoken(op: Op) -> Op:
    if isinstance(op.value, Mapping) and "$bound" in op.value:
        return Op(op.op, op.path, f"(known when applied: {op.value['$bound']})")
    return op


def _document(view: Mapping[str, Any] | None, change: Change) -> str:
    if view is None:
        return ""
    metadata = {key: value for key, value in view.get("metadata", {}).items() if key != "uid"}
    metadata |= {"name": change.name, **({"namespace": change.namespace} if change.namespace else {})}
    return to_yaml({**view, "apiVersion": change.api_version, "kind": change.kind, "metadata": metadata})


def _file_name(change: Change) -> str:
    """``v1.Service.dockercoins.rng``, as kubectl names it. Names from a dump may hold anything, a slash included."""
    version = change.api_version.replace("/", ".")
    name = quote(f"{version}.{change.kind}.{change.namespace}.{change.name}", safe="")
    if len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_LONGEST_NAME]}.{hashlib.sha256(name.encode()).hexdigest()[:8]}"
