"""The entry point ``gatekeep``: finds the command, runs it, and turns what happens into an exit code.

Nothing heavy is imported here: ``gatekeep --help`` must answer in the time of a bare interpreter and click.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from gatekeep import __version__
from gatekeep.cli.catalog import EXIT_CODES, SUMMARIES


class Commands(click.Group):
    """Commands by name, each imported when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer meets them."""
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its own module."""
        if cmd_name not in SUMMARIES:
            return None
        command: click.Command = importlib.import_module(f"gatekeep.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """From the catalog, without importing any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


@click.group(
    name="gatekeep",
    cls=Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="gatekeep", message="%(prog)s %(version)s")
def gatekeep() -> None:
    """Gate the traffic of Kubernetes Services: see what will happen, lose nothing while it happens, take it back.

    \b
    Try it:  gatekeep demo
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code. Never raises, and never prints a traceback unasked."""
    from gatekeep.cli.failures import guarded

    given = list(sys.argv[1:] if arguments is None else arguments)
    return guarded(lambda: run(given))


def run(arguments: list[str]) -> int:
    """Carries out the command line; raises what goes wrong."""
    with gatekeep.make_context(_program_name(), arguments) as context:
        code = gatekeep.invoke(context)
    return code if isinstance(code, int) else 0


def _program_name() -> str:
    """As it was called: kubectl runs plugins by their file name."""
    called = os.path.basename(sys.argv[0]) if sys.argv else ""
    return "kubectl gatekeep" if called.startswith("kubectl-") else "gatekeep"
