"""GitLab's code quality report. https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gatekeep.model.plan import Severity
from gatekeep.render.escape import escape, escape_json
from gatekeep.render.findings import LintItem
from gatekeep.render.reports_machine import fingerprints, said

_SEVERITIES: Mapping[Severity, str] = {"error": "critical", "warning": "minor", "info": "info"}


def gitlab(items: Sequence[LintItem], command: str) -> str:
    """A list of issues. GitLab wants a place for each: what has none is shown at the folder, line 1."""
    issues = [_issue(item, mark) for item, mark in zip(items, fingerprints(items), strict=True)]
    return escape_json(json.dumps(issues, ensure_ascii=False, indent=2) + "\n")


def _issue(item: LintItem, fingerprint: str) -> dict[str, Any]:
    finding = item.finding
    lines = {"begin": finding.line or 1}
    return {
        "type": "issue",
        "check_name": finding.rule,
        "description": said(item),
        "categories": ["Bug Risk"],
        "severity": _SEVERITIES[finding.severity],
        "fingerprint": fingerprint,
        "location": {"path": escape(finding.file) or ".", "lines": lines},
    }
