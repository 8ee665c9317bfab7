"""Values that stand in a plan by name only, and fields of live objects by JSON pointer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gatekeep.model.errors import RefusedError
from gatekeep.model.patches import Op, Patch, tokens_of
from gatekeep.model.plan import Change
from gatekeep.model.waits import Bound

Value = int | str
"""What a name is bound to: a uid, a generation, the name of a revision."""

Values = Mapping[str, Value]


def value_of(value: Any, bound: Values) -> Any:
    """``value`` with every ``{"$bound": name}`` in it replaced. Raises :class:`RefusedError` for an unknown name."""
    match value:
        case Bound(name=name):
            return _known(name, bound)
        case {"$bound": str(name), **others} if not others:
            return _known(name, bound)
        case Mapping():
            return {key: value_of(item, bound) for key, item in value.items()}
        case list() | tuple():
            return [value_of(item, bound) for item in value]
    return value


def resolved(patch: Patch, bound: Values) -> Patch:
    """The patch with every bound value in it; the same one where there is none."""
    if not any(isinstance(op.value, Mapping | list | tuple | Bound) for op in patch):
        return patch
    return tuple(Op(op.op, op.path, value_of(op.value, bound)) for op in patch)


def with_values(changes: Iterable[Change], bound: Values) -> tuple[Change, ...]:
    """The changes with every bound value in their patches."""
    found = ((change, resolved(change.patch, bound)) for change in changes)
    return tuple(
        change if patch is change.patch else msgspec.structs.replace(change, patch=patch) for change, patch in found
    )


def field_at(document: Any, path: str) -> Any:
    """The field at a JSON pointer; None where there is none."""
    found = document
    for token in tokens_of(path):
        if isinstance(found, Mapping):
            found = found.get(token)
        elif isinstance(found, list | tuple) and token.isdigit() and int(token) < len(found):
            found = found[int(token)]
        else:
            return None
    return found


def bind(bound: dict[str, Value], names: Mapping[str, str] | None, document: Mapping[str, Any], where: str) -> None:
    """Binds each name to the field that its pointer leads to. Raises :class:`RefusedError` where there is none."""
    for name, path in (names or {}).items():
        value = field_at(document, path)
        if not isinstance(value, int | str):
            raise RefusedError(f"expected a number or text at {path}, found {value!r}", where=where, hint="plan again")
        bound[name] = value


def _known(name: str, bound: Values) -> Value:
    if name not in bound:
        raise RefusedError(
            f"the plan relies on {name}, which no step of this run has found out", hint="plan again and apply that"
        )
    return bound[name]
