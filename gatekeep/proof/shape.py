"""Is each step a well-formed one? Everything behind this check may rely on names, namespaces and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gatekeep.model.admission import API_VERSION as ADMISSION_VERSION
from gatekeep.model.admission import BINDING, POLICY
from gatekeep.model.plan import Change, Match, Plan, Step
from gatekeep.model.waits import (
    AdmissionWait,
    CheckWait,
    DurationWait,
    EndpointsWait,
    ExistsWait,
    FieldWait,
    RevisionWait,
    Wait,
    WaitObject,
)
from gatekeep.proof import templates

LONGEST_WAIT_SECONDS = 86400
_MOST_PHASES = 1_000_000
_VERSIONS = {"Pod": "v1", "Service": "v1", **dict.fromkeys(templates.KINDS, "apps/v1"),
             **dict.fromkeys((POLICY, BINDING), ADMISSION_VERSION)}  # fmt: skip
_CLUSTER_WIDE = (POLICY, BINDING)
_NUMBER = re.compile(r"[-+]?[0-9]{1,99}(\.[0-9]{1,99})?([eE][-+]?[0-9]{1,3})?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def problem_of(plan: Plan) -> str | None:
    """The first step that is none.

    Steps are told apart by their numbers, here and on the way, so these must be the order in which they stand.
    """
    for number, step in enumerate(plan.steps, 1):
        if step.number != number:
            return f"step {step.number} stands where step {number} should"
        if (step.action == "Wait") != (step.wait is not None) or (step.wait and (step.changes or step.match)):
            return f"step {step.number} must be either a wait or a write"
        if not 1 <= step.phase <= _MOST_PHASES:
            return f"step {number} is of phase {step.phase}; phases count from 1"
        found = (_wait_problem(step.wait), _changes_problem(step.changes), _match_problem(step))
        if problem := next(filter(None, found), None):
            return f"step {number}: {problem}"
    return None


def _wait_problem(wait: Wait | None) -> str | None:
    if wait is None:
        return None
    if not 1 <= wait.timeout_seconds <= LONGEST_WAIT_SECONDS:
        return f"a wait lasts between 1 and {LONGEST_WAIT_SECONDS} seconds, not {wait.timeout_seconds}"
    match wait:
        case EndpointsWait() | ExistsWait():
            return _name_problem((wait.namespace, wait.service))
        case FieldWait():
            return _object_problem(wait.object) or _field_problem(wait)
        case RevisionWait():
            if wait.object.kind not in ("DaemonSet", "StatefulSet"):
                return f"a {wait.object.kind} has no revisions"
            return _object_problem(wait.object)
        case AdmissionWait():
            return _object_problem(wait.owner)
        case DurationWait():
            most = LONGEST_WAIT_SECONDS
            return None if 0 <= wait.seconds <= most else f"{wait.seconds} is no number of seconds up to {most}"
        case CheckWait():
            return _check_problem(wait)


def _check_problem(wait: CheckWait) -> str | None:
    """Whether it is the policy's is another question (``runs``): is it a check at all?"""
    if not _NAME.fullmatch(wait.name) or not wait.query:
        return f"the check {wait.name!r} has no name, or asks nothing"
    bounds = [bound for bound in (wait.max, wait.min) if bound is not None]
    if not bounds:
        return f"the check {wait.name} has neither max nor min: any answer would pass it"
    if other := next((bound for bound in bounds if not _NUMBER.fullmatch(bound)), None):
        return f"the check {wait.name} has the bound {other!r}, which is no decimal number"
    if not 0 <= wait.for_seconds <= LONGEST_WAIT_SECONDS or not 1 <= wait.interval_seconds <= LONGEST_WAIT_SECONDS:
        return f"the check {wait.name} asks every {wait.interval_seconds} seconds, for {wait.for_seconds}"
    return None if wait.failures >= 1 else f"the check {wait.name} fails after {wait.failures} measurements"


def _object_problem(item: WaitObject) -> str | None:
    if item.kind not in templates.KINDS or item.api_version != _VERSIONS[item.kind]:
        return f"a wait looks at workloads, not at a {item.kind} of {item.api_version!r}"
    return _name_problem((item.namespace, item.name))


def _field_problem(wait: FieldWait) -> str | None:
    if (wait.at_least is None) == (wait.equals is None):
        return "a wait for a field says what it must at least be, or what it must equal"
    paths = (wait.path, wait.while_.path if wait.while_ is not None else wait.path)
    return None if all(path.startswith("/") for path in paths) else f"{paths[0]!r} leads to no field"


def _changes_problem(changes: Iterable[Change]) -> str | None:
    kinds: set[str] = set()
    namespaces: set[str] = set()
    for change in changes:
        expected = _VERSIONS.get(change.kind)
        if expected is None:
            return f"it touches a {change.kind}, which no plan of this version does"
        if change.api_version != expected:
            where = f"{change.kind} {change.namespace}/{change.name}"
            return f"{where} is of {change.api_version!r}, expected {expected}"
        kinds.add(change.kind)
        if change.kind not in _CLUSTER_WIDE:
            namespaces.add(change.namespace)
        elif change.namespace:
            return f"{change.kind} {change.name} has a namespace, {change.namespace!r}; it is of the whole cluster"
        if not _NAME.fullmatch(change.name):
            return f"{change.name!r} is no name of an object"
    if len(kinds) > 1:
        return f"one step touches one kind of object, not {' and '.join(sorted(kinds))}"
    return _name_problem(namespaces)


def _name_problem(names: Iterable[str]) -> str | None:
    return next((f"{name!r} is no name of an object" for name in sorted(names) if not _NAME.fullmatch(name)), None)


def _match_problem(step: Step) -> str | None:
    """Only the outermost part names a namespace, and it is the one in which the step writes."""
    match = step.match
    if match is None:
        return None
    if not _NAME.fullmatch(match.namespace):
        return f"its match is for namespace {match.namespace!r}, which is none"
    for change in step.changes:
        if change.namespace != match.namespace:
            return f"its match is for namespace {match.namespace}, its changes are in {change.namespace}"
        if change.kind not in ("Pod", "ReplicaSet"):
            return f"a match is for pods or ReplicaSets, and the step touches a {change.kind}"
    if any(part.namespace or part.gate for part in _parts(match)):
        return "a part of its match names a namespace or a label of its own"
    return None


def _parts(match: Match) -> Iterable[Match]:
    for part in (*(match.any_of or ()), *(match.except_ or ())):
        yield part
        yield from _parts(part)
