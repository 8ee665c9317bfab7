"""One unquoted scalar, three readers: YAML 1.2's values, and what YAML 1.1 and Kubernetes take the same text for.

The Kubernetes column follows what kubectl 1.32 does with such a label value: an error for all but strings.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeep.sources.scalars import Readings, plain_number, readings, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("on", "on"),
        ("17", 17),
        ("-3", -3),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", -math.inf),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("50%", "50%"),
        ("rng", "rng"),
    ],
)
def test_values_are_those_of_yaml_1_2(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


def test_not_a_number_is_a_number_to_yaml() -> None:
    value = resolve(".nan")
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", Readings("boolean", "boolean", "string")),
        ("Off", Readings("boolean", "boolean", "string")),
        ("y", Readings("boolean", "boolean", "string")),
        ("N", Readings("boolean", "boolean", "string")),
        ("1e3", Readings("number", "string", "number")),
        ("0o17", Readings("number", "string", "number")),
        ("017", Readings("number", "number", "number")),
        ("08", Readings("number", "number", "number")),
        ("1_000", Readings("number", "number", "string")),
        ("0b11", Readings("number", "number", "string")),
        ("12:30", Readings("string", "number", "string")),
        ("2024-01-01", Readings("string", "date", "string")),
        ("2024-01-01T00:00:00Z", Readings("string", "date", "string")),
        ("~", Readings("null", "null", "null")),
        (".inf", Readings("number", "number", "number")),
        ("10.1.2.3", Readings("string", "string", "string")),
        ("1.2.3-beta", Readings("string", "string", "string")),
        ("nobody", Readings("string", "string", "string")),
        ("50%", Readings("string", "string", "string")),
    ],
)
def test_readers_differ(text: str, expected: Readings) -> None:
    assert readings(text) == expected


@pytest.mark.parametrize(("text", "same"), [("17", True), ("0", True), ("-1", True), ("1.5", True)])
def test_plain_numbers(text: str, same: bool) -> None:
    assert plain_number(text) is same


@pytest.mark.parametrize("text", ["017", "0x10", "0o7", "1e3", "1_000", "1.", ".5", ".inf", "9" * 3 + "e"])
def test_numbers_that_are_not_plain(text: str) -> None:
    assert not plain_number(text)


@given(st.text(alphabet="+-.0123456789xobeE_:~nulyfaos", max_size=12) | st.sampled_from(["9" * 5000, "0x" + "f" * 999]))
def test_every_text_has_a_value_and_its_reading(text: str) -> None:
    assert (readings(text).yaml_12 == "string") is isinstance(resolve(text), str)
