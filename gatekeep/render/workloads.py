"""Steps on workloads in words: what is written to a template or holds it still, and what its controller is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gatekeep.model.patches import Op, tokens_of
from gatekeep.model.plan import Step
from gatekeep.model.waits import AdmissionWait, Bound, DurationWait, FieldWait, GateLabel, RevisionWait, WaitObject

KINDS = ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet")
REVISION = "controller-revision-hash"
MARK = "controller-revision-hash → that revision"
TEMPLATE_LABELS = ("spec", "template", "metadata", "labels")
_PAUSED = "/spec/paused"
_STRATEGY = "/spec/updateStrategy"
_COUNTS = {
    "/status/updatedNumberScheduled": "all pods count as up to date",
    "/status/updatedReplicas": "all pods count as up to date",
    "/status/fullyLabeledReplicas": "all pods count as up to date",
}
_SEEN = {"paused": "the pause", "labelled": "the new template", "resumed": "the resumption"}
_BOUND = re.compile(r"(?P<kind>[a-z]+)/(?P<name>.+)\.(?P<what>[a-z]+)\.\d+")
ClusterWait = FieldWait | RevisionWait | AdmissionWait | DurationWait
"""Waits on anything but a Service's slices."""


def edit_words(patch: Sequence[Op]) -> str:
    """``template + active=yes, strategy RollingUpdate → OnDelete``; a patch that only tests changes nothing."""
    tests = {op.path: op.value for op in patch if op.op == "test"}
    writes = [op for op in patch if op.op != "test"]
    words = [_template(op, tests.get(op.path)) for op in writes if tokens_of(op.path)[:-1] == TEMPLATE_LABELS]
    for op in writes:
        if op.path == _STRATEGY:
            words.append(f"strategy {_type(tests.get(op.path))} → {_type(op.value)}")
        elif op.path == _PAUSED:
            words.append("pause" if op.op != "remove" and op.value else "resume")
        elif tokens_of(op.path)[:-1] != TEMPLATE_LABELS:
            words.append(f"{op.op} {op.path}")
    return ", ".join(words) or "stays as it is"


def writes_template(patch: Sequence[Op]) -> bool:
    """The patch changes a label of the pod template."""
    return any(op.op != "test" and tokens_of(op.path)[:-1] == TEMPLATE_LABELS for op in patch)


def is_mark(step: Step) -> bool:
    """The step marks pods as being of another revision."""
    return step.match is not None and step.match.gate is not None and step.match.gate.key == REVISION


def marked(step: Step, namespace: str) -> str:
    """Whose pods a step marks: ``DaemonSet shop/rng``; empty where the name of the bound value does not say it."""
    gate = step.match.gate if step.match is not None else None
    found = _BOUND.fullmatch(gate.value.name) if gate is not None and isinstance(gate.value, Bound) else None
    kind = next((kind for kind in KINDS if found and kind.lower() == found["kind"]), "")
    return f"{kind} {namespace}/{found['name']}" if found and kind else ""


def condition_words(wait: ClusterWait) -> tuple[str, str]:
    """What is looked at, and the condition."""
    match wait:
        case FieldWait():
            return _object(wait.object), _field(wait)
        case RevisionWait():
            return _object(wait.object), f"its pods' revision {_label(wait.gate)} is found"
        case AdmissionWait():
            return f"later pods of {_object(wait.owner)}", f"are born {_label(wait.gate)}"
        case DurationWait():
            return "time", f"{wait.seconds} s have passed"


def _field(wait: FieldWait) -> str:
    if wait.path in _COUNTS:
        return _COUNTS[wait.path]
    if wait.path == "/status/observedGeneration":
        found = _BOUND.fullmatch(wait.at_least.name) if isinstance(wait.at_least, Bound) else None
        return f"its controller has seen {_SEEN.get(found['what'] if found else '', 'it as it is now')}"
    if wait.at_least is not None:
        return f"{wait.path} is at least {_plain(wait.at_least)}"
    return f"{wait.path} is {_plain(wait.equals)}"


def _plain(value: Any) -> str:
    match value:
        case Bound(name=name) | {"$bound": name} | {"$field": name}:
            return str(name)
    return str(value)


def _label(gate: GateLabel) -> str:
    return f"without {gate.key}" if gate.value is None else f"with {gate.key}={_plain(gate.value)}"


def _template(op: Op, old: Any) -> str:
    key = tokens_of(op.path)[-1]
    if op.op == "remove":
        return f"template - {key}={old}" if isinstance(old, str) else f"template - {key}"
    if isinstance(old, str):
        return f"template ~ {key}={old} → {_plain(op.value)}"
    return f"template + {key}={_plain(op.value)}"


def _type(strategy: Any) -> str:
    return str(strategy.get("type", "default")) if isinstance(strategy, Mapping) else "default"


def _object(item: WaitObject) -> str:
    return f"{item.kind} {item.namespace}/{item.name}"
