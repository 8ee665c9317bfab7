"""What commands print with ``-o json``: documents with an apiVersion and a kind, the same bytes on every run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gatekeep.model.plan import API_VERSION, Plan, to_json
from gatekeep.render.escape import escape_json
from gatekeep.render.findings import LintItem, lint_counts


def plan_json(plan: Plan) -> str:
    """The plan document of the contract."""
    return escape_json(to_json(plan))


def report_json(kind: str, fields: Mapping[str, Any]) -> str:
    """A document of ``kind``: keys sorted, indented by 2, names in camelCase."""
    data = {"apiVersion": API_VERSION, "kind": kind, **{_camel(name): plain(value) for name, value in fields.items()}}
    return escape_json(json.dumps(data, ensure_ascii=False, sort_keys=True, indent=2) + "\n")


def lint_json(items: Sequence[LintItem], policies: int) -> str:
    """A ``LintReport``: the findings in order, and how many there are of each severity."""
    findings = []
    for item in items:
        more = {"column": item.column, "hint": item.hint}
        findings.append(plain(item.finding) | {name: value for name, value in more.items() if value})
    return report_json("LintReport", {"findings": findings, "policies": policies, **lint_counts(items)})


def plain(value: Any) -> Any:
    """``value`` as plain data; seconds keep three decimals, which is more than any wait is worth."""
    if hasattr(value, "_fields") or hasattr(value, "__dataclass_fields__"):
        names = getattr(value, "_fields", None) or value.__dataclass_fields__
        return {_camel(name): plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = [plain(item) for item in value]
        return sorted(items, key=str) if isinstance(value, set | frozenset) else items
    if isinstance(value, float):
        return round(value, 3)
    return msgspec.to_builtins(value)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
