"""How YAML 1.2, YAML 1.1 and Kubernetes' own parser read one unquoted scalar.

Kubernetes means ``sigs.k8s.io/yaml``: its resolver is go-yaml v2's, which knows YAML 1.1's booleans and octal numbers
but neither its base-60 numbers nor (in untyped data) its dates.
https://github.com/kubernetes-sigs/yaml/blob/master/goyaml.v2/resolve.go
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Value = None | bool | int | float | str
Reading = Literal["string", "number", "boolean", "null", "date"]

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_BOOLEAN_11 = frozenset(
    word for base in ("y", "n", "yes", "no", "on", "off") for word in (base, base.capitalize(), base.upper())
)
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED_12 = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_BASED_GO = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+)")
_NUMBER_11 = re.compile(
    r"[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])*(\.[0-9_]*([eE][-+][0-9]+)?)?"
    r"|\.[0-9][0-9_]*([eE][-+][0-9]+)?"
)
_DATE_11 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?"
    r"([ \t]*(Z|[-+][0-9]{1,2}(:?[0-9]{2})?))?"
)
_PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9]*)|[-+]?(0|[1-9][0-9]*)\.[0-9]+")
_SPECIAL_FIRST = frozenset("+-.0123456789~yYnNtTfFoO")
_MOST_DIGITS = 400  # more is no number that anyone means, and int() of very many digits raises


class Readings(NamedTuple):
    """The type that each of the three gives the same unquoted text."""

    kubernetes: Reading
    yaml_11: Reading
    yaml_12: Reading


_ALL_STRING = Readings("string", "string", "string")


def resolve(text: str) -> Value:
    """The value of an unquoted scalar by YAML 1.2's core schema."""
    if text and text[0] not in _SPECIAL_FIRST:
        return text
    match _reading_12(text):
        case "null":
            return None
        case "boolean":
            return text in _TRUE
        case "number":
            return _number(text)
        case _:
            return text


def readings(text: str) -> Readings:
    """What each of the three takes the unquoted ``text`` for."""
    if text and text[0] not in _SPECIAL_FIRST:
        return _ALL_STRING
    return Readings(_reading_kubernetes(text), _reading_11(text), _reading_12(text))


def plain_number(text: str) -> bool:
    """True for a number that all three read as the same value: ``17`` is one, ``017`` and ``1e3`` are not."""
    return _PLAIN_NUMBER.fullmatch(text) is not None


def _number(text: str) -> int | float:
    if _INTEGER.fullmatch(text) and len(text) <= _MOST_DIGITS:
        return int(text)
    if _BASED_12.fullmatch(text) and len(text) <= _MOST_DIGITS:
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _BASED_12.fullmatch(text):
        return float("inf")
    return float(text.replace(".", "", 1) if _INFINITY.fullmatch(text) else text)


def _common(text: str) -> Reading | None:
    if text in _NULL:
        return "null"
    if text in _TRUE or text in _FALSE:
        return "boolean"
    return "number" if _INFINITY.fullmatch(text) else None


def _reading_12(text: str) -> Reading:
    if common := _common(text):
        return common
    return "number" if _FLOAT.fullmatch(text) or _BASED_12.fullmatch(text) else "string"


def _reading_11(text: str) -> Reading:
    if common := _common(text):
        return common
    if text in _BOOLEAN_11:
        return "boolean"
    if _DATE_11.fullmatch(text):
        return "date"
    return "number" if _NUMBER_11.fullmatch(text) else "string"


def _reading_kubernetes(text: str) -> Reading:
    if common := _common(text):
        return common
    if text in _BOOLEAN_11:
        return "boolean"
    digits = text if text.startswith(".") else text.replace("_", "")
    return "number" if _FLOAT.fullmatch(digits) or _BASED_GO.fullmatch(digits) else "string"
