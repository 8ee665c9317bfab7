"""Text from outside in a Markdown comment: names, labels and messages that must stay what they are, text.

A forge turns ``@name`` into a mention, ``#1`` into a reference, an address into a link and a run of dashes into a
heading. Inside a code span none of that happens, so whatever may mean something goes into one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gatekeep.render.escape import escape

_BACKTICKS = re.compile("`+")
_HARMLESS = re.compile(r"(?:[^\W_]|[.,;:'’“”\"()/%?→≥≤…–—×=+-])*")
_AUTOLINK = re.compile(r"://|www\.|\bGH-\d|\b[0-9a-f]{7,}\b|:[^:]+:", re.IGNORECASE)
_BULLET = re.compile(r"[-+=]+|\d+[.)].*")
LONGEST = 1_000
"""Characters of one message or name."""


def shortened(text: str, limit: int = LONGEST) -> str:
    """``text``, cut where nobody reads on."""
    return text if len(text) <= limit else f"{text[: limit - 2].rstrip()} …"


def code(text: str) -> str:
    """A code span, its fence longer than any run of backticks inside."""
    inner = shortened(escape(text))
    fence = "`" * (_longest_run(inner) + 1)
    if not inner.strip():
        return f"{fence} {inner} {fence}" if inner else "` `"
    pad = " " if inner[0] in "` " or inner[-1] in "` " else ""
    return f"{fence}{pad}{inner}{pad}{fence}"


def prose(text: str) -> str:
    """A sentence: its words as they are, and in a code span whatever Markdown or the forge would act on."""
    words = shortened(escape(text)).split(" ")
    return " ".join(_word(word, first=at == 0) for at, word in enumerate(words))


def block(lines: Iterable[str], language: str = "text") -> str:
    """A fenced block; every line is one line, whatever it holds."""
    body = [escape(line) for line in lines]
    fence = "`" * max(3, *(_longest_run(line) + 1 for line in body), 0)
    return "\n".join([f"{fence}{language}", *body, fence])


def _longest_run(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)


def _word(word: str, *, first: bool) -> str:
    safe = _HARMLESS.fullmatch(word) and not _AUTOLINK.search(word) and not (first and _BULLET.fullmatch(word))
    return word if safe else code(word)
