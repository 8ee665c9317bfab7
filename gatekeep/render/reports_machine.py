"""Findings for other programs, in the formats that they read; one module for each format.

Text from outside goes through :func:`gatekeep.render.escape.escape` here as everywhere, before a format's own escaping.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from gatekeep.render.escape import escape
from gatekeep.render.findings import LintItem

ReportFormat = Literal["sarif", "junit", "github", "gitlab"]
FORMATS: tuple[ReportFormat, ...] = get_args(ReportFormat)


def report(kind: ReportFormat, items: Sequence[LintItem], command: str) -> str:
    """The whole report. ``items`` hold paths relative to the working directory; ``command`` is ``lint`` or ``plan``."""
    from gatekeep.render.reports_github import github
    from gatekeep.render.reports_gitlab import gitlab
    from gatekeep.render.reports_junit import junit
    from gatekeep.render.reports_sarif import sarif

    formats: Mapping[ReportFormat, Callable[[Sequence[LintItem], str], str]] = {
        "sarif": sarif,
        "junit": junit,
        "github": github,
        "gitlab": gitlab,
    }
    return formats[kind](items, command)


def said(item: LintItem) -> str:
    """What is wrong and what to do, on one line, without the place."""
    finding = item.finding
    message = f"{finding.object}: {finding.message}" if finding.object else finding.message
    return escape(f"{message} → {item.hint}" if item.hint else message) or escape(finding.rule)


def shown_place(item: LintItem) -> str:
    """``file:line:column``, as far as each is known."""
    numbers = [str(number) for number in (item.finding.line, item.column) if number]
    return escape(":".join([item.finding.file, *numbers])) if item.finding.file else ""


def fingerprints(items: Sequence[LintItem]) -> list[str]:
    """The same finding has the same one in the next run, wherever its line has moved; equal ones are counted."""
    seen: Counter[str] = Counter()
    found = []
    for item in items:
        finding = item.finding
        text = "\x00".join((finding.rule, finding.file, finding.object, finding.message))
        seen[text] += 1
        found.append(hashlib.sha256(f"{text}\x00{seen[text]}".encode("utf-8", "surrogatepass")).hexdigest())
    return found
