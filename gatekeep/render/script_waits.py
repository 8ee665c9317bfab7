"""The waits of a plan as questions of a shell script, and what a script cannot ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gatekeep.model.admission import probe
from gatekeep.model.plan import GateTarget, Plan, Step
from gatekeep.model.waits import (
    AdmissionWait,
    Bound,
    CheckWait,
    DurationWait,
    EndpointsWait,
    ExistsWait,
    FieldWait,
    RevisionWait,
    WaitObject,
)
from gatekeep.render import shell
from gatekeep.render.script_names import Names
from gatekeep.render.shell import plain, quote, selector_text
from gatekeep.render.words import wait_words

_REVISION_POINTERS = {"DaemonSet": "/metadata/labels/controller-revision-hash", "StatefulSet": "/metadata/name"}
_COLUMNS = {"DaemonSet": 4, "StatefulSet": 3}


def unsupported(plan: Plan) -> str:
    """Why no script can do what the plan says; empty when one can."""
    if plan.cluster.uid is None or plan.cluster.uid.startswith("sha256:"):
        return (
            "the plan does not say for which cluster it is (the uid of kube-system): a script could not refuse another"
        )
    for gate in plan.gates:
        where = f"gate {gate.namespace}/{gate.name}"
        if gate.stages or _is_blue_green(gate) or (gate.progress is not None and gate.progress.phase != "Done"):
            return f"{where}: where its run stands is kept in the record, which a script does not write"
        if gate.isolations:
            return f"{where}: who is isolated is kept in the record, which a script does not write"
    revisions: dict[str, set[str]] = {}
    for step in plan.steps:
        if reason := _unaskable(step, revisions):
            return f"step {step.number}: {reason}"
    return ""


def _is_blue_green(gate: GateTarget) -> bool:
    spec = (gate.policy or {}).get("spec")
    rotation = spec.get("rotation") if isinstance(spec, Mapping) else None
    return bool(gate.preview) or (isinstance(rotation, Mapping) and "blueGreen" in rotation)


def _unaskable(step: Step, revisions: dict[str, set[str]]) -> str:
    match step.wait:
        case CheckWait():
            return "a check asks Prometheus, and a series of numbers is not judged in sh"
        case RevisionWait(object=item, revision=revision):
            carried = revisions.setdefault(item.uid, set())
            carried.add(revision.name if isinstance(revision, Bound) else revision)
            if len([name for name in carried if "/" not in name]) > 1:
                return f"the pods of {item.kind} {item.namespace}/{item.name} are of several revisions"
            if tuple(step.wait.bind.values()) != (_REVISION_POINTERS.get(item.kind),):
                return f"it binds something else than the revision of {item.kind} {item.namespace}/{item.name}"
        case FieldWait(equals=expected) if not _is_plain(expected):
            return f"it compares {step.wait.path} with more than a number or text"
    kinds = {change.kind for change in step.changes}
    if kinds - set(shell.RESOURCES) or (len(kinds) > 1 and kinds & {"Pod", "Service"}):
        return f"it writes to {', '.join(sorted(kinds))}"
    return ""


def _is_plain(expected: Any) -> bool:
    is_field = isinstance(expected, dict) and set(expected) == {"$field"}
    is_value = isinstance(expected, str | int | Bound) and not isinstance(expected, bool)
    return expected is None or is_field or is_value or (isinstance(expected, dict) and set(expected) == {"$bound"})


def wait_lines(step: Step, names: Names) -> Iterator[str]:
    """The body of a step that waits."""
    match step.wait:
        case EndpointsWait() as wait:
            place = f"{quote(plain(wait.namespace))} {quote(plain(wait.service))}"
            selector = quote(selector_text(wait.selector) + ",")
            yield f"await_endpoints {step.number} {wait.timeout_seconds} {place} {selector}"
        case ExistsWait() as wait:
            place = f"{quote(plain(wait.namespace))} {quote(plain(wait.service))}"
            yield f"{_await(step)} slices_exist {place}"
        case FieldWait() as wait:
            yield f"{_await(step)} {_field(wait, names)}"
        case RevisionWait() as wait:
            yield from _revision(step, wait, names)
        case AdmissionWait() as wait:
            output = quote("jsonpath=" + shell.jsonpath(shell.label_pointer(wait.gate.key)))
            body = names.word(shell.document_json(probe(wait)))
            expected = "''" if wait.gate.value is None else _word(wait.gate.value, names)
            yield f"{_await(step)} born_with {quote(plain(wait.owner.namespace))} {body} {output} {expected}"
        case DurationWait() as wait:
            yield f"sleep {wait.seconds}"


def _await(step: Step) -> str:
    assert step.wait is not None
    return f"await {step.number} {step.wait.timeout_seconds} {quote(': '.join(wait_words(step.wait)))}"


def _word(value: str | int | Bound | Any, names: Names) -> str:
    match value:
        case Bound(name=name) | {"$bound": name}:
            return names.word(shell.bound(str(name)))
    return quote(plain(str(value)))


def _target(item: WaitObject) -> str:
    words = (shell.RESOURCES[item.kind], plain(item.name), plain(item.namespace), plain(item.uid))
    return " ".join(map(quote, words))


def _field(wait: FieldWait, names: Names) -> str:
    other = wait.equals["$field"] if isinstance(wait.equals, dict) and "$field" in wait.equals else None
    paths = ["/metadata/uid", wait.path, other, wait.while_.path if wait.while_ else None]
    output = "jsonpath=" + "|".join(shell.jsonpath(path) if path else "" for path in paths)
    if wait.at_least is not None:
        how, expected = "least", _word(wait.at_least, names)
    elif other is not None:
        how, expected = "other", "''"
    else:
        how, expected = "number" if isinstance(wait.equals, int) else "text", _word(wait.equals, names)
    as_long_as = f" {_word(wait.while_.equals, names)}" if wait.while_ else ""
    return f"field_is {_target(wait.object)} {quote(output)} {how} {expected}{as_long_as}"


def _revision(step: Step, wait: RevisionWait, names: Names) -> Iterator[str]:
    item = wait.object
    seen = f'field_is {_target(item)} "$SEEN" least {_word(wait.observed, names)}'
    what = quote(f"{item.kind} {item.name}: its controller has seen it")
    yield f"await {step.number} {wait.timeout_seconds} {what} {seen}"
    off = dict.fromkeys(wait.except_labels)
    value = shell.marked(wait.gate.value)
    words = [_labels({**off, wait.gate.key: value}, names), _labels(off, names)]
    where = f"{quote(plain(item.namespace))} {quote(f'{item.kind}/{plain(item.name)}')} {quote(plain(item.uid))}"
    yield (f"find_revision {step.number} {where} {_word(wait.revision, names)} {_COLUMNS[item.kind]} {' '.join(words)}")
    yield from (f"{names.bound[name]}=$newest" for name in wait.bind)


def _labels(labels: dict[str, Any], names: Names) -> str:
    """A merge patch of a ControllerRevision's template labels."""
    found = {plain(key): value for key, value in labels.items()}
    return names.word(shell.document_json({"data": {"spec": {"template": {"metadata": {"labels": found}}}}}))


def first_revisions(plan: Plan) -> Iterator[str]:
    """Before the first write: the pods that will be marked are of the revision that the plan found."""
    for step in plan.steps:
        wait = step.wait
        if isinstance(wait, RevisionWait) and isinstance(wait.revision, str):
            what = f"{wait.object.kind} {wait.object.namespace}/{wait.object.name}"
            words = (wait.object.namespace, what, wait.object.uid, wait.revision)
            yield f"one_revision {' '.join(map(quote, words))}"
