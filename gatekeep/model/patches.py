"""JSON Patch (RFC 6902): the one place where operations are generated, escaped and applied.

Every generated patch starts with ``test`` operations on exactly what it relies on: the object's uid and the old value
of each field it writes, never a resourceVersion. :func:`apply` speaks the API server's dialect (evanphx/json-patch v4
and the typed decoding after it), which differs from the RFC in ways that ``tests/model/test_patches.py`` tabulates:
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from gatekeep.model.errors import PatchRejectedError

if TYPE_CHECKING:
    import jsonpatch

Verb = Literal["test", "add", "replace", "remove"]


class Op(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One operation. ``value`` UNSET means absent; None is JSON null, which ``test`` reads as "must be absent"."""

    op: Verb
    path: str
    value: Any = msgspec.UNSET


Patch = tuple[Op, ...]


def pointer(*tokens: str) -> str:
    """A JSON pointer (RFC 6901) to ``tokens``, escaped."""
    return "".join("/" + token.replace("~", "~0").replace("/", "~1") for token in tokens)


@functools.lru_cache(maxsize=4096)
def tokens_of(path: str) -> tuple[str, ...]:
    """The unescaped tokens of a JSON pointer."""
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in path.split("/")[1:])


def uid_guard(uid: object) -> Op:
    """Guards a patch against another object of the same name."""
    return Op("test", "/metadata/uid", uid)


def label_patch(uid: object, edits: Mapping[str, tuple[str | None, str | None]]) -> Patch:
    """Moves labels from old to new values (None = absent), sorted by key; guarded by uid and every old value.

    The object must have a labels map: ``add`` below an absent parent is refused by the API server.
    """
    return (uid_guard(uid), *_label_edits(tuple(sorted(edits.items()))))


@functools.lru_cache(maxsize=1024)
def _label_edits(edits: tuple[tuple[str, tuple[str | None, str | None]], ...]) -> Patch:
    """The guards and the writes; cached, so that 100,000 pods share them."""
    paths = [(pointer("metadata", "labels", key), old, new) for key, (old, new) in edits]
    guards = tuple(Op("test", path, old) for path, old, _ in paths)
    return (*guards, *(_label_write(path, old, new) for path, old, new in paths))


def _label_write(path: str, old: Any, new: Any) -> Op:
    if new is None:
        return Op("remove", path)
    return Op("add" if old is None else "replace", path, new)


_LABELS = "/metadata/labels/"


def is_label(path: str) -> bool:
    """The JSON pointer leads to a label of the object."""
    return path.startswith(_LABELS)


def written_labels(patch: Patch) -> dict[str, Any]:
    """The labels that a patch writes, None for those that it takes off."""
    return {
        tokens_of(op.path)[2]: None if op.op == "remove" else op.value
        for op in patch
        if op.op != "test" and is_label(op.path)
    }


class FieldEdit(NamedTuple):
    """One field by JSON pointer, its old value and its new one; None is absent, and equal ones only guard."""

    path: str
    old: Any
    new: Any


def field_patch(uid: object, edits: Sequence[FieldEdit]) -> Patch:
    """Moves fields from old to new values in one patch, guarded by uid and every old value."""
    guards = tuple(Op("test", edit.path, edit.old) for edit in edits)
    return (uid_guard(uid), *guards, *(_label_write(*edit) for edit in edits if edit.old != edit.new))


def undo_field_patch(uid: object, edits: Sequence[FieldEdit]) -> Patch:
    """The inverse of :func:`field_patch` with the same arguments."""
    return field_patch(uid, [FieldEdit(edit.path, edit.new, edit.old) for edit in edits])


def template_label(key: str) -> str:
    """The JSON pointer to a label in a workload's pod template."""
    return pointer("spec", "template", "metadata", "labels", key)


def selector_patch(uid: object, live: Mapping[str, str], wanted: Mapping[str, str]) -> Patch:
    """Turns a Service's selector from ``live`` into ``wanted`` in one patch, guarded by the whole live selector.

    Raises ValueError for an empty ``wanted``: a Service without selector freezes its EndpointSlices.
    """
    if not wanted:
        raise ValueError("a Service selector must keep at least one key")
    removed = [Op("remove", pointer("spec", "selector", key)) for key in sorted(live) if key not in wanted]
    written = [
        Op("replace" if key in live else "add", pointer("spec", "selector", key), value)
        for key, value in sorted(wanted.items())
        if live.get(key) != value
    ]
    return (uid_guard(uid), Op("test", "/spec/selector", dict(live)), *removed, *written)


def delete_guard(uid: object) -> Patch:
    """What a deletion relies on, written as a patch: the object is the one that was seen."""
    return (uid_guard(uid),)


def apply(document: Any, patch: Sequence[Op]) -> Any:
    """``document`` after ``patch`` in the API server's dialect; the argument is not changed.

    Raises :class:`PatchRejectedError` where the API server answers 422.
    """
    # Imported here: `gatekeep --help` and the offline verbs that build no plan never need the library.
    import jsonpatch
    import jsonpointer

    operations = [msgspec.to_builtins(op) for op in patch]
    try:
        return _dialect()(operations).apply(document)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError) as error:
        raise PatchRejectedError(f"the patch does not apply: {error}") from error


@functools.cache
def _dialect() -> type[jsonpatch.JsonPatch]:
    """jsonpatch with the API server's reading of null and absent."""
    import jsonpatch
    import jsonpointer

    def leaf(operation: Any, document: Any) -> tuple[Any, Any]:
        parent, key = operation.pointer.to_last(document)
        if key is not None and not isinstance(parent, dict | list):
            raise jsonpatch.JsonPatchConflict(f"{operation.location}: the parent is not a container")
        return parent, key

    class Test(jsonpatch.TestOperation):
        """``null`` (or no value) passes when the leaf is absent or null; scalars compare by type."""

        def apply(self, obj: Any) -> Any:
            wanted = self.operation.get("value")
            parent, key = leaf(self, obj)
            found = _lookup(parent, key) if key is not None else parent
            if not _same(found, wanted):
                raise jsonpatch.JsonPatchTestFailed(f"test of {self.location}: expected {wanted!r}, found {found!r}")
            return obj

    class Add(jsonpatch.AddOperation):
        """Without a value it adds null, which a string map stores as the empty string."""

        def apply(self, obj: Any) -> Any:
            leaf(self, obj)
            self.operation.setdefault("value", None)
            return super().apply(obj)

    class Replace(jsonpatch.ReplaceOperation):
        """On an absent key it acts as ``add``."""

        def apply(self, obj: Any) -> Any:
            parent, key = leaf(self, obj)
            if isinstance(parent, dict) and key is not None:
                parent[key] = self.operation.get("value")
                return obj
            return super().apply(obj)

    class Dialect(jsonpatch.JsonPatch):
        operations = MappingProxyType({**jsonpatch.JsonPatch.operations, "test": Test, "add": Add, "replace": Replace})

    del jsonpointer
    return Dialect


def _lookup(parent: Any, key: Any) -> Any:
    if isinstance(parent, dict):
        return parent.get(key)
    try:
        return parent[int(key)]
    except (ValueError, IndexError):
        return None


def _same(found: Any, wanted: Any) -> bool:
    """Equality as the API server sees it: true is not 1, and 30 is not 30.0."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(_same(found[key], wanted[key]) for key in found)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return type(found) is type(wanted) and bool(found == wanted)
