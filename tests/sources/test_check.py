"""Types with a syntax of their own: times, durations and numbers need no quotes, and what else would be one · maps with
a least number of entries · a choice between types · types that today's policies do not have."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

import msgspec
import msgspec.inspect as mi
import pytest

from gatekeep.model.policy import Duration, Indefinite, Name
from gatekeep.sources.check import check, close
from gatekeep.sources.problems import Problem
from gatekeep.sources.tree import read_documents


class Later(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    expires: datetime | None = None
    drain: timedelta | None = None
    lasting: Duration = "0s"
    pause: Duration | Indefinite | None = None
    bound: Decimal | None = None
    colors: Annotated[Mapping[Name, int], msgspec.Meta(min_length=2)] | None = None
    weight: int = 1
    most: float = 1.0
    on_call: bool = False


def found(text: str) -> list[Problem]:
    (node,) = read_documents(text, "f.yaml")
    return list(check(node, mi.type_info(Later), "f.yaml"))


def said(text: str) -> list[str]:
    return [problem.message for problem in found(text)]


@pytest.mark.parametrize(
    "text",
    [
        "expires: 2026-12-01T12:00:00Z",
        'expires: "2026-12-01T12:00:00Z"',
        "expires: 2026-12-01T12:00:00.123456789-09:30",
        "drain: 30s",
        "lasting: 2m",
        'lasting: "2m"',
        "lasting: 1d2h3m4s",
        "lasting: 0s",
        "pause: 10m",
        "pause: {}",
        "bound: 0.01",
        "bound: -1",
        "bound: 0",
        "colors: {blue: 1, green: 2}",
        "weight: 10",
        "most: 0.01",
        "most: 1",
        "on_call: true",
        "{}",
    ],
)
def test_unquoted_values_that_are_no_strings(text: str) -> None:
    assert said(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weight: 010", "weight: 010 is not the same number to every parser"),
        ("weight: 1.5", "weight: expected a whole number, found a number (1.5)"),
        ('weight: "1"', "weight: expected a whole number, found a string (1)"),
        ('bound: "0.01"', "bound: expected a number, found a string (0.01)"),
        ("bound: .nan", "bound: .nan is no finite number"),
        ("bound: -.inf", "bound: -.inf is no finite number"),
        (f"bound: {'9' * 5000}", f'bound: "{"9" * 60}"… is no finite number'),
        ("bound: 1e-3", "bound: 1e-3 is not the same number to every parser"),
        ("bound: 1_000", "bound: 1_000 is not the same number to every parser"),
        ("bound: 1%", "bound: expected a number, found a string (1%)"),
        ("bound: {}", "bound: expected a number, found a map"),
        ("lasting: 1.5m", "lasting: expected a duration, found 1.5m"),
        ("lasting: 5m1h", "lasting: expected a duration, found 5m1h"),
        ("lasting: 10M", "lasting: expected a duration, found 10M"),
        ("lasting: -1s", "lasting: expected a duration, found -1s"),
        ("lasting: 1e3", "lasting: expected a duration, found 1e3"),
        ("lasting: 12:30", "lasting: expected a duration, found 12:30"),
        ("lasting: yes", "lasting: expected a duration, found yes"),
        ('lasting: ""', 'lasting: expected a duration, found ""'),
        ('lasting: "5m\\n"', 'lasting: expected a duration, found "5m\\n"'),
        ("lasting: ", "lasting: no value (null)"),
        ("lasting: {}", "lasting: expected a duration, found a map"),
        ("pause: []", "pause: expected a duration or {}, found a list"),
        ("pause: {duration: 10m}", "unknown field duration in pause"),
        ("pause: ~", "pause: no value (null)"),
        ("colors: {blue: 1}", "colors: expected at least 2 entries, found 1"),
        ("colors: {blue: 1, Green: 2}", "key Green: Green is not valid"),
        ("colors: {blue: 1, 2: 2}", "key 2: 2 is a number to Kubernetes"),
        ("colors: [blue, green]", "colors: expected a map, found a list"),
        ("expires: []", "expires: expected a time, found a list"),
        ("expires: ", "expires: no value (null)"),
        ("on_call: yes", "on_call: expected true or false, found a string (yes)"),
        ("on_call: ~", "on_call: no value (null)"),
        ("weigth: 1", "unknown field weigth in document"),
        ("- a", "document: expected a map, found a list"),
    ],
)
def test_values_that_are_wrong(text: str, expected: str) -> None:
    assert said(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01",
        "2026-12-01T12:00:00",
        "2026-12-01T12:00Z",
        "2026-12-01 12:00:00Z",
        "2026-13-01T12:00:00Z",
        "2026-12-01T12:00:60Z",
        "2026-12-01T12:00:00+0200",
        "2026-12-01T12:00:00+02:60",
        "0001-01-01T00:00:00+10:00",
        "20261201",
        "24h",
        "tomorrow",
    ],
)
def test_what_is_no_time_with_a_zone(text: str) -> None:
    assert said(f"expires: {text}") == [f"expires: expected a time, found {text}"]
    assert said(f'expires: "{text}"') == [f"expires: expected a time, found {text}"]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lasting: 30", "write 30s"),
        ("lasting: 0", "write 0s"),
        ('pause: "600"', "write 600s"),
        ("lasting: 1w", "write whole numbers with their units d, h, m, s in this order: 30s, 5m, 1h30m"),
        ("expires: 2026-12-01", "write date, time and zone as RFC 3339 has them: 2026-12-01T12:00:00Z"),
        ("pause: {duration: 10m}", "write {}, or a duration such as 10m"),
        ('bound: "0.01"', "write 0.01, without quotes"),
        ('weight: "10"', "write 10, without quotes"),
        ("weight: 10%", "write 10"),
        ("weight: 1.5%", "gatekeep schema prints the fields and their types"),
        ("bound: .nan", "write it as a plain decimal number"),
        ("colors: {blue: 1}", "name at least 2"),
    ],
)
def test_what_to_write(text: str, hint: str) -> None:
    assert [problem.hint for problem in found(text)] == [hint]


def test_a_long_list_is_cut_short() -> None:
    hint = close("zzz", tuple(f"colour-{number}" for number in range(1_000)))
    assert hint.startswith("known here: colour-0, colour-1, ")
    assert hint.endswith(", colour-19 and 980 more")


@pytest.mark.parametrize(
    ("word", "hint"),
    [("onwers", "did you mean owners?"), ("any_of", "did you mean anyOf?"), ("zzz", "known here: owners, anyOf")],
)
def test_did_you_mean(word: str, hint: str) -> None:
    assert close(word, ("owners", "anyOf")) == hint
