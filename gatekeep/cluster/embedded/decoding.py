"""What the API server does to a patched object before it stores it: typed decoding, and validation of an update.

Go decodes JSON null into the zero value: "" in a map of strings, absent elsewhere; empty maps are not written at all.
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go and
https://github.com/kubernetes/apimachinery/blob/master/pkg/api/validation/objectmeta.go (ValidateObjectMetaUpdate).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from gatekeep.cluster.embedded.admission import admission_problem
from gatekeep.cluster.embedded.immutable import IMMUTABLE, immutable_problem
from gatekeep.cluster.embedded.podmaker import GENERATION_ANNOTATION
from gatekeep.cluster.embedded.store import COUNTED, TYPES, WORKLOADS, Object, clone
from gatekeep.cluster.embedded.surplus import DELETION_COST, deletion_cost
from gatekeep.model.errors import GatekeepError, PatchRejectedError, RefusedError
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Patch, apply
from gatekeep.model.selectors import LabelSelector, key_problems, matches, selector_problems, value_problems

MAX_OPERATIONS = 10_000

Path = tuple[str, ...]

_TEMPLATE: Path = ("spec", "template", "metadata")
_LABELS: Mapping[str, tuple[Path, ...]] = {
    "Service": (("metadata", "labels"), ("spec", "selector")),
    **dict.fromkeys(WORKLOADS, (("metadata", "labels"), (*_TEMPLATE, "labels"), ("spec", "selector", "matchLabels"))),
}
_PLAIN: Mapping[str, tuple[Path, ...]] = {
    "ConfigMap": (("data",),),
    **dict.fromkeys(WORKLOADS, ((*_TEMPLATE, "annotations"),)),
}
_WITH_STATUS = frozenset({"Pod", "Service", "Node", "Job", *WORKLOADS})
_IMMUTABLE = ("uid", "creationTimestamp")
_SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


def decoded(ref: ObjectRef, data: Any) -> Object:
    """``data`` as the server reads it. Raises :class:`PatchRejectedError` (422) for what it cannot read or allow."""
    if not isinstance(data, dict) or not isinstance(data.get("metadata"), dict):
        raise _invalid(ref, "", "expected an object with metadata")
    found: Object = {key: value if key == "metadata" else _pruned(value) for key, value in clone(data).items()}
    fields = found["metadata"].pop("managedFields", None)
    found["metadata"] = {key: value for key, value in found["metadata"].items() if value is not None}
    for path in _string_maps(ref.kind):
        _decode_map(ref, data, found, path)
    if fields:
        found["metadata"]["managedFields"] = fields
    if ref.kind == "Deployment" and _at(found, ("spec", "paused")) is False:
        del found["spec"]["paused"]  # omitempty: false is not written
    _check_types(ref, found)
    _check_labels(ref, found)
    if problem := admission_problem(ref.kind, found):
        raise _invalid(ref, "spec", problem)
    return found


def created(ref: ObjectRef, data: Any) -> Object:
    """The object to store when a client creates ``data``; its status and uid are the server's to give.

    Raises :class:`RefusedError` (422) for an invalid one.
    """
    try:
        new = decoded(ref, data)
        _check_cost(ref, new)
        if "resourceVersion" in new["metadata"]:
            raise _invalid(ref, "metadata.resourceVersion", "should not be set on objects to be created")
        if ref.kind == "Service" and not _SERVICE_NAME.fullmatch(ref.name):
            raise _invalid(ref, "metadata.name", f"Invalid value: {ref.name!r}: a DNS label of at most 63 characters")
    except PatchRejectedError as error:
        raise RefusedError(error.message, where=error.where) from error
    for key in ("uid", "creationTimestamp", "generation", "managedFields", "deletionTimestamp"):
        new["metadata"].pop(key, None)
    if ref.kind in _WITH_STATUS:
        new.pop("status", None)
    return new


def patched(ref: ObjectRef, old: Object, patch: Patch) -> Any:
    """``old`` after the patch, not decoded yet. Raises :class:`PatchRejectedError` (422), GatekeepError (413)."""
    if len(patch) > MAX_OPERATIONS:
        raise GatekeepError(
            f"expected at most {MAX_OPERATIONS} operations (HTTP 413), found {len(patch)}", where=str(ref)
        )
    try:
        return apply(old, patch)
    except PatchRejectedError as error:
        raise PatchRejectedError(
            f"the API server refuses the patch (HTTP 422): {error.message}",
            where=str(ref),
            hint="a guard did not hold or a path is missing: read the object again",
        ) from error


def updated(ref: ObjectRef, old: Object, data: Any, *, status: bool = False) -> Object:
    """The object to store when a client turns ``old`` into ``data``; without ``status`` that stays as it was.

    Raises :class:`PatchRejectedError` for an invalid or immutable field (422) or another resourceVersion (409), and
    :class:`GatekeepError` for another name (400).
    """
    new = decoded(ref, data)
    _check_cost(ref, new)
    _check_immutable(ref, old, new)
    new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
    for key in ("generation", "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds"):
        _keep(new["metadata"], old["metadata"], key)
    if ref.kind in _WITH_STATUS and not status:
        _keep(new, old, "status")
    if ref.kind in COUNTED and new.get("spec") != old.get("spec"):
        new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
    if ref.kind == "DaemonSet":
        _count_templates(old, new)
    return new


def _count_templates(old: Mapping[str, Any], new: Object) -> None:
    """The number of a DaemonSet's template is the server's own; a client cannot write it.

    https://github.com/kubernetes/kubernetes/blob/master/pkg/registry/apps/daemonset/strategy.go (PrepareForUpdate)
    """
    found = (old["metadata"].get("annotations") or {}).get(GENERATION_ANNOTATION, "1")
    if found.isdigit() and _at(old, ("spec", "template")) != _at(new, ("spec", "template")):
        found = str(int(found) + 1)
    new["metadata"]["annotations"] = {**(new["metadata"].get("annotations") or {}), GENERATION_ANNOTATION: found}


def _keep(new: Object, old: Mapping[str, Any], key: str) -> None:
    new.pop(key, None)
    if key in old:
        new[key] = old[key]


def _string_maps(kind: str) -> Iterator[Path]:
    yield from _LABELS.get(kind, (("metadata", "labels"),))
    yield ("metadata", "annotations")
    yield from _PLAIN.get(kind, ())


def _decode_map(ref: ObjectRef, data: Any, found: Object, path: Path) -> None:
    """null → ""; a value of another type is refused; an empty map is not written."""
    value = _at(data, path)
    parent = _at(found, path[:-1])
    if not isinstance(parent, dict):
        return
    if value is None or value == {}:
        parent.pop(path[-1], None)
        return
    if not isinstance(value, dict):
        raise _invalid(ref, ".".join(path), f"expected a map of strings, found {value!r}")
    for key, item in value.items():
        if not isinstance(item, str | None):
            raise _invalid(ref, ".".join((*path, key)), f"expected a string, found {item!r}")
    parent[path[-1]] = {key: item or "" for key, item in value.items()}


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _pruned(value: Any) -> Any:
    """Without null members: they decode to fields that are not set."""
    if isinstance(value, dict):
        return {key: _pruned(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_pruned(item) for item in value]
    return value


def _check_types(ref: ObjectRef, data: Object) -> None:
    if ref.kind not in TYPES:
        return
    try:
        # With generateName the name comes later.
        msgspec.convert({**data, "metadata": {"name": ref.name, **data["metadata"]}}, TYPES[ref.kind])
    except msgspec.ValidationError as error:
        raise _invalid(ref, "", str(error)) from error


def _check_labels(ref: ObjectRef, data: Object) -> None:
    for path in _LABELS.get(ref.kind, (("metadata", "labels"),)):
        for key, value in (_at(data, path) or {}).items():
            problems = (*key_problems(key), *value_problems(value))
            if problems:
                raise _invalid(ref, ".".join(path), f"Invalid value: {f'{key}={value}'!r}: {problems[0]}")
    for key in _at(data, ("metadata", "annotations")) or {}:
        # Annotation keys may be upper case in the prefix: ValidateAnnotations lowers them first.
        if problems := key_problems(key.lower()):
            raise _invalid(ref, "metadata.annotations", f"Invalid value: {key!r}: {problems[0]}")
    if ref.kind in WORKLOADS:
        _check_selector(ref, data)


def _check_cost(ref: ObjectRef, data: Object) -> None:
    """ValidatePodSpecificAnnotations; what a cluster holds already may be older than this rule."""
    if ref.kind == "Pod" and deletion_cost(data["metadata"].get("annotations") or {}) is None:
        raise _invalid(ref, f"metadata.annotations[{DELETION_COST}]", "must be a 32bit integer")


def _check_selector(ref: ObjectRef, data: Object) -> None:
    raw = _at(data, ("spec", "selector"))
    if raw is None:
        raise _invalid(ref, "spec.selector", "Required value")
    selector = msgspec.convert(raw, LabelSelector)
    if problems := selector_problems(selector):
        raise _invalid(ref, "spec.selector", problems[0])
    if not matches(selector, _at(data, (*_TEMPLATE, "labels")) or {}):
        raise _invalid(ref, "spec.template.metadata.labels", "`selector` does not match template `labels`")


def _check_immutable(ref: ObjectRef, old: Object, new: Object) -> None:
    for key in ("name", "namespace"):
        if new["metadata"].get(key, "") != old["metadata"].get(key, ""):
            raise GatekeepError(
                f"the {key} of the object does not match the {key} on the URL (HTTP 400)", where=str(ref)
            )
    for key in _IMMUTABLE:
        if new["metadata"].get(key) != old["metadata"].get(key):
            raise _invalid(ref, f"metadata.{key}", f"Invalid value: {new['metadata'].get(key)!r}: {IMMUTABLE}")
    version = new["metadata"].get("resourceVersion")
    if version not in (None, "", old["metadata"]["resourceVersion"]):
        raise PatchRejectedError(
            "the object has been modified; please apply your changes to the latest version (HTTP 409)",
            where=str(ref),
            hint="read it again, and guard the field that matters instead of the resourceVersion",
        )
    if problem := immutable_problem(ref.kind, _pruned(old), _pruned(new)):
        raise _invalid(ref, *problem)


def _invalid(ref: ObjectRef, path: str, problem: str) -> PatchRejectedError:
    detail = f"{path}: {problem}" if path else problem
    return PatchRejectedError(f"the API server refuses the object as invalid (HTTP 422): {detail}", where=str(ref))
