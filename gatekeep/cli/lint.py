"""``gatekeep lint``: offline."""

from __future__ import annotations

from gatekeep.cli import options
from gatekeep.cli.options import OutputFlags


@options.command("lint", "gatekeep lint -f policies")
@options.filename_option
@options.output_options
def command(output: OutputFlags, filenames: tuple[str, ...]) -> int:
    """Invalid documents are findings here, not failures: all of them are listed, and the exit code is 1."""
    from gatekeep.cli import session
    from gatekeep.cli.output import emit, style_of
    from gatekeep.model.plan import Finding
    from gatekeep.render.documents import lint_json
    from gatekeep.render.findings import lint_text
    from gatekeep.sources.problems import DocumentErrors

    try:
        repository = session.policies(filenames, full_paths=True)
        count, findings = len(repository.policies), repository.findings
    except DocumentErrors as error:
        count = 0
        findings = tuple(
            Finding(
                "error", "invalid-document", problem.message, file=problem.position.file, line=problem.position.line
            )
            for problem in error.problems
        )
    if output.format == "json":
        emit(lint_json(findings, count), output)
    else:
        emit(lint_text(findings, count, style_of(output)), output)
    return int(any(finding.severity == "error" for finding in findings))
