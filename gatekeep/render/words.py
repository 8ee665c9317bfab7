"""A plan's steps in words: what a patch does, on how many objects, and what a wait waits for."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from gatekeep.model.patches import Op, tokens_of
from gatekeep.model.plan import Change, Match, Step
from gatekeep.model.selectors import LabelSelector, Requirement
from gatekeep.model.waits import (
    AdmissionWait,
    Bound,
    CheckWait,
    EndpointsWait,
    ExistsWait,
    FieldWait,
    RevisionWait,
    Wait,
)
from gatekeep.render import workloads
from gatekeep.render.layout import counted, seconds

LABELS = ("metadata", "labels")
ANNOTATIONS = ("metadata", "annotations")
SELECTOR = ("spec", "selector")
ANY = "any labels"
ANYBODY = "any pod"
LATER = "pods born until then"
FEW_WORKLOADS = 2
ADMISSION = ("MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding")
PLURALS = {
    "EndpointSlice": "EndpointSlices",
    "MutatingAdmissionPolicy": "MutatingAdmissionPolicies",
    "Pod": "pods",
}


class Line(NamedTuple):
    """One row: a symbol, the objects, and what happens to them."""

    symbol: str
    objects: str
    change: str


def lines_of(step: Step) -> list[Line]:
    """What the step does; objects that get the same change share a row."""
    if step.wait is not None:
        return [Line("?", *wait_words(step.wait))]
    if workloads.is_mark(step):
        return [_mark(step)]
    groups: dict[tuple[str, str, str, str], list[Change]] = {}
    for change in step.changes:
        symbol, words = change_words(step, change)
        groups.setdefault((symbol, change.kind, change.namespace, words), []).append(change)
    rows = [Line(symbol, _objects(changes), words) for (symbol, _, _, words), changes in groups.items()]
    return rows or [_later(step)]


def _later(step: Step) -> Line:
    """A step that nobody needs now: it is for the pods that are born before it runs."""
    gate = step.match.gate if step.match is not None else None
    if gate is None or isinstance(gate.value, Bound):
        return Line("+", LATER, "label them")
    return Line("-", LATER, f"- {gate.key}") if gate.value is None else Line("+", LATER, f"+ {gate.key}={gate.value}")


def _mark(step: Step) -> Line:
    namespace = step.match.namespace if step.match is not None else ""
    owner = workloads.marked(step, namespace) or namespace
    return Line("~", f"{counted(len(step.changes), 'pod')} of {owner}", workloads.MARK)


def wait_words(wait: Wait) -> tuple[str, str]:
    """What is looked at, and the condition."""
    match wait:
        case EndpointsWait():
            held = f"{len(wait.pods):,}" if wait.pods else "none"
            return f"Service {wait.namespace}/{wait.service}", f"slices hold ready members ({held} when planned)"
        case ExistsWait():
            return f"Service {wait.namespace}/{wait.service}", "has an EndpointSlice"
        case CheckWait():
            return f"check {wait.name}", _check(wait)
        case _:
            return workloads.condition_words(wait)


def _check(wait: CheckWait) -> str:
    """``QUERY ≤ 0.01 for 2m, every 10s, aborts after 3 failures or 10m``."""
    bounds = " and ".join(f"{sign} {bound}" for sign, bound in (("≥", wait.min), ("≤", wait.max)) if bound is not None)
    lasting = f" for {seconds(wait.for_seconds)}" if wait.for_seconds else ""
    end = f"aborts after {counted(wait.failures, 'failure')} or {seconds(wait.timeout_seconds)}"
    return f"{' '.join(wait.query.split())} {bounds}{lasting}, every {seconds(wait.interval_seconds)}, {end}"


def alike(first: Step, second: Step) -> bool:
    """Two waits that differ in the object's name alone: one row says both."""
    one, other = first.wait, second.wait
    if not isinstance(one, FieldWait) or not isinstance(other, FieldWait):
        return False
    return _without_name(first, one) == _without_name(second, other)


def _without_name(step: Step, wait: FieldWait) -> tuple[object, ...]:
    item = wait.object
    return item.kind, item.namespace, wait.path, wait.equals, step.phase, step.reason, step.policy


def together(steps: Sequence[Step]) -> Line:
    """The row of several waits that are alike."""
    wait = steps[0].wait
    assert isinstance(wait, FieldWait)
    return Line("?", f"{counted(len(steps), wait.object.kind)} of {wait.object.namespace}", wait_words(wait)[1])


def change_words(step: Step, change: Change) -> tuple[str, str]:
    """A symbol (``+`` adds, ``-`` removes, ``~`` changes) and the change in words."""
    if step.action == "Create":
        return "+", _creation(change)
    if step.action == "Delete":
        return "-", "delete"
    if change.kind in workloads.KINDS:
        return "~", workloads.edit_words(change.patch)
    edits = [_edit(op, change.patch) for op in change.patch if op.op != "test" and not _in_selector(op)]
    selector = _selector_edit(change.patch)
    symbols = {symbol for symbol, _ in edits} | ({"~"} if selector else set())
    words = [f"{symbol} {text}" for symbol, text in edits] + ([selector] if selector else [])
    return symbols.pop() if len(symbols) == 1 else "~", ", ".join(words)


def workload_names(steps: Iterable[Step]) -> dict[str, str]:
    """``Deployment rng`` by uid, of the workloads that the steps write to or look at."""
    found: dict[str, str] = {}
    for step in steps:
        found.update({change.uid: f"{change.kind} {change.name}" for change in step.changes
                      if change.uid is not None and change.kind in workloads.KINDS})  # fmt: skip
        if isinstance(step.wait, FieldWait | RevisionWait):
            found[step.wait.object.uid] = f"{step.wait.object.kind} {step.wait.object.name}"
        elif isinstance(step.wait, AdmissionWait):
            found[step.wait.owner.uid] = f"{step.wait.owner.kind} {step.wait.owner.name}"
    return found


