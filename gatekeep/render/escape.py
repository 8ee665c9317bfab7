"""The one sink for text from outside: names, messages and paths reach a terminal only through here.

A label, a file name or an API server's message may hold escape sequences that repaint the screen, right-to-left marks
that reorder a diff, or characters nobody sees (https://trojansource.codes). They come out as ``\\x1b``: visible, inert.
"""

from __future__ import annotations

import re

# Letters by Unicode's books, but invisible on every screen (Default_Ignorable_Code_Point).
_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef"
_INVISIBLE_LETTER = re.compile(f"[{_INVISIBLE}]")


def escape(text: str) -> str:
    """``text`` on one line with every control, format, bidi and zero-width character made visible."""
    if text.isprintable() and (text.isascii() or not _INVISIBLE_LETTER.search(text)):
        return text
    return "".join(char if _is_plain(char) else _visible(char) for char in text)


def escape_json(document: str) -> str:
    """A JSON document with the same characters written as ``\\uXXXX``: equal data for every reader."""
    if document.isascii():
        return document
    return "".join(char if char == "\n" or _is_plain(char) else _json_escape(char) for char in document)


def _is_plain(char: str) -> bool:
    return char.isprintable() and not _INVISIBLE_LETTER.match(char)


def _visible(char: str) -> str:
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
    if char in named:
        return named[char]
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
