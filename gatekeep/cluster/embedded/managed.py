"""Who wrote which field: ``metadata.managedFields`` of Services and workloads.

As the server tracks an update: the writer gains the fields it changed, and all others lose them. ``spec.selector`` of a
Service is atomic, labels are not.
https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gatekeep.cluster.embedded.store import WORKLOADS, Object, clone

TRACKED_KINDS = frozenset({"Service", *WORKLOADS})

Path = tuple[str, ...]

_GRANULAR: tuple[Path, ...] = (
    ("metadata", "labels"),
    ("metadata", "annotations"),
    ("spec", "template", "metadata", "labels"),
)
_ATOMIC: tuple[Path, ...] = (
    ("spec", "selector"),
    ("spec", "ports"),
    ("spec", "type"),
    ("spec", "replicas"),
    ("spec", "paused"),
    ("spec", "updateStrategy"),
)


def recorded(old: Mapping[str, Any], new: Object, manager: str, time: str) -> Object:
    """``new`` with its managedFields brought up to date; ``old`` is empty for a creation. ``time`` is RFC 3339."""
    before, after = _leaves(old), _leaves(new)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    if not changed:
        return new
    written = {path for path in changed if path in after}
    entries = [clone(entry) for entry in new["metadata"].get("managedFields") or ()]
    mine = next((entry for entry in entries if _is_update_of(entry, manager)), None)
    for entry in entries:
        for path in changed:
            _remove(entry.get("fieldsV1") or {}, path)
    if mine is None and written:
        mine = {"manager": manager, "operation": "Update", "apiVersion": new["apiVersion"], "fieldsType": "FieldsV1"}
        entries.append(mine)
    if mine is not None and written:
        mine["time"] = time
        _add(mine.setdefault("fieldsV1", {}), written)
    kept = [entry for entry in entries if entry.get("fieldsV1")]
    metadata = {key: value for key, value in new["metadata"].items() if key != "managedFields"}
    return {**new, "metadata": {**metadata, **({"managedFields": kept} if kept else {})}}


def _is_update_of(entry: Mapping[str, Any], manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Update" and not entry.get("subresource")


def _leaves(data: Mapping[str, Any]) -> dict[Path, Any]:
    """The tracked fields that are set, and their values."""
    found: dict[Path, Any] = {}
    for path in _GRANULAR:
        for key, value in (_at(data, path) or {}).items():
            found[(*path, key)] = value
    for path in _ATOMIC:
        if (value := _at(data, path)) is not None:
            found[path] = value
    return found


def _at(data: Any, path: Path) -> Any:
    for key in path:
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _add(fields: Object, paths: Iterable[Path]) -> None:
    for path in sorted(paths):
        place = fields
        for key in path:
            place = place.setdefault(f"f:{key}", {})


def _remove(fields: Object, path: Path) -> None:
    """Takes one field out, and the branches that held nothing else."""
    name = f"f:{path[0]}"
    if name not in fields:
        return
    if len(path) > 1:
        _remove(fields[name], path[1:])
    if len(path) == 1 or not set(fields[name]) - {"."}:
        del fields[name]
