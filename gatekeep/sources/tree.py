"""Strict YAML (and with it JSON): bytes in, nodes with positions out. The one module that imports ``yaml``.

Only what every reader understands alike is let in: no anchors, aliases, merge keys, tags or duplicate keys. Limits are
checked on PyYAML's stream of events, before anything is built, so an alias bomb or 100,000 levels of nesting cost
nothing. Never the C loader: it dies of deep nesting (https://github.com/yaml/pyyaml/issues/235 tells of the bombs).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from gatekeep.model.policy import Position
from gatekeep.sources.problems import DocumentErrors, Problem, file_error, shown
from gatekeep.sources.scalars import Value, resolve

if TYPE_CHECKING:
    import yaml

MEBIBYTE = 2**20
_MOST_PROBLEMS = 20  # per file; a file written by a tool that likes anchors has thousands


class Limits(NamedTuple):
    """Bounds of one file: ``size`` in bytes; ``nodes`` counts maps, lists and scalars, keys included."""

    size: int
    documents: int
    depth: int
    nodes: int


POLICY_LIMITS = Limits(size=MEBIBYTE, documents=1_000, depth=50, nodes=100_000)
DUMP_LIMITS = Limits(size=16 * MEBIBYTE, documents=1, depth=100, nodes=2_000_000)


class Scalar(msgspec.Struct, gc=False):
    """A value as YAML 1.2 reads it; ``text`` is how it is written, ``plain`` that it stands without quotes."""

    value: Value
    text: str
    plain: bool
    line: int
    column: int


class ListNode(msgspec.Struct):
    items: list[Node]
    line: int
    column: int


class MapNode(msgspec.Struct):
    """Entries by the text of their key."""

    entries: dict[str, tuple[Scalar, Node]]
    line: int
    column: int

    def get(self, key: str) -> Node | None:
        """The value under ``key``, or None."""
        entry = self.entries.get(key)
        return entry[1] if entry else None


Node = Scalar | ListNode | MapNode


def position(node: Node, file: str) -> Position:
    """Where ``node`` begins."""
    return Position(file, node.line, node.column)


def at(node: Node | None, *path: str | int) -> Node | None:
    """The node below ``node`` at ``path``, or None."""
    for part in path:
        if isinstance(node, MapNode) and isinstance(part, str):
            node = node.get(part)
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
        else:
            return None
    return node


def place(node: Node, file: str, *path: str | int) -> Position:
    """Where the node at ``path`` begins; where there is none, the nearest one that would hold it."""
    for part in path:
        below = at(node, part)
        if below is None:
            break
        node = below
    return position(node, file)


def plain_data(node: Node) -> Any:
    """``node`` without positions. Keys are always strings, as in JSON."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, ListNode):
        return [plain_data(item) for item in node.items]
    return {key: plain_data(value) for key, (_, value) in node.entries.items()}


def text_of(data: bytes, file: str) -> str:
    """``data`` as text. Raises :class:`DocumentErrors` unless it is UTF-8 without NUL."""
    if b"\x00" in data:
        where = _place(data[: data.index(b"\x00")].decode("utf-8", "replace"), file)
        raise DocumentErrors([Problem(where, "found a NUL byte: this is a binary or UTF-16 file", "save it as UTF-8")])
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        where = _place(data[: error.start].decode("utf-8"), file)
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        raise DocumentErrors([Problem(where, message, "save the file as UTF-8")]) from error


def read_documents(text: str, file: str, limits: Limits = POLICY_LIMITS) -> list[Node]:
    """The documents of a YAML or JSON file, empty ones included. Raises :class:`DocumentErrors`.

    ``file`` is the name for messages; one that ends in ``.json`` may be indented with tabs.
    """
    if len(text) > limits.size:
        raise too_large(file, limits.size)
    builder = _Builder(file, limits)
    # A raw tab cannot stand inside a JSON string, and YAML does not indent with tabs.
    for event in _events(text.replace("\t", " ") if file.endswith(".json") else text, file, builder.problems):
        builder.take(event)
    if builder.problems:
        raise DocumentErrors(builder.problems)
    return builder.documents


def too_large(file: str, limit: int) -> DocumentErrors:
    """The error for a file of more than ``limit`` bytes."""
    message = f"the file is larger than {limit // MEBIBYTE} MiB"
    return file_error(file, message, "split it, or take it out of the folder")


def _events(text: str, file: str, before: list[Problem]) -> Iterator[Any]:
    """PyYAML's events, one at a time; its errors as ours, after the problems found ``before``."""
    import yaml
    from yaml.reader import ReaderError

    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_event():
            yield loader.get_event()  # type: ignore[no-untyped-call]
    except ReaderError as error:
        where = _place(text[: error.position], file)
        message = f"the character {error.character!r} is not allowed in YAML"
        raise DocumentErrors([*before, Problem(where, message, "take it out, or write it as an escape")]) from error
    except yaml.MarkedYAMLError as error:
        raise DocumentErrors([*before, _syntax(error, file)]) from error
    except (ValueError, OverflowError) as error:  # an escape like "\UFFFFFFFF", a %YAML directive of many digits
        where = Position(file, loader.line + 1, loader.column + 1) if loader else Position(file, 1, 1)
        raise DocumentErrors([*before, Problem(where, f"not valid YAML: {error}", "write the value out")]) from error
    finally:
        if loader is not None:
            loader.dispose()


