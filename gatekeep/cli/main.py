"""The entry point ``gatekeep``. Help and version are answered here, without importing anything heavier than text.

click alone takes twice as long to import as Python takes to start; ``gatekeep --help`` need not wait for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

HELP = ("-h", "--help")
SIGNALLED = 128


def script() -> None:
    """The console entry: the process ends with the exit code, after a signal at once.

    Reading threads may sit in a silent API server's answer for a minute; nobody who pressed Ctrl-C waits for them.
    """
    _reopen_streams()
    code = main()
    if code > SIGNALLED:
        os._exit(code)
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit code. Never raises, and never prints a traceback unasked."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if len(given) == 1 and given[0] in HELP:
        from gatekeep.cli.catalog import help_text

        return _say(help_text(program_name()))
    if given == ["--version"]:
        from gatekeep import __version__

        return _say(f"gatekeep {__version__}\n")
    if arguments is None:
        collect_seldom()
    from gatekeep.cli.failures import EXIT_USAGE, guarded, to_stderr

    if not given and "_GATEKEEP_COMPLETE" not in os.environ:
        from gatekeep.cli.catalog import help_text

        to_stderr(help_text(program_name()))
        return EXIT_USAGE
    return guarded(lambda: _run(given))


def _reopen_streams() -> None:
    """A stream that was closed before the start (``>&-``) is None in Python, and not even an error could be said."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - it lives as long as the process


def _run(arguments: list[str]) -> int:
    if instruction := os.environ.get("_GATEKEEP_COMPLETE"):
        from gatekeep.cli.completion import answer

        return answer(instruction)
    from gatekeep.cli.group import run

    return run(arguments, program_name())


def collect_seldom() -> None:
    """In a process that lives for one command, looking for garbage costs a tenth of a plan and finds next to none.

    Not never: an apply of 100,000 pods reads as many answers, and each leaves a little. At exit everything goes anyway.
    """
    import atexit
    import gc

    gc.set_threshold(50_000, 20, 100)
    atexit.register(gc.freeze)


def _say(text: str) -> int:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:  # whoever reads is gone (`| head`): no reason to complain at exit
        from gatekeep.cli.failures import silence_stdout

        silence_stdout()
    return 0


def program_name() -> str:
    """As it was called: kubectl runs plugins by their file name."""
    called = sys.argv[0].replace("\\", "/").rpartition("/")[2] if sys.argv else ""
    return "kubectl gatekeep" if called.startswith("kubectl-") else "gatekeep"
