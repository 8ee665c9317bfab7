"""Types that today's policies do not have: times and durations need no quotes · plain numbers · true and false."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import msgspec.inspect as mi
import pytest

from gatekeep.sources.check import check, close
from gatekeep.sources.tree import read_documents


class Later(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    expires: datetime | None = None
    drain: timedelta | None = None
    weight: int = 1
    most: float = 1.0
    on_call: bool = False


def said(text: str) -> list[str]:
    (node,) = read_documents(text, "f.yaml")
    return [problem.message for problem in check(node, mi.type_info(Later), "f.yaml")]


@pytest.mark.parametrize(
    "text",
    ["expires: 2026-12-01T12:00:00Z", "drain: 30s", "weight: 10", "most: 0.01", "most: 1", "on_call: true", "{}"],
)
def test_unquoted_values_that_are_no_strings(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weight: 010", "weight: 010 is not the same number to every parser"),
        ("weight: 1.5", "weight: expected a whole number, found a number (1.5)"),
        ('weight: "1"', "weight: expected a whole number, found a string (1)"),
        ("on_call: yes", "on_call: expected true or false, found a string (yes)"),
        ("on_call: ~", "on_call: no value (null)"),
        ("weigth: 1", "unknown field weigth in document"),
        ("- a", "document: expected a map, found a list"),
    ],
)
def test_values_that_are_wrong(text: str, expected: str) -> None:
    assert said(text) == [expected]


@pytest.mark.parametrize(
    ("word", "hint"),
    [("onwers", "did you mean owners?"), ("any_of", "did you mean anyOf?"), ("zzz", "known here: owners, anyOf")],
)
def test_did_you_mean(word: str, hint: str) -> None:
    assert close(word, ("owners", "anyOf")) == hint