def match_words(match: Match, names: Mapping[str, str] = MappingProxyType({})) -> str:
    """Whom a labelling step is for, apart from the pods it names; ``names`` are those of workloads by uid."""
    found = _plain_match(match, names)
    if match.any_of is not None:
        parts = list(dict.fromkeys(match_words(item, names) for item in match.any_of)) or ["nobody"]
        if parts != [ANYBODY]:
            found = " or ".join(parts) if found == ANYBODY else f"{found}, of these {' or '.join(parts)}"
    if match.except_:
        found += ", but not " + " or ".join(match_words(item, names) for item in match.except_)
    return found


def _plain_match(match: Match, names: Mapping[str, str]) -> str:
    """``app=rng of Deployment rng``, ``the pods of 3 workloads``, ``any pod``."""
    labels = selector_words(match.selector) if match.selector is not None else ANY
    if match.owner_uids is None:
        return ANYBODY if labels == ANY else labels
    return f"{'the pods' if labels == ANY else labels} of {_owners(match.owner_uids, names)}"


def _owners(uids: Sequence[str], names: Mapping[str, str]) -> str:
    """One or two by their names, where these are known; else how many."""
    known = sorted(names[uid] for uid in uids if uid in names)
    few = known and len(known) == len(uids) <= FEW_WORKLOADS
    return " and ".join(known) if few else counted(len(uids), "workload")


def selector_words(selector: LabelSelector) -> str:
    """A label selector as kubectl's ``-l`` takes it."""
    terms = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    return ", ".join(terms + [_requirement(term) for term in selector.match_expressions]) or ANY


def map_words(labels: Mapping[str, Any] | None) -> str:
    """``{app=rng}``, sorted by key."""
    return "{" + ", ".join(f"{key}={_value(value)}" for key, value in sorted((labels or {}).items())) + "}"


def _requirement(term: Requirement) -> str:
    match term.operator:
        case "Exists":
            return term.key
        case "DoesNotExist":
            return f"!{term.key}"
        case operator:
            return f"{term.key} {operator.lower()} ({', '.join(term.values)})"


def _objects(changes: Sequence[Change]) -> str:
    kind, namespace = changes[0].kind, changes[0].namespace
    if len(changes) == 1:
        return f"{kind} {namespace}/{changes[0].name}" if namespace else f"{kind} {changes[0].name}"
    number = counted(len(changes), kind, PLURALS.get(kind, kind + "s"))
    return f"{number} of {namespace}" if namespace else number


def _creation(change: Change) -> str:
    if change.kind in ADMISSION:
        return "create, and it stays"
    spec = (change.object or {}).get("spec")
    if isinstance(spec, Mapping) and spec.get("selector"):
        return f"create, selector {map_words(spec['selector'])}"
    return "create"


def _in_selector(op: Op) -> bool:
    return tokens_of(op.path)[:2] == SELECTOR


def selector_change(patch: Sequence[Op]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The selector before and after; None when the patch leaves it alone."""
    writes = [op for op in patch if op.op != "test" and _in_selector(op)]
    if not writes:
        return None
    live = next((op.value for op in patch if op.op == "test" and tokens_of(op.path) == SELECTOR), None)
    before = dict(live) if isinstance(live, Mapping) else {}
    after = dict(before)
    for op in writes:
        key = tokens_of(op.path)[2:]
        if not key:
            after = dict(op.value) if isinstance(op.value, Mapping) else {}
        elif op.op == "remove":
            after.pop(key[0], None)
        else:
            after[key[0]] = op.value
    return before, after


def _selector_edit(patch: Sequence[Op]) -> str:
    """``selector {app=rng} → {active=yes, app=rng}``; empty when the patch leaves the selector alone."""
    change = selector_change(patch)
    return f"selector {map_words(change[0])} → {map_words(change[1])}" if change else ""


def _edit(op: Op, patch: Sequence[Op]) -> tuple[str, str]:
    tokens = tokens_of(op.path)
    if tokens[:2] == ANNOTATIONS:  # what they say is for machines, and long
        keys = tokens[2:] or sorted(op.value if isinstance(op.value, Mapping) else ())
        symbol = {"remove": "-", "replace": "~"}.get(op.op, "+")
        return symbol, f"annotation {', '.join(map(str, keys))}".rstrip()
    name = tokens[2] if tokens[:2] == LABELS and len(tokens) == 3 else op.path
    old = next((guard.value for guard in patch if guard.op == "test" and guard.path == op.path), None)
    if op.op == "remove":
        return "-", name if old in (None, msgspec.UNSET) else f"{name}={_value(old)}"
    if op.op == "replace" and old not in (None, msgspec.UNSET):
        return "~", f"{name}={_value(old)} → {_value(op.value)}"
    return "+", f"{name}={_value(op.value)}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def totals(steps: Sequence[Step]) -> str:
    """``6 label edits, 1 template edit, 1 selector edit``: what is written to objects that were there before."""
    changes = [(step, change) for step in steps if step.action == "Patch" for change in step.changes]
    patched = Counter(spoken for step, change in changes if (spoken := _spoken(step, change)))
    return ", ".join(counted(number, spoken) for spoken, number in patched.items())


def _spoken(step: Step, change: Change) -> str:
    """What kind of edit it is; empty for one that holds a workload still, or lets it go, and is taken back."""
    if change.kind in workloads.KINDS:
        return "template edit" if workloads.writes_template(change.patch) else ""
    if workloads.is_mark(step):
        return "revision mark"
    return {"Pod": "label edit", "Service": "selector edit"}.get(change.kind, f"edit of {change.kind}")
