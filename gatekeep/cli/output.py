"""Data on stdout or in a file; everything else on stderr."""

from __future__ import annotations

import os
import sys
import tempfile

from gatekeep.cli.failures import silence_stdout
from gatekeep.cli.options import OutputFlags
from gatekeep.model.errors import GatekeepError
from gatekeep.render.style import Style, style_for


def style_of(output: OutputFlags) -> Style:
    """The style for what goes to ``output``: a file is plain text."""
    return Style() if output.path else style_for(sys.stdout)


def error_style() -> Style:
    """The style for stderr."""
    return style_for(sys.stderr)


def emit(text: str, output: OutputFlags) -> None:
    """Writes the data of a command where it belongs."""
    if output.path and output.path != "-":
        write_file(output.path, text)
    else:
        to_stdout(text)


def to_stdout(text: str) -> None:
    """UTF-8 for data, as the contract says, and for text whatever the terminal knows (see :meth:`Style.text`)."""
    try:
        sys.stdout.flush()
        buffer = getattr(sys.stdout, "buffer", None)
        if buffer is None:
            sys.stdout.write(text)
        else:
            buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()
    except OSError as error:
        raise GatekeepError(f"cannot write: {error.strerror}", where="stdout") from error


def write_file(path: str, text: str, *, option: str = "--out") -> None:
    """Replaces the file in one go: a reader sees the old document or the new one, never half of it.

    ``option`` is the one that named it, for the error.
    """
    folder = os.path.dirname(os.path.abspath(path))
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # a pipe or a device, as /dev/stdout
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(text)
            return
        handle, temporary = tempfile.mkstemp(prefix=".gatekeep-", dir=folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.chmod(temporary, _mode_for(path))
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise GatekeepError(
            f"cannot write: {error.strerror}", where=path, hint=f"choose another file with {option}"
        ) from error


def _mode_for(path: str) -> int:
    """As the file was, or as a new file would be: a plan is no secret."""
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
