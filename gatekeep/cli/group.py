"""The commands as click sees them, each imported when it is called for."""

from __future__ import annotations

import importlib

import click

from gatekeep import __version__
from gatekeep.cli.catalog import SUMMARIES, help_text


class Commands(click.Group):
    """Commands by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer meets them."""
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, from its own module."""
        if cmd_name not in SUMMARIES:
            return None
        command: click.Command = importlib.import_module(f"gatekeep.cli.{cmd_name}").command
        return command

    def get_help(self, ctx: click.Context) -> str:
        """The same text as without click."""
        return help_text(ctx.command_path).rstrip("\n")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """With a suggestion for a name that is almost right."""
        if args and args[0] not in SUMMARIES and not args[0].startswith("-") and not ctx.resilient_parsing:
            import difflib

            near = difflib.get_close_matches(args[0], SUMMARIES, n=1)
            ctx.fail(f"no command {args[0]!r}{f'; did you mean {near[0]}?' if near else ''}")
        return super().resolve_command(ctx, args)


@click.group(name="gatekeep", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gatekeep", message="%(prog)s %(version)s")
def gatekeep() -> None:
    """Gates the traffic of Kubernetes Services."""


def run(arguments: list[str], program: str) -> int:
    """Carries out a command line; raises what goes wrong."""
    with gatekeep.make_context(program, arguments, max_content_width=100) as context:
        code = gatekeep.invoke(context)
    return code if isinstance(code, int) else 0
