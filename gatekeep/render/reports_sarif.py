"""SARIF 2.1.0, as code scanning reads it. https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gatekeep import __version__
from gatekeep.model.plan import Severity
from gatekeep.model.rules import RULES
from gatekeep.render.escape import escape_json
from gatekeep.render.findings import LintItem
from gatekeep.render.reports_machine import fingerprints, said

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_LEVELS: Mapping[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}


def sarif(items: Sequence[LintItem], command: str) -> str:
    """One run, with the rules that it found something by."""
    ids = sorted({item.finding.rule for item in items})
    at = {rule: index for index, rule in enumerate(ids)}
    prints = fingerprints(items)
    driver = {"name": "gatekeep", "version": __version__, "rules": [_rule(rule) for rule in ids]}
    results = [_result(item, at[item.finding.rule], mark) for item, mark in zip(items, prints, strict=True)]
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"gatekeep/{command}/"},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    data = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return escape_json(json.dumps(data, ensure_ascii=False, indent=2) + "\n")


def _rule(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {"id": name}
    if (rule := RULES.get(name)) is not None:
        found["shortDescription"] = {"text": f"{rule.summary}."}
        found["help"] = {"text": f"gatekeep lint --explain {name}"}
        found["defaultConfiguration"] = {"level": _LEVELS[rule.severity]}
    return found


def _result(item: LintItem, index: int, fingerprint: str) -> dict[str, Any]:
    finding = item.finding
    found: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[finding.severity],
        "message": {"text": said(item).replace("](", "] (")},  # a link, which viewers would show as one
        "partialFingerprints": {"gatekeep/v1": fingerprint},
    }
    if finding.file:
        uri = quote(finding.file.encode("utf-8", "backslashreplace"), safe="/")
        place: dict[str, Any] = {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}}
        if finding.line:
            place["region"] = {"startLine": finding.line} | ({"startColumn": item.column} if item.column else {})
        found["locations"] = [{"physicalLocation": place}]
    return found
