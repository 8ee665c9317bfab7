"""Labels of pods and selectors of Services under a patch. Pods that are alike share one evaluation."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import msgspec

from gatekeep.model import patches
from gatekeep.model.errors import PatchRejectedError
from gatekeep.model.objects import Service
from gatekeep.model.patches import Op, Patch

Labels = Mapping[str, str]
ServiceKey = tuple[str, str]
_UID = "/metadata/uid"


def behind_uid(uid: str, patch: Patch) -> Patch:
    """The patch without its tests of the uid, which must hold. Raises :class:`PatchRejectedError`."""
    if patch and patch[0].path == _UID and patch[0].op == "test" and patch[0].value == uid:
        patch = patch[1:]
    for op in patch:
        if op.path == _UID and op.op == "test" and op.value != uid:
            raise PatchRejectedError(f"test of {_UID}: expected {op.value!r}, found {uid!r}")
    return patch


def labels_after(labels: Labels, rest: Patch) -> Labels:
    """The pod's labels after ``rest``, which touches labels only. Raises :class:`PatchRejectedError`."""
    edits = _edits(rest, tuple([labels.get(label_of(op)) for op in rest]))
    result = dict(labels)
    for key, value in edits:
        if value is None:
            result.pop(key, None)
        else:
            result[key] = value
    return result


@functools.lru_cache(maxsize=4096)
def label_of(op: Op) -> str:
    tokens = patches.tokens_of(op.path)
    if len(tokens) != 3 or tokens[:2] != ("metadata", "labels"):
        raise PatchRejectedError(f"a step on pods may only touch labels, not {op.path}")
    return tokens[2]


@functools.lru_cache(maxsize=4096)
def _edits(rest: Patch, live: tuple[str | None, ...]) -> tuple[tuple[str, str | None], ...]:
    """New values (None = gone) of the touched labels; pods that are alike share one evaluation."""
    keys = [label_of(op) for op in rest]
    labels = {key: value for key, value in zip(keys, live, strict=True) if value is not None}
    document = patches.apply({"metadata": {"labels": labels}}, rest)
    return tuple((key, document["metadata"]["labels"].get(key)) for key in dict.fromkeys(keys))


def with_label(labels: Labels, key: str, value: str | None) -> Labels:
    """``labels`` with this one; None takes it off."""
    kept = {name: old for name, old in labels.items() if name != key}
    return kept if value is None else {**kept, key: value}


def with_selector(service: Service, selector: Mapping[str, str] | None) -> Service:
    """``service`` with another selector."""
    return msgspec.structs.replace(service, spec=msgspec.structs.replace(service.spec, selector=selector))
