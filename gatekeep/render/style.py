"""What a stream can show: its width, symbols beyond ASCII, and colour, which only repeats what symbols say."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple, TextIO

from gatekeep.render.escape import escape

DEFAULT_WIDTH = 100
LOOKS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}

# Every character beyond ASCII that gatekeep itself writes, and what stands for it where the encoding has none.
_ASCII = {
    "→": "->",
    "≥": ">=",
    "≤": "<=",
    "…": "...",
    "✔": "ok",
    "✘": "x",
    "·": "-",
    "—": "-",
    "–": "-",
    "’": "'",
    "“": '"',
    "”": '"',
    "×": "x",
}
_TO_ASCII = str.maketrans(_ASCII)


class Style(NamedTuple):
    """How to write for one stream."""

    color: bool = False
    unicode: bool = True
    width: int = DEFAULT_WIDTH

    def text(self, value: object) -> str:
        """``value`` made harmless, in characters that the stream has."""
        safe = escape(str(value))
        if self.unicode or safe.isascii():
            return safe
        return safe.translate(_TO_ASCII).encode("ascii", "backslashreplace").decode("ascii")

    def paint(self, text: str, *looks: str) -> str:
        """``text`` in colour, where the stream wants any."""
        codes = ";".join(LOOKS[look] for look in looks if look)
        return f"\x1b[{codes}m{text}\x1b[0m" if self.color and codes and text else text


def style_for(stream: TextIO, environ: Mapping[str, str] = os.environ, width: int | None = None) -> Style:
    """The style that fits ``stream``: a terminal's own width, or 100 columns where nobody looks."""
    terminal = is_terminal(stream)
    if width is None:
        width = shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns if terminal else DEFAULT_WIDTH
    return Style(color=wants_color(terminal, environ), unicode=_has_symbols(stream), width=max(width, 40))


def wants_color(terminal: bool, environ: Mapping[str, str]) -> bool:
    """NO_COLOR first, then FORCE_COLOR and CLICOLOR_FORCE, then whether it is a terminal that is not dumb."""
    if environ.get("NO_COLOR"):
        return False
    if any(environ.get(name, "0") not in ("", "0") for name in ("FORCE_COLOR", "CLICOLOR_FORCE")):
        return True
    return terminal and environ.get("TERM") != "dumb"


def is_terminal(stream: TextIO) -> bool:
    """True when a person may be looking. A closed stream is none."""
    try:
        return stream.isatty()
    except ValueError:
        return False


def columns(text: str) -> int:
    """How many columns ``text`` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_char_columns(char) for char in text)


def _char_columns(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _has_symbols(stream: TextIO) -> bool:
    try:
        "".join(_ASCII).encode(stream.encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True
