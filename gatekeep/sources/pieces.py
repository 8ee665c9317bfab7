"""Takes a long JSON list apart without holding it: one piece of the file in memory at a time.

A border between two items is guessed by its looks and then proved: the text up to it must decode as a JSON list, which
it cannot if the border lies inside an item. Where no border is found the piece grows; the answer is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

import msgspec

from gatekeep.model.policy import Position
from gatekeep.sources.problems import DocumentErrors, Problem, file_error

PIECE = 4 * 2**20  # bytes; larger ones gain no speed
_HEAD_WITHIN = 65_536  # bytes of the file in which "items" must begin for it to be read in pieces
_TRIES = 8
_ITEMS = re.compile(rb'"items"\s*:\s*\[')
_BORDER = re.compile(
    rb'\}\s*,\s*(?=\{\s*"(?:apiVersion"\s*:\s*"[^"\\]*"\s*,\s*"kind"|kind"\s*:|metadata"\s*:))',
)
_BYTE = re.compile(r"\(byte ([0-9]+)\)")


class Stream(Protocol):
    """What is read: a file, a pipe, or one that counts along."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; fewer than that is no sign of the end, none is."""


class _List(msgspec.Struct):
    kind: str = ""
    items: list[msgspec.Raw] | None = None


class _Head(msgspec.Struct):
    items: list[msgspec.Raw]


# RecursionError is msgspec's answer to deep nesting.
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decode_list = msgspec.json.Decoder(_List).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


def items_of(stream: Stream, file: str, piece: int = PIECE) -> Iterator[list[msgspec.Raw]]:
    """The items of a ``kind: List`` in JSON, in batches. Raises :class:`DocumentErrors` when it is none.

    ``piece`` is how many bytes are read at once.
    """
    buffer = _read(stream, piece)
    opening = _ITEMS.search(buffer, 0, _HEAD_WITHIN)
    head = buffer[: opening.end()] if opening and _is_head(buffer[: opening.end()]) else b""
    buffer = buffer[len(head) :]
    lines = 0  # that were given out
    while more := _read(stream, max(piece, len(buffer))):
        buffer += more
        if head and (cut := _cut(buffer)):
            batch, end = cut
            yield batch
            lines += buffer.count(b"\n", 0, end)
            buffer = buffer[end:]
    yield _rest(head, buffer, lines, file)


def _read(stream: Stream, size: int) -> bytes:
    """``size`` bytes, fewer only at the end: a pipe gives what it has."""
    parts: list[bytes] = []
    while size > 0 and (part := stream.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _is_head(head: bytes) -> bool:
    """True when ``head`` opens the outermost ``items`` and not one inside something else."""
    try:
        _decode_head(head + b"]}")
    except UNDECODABLE:
        return False
    return True


def _cut(buffer: bytes) -> tuple[list[msgspec.Raw], int] | None:
    """The complete items at the beginning of ``buffer``, and where the next one begins."""
    borders = [match.span() for match in _BORDER.finditer(buffer, max(0, len(buffer) - 2**20))]
    for start, end in reversed(borders[-_TRIES:]):
        try:
            return _decode_items(b"[" + buffer[: start + 1] + b"]"), end
        except UNDECODABLE:
            continue
    return None


def _rest(head: bytes, buffer: bytes, lines: int, file: str) -> list[msgspec.Raw]:
    """The last batch, decoded together with the fields around the list."""
    try:
        found = _decode_list(head + buffer)
    except msgspec.ValidationError as error:
        raise _no_list(file, str(error)) from error
    except UNDECODABLE as error:
        raise DocumentErrors([_malformed(error, head + buffer, lines, file)]) from error
    if found.kind != "List" or found.items is None:
        raise _no_list(file, f"found kind {found.kind or 'none'}")
    return found.items


def _malformed(error: Exception, text: bytes, lines: int, file: str) -> Problem:
    match = _BYTE.search(str(error))
    before = text[: int(match[1])] if match else text
    column = len(before) - (before.rfind(b"\n") + 1) + 1
    message = f"not valid JSON: {_BYTE.sub('', str(error)).strip()}"
    return Problem(Position(file, lines + before.count(b"\n") + 1, column), message, "write the file again")


def _no_list(file: str, found: str) -> DocumentErrors:
    hint = "make one with: gatekeep snapshot, or kubectl get … -o json"
    return file_error(file, f"expected an object of kind List with items: {found}", hint)
