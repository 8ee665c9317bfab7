"""From what went wrong to a message on stderr and an exit code. The table is the contract's; ``--help`` shows it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from gatekeep.model.errors import GatekeepError, SignalledError, UsageError

if TYPE_CHECKING:
    import click

EXIT_GENERAL = 1
EXIT_USAGE = 64
EXIT_BUG = 70


class Terminated(KeyboardInterrupt):
    """SIGTERM while nothing was being written."""


def guarded(run: Callable[[], int]) -> int:
    """The exit code of ``run``, whatever happens in it."""
    previous = _terminate_politely()
    try:
        code = run()
    except BaseException as error:
        code = report(error)
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)
    return _flushed(code)


def report(error: BaseException) -> int:
    """Says what went wrong and returns the exit code for it."""
    import click

    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if os.environ.get("GATEKEEP_DEBUG"):
        import traceback

        traceback.print_exception(error)
    match error:
        case click.ClickException():
            return _usage(error)
        case GatekeepError():
            say_error(error)
            return error.signal_exit_code if isinstance(error, SignalledError) else error.exit_code
        case Terminated():
            return _signalled(signal.SIGTERM)
        case KeyboardInterrupt() | click.Abort():
            return _signalled(signal.SIGINT)
        case BrokenPipeError():
            return 0
        case _:
            return _unexpected(error)


def say_error(error: GatekeepError) -> None:
    """``error: WHERE: MESSAGE`` and the hint below; so for each problem where documents have several."""
    problems = getattr(error, "problems", ())
    if len(problems) > 1:
        for problem in problems:
            say("error", f"{problem.position}: {problem.message}", problem.hint)
    else:
        say("error", f"{error.where}: {error.message}" if error.where else error.message, error.hint)


def say(word: str, message: str, hint: str = "") -> None:
    """One message on stderr; its further lines are set in, so that none of them looks like a message of its own."""
    from gatekeep.render.style import style_for

    style = style_for(sys.stderr)
    look = {"error": "red", "warning": "yellow"}.get(word, "dim")
    first, *more = message.split("\n")
    lines = [f"{style.paint(f'{word}:', 'bold', look)} {style.text(first)}"]
    lines.extend(f"  {style.text(line.strip())}" for line in more)
    advice = [line.rstrip() for line in hint.split("\n") if line.strip()]
    lines.extend(f"  {style.text('→' if at == 0 else ' ')} {style.text(line)}" for at, line in enumerate(advice))
    to_stderr("\n".join(lines) + "\n")


def to_stderr(text: str) -> None:
    """Writes to stderr, if anybody listens."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):
        return


def silence_stdout() -> None:
    """Sends the rest of stdout nowhere: its reader is gone, and the interpreter must not complain about it at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return


def usage(message: str, hint: str = "") -> UsageError:
    """A command line that cannot be carried out as given (64)."""
    return UsageError(message, hint=hint)


def _usage(error: click.ClickException) -> int:
    import click

    context = getattr(error, "ctx", None)
    message = error.format_message().rstrip(".")
    say(
        "error", message[:1].lower() + message[1:], f"see: {context.command_path} --help" if context is not None else ""
    )
    return EXIT_USAGE if isinstance(error, click.UsageError) else EXIT_GENERAL


def _signalled(number: signal.Signals) -> int:
    to_stderr("\n")
    say_error(SignalledError(number))
    return 128 + number


def _unexpected(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else EXIT_GENERAL
    if isinstance(error, MemoryError):
        say("error", "not enough memory", "narrow it down with -n, or look at fewer policies with -f")
        return EXIT_GENERAL
    say(
        "error",
        f"this is a bug in gatekeep: {type(error).__name__}: {error}",
        "run it again with GATEKEEP_DEBUG=1 for the traceback and report it; gatekeep status shows what stands now",
    )
    return EXIT_BUG


def _terminate_politely() -> Callable[[int, FrameType | None], object] | int | None:
    """SIGTERM as an exception: as process 1 of a container, Python would ignore the signal otherwise."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise Terminated

    try:
        return signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not the main thread: tests, and programs that embed gatekeep
        return None


def _flushed(code: int) -> int:
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        silence_stdout()
    return code
