"""Compares nodes with the class that will decode them, and reports every mistake with its place.

``msgspec`` stops at the first mistake and knows no lines; the classes still say everything, through
``msgspec.inspect``. Only here is it known which positions hold strings, so YAML's ambiguous scalars are refused here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import NamedTuple, get_args

import msgspec.inspect as mi

from gatekeep.model.durations import parse_time
from gatekeep.model.policy import DURATION, PERCENT, Name
from gatekeep.sources.problems import Problem, quoted, shown
from gatekeep.sources.scalars import plain_number, readings
from gatekeep.sources.tree import ListNode, MapNode, Node, Scalar, position

_STRING, _NUMBER, _FLOAT, _BOOLEAN, _NULL = "a string", "a whole number", "a number", "true or false", "nothing"
_MAP, _LIST = "a map", "a list"
_UNCHECKED = "a value"  # only msgspec knows its syntax
_RULES = {
    get_args(Name)[1].pattern: "use lower case letters, digits and '-'; begin and end with a letter or digit",
    PERCENT: "write a whole number, or a percentage from 0% to 100%",
}
_LISTED = 20  # names that one hint repeats
_SEE = "gatekeep schema prints the fields and their types"
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[-+]\d\d:[0-5]\d)", re.ASCII)


class _Written(NamedTuple):
    """Something with a syntax of its own: what it is called, whether a text is one, and how to write one."""

    name: str
    is_one: Callable[[str], bool]
    hint: str


_DURATION = _Written(
    "a duration",
    lambda text: re.fullmatch(DURATION, text) is not None,
    "write whole numbers with their units d, h, m, s in this order: 30s, 5m, 1h30m",
)
_TIME = _Written(
    "a time",
    lambda text: _RFC_3339.fullmatch(text) is not None and parse_time(text) is not None,
    "write date, time and zone as RFC 3339 has them: 2026-12-01T12:00:00Z",
)


def check(node: Node, expected: mi.Type, file: str, name: str = "document") -> Iterator[Problem]:
    """Every way in which ``node`` is not what ``expected`` asks for. ``name`` is what messages call it."""
    kinds = _kinds(expected)
    if isinstance(node, Scalar) and (written := _written(expected)) is not None:
        yield from _as_written(node, written, file, name)
        return
    if isinstance(node, Scalar) and (problem := _ambiguous(node, kinds, file, name)):
        yield problem
        return
    found = _kind(node)
    member = next((one for one in _members(expected) if {found, _UNCHECKED} & set(_kinds_of(one))), None)
    if found == _NULL and _UNCHECKED not in kinds:
        yield _null(node, file, name)
    elif member is None:
        yield _wrong_type(node, expected, file, name)
    else:
        yield from _content(node, member, file, name)


def _one_of(options: tuple[str, ...], name: str) -> str:
    """What may stand there; a number is no option by name."""
    return "a whole number or All" if name == "admit" else f"one of {', '.join(options)}"


def close(word: str, known: tuple[str, ...]) -> str:
    """``did you mean …?`` with the nearest of ``known``, else what is known. There must be something."""
    folded = {other.lower(): other for other in known}
    near = get_close_matches(word.lower().replace("_", "").replace("-", ""), folded, 1, 0.6)
    if near:
        return f"did you mean {folded[near[0]]}?"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"known here: {', '.join(known[:_LISTED])}{more}"


def _written(expected: mi.Type) -> _Written | None:
    """How a scalar of this type is written, when that is by a syntax that no YAML parser knows.

    Quotes make no difference there: every parser's reading of the text leads to the same value, or to none.
    """
    for member in _members(expected):
        match member:
            case mi.StrType(pattern=pattern) if pattern == DURATION:
                return _DURATION
            case mi.DateTimeType():
                return _TIME
    return None


def _as_written(node: Scalar, written: _Written, file: str, name: str) -> Iterator[Problem]:
    where = position(node, file)
    if node.value is None:
        yield _null(node, file, name)
    elif written.is_one(node.text):
        return
    elif written is _DURATION and re.fullmatch(r"[0-9]{1,9}", node.text):
        yield Problem(where, f"{name}: expected a duration, found {node.text} without a unit", f"write {node.text}s")
    else:
        found = shown(node.text) or quoted(node.text)
        yield Problem(where, f"{name}: expected {written.name}, found {found}", written.hint)


def _content(node: Node, expected: mi.Type, file: str, name: str) -> Iterator[Problem]:
    match node, expected:
        case MapNode(), mi.StructType():
            yield from _fields(node, expected, file, name)
        case MapNode(entries=entries), mi.DictType(key_type=key_type, value_type=value_type):
            if len(entries) < (least := expected.min_length or 0):
                message = f"{name}: expected at least {least} entries, found {len(entries)}"
                yield Problem(position(node, file), message, f"name at least {least}")
            for key, (key_node, value) in entries.items():
                yield from check(key_node, key_type, file, f"key {shown(key)}")
                yield from check(value, value_type, file, shown(key))
        case ListNode(items=items), mi.VarTupleType() | mi.ListType():
            if len(items) < (expected.min_length or 0):
                yield Problem(position(node, file), f"{name}: the list is empty", "name at least one")
            for index, item in enumerate(items):
                yield from check(item, expected.item_type, file, f"{name}[{index}]")
        case Scalar(), _:
            yield from _scalar(node, expected, file, name)


def _fields(node: MapNode, struct: mi.StructType, file: str, name: str) -> Iterator[Problem]:
    fields = {field.encode_name: field for field in struct.fields}
    tag = {struct.tag_field} if struct.tag_field else set()
    known = (*fields, *tag)
    for key, (key_node, value) in node.entries.items():
        if key in fields:
            yield from check(value, fields[key].type, file, shown(key))
        elif key not in tag:
            hint = close(key, known) if known else "write {}, or a duration such as 10m"  # a pause has no fields
            yield Problem(position(key_node, file), f"unknown field {shown(key)} in {name}", hint)
    missing = [key for key, field in fields.items() if field.required and key not in node.entries]
    if missing:
        yield Problem(position(node, file), f"{name}: the field {missing[0]} is missing", f"add {', '.join(missing)}")


def _scalar(node: Scalar, expected: mi.Type, file: str, name: str) -> Iterator[Problem]:
    where, value = position(node, file), node.value
    match expected:
        case mi.LiteralType(values=values) if value not in values:
            options = tuple(sorted(str(one) for one in values))
            message = f"{name}: expected {_one_of(options, name)}, found {shown(node.text)}"
            yield Problem(where, message, close(node.text, options))
        case mi.StrType(pattern=pattern) if isinstance(value, str):
            yield from _string(node, expected, pattern, file, name)
        case mi.IntType() | mi.FloatType() if not isinstance(value, str) and value is not None:
            if expected.ge is not None and value < expected.ge:
                message = f"{name}: {shown(node.text)} is less than {expected.ge}"
                yield Problem(where, message, f"write {expected.ge} or more")
            if expected.le is not None and value > expected.le:
                message = f"{name}: {shown(node.text)} is more than {expected.le}"
                yield Problem(where, message, f"write {expected.le} or less")


def _string(node: Scalar, expected: mi.StrType, pattern: str | None, file: str, name: str) -> Iterator[Problem]:
    text, where = node.text, position(node, file)
    if expected.max_length is not None and len(text) > expected.max_length:
        message = f"{name}: {len(text)} characters are too many"
        yield Problem(where, message, f"write at most {expected.max_length} characters")
    elif expected.min_length is not None and len(text) < expected.min_length:
        yield Problem(where, f"{name}: the text is too short", f"write at least {expected.min_length} character(s)")
    elif pattern and (not re.search(pattern, text) or "\n" in text):  # in Python `$` also matches before a last newline
        yield Problem(where, f"{name}: {shown(text)} is not valid", _RULES.get(pattern, f"it must match {pattern}"))


def _ambiguous(node: Scalar, kinds: list[str], file: str, name: str) -> Problem | None:
    """A problem when the parsers in use do not read the unquoted scalar as the same thing, in this position."""
    if not node.plain or not node.text:
        return None
    seen, where = readings(node.text), position(node, file)
    same, is_text = len(set(seen)) == 1, _STRING in kinds
    if _FLOAT in kinds and isinstance(node.value, float) and not math.isfinite(node.value):
        return Problem(where, f"{name}: {shown(node.text)} is no finite number", "write it as a plain decimal number")
    if {_NUMBER, _FLOAT} & set(kinds) and "number" in seen:
        message = f"{name}: {shown(node.text)} is not the same number to every parser"
        return None if plain_number(node.text) else Problem(where, message, "write it as a plain decimal number")
    if not is_text or (same and (seen.yaml_12 == "string" or _kind(node) in kinds)):
        return None
    reader, reading = ("Kubernetes", seen.kubernetes) if seen.kubernetes != "string" else ("YAML 1.1", seen.yaml_11)
    what = "null" if reading == "null" else f"a {reading}"
    message = f"{name}: {shown(node.text)} is {what} to {reader}"
    return Problem(where, message, f"write {quoted(node.text)}", "unquoted-scalar")


def _null(node: Node, file: str, name: str) -> Problem:
    return Problem(position(node, file), f"{name}: no value (null)", "give it a value, or leave the field out")


def _wrong_type(node: Node, expected: mi.Type, file: str, name: str) -> Problem:
    found = _kind(node)
    said = f"{found} ({shown(node.text)})" if isinstance(node, Scalar) else found
    wanted = list(dict.fromkeys(called for member in _members(expected) for called in _called(member)))
    message = f"{name}: expected {' or '.join(wanted)}, found {said}"
    return Problem(position(node, file), message, _type_hint(node, wanted, name))


def _type_hint(node: Node, wanted: list[str], name: str) -> str:
    if not isinstance(node, Scalar):
        return _SEE
    if wanted == [_LIST]:
        return f"write [{shown(node.text)}]"
    if name == "minReady" and _kind(node) == _FLOAT:
        return "write a number or 50%"
    if {_NUMBER, _FLOAT} & set(wanted) and not node.plain and plain_number(node.text):
        return f"write {shown(node.text)}, without quotes"
    if wanted == [_NUMBER] and plain_number(node.text.removesuffix("%")) and "." not in node.text:
        return f"write {shown(node.text.removesuffix('%'))}"
    return _SEE


def _kind(node: Node) -> str:
    if isinstance(node, MapNode):
        return _MAP
    if isinstance(node, ListNode):
        return _LIST
    match node.value:
        case None:
            return _NULL
        case bool():
            return _BOOLEAN
        case int():
            return _NUMBER
        case float():
            return _FLOAT
        case _:
            return _STRING


def _members(expected: mi.Type) -> tuple[mi.Type, ...]:
    return expected.types if isinstance(expected, mi.UnionType) else (expected,)


def _kinds(expected: mi.Type) -> list[str]:
    """What may stand in a position of this type. Null is not among it: an empty field is always a slip."""
    return list(dict.fromkeys(kind for member in _members(expected) for kind in _kinds_of(member)))


def _called(member: mi.Type) -> tuple[str, ...]:
    """What messages call the values of a type."""
    if (written := _written(member)) is not None:
        return (written.name,)
    match member:
        case mi.StructType(fields=()):
            return ("{}",)
        case mi.FloatType() | mi.DecimalType():
            return (_FLOAT,)
        case _:
            return _kinds_of(member)


def _kinds_of(member: mi.Type) -> tuple[str, ...]:
    match member:
        case mi.StructType() | mi.DictType():
            return (_MAP,)
        case mi.VarTupleType() | mi.ListType():
            return (_LIST,)
        case mi.StrType() | mi.LiteralType() | mi.DateTimeType():
            return (_STRING,)
        case mi.IntType():
            return (_NUMBER,)
        case mi.FloatType() | mi.DecimalType():
            return (_FLOAT, _NUMBER)
        case mi.BoolType():
            return (_BOOLEAN,)
        case mi.NoneType():
            return ()
        case _:
            return (_UNCHECKED,)