def _syntax(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    where = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
    said = ", ".join(part for part in (error.problem, error.context) if part)
    hint = "indent with spaces" if "\\t" in said else "check the indentation, brackets and quotes before this place"
    return Problem(where, f"not valid YAML: {said}", hint)


def _place(before: str, file: str) -> Position:
    return Position(file, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


class _Builder:
    """Makes nodes of events and remembers what is not allowed. Keeps its own stack, so depth costs no recursion."""

    def __init__(self, file: str, limits: Limits) -> None:
        self.documents: list[Node] = []
        self.problems: list[Problem] = []
        self._file = file
        self._limits = limits
        self._open: list[MapNode | ListNode] = []
        self._keys: list[Scalar | None] = []  # for each open node, the key whose value comes next
        self._nodes = 0

    def take(self, event: Any) -> None:
        """One event. Raises :class:`DocumentErrors` at once where a limit is passed."""
        kind = type(event).__name__
        match kind:
            case "ScalarEvent":
                self._begin(event)
                self._add(self._scalar(event))
            case "MappingStartEvent" | "SequenceStartEvent":
                self._begin(event)
                line, column = event.start_mark.line + 1, event.start_mark.column + 1
                opened = MapNode({}, line, column) if kind == "MappingStartEvent" else ListNode([], line, column)
                self._open.append(opened)
                self._keys.append(None)
                if len(self._open) > self._limits.depth:
                    self._stop(event, f"nested deeper than {self._limits.depth} levels")
            case "MappingEndEvent" | "SequenceEndEvent":
                self._keys.pop()
                self._add(self._open.pop())
            case "AliasEvent":
                self._refuse(event, f"alias *{shown(event.anchor)}", "write the value out here")
                self._begin(event)
                self._add(Scalar(None, "", False, event.start_mark.line + 1, event.start_mark.column + 1))
            case "DocumentStartEvent":
                if len(self.documents) >= self._limits.documents:
                    self._stop(event, f"more than {self._limits.documents} document(s)")

    def _begin(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            self._stop(event, f"more than {self._limits.nodes} values")
        if getattr(event, "tag", None):
            tag = event.tag.replace("tag:yaml.org,2002:", "!!", 1)
            self._refuse(event, f"tag {shown(tag)}", "take the tag out; quote the value to make it a string")
        if getattr(event, "anchor", None) and type(event).__name__ != "AliasEvent":
            self._refuse(event, f"anchor &{shown(event.anchor)}", "write the value out wherever it is meant")

    def _scalar(self, event: Any) -> Scalar:
        text, plain = event.value, event.style is None
        mark = event.start_mark
        if not text.isascii():
            text = self._joined(text, event)
        return Scalar(resolve(text) if plain else text, text, plain, mark.line + 1, mark.column + 1)

    def _joined(self, text: str, event: Any) -> str:
        """``text`` with JSON's surrogate pairs joined to the characters they mean."""
        try:
            return str(text.encode("utf-16", "surrogatepass").decode("utf-16"))
        except UnicodeDecodeError:
            self._problem(event, "half of a surrogate pair is no character", "write the character itself")
            return ""

    def _add(self, node: Node) -> None:
        if not self._open:
            self.documents.append(node)
            return
        parent = self._open[-1]
        if isinstance(parent, ListNode):
            parent.items.append(node)
            return
        key = self._keys[-1]
        if key is None:
            self._keys[-1] = self._key(node)
            return
        self._keys[-1] = None
        if (first := parent.entries.get(key.text)) is None:
            parent.entries[key.text] = (key, node)
        else:
            message = f"duplicate key {shown(key.text)}: it stands in line {first[0].line} already"
            self._add_problem(Problem(position(key, self._file), message, "keep one of the two"))

    def _key(self, node: Node) -> Scalar:
        if not isinstance(node, Scalar):
            hint = "write the key as one word or quoted text"
            self._add_problem(Problem(position(node, self._file), "a key must be text, found a list or map", hint))
            return Scalar("", "", False, node.line, node.column)
        if node.plain and node.text == "<<":
            message = "merge key << is not allowed: parsers read it differently"
            self._add_problem(Problem(position(node, self._file), message, "write the merged fields out"))
        return node

    def _refuse(self, event: Any, what: str, hint: str) -> None:
        self._problem(event, f"{what} is not allowed: parsers read it differently", hint)

    def _problem(self, event: Any, message: str, hint: str) -> None:
        mark = event.start_mark
        self._add_problem(Problem(Position(self._file, mark.line + 1, mark.column + 1), message, hint))

    def _add_problem(self, problem: Problem) -> None:
        self.problems.append(problem)
        if len(self.problems) >= _MOST_PROBLEMS:
            raise DocumentErrors(self.problems)

    def _stop(self, event: Any, message: str) -> None:
        self._problem(event, message, "write less into one file")
        raise DocumentErrors(self.problems)
