"""Services and the templates that they reach, as Git has both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from gatekeep.model.selectors import is_reserved, matches_map
from gatekeep.rules.ground import GitService, Ground, reached
from gatekeep.rules.manifests import Template
from gatekeep.sources.problems import Problem, quoted

_NAMED = 3
_LOOKED_AT = 50  # templates among which the nearest is looked for
_JOB_LABELS = frozenset({"job-name", "controller-uid"})


def service_problems(ground: Ground) -> Iterator[Problem]:
    """Services that reach nothing, that reach the same as others, and labels that stand in the wrong place."""
    yield from _overlapping(ground)
    if not ground.templates:
        return
    blind = {id(service) for service in ground.services if not ground.behind[service.manifest.name]}
    misplaced = list(_misplaced(ground))
    for service, template, missing in misplaced:
        yield _label_not_in_template(service, template, missing)
    explained = {id(service) for service, _, _ in misplaced}
    by_pair = _by_pair(ground.templates) if blind - explained else {}
    for service in ground.services:
        if id(service) in blind - explained and not any(map(_is_given, service.base)) and service.base:
            yield _matches_nothing(service, ground, by_pair)


def _is_given(key: str) -> bool:
    """A label that pods get from their controller, not from their template."""
    return is_reserved(key) or key in _JOB_LABELS or key.startswith("batch.kubernetes.io/")


def _overlapping(ground: Ground) -> Iterator[Problem]:
    """Each Service once, with the first that it shares templates with; Services of one gate share them on purpose."""
    by_template: dict[int, list[GitService]] = {}
    named = {id(template): template for template in ground.templates}
    for service in ground.services:
        for template in ground.behind[service.manifest.name]:
            by_template.setdefault(id(template), []).append(service)
    shared: dict[str, tuple[GitService, GitService, list[Template]]] = {}
    for key, services in by_template.items():
        before: list[GitService] = []  # the first, and the first of another gate: nobody needs more to be apart from
        for service in services:
            first = next((one for one in before if _apart(one, service)), None)
            if first is not None:
                shared.setdefault(service.manifest.name, (first, service, []))[2].append(named[key])
            if not before or (len(before) == 1 and first is not None):
                before.append(service)
    for first, service, templates in shared.values():
        message = f"{service.manifest.ref} reaches the pods of {_names(templates)}, and so does {first.manifest.ref} "
        message += f"at {first.manifest.where}: a gate on one of them leaves them in rotation of the other"
        hint = "let one policy name both, or give each a label of its own"
        yield Problem(service.manifest.place("spec", "selector"), message, hint, "overlapping-services")


def _apart(one: GitService, other: GitService) -> bool:
    same_gate = one.gate is not None and one.gate is other.gate
    return not same_gate and one.manifest.name != other.manifest.name


def _misplaced(ground: Ground) -> Iterator[tuple[GitService, Template, str]]:
    """Services that would reach a workload's pods, were its own labels those of its pods."""
    merged = [(item, {**item.own_labels, **item.labels}) for item in ground.templates if item.path]
    for service, template in reached(ground.services, merged):
        if not matches_map(service.base, template.labels):
            missing = next(key for key, value in service.base.items() if template.labels.get(key) != value)
            yield service, template, missing


def _label_not_in_template(service: GitService, template: Template, key: str) -> Problem:
    value, manifest = service.base[key], template.manifest
    message = f"{key}: the label stands on {manifest.ref} and not on its pods, and {service.manifest.ref} at "
    message += f"{service.manifest.where} requires it: the Service does not reach them"
    hint = f"add {key}: {quoted(value)} to {template.shown_path}"
    return Problem(manifest.place("metadata", "labels", key), message, hint, "label-not-in-template")


def _matches_nothing(service: GitService, ground: Ground, by_pair: _ByPair) -> Problem:
    wanted = ", ".join(f"{key}={value}" for key, value in service.base.items())
    message = f"no pod template of {_place(ground)} has {wanted}, so {service.manifest.ref} reaches no pod of them"
    hint = _nearest(service.base, by_pair) or f"templates here: {_names(ground.templates)}"
    return Problem(service.manifest.place("spec", "selector"), message, hint, "service-matches-nothing")


_ByPair = Mapping[tuple[str, str], Sequence[Template]]


def _by_pair(templates: Sequence[Template]) -> _ByPair:
    found: dict[tuple[str, str], list[Template]] = {}
    for template in templates:
        for pair in template.labels.items():
            found.setdefault(pair, []).append(template)
    return found


def _nearest(base: Mapping[str, str], by_pair: _ByPair) -> str:
    """What the template that has most of the labels has instead of the others."""
    candidates = [template for pair in base.items() for template in by_pair.get(pair, ())[:_LOOKED_AT]]
    if not candidates:
        return ""
    count = Counter(map(id, candidates))
    nearest = max(candidates, key=lambda item: count[id(item)])
    others = [(key, nearest.labels.get(key)) for key, value in base.items() if nearest.labels.get(key) != value]
    said = ", ".join(f"{key}={value}" if value is not None else f"no {key}" for key, value in others)
    return f"{nearest.manifest.ref} has {said}"


def _names(templates: Sequence[Template]) -> str:
    names = [f"{item.manifest.kind} {item.manifest.name}" for item in templates]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _place(ground: Ground) -> str:
    return f"namespace {ground.scope.namespace}" if ground.scope.namespace else "this folder"
