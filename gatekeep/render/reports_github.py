"""GitHub's workflow commands: what stands on a job's log as ``::error …`` shows up beside the line it is about.

Escaped as the runner unescapes it: https://github.com/actions/toolkit/blob/main/packages/core/src/command.ts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatekeep.model.plan import Severity
from gatekeep.render.escape import escape
from gatekeep.render.findings import LintItem
from gatekeep.render.reports_machine import said

_COMMANDS: Mapping[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}


def github(items: Sequence[LintItem], command: str) -> str:
    """A line for each finding."""
    return "".join(f"{_command(item)}\n" for item in items)


def _command(item: LintItem) -> str:
    finding = item.finding
    places = {"file": escape(finding.file), "line": finding.line, "col": item.column, "title": escape(finding.rule)}
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in places.items() if value)
    return f"::{_COMMANDS[finding.severity]} {properties}::{_data(said(item))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
