"""``--report FORMAT=FILE``: the findings of a command in the formats of other programs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from gatekeep.cli.failures import usage
from gatekeep.cli.options import OutputFlags

if TYPE_CHECKING:
    from gatekeep.model.errors import GatekeepError
    from gatekeep.model.plan import Finding, Plan
    from gatekeep.render.findings import LintItem
    from gatekeep.sources.problems import Problem
    from gatekeep.sources.repository import Repository

_FORMATS = ("sarif", "junit", "github", "gitlab")
STDOUT = "-"


class ReportFile(NamedTuple):
    """A report in ``format`` that goes to ``path``."""

    format: str
    path: str


def _parsed(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[ReportFile, ...]:
    found = []
    for value in values:
        kind, equals, path = value.partition("=")
        if kind not in _FORMATS or not equals or not path:
            raise click.BadParameter(f"expected FORMAT=FILE with one of {', '.join(_FORMATS)}, found {value!r}")
        found.append(ReportFile(kind, path))
    paths = [STDOUT if item.path == STDOUT else os.path.abspath(item.path) for item in found]
    if len(set(paths)) < len(paths):
        raise click.BadParameter("two reports go to one place: name a file for each")
    return tuple(found)


def report_option(function: Any) -> Any:
    """The option, as the argument ``reports``."""
    return click.option(
        "--report",
        "reports",
        metavar="FORMAT=FILE",
        multiple=True,
        callback=_parsed,
        help="Also write the findings there: sarif, junit, github (workflow commands) or gitlab (code quality). "
        "FILE - is stdout, and then text goes to stderr; repeatable.",
    )(function)


def refuse_mixed(reports: Sequence[ReportFile], output: OutputFlags) -> None:
    """Two documents in one stream are none."""
    if _to_stdout(reports) and output.format != "text" and output.path in (None, STDOUT):
        raise usage(
            f"-o {output.format} and a report want stdout both", "name a file for one: --out FILE, or FORMAT=FILE"
        )
    places = {os.path.abspath(item.path) for item in reports if item.path != STDOUT}
    if output.path and output.path != STDOUT and os.path.abspath(output.path) in places:
        raise usage(f"--out and a report want {output.path} both", "name another file for one of them")


@contextmanager
def text_aside(reports: Sequence[ReportFile], output: OutputFlags) -> Iterator[None]:
    """The command's own text goes to stderr where a report has stdout."""
    if _to_stdout(reports) and output.path in (None, STDOUT):
        with redirect_stdout(sys.stderr):
            yield
    else:
        yield


def _to_stdout(reports: Sequence[ReportFile]) -> bool:
    return any(item.path == STDOUT for item in reports)


def write_reports(reports: Sequence[ReportFile], items: Sequence[LintItem], command: str) -> None:
    """Each report where it belongs; the paths in it are relative to the working directory."""
    from gatekeep.cli.output import to_stdout, write_file
    from gatekeep.render.reports_machine import FORMATS, report

    here = [_from_here(item) for item in items]
    for kind, path in reports:
        text = report(next(one for one in FORMATS if one == kind), here, command)
        if path == STDOUT:
            to_stdout(text)
        else:
            write_file(path, text, option="--report")


def _from_here(item: LintItem) -> LintItem:
    """With forward slashes, whatever the system writes."""
    import msgspec

    from gatekeep.sources.files import printable

    file = item.finding.file
    if not file or file == "stdin":
        return item
    relative = printable(Path(os.path.relpath(file)))
    return item._replace(finding=msgspec.structs.replace(item.finding, file=relative))


@contextmanager
def failure_reported(reports: Sequence[ReportFile], repository: Repository | None = None) -> Iterator[None]:
    """Policies that are invalid or refused are findings, too: a pipeline that reads the report learns why it failed."""
    from gatekeep.model.errors import RefusedError
    from gatekeep.sources.problems import DocumentErrors

    try:
        yield
    except (DocumentErrors, RefusedError) as error:
        write_reports(reports, error_items(error, repository), "plan")
        raise


def problem_item(problem: Problem) -> LintItem:
    """A problem of a document as a finding."""
    from gatekeep.model.plan import Finding
    from gatekeep.model.rules import RULES
    from gatekeep.render.findings import LintItem

    where, severity = problem.position, RULES[problem.rule].severity
    finding = Finding(severity, problem.rule, problem.message, file=where.file, line=where.line)
    return LintItem(finding, where.column, problem.hint)


def plan_items(plan: Plan, repository: Repository) -> list[LintItem]:
    """A plan's findings, each at the place of what it is about; a proof that fails is the first."""
    from gatekeep.model.plan import Finding
    from gatekeep.model.rules import PROOF_FAILS

    failed = [] if plan.proof.holds else [Finding("error", PROOF_FAILS, f"{plan.proof.counter_example}")]
    return list(_located([*failed, *plan.findings], repository))


def error_items(error: GatekeepError, repository: Repository | None) -> list[LintItem]:
    """Why there is no plan."""
    from gatekeep.model.plan import Finding
    from gatekeep.model.rules import REFUSED

    problems: Sequence[Problem] = getattr(error, "problems", ())
    if problems or repository is None:
        return [problem_item(problem) for problem in problems]
    places = [(f"{place}", place) for place in repository.places]
    head, place = next(((text, one) for text, one in places if error.where.startswith(f"{text}:")), ("", None))
    about = error.where.removeprefix(f"{head}:").strip() if place else error.where
    finding = Finding("error", REFUSED, error.message, object=about)
    if place is not None:
        finding = Finding("error", REFUSED, error.message, object=about, file=place.file, line=place.line)
    (item,) = _located([finding], repository)
    return [item._replace(hint=error.hint)]


def _located(findings: Iterable[Finding], repository: Repository) -> Iterable[LintItem]:
    """A finding without a file stands at the policy it is about: a reader of a report looks at files."""
    import msgspec

    from gatekeep.render.findings import LintItem

    columns = {(str(note.position.file), note.position.line): note.position.column for note in repository.notes}
    for finding in findings:
        if finding.file:
            column = columns.get((finding.file, finding.line), 0)
            file = repository.files.get(finding.file, finding.file)
            yield LintItem(msgspec.structs.replace(finding, file=file), column)
        elif (place := _policy_place(finding.object, repository)) is not None:
            yield LintItem(msgspec.structs.replace(finding, file=place.file, line=place.line), place.column)
        else:
            yield LintItem(finding)


def _policy_place(about: str, repository: Repository) -> Any:
    """The policy itself, the one that names the Service, the one of its namespace, or the first of all."""
    kind, _, name = about.partition(" ")
    namespace, _, name = name.partition("/")
    best, found = 0, None
    for located, place in zip(repository.policies, repository.places, strict=True):
        policy = located.policy
        same = policy.namespace == namespace
        named = kind == type(policy).__name__ and policy.name == name
        serves = kind == "Service" and name in getattr(policy.spec, "services", ())
        score = 4 if same and named else 3 if same and serves else 2 if same else 1
        if score > best:
            best, found = score, place
    return found
