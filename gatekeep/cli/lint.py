"""``gatekeep lint``: offline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gatekeep.cli import options
from gatekeep.cli.options import OutputFlags

if TYPE_CHECKING:
    from gatekeep.render.findings import LintItem
    from gatekeep.sources.problems import Problem


@options.command("lint", "gatekeep lint -f policies")
@options.filename_option
@options.output_options
def command(output: OutputFlags, filenames: tuple[str, ...]) -> int:
    """Invalid documents are findings here, not failures: all of them are listed, and the exit code is 1."""
    from gatekeep.cli import session
    from gatekeep.cli.output import emit, style_of
    from gatekeep.render.documents import lint_json
    from gatekeep.render.findings import LintItem, lint_text
    from gatekeep.sources.problems import DocumentErrors

    try:
        repository = session.policies(filenames, full_paths=True)
        count, items = len(repository.policies), [LintItem(finding) for finding in repository.findings]
    except DocumentErrors as error:
        count, items = 0, [_item(problem) for problem in error.problems]
    if not count and not any(item.finding.severity == "error" for item in items):
        items.append(_nothing_there(filenames))
    if output.format == "json":
        emit(lint_json(items, count), output)
    else:
        emit(lint_text(items, count, style_of(output)), output)
    return int(any(item.finding.severity == "error" for item in items))


def _nothing_there(filenames: Sequence[str]) -> LintItem:
    """A job that checks the wrong folder must not pass."""
    from gatekeep.model.plan import Finding
    from gatekeep.render.findings import LintItem

    finding = Finding("error", "no-policy", "no policy was found", file=", ".join(filenames))
    return LintItem(finding, hint="name a file or folder with policies: -f PATH")


def _item(problem: Problem) -> LintItem:
    from gatekeep.model.plan import Finding
    from gatekeep.render.findings import LintItem

    place = problem.position
    finding = Finding("error", "invalid-document", problem.message, file=place.file, line=place.line)
    return LintItem(finding, place.column, problem.hint)
