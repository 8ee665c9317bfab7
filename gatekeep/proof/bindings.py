"""Values that only the cluster can give: which step binds which name, and what stands for the value until then.

In a proof a revision that is not known yet is a placeholder: one string wherever the name stands, pod labels included,
and another one than any that a snapshot holds, be it one that an earlier plan left.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from gatekeep.model.patches import Op, Patch
from gatekeep.model.plan import Change, Plan, Step
from gatekeep.model.waits import Bound, FieldWait, RevisionWait

GENERATION = "/metadata/generation"
TEMPLATE_GENERATION = "/metadata/annotations/deprecated.daemonset.template.generation"
REVISION_PATHS = {"DaemonSet": "/metadata/labels/controller-revision-hash", "StatefulSet": "/metadata/name"}

Source = Literal["uid", "generation", "template", "revision"]
_SOURCES: Mapping[str, Source] = {
    "/metadata/uid": "uid",
    GENERATION: "generation",
    TEMPLATE_GENERATION: "template",
}


class Binding(NamedTuple):
    """The step that binds a name, what value it is, and the uid of the object whose it is (empty for a new one)."""

    step: int
    source: Source
    uid: str


def name_in(value: object) -> str | None:
    """The name in ``{"$bound": name}``, decoded or plain; None for any other value."""
    if isinstance(value, Bound):
        return value.name
    if isinstance(value, dict) and value.keys() == {"$bound"} and isinstance(value["$bound"], str):
        return str(value["$bound"])
    return None


def bindings_of(plan: Plan) -> dict[str, Binding]:
    """Every name that a step binds; of a name bound twice, the first."""
    found: dict[str, Binding] = {}
    for step in plan.steps:
        for name, binding in _bound_by(step):
            found.setdefault(name, binding)
    return found


def placeholders(plan: Plan) -> dict[str, str]:
    """What stands for each revision that a wait of ``plan`` looks up, by the name it is bound to."""
    found: dict[str, str] = {}
    for step in plan.steps:
        if isinstance(step.wait, RevisionWait):
            before = text(step.wait.revision, found)
            found.update((name, _placeholder(name, before)) for name in step.wait.bind)
    return found


def text(value: object, values: Mapping[str, str]) -> str:
    """A label value, or what stands for it. Raises LookupError for a name that nothing stands for."""
    name = name_in(value)
    return str(value) if name is None else values[name]


def resolved(patch: Patch, values: Mapping[str, str]) -> Patch:
    """``patch`` with placeholders. Raises LookupError for a name that nothing stands for."""
    return tuple([op if name_in(op.value) is None else Op(op.op, op.path, text(op.value, values)) for op in patch])


def problem_of(plan: Plan) -> str | None:
    """A name that is bound twice, used before it is bound, or required where the step does not need it."""
    known: dict[str, Binding] = {}
    implied: dict[str, frozenset[str]] = {}
    for step in plan.steps:
        for name in step.requires:
            if name not in known:
                return f"step {step.number} requires {name!r}, which no step before it binds"
        # Once one of these is bound, so is whatever the step that binds it requires.
        certain = frozenset(step.requires).union(*(implied[name] for name in step.requires))
        for name in _used_by(step):
            if name not in known:
                return f"step {step.number} relies on {name!r}, which no step before it binds"
            if known[name].source == "revision" and name not in certain:
                return f"step {step.number} relies on {name!r}, which may stay unbound, and does not require it"
        for name, binding in _bound_by(step):
            if not name or name in known:
                return f"step {step.number} binds {name!r}, which is no name of its own"
            known[name], implied[name] = binding, certain
    return None


def omission_problem(step: Step, known: Mapping[str, Binding]) -> str | None:
    """A step that requires something may be left out. Only what the very workload of a revision needs it for may be."""
    wait, match = step.wait, step.match
    if not step.requires:
        return None
    uids: tuple[str, ...] = ()
    if isinstance(wait, FieldWait | RevisionWait):
        uids = (wait.object.uid,)
    elif match is not None and all(change.kind == "Pod" for change in step.changes):
        uids = match.owner_uids or ()
    for name in step.requires:
        if known[name].source != "revision" or (known[name].uid,) != uids:
            return f"it may not be left out where {name!r} stays unbound"
    return None


def _placeholder(name: str, revision: str) -> str:
    return f"bound-{hashlib.sha256(f'{name} {revision}'.encode()).hexdigest()[:20]}"


def _bound_by(step: Step) -> Iterator[tuple[str, Binding]]:
    for change in step.changes:
        for name, path in (change.bind or {}).items():
            if path in _SOURCES:
                yield name, Binding(step.number, _SOURCES[path], change.uid or "")
    if isinstance(step.wait, RevisionWait):
        for name in step.wait.bind:
            yield name, Binding(step.number, "revision", step.wait.object.uid)


def _used_by(step: Step) -> Iterator[str]:
    return (name for name in map(name_in, _values(step)) if name is not None)


def _values(step: Step) -> Iterable[Any]:
    wait = step.wait
    if isinstance(wait, FieldWait):
        yield wait.at_least
        yield wait.equals
        if wait.while_ is not None:
            yield wait.while_.equals
    if isinstance(wait, RevisionWait):
        yield wait.observed
        yield wait.revision
    if step.match is not None and step.match.gate is not None:
        yield step.match.gate.value
    if step.changes and not _is_plain(step.changes[0]):
        # Steps that label 100,000 pods with a plain value are not searched; guards refuse any other value in them.
        yield from (op.value for change in step.changes for op in (*change.patch, *change.undo))


def _is_plain(change: Change) -> bool:
    return change.kind == "Pod" and not any(isinstance(op.value, dict) for op in change.patch)
