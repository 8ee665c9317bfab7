"""``gatekeep show``: a saved plan, read without a cluster."""

from __future__ import annotations

import shlex

import click

from gatekeep.cli import options
from gatekeep.cli.options import OutputFlags

CARRIED_OUT = ("patches", "script")
"""Formats that somebody carries out without gatekeep, which would prove the plan once more."""


@options.command("show", "gatekeep show plan.json", "gatekeep show plan.json -o html --out plan.html")
@click.argument("plan")
@options.plan_output_options
def command(output: OutputFlags, plan: str) -> int:
    """Shows the document; its verdict is quoted, not believed."""
    from gatekeep.cli import planned, session
    from gatekeep.cli.failures import say
    from gatekeep.model.errors import InvalidInputError
    from gatekeep.model.plan import content_id

    document = session.saved_plan(plan)
    fits = content_id(document) == document.id
    if not fits and output.format in CARRIED_OUT:
        raise InvalidInputError("the id does not fit the content: the document was edited", where=plan,
                                hint="make the plan again; nobody proved what this one says")  # fmt: skip
    next_step = f"gatekeep verify {shlex.quote(plan)}, then gatekeep apply {shlex.quote(plan)}"
    planned.show(document, output, proved=False, next_step=next_step if document.writes else "")
    if not fits:
        say("warning", "the id does not fit the content: the document was edited; apply will refuse it")
    return 0
