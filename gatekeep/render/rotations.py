"""Who is in rotation after each phase of a plan, worked out from the plan alone; pods that fare alike stand together.

A picture for readers, not the proof: it shows what holds once the controllers have seen a phase, and says nothing of
the moments between.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from gatekeep.model.patches import is_label, tokens_of
from gatekeep.model.plan import Change, Plan, ServiceForecast
from gatekeep.render.words import SELECTOR, selector_change

LARGEST = 500_000
"""Phases times pods that are still worked out: half a second."""

State = Literal["in", "out", "joins", "leaves"]
Labels = Mapping[str, Any]
Key = tuple[str, str]


class Group(NamedTuple):
    """Pods that fare alike: ``states[phase][service]``, in the order of :class:`Rotations`."""

    namespace: str
    pods: tuple[str, ...]
    states: tuple[tuple[State, ...], ...]


class Rotations(NamedTuple):
    """The Services, the phases in which somebody joins or leaves, or is labelled to do so, and how each group fares."""

    services: tuple[Key, ...]
    phases: tuple[int, ...]
    groups: tuple[Group, ...]


def rotations_of(plan: Plan) -> Rotations:
    """The picture; without phases where the plan moves nobody, and where the picture would be too large."""
    phases = sorted({step.phase for step in plan.steps if any(_counts(change) for change in step.changes)})
    if len(phases) * sum(len(item.before) + len(item.after) for item in plan.services) > LARGEST:
        return Rotations((), (), ())
    labels = _labels(plan, phases)
    selectors = {(item.namespace, item.name): _selectors(plan, item, phases) for item in plan.services}
    grouped: dict[tuple[str, tuple[tuple[State, ...], ...]], list[str]] = {}
    pods = sorted({(item.namespace, pod) for item in plan.services for pod in (*item.before, *item.after)})
    before = {(item.namespace, item.name): frozenset(item.before) for item in plan.services}
    after = {(item.namespace, item.name): frozenset(item.after) for item in plan.services}
    untouched: list[Labels] = [{}] * (len(phases) + 1)
    for namespace, pod in pods:
        courses = []
        for service in plan.services:
            key = (service.namespace, service.name)
            known = labels.get((namespace, pod), untouched) if namespace == service.namespace else untouched
            ends = (
                namespace == service.namespace and pod in before[key],
                namespace == service.namespace and pod in after[key],
            )
            courses.append(_course(known, selectors[key], *ends))
        states = tuple(zip(*courses, strict=True))
        grouped.setdefault((namespace, states), []).append(pod)
    groups = [Group(namespace, tuple(names), states) for (namespace, states), names in grouped.items()]
    return Rotations(tuple(before), tuple(phases), tuple(groups))


def _counts(change: Change) -> bool:
    """The change may move a pod in or out of rotation."""
    if change.kind == "Pod":
        return any(op.op != "test" and is_label(op.path) for op in change.patch)
    return change.kind == "Service" and any(
        op.op != "test" and tokens_of(op.path)[:2] == SELECTOR for op in change.patch
    )


def _labels(plan: Plan, phases: Sequence[int]) -> dict[Key, list[Labels]]:
    """For each pod that is patched, the labels that are known of it: before, and after each phase."""
    first: dict[Key, dict[str, Any]] = {}
    writes: dict[Key, dict[int, dict[str, Any]]] = {}
    for phase, change in _changes(plan, "Pod"):
        key = (change.namespace, change.name)
        for op in change.patch:
            if is_label(op.path):
                name = tokens_of(op.path)[2]
                if op.op == "test":
                    first.setdefault(key, {}).setdefault(name, op.value)
                else:
                    value = None if op.op == "remove" else op.value
                    writes.setdefault(key, {}).setdefault(phase, {})[name] = value
    found: dict[Key, list[Labels]] = {}
    for key, edits in writes.items():
        course: list[Labels] = [first.get(key, {})]
        for phase in phases:
            course.append({**course[-1], **edits.get(phase, {})})
        found[key] = course
    return found


def _selectors(plan: Plan, service: ServiceForecast, phases: Sequence[int]) -> list[Labels]:
    """The selector before, and after each phase; of one that is not patched only the gate's own label is known."""
    gates = [gate for gate in plan.gates if gate.namespace == service.namespace and service.name in gate.services]
    moves = {phase: found for phase, change in _changes(plan, "Service")
             if (change.namespace, change.name) == (service.namespace, service.name)
             and (found := selector_change(change.patch)) is not None}  # fmt: skip
    live: Labels = moves[min(moves)][0] if moves else {gate.key: gate.value for gate in gates}
    course = [live]
    for phase in phases:
        course.append(moves[phase][1] if phase in moves else course[-1])
    return course


def _changes(plan: Plan, kind: str) -> Iterator[tuple[int, Change]]:
    return ((step.phase, change) for step in plan.steps if step.action == "Patch"
            for change in step.changes if change.kind == kind)  # fmt: skip


def _course(labels: Sequence[Labels], selectors: Sequence[Labels], before: bool, after: bool) -> list[State]:
    members = [_member(labels, selectors, at, before, after) for at in range(len(selectors))]
    members[0] = before
    if len(members) > 1:
        members[-1] = after
    words: dict[tuple[bool, bool], State] = {
        (True, True): "in", (False, False): "out", (False, True): "joins", (True, False): "leaves"
    }  # fmt: skip
    return [words[pair] for pair in itertools.pairwise(members)]


def _member(labels: Sequence[Labels], selectors: Sequence[Labels], at: int, before: bool, after: bool) -> bool:
    """By the labels that the plan writes; what else the selector asks for, the pod has as it had it at either end."""
    if not _fits(labels[at], selectors[at]):
        return False
    rest = _unknown(labels[at], selectors[at])
    if rest == _unknown(labels[0], selectors[0]) and _fits(labels[0], selectors[0]):
        return before
    if rest == _unknown(labels[-1], selectors[-1]) and _fits(labels[-1], selectors[-1]):
        return after
    return before or after


def _fits(labels: Labels, selector: Labels) -> bool:
    return all(labels[key] == value for key, value in selector.items() if key in labels)


def _unknown(labels: Labels, selector: Labels) -> dict[str, Any]:
    return {key: value for key, value in selector.items() if key not in labels}
