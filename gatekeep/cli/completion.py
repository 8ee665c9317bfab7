"""``gatekeep completion SHELL``: what a shell has to source. Answering the shell's questions is here too.

A shell asks by calling the program with ``_GATEKEEP_COMPLETE`` set, as click's own scripts do. kubectl asks a program
called ``kubectl_complete-gatekeep`` with the words so far, and reads one candidate a line and a directive:
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/kubectl/pkg/cmd/plugin/plugin_completion.go
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click
from click.shell_completion import ShellComplete, get_completion_class

from gatekeep.cli import options

VARIABLE = "_GATEKEEP_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
_NO_FILES = 4
"""Cobra's ShellCompDirectiveNoFileComp: https://pkg.go.dev/github.com/spf13/cobra#ShellCompDirective"""
_FILES = 0


@options.command(
    "completion",
    "source <(gatekeep completion bash)",
    "gatekeep completion fish > ~/.config/fish/completions/gatekeep.fish",
    notes="kubectl completes `kubectl gatekeep` by itself: kubectl_complete-gatekeep is installed with gatekeep.",
)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """The script that click makes for that shell."""
    from gatekeep.cli.output import emit

    emit(_completer(shell).source() + "\n", options.OutputFlags())
    return 0


def answer(instruction: str) -> int:
    """What a shell asks for with ``_GATEKEEP_COMPLETE=bash_complete``."""
    shell, _, what = instruction.partition("_")
    if shell not in SHELLS or what != "complete":
        return 1
    sys.stdout.write(_completer(shell).complete() + "\n")
    return 0


def _completer(shell: str) -> ShellComplete:
    from gatekeep.cli.group import gatekeep

    found = get_completion_class(shell)
    if found is None:
        raise LookupError(shell)
    return found(gatekeep, {}, "gatekeep", VARIABLE)


def for_kubectl(words: Sequence[str]) -> str:
    """The answer to kubectl: ``words`` are those after ``kubectl gatekeep``, the last one is being written."""
    from gatekeep.cli.group import gatekeep

    *before, last = words or ("",)
    items = ShellComplete(gatekeep, {}, "gatekeep", VARIABLE).get_completions(list(before), last)
    plain = [item for item in items if item.type == "plain"]
    lines = [f"{item.value}\t{item.help}" if item.help else str(item.value) for item in plain]
    return "".join(f"{line}\n" for line in (*lines, f":{_NO_FILES if plain or not items else _FILES}"))


def kubectl_script() -> None:
    """The console entry ``kubectl_complete-gatekeep``."""
    sys.stdout.write(for_kubectl(sys.argv[1:]))
