"""``gatekeep show``: a saved plan, read without a cluster."""

from __future__ import annotations

import shlex

import click

from gatekeep.cli import options
from gatekeep.cli.options import OutputFlags


@options.command("show", "gatekeep show plan.json")
@click.argument("plan")
@options.output_options
def command(output: OutputFlags, plan: str) -> int:
    """Shows the document; its verdict is quoted, not believed."""
    from gatekeep.cli import planned, session
    from gatekeep.cli.failures import say
    from gatekeep.model.plan import content_id

    document = session.saved_plan(plan)
    next_step = f"gatekeep verify {shlex.quote(plan)}, then gatekeep apply {shlex.quote(plan)}"
    planned.show(document, output, proved=False, next_step=next_step if document.writes else "")
    if content_id(document) != document.id:
        say("warning", "the id does not fit the content: the document was edited; apply will refuse it")
    return 0
