"""What is wrong in a document, and where. All problems of all files are shown at once."""

from __future__ import annotations

import json
from collections.abc import Sequence

import msgspec

from gatekeep.model.errors import InvalidInputError
from gatekeep.model.policy import Position
from gatekeep.model.rules import INVALID_DOCUMENT

_SHOWN = 60  # characters of somebody else's text that a message repeats
_LISTED = 100  # problems that one message lists


class Problem(msgspec.Struct, frozen=True):
    """One mistake: ``message`` says what was expected and found, ``hint`` what to do. Printed as the errors are.

    ``rule`` is the id of what it breaks, one of :data:`gatekeep.model.rules.RULES`.
    """

    position: Position
    message: str
    hint: str = ""
    rule: str = INVALID_DOCUMENT

    def __str__(self) -> str:
        head = f"{self.position}: {self.message}"
        return f"{head}\n  → {self.hint}" if self.hint else head


class DocumentErrors(InvalidInputError):
    """Documents that cannot be used. ``problems`` holds every mistake in the order of files and lines; never empty."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            only = self.problems[0]
            super().__init__(only.message, where=str(only.position), hint=only.hint)
        else:
            listed = [str(problem) for problem in self.problems[:_LISTED]]
            if more := len(self.problems) - len(listed):
                listed.append(f"… and {more} more problems")
            super().__init__("\n".join(listed))


def file_error(file: str, message: str, hint: str) -> DocumentErrors:
    """A mistake that concerns the file as a whole."""
    return DocumentErrors([Problem(Position(file, 1, 1), message, hint)])


def missing_file(file: str, message: str, hint: str) -> DocumentErrors:
    """There is nothing to read, so no line to name."""
    return DocumentErrors([Problem(Position(file, 0, 0), message, hint)])


def quoted(text: str) -> str:
    """``text`` in double quotes, as YAML and JSON both read it."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def shown(text: str) -> str:
    """``text`` short enough for a message and without control characters."""
    if len(text) > _SHOWN:
        return quoted(text[:_SHOWN]) + "…"
    return text if text.isprintable() else quoted(text)
