"""``gatekeep lint``: offline."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from gatekeep.cli import options
from gatekeep.cli.durations import time
from gatekeep.cli.options import OutputFlags
from gatekeep.cli.report_files import ReportFile, report_option

if TYPE_CHECKING:
    from gatekeep.render.findings import LintItem

_NOTES = (
    "Looks at policies and at the manifests beside them: Services, workloads, NetworkPolicies, PodDisruptionBudgets "
    "and monitors. Errors end with 1, warnings and notes with 0. --explain RULE prints why, and what to do."
)


@options.command(
    "lint",
    "gatekeep lint -f policies",
    "gatekeep lint -f policies --report sarif=gatekeep.sarif --report github=-",
    "gatekeep lint --explain overlapping-services",
    notes=_NOTES,
)
@options.filename_option
@options.output_options
@report_option
@click.option("--explain", metavar="RULE", help="Print the page of this rule and stop.")
@click.option("--now", type=time, metavar="TIME", help="Take this for the current time.")
def command(
    output: OutputFlags,
    filenames: tuple[str, ...],
    reports: tuple[ReportFile, ...],
    explain: str | None,
    now: datetime | None,
) -> int:
    """Invalid documents are findings here, not failures: all of them are listed, and the exit code is 1."""
    from gatekeep.cli.output import emit, style_of
    from gatekeep.cli.report_files import refuse_mixed, text_aside, write_reports
    from gatekeep.render.documents import lint_json
    from gatekeep.render.findings import lint_text

    if explain is not None:
        return _explain(explain, output)
    refuse_mixed(reports, output)
    count, items = _findings(filenames, now)
    with text_aside(reports, output):
        if output.format == "json":
            emit(lint_json(items, count), output)
        else:
            emit(lint_text(items, count, style_of(output)), output)
    write_reports(reports, items, "lint")
    return int(any(item.finding.severity == "error" for item in items))


def _findings(filenames: Sequence[str], now: datetime | None) -> tuple[int, list[LintItem]]:
    """How many policies there are, none when a document is invalid; and all findings, errors first."""
    from datetime import UTC

    from gatekeep.cli import session
    from gatekeep.cli.report_files import problem_item
    from gatekeep.rules.run import check_rules

    repository, problems = session.repository(filenames)
    found = check_rules(repository, now or datetime.now(UTC))
    items = [problem_item(problem) for problem in (*problems, *repository.notes, *found)]
    items.sort(key=lambda item: ("error", "warning", "info").index(item.finding.severity))
    count = 0 if problems else len(repository.policies)
    if not repository.policies and not problems:
        items.insert(0, _nothing_there(filenames))
    return count, items


def _nothing_there(filenames: Sequence[str]) -> LintItem:
    """A job that checks the wrong folder must not pass."""
    from gatekeep.model.plan import Finding
    from gatekeep.render.findings import LintItem

    finding = Finding("error", "no-policy", "no policy was found", file=", ".join(filenames))
    return LintItem(finding, hint="name a file or folder with policies: -f PATH")


def _explain(rule: str, output: OutputFlags) -> int:
    from gatekeep.cli.output import emit
    from gatekeep.cli.rule_pages import page
    from gatekeep.model.rules import RULES
    from gatekeep.render.documents import report_json

    text = page(rule)
    if output.format == "json":
        found = RULES[rule]
        fields = {"rule": found.id, "severity": found.severity, "summary": found.summary, "page": text}
        emit(report_json("RuleExplanation", fields), output)
    else:
        emit(text, output)
    return 0
