"""Text from outside stays text in Markdown."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeep.render.escape import escape
from gatekeep.render.inert import LONGEST, block, code, prose, shortened
from tests.render.hostile import HOSTILE

_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", re.DOTALL)
ACTIVE = re.compile(r"[@<>\[\]`*_~|#$&\\!{}]|://|www\.|\bGH-\d|[\x00-\x1f\u200b\u202e]")


def outside(text: str) -> str:
    """What stands outside of code spans, as CommonMark finds them."""
    return _SPAN.sub("", text)


def inside(text: str) -> list[str]:
    """What stands in code spans: one space is stripped on either side where both are there."""
    spans = [found[1] for found in _SPAN.findall(text)]
    return [span[1:-1] if span[:1] == span[-1:] == " " and span.strip() else span for span in spans]


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("rng-a", "`rng-a`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("``x", "``` ``x ```"),
        (" a ", "`  a  `"),
        ("a\nb", "`a\\nb`"),
        ("a|b", "`a|b`"),
        ("\u202egnp", "`\\u202egnp`"),
    ],
)
def test_a_code_span_is_longer_than_what_it_holds(text: str, span: str) -> None:
    assert code(text) == span


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("3 pods, least 2 (floor 1): 50% → 60%", "3 pods, least 2 (floor 1): 50% → 60%"),
        ("ask @octocat now", "ask `@octocat` now"),
        ("see #1", "see `#1`"),
        ("a|b and <b>", "`a|b` and `<b>`"),
        ("at https://x.example/y today", "at `https://x.example/y` today"),
        ("www.x.example", "`www.x.example`"),
        ("1. one", "`1.` one"),
        ("- one - two", "`-` one - two"),
        ("active=yes snake_case", "active=yes `snake_case`"),
        ("commit deadbeef1", "commit `deadbeef1`"),
        ("a\n# b", "`a\\n#` b"),
    ],
)
def test_words_that_mean_something_go_into_code(text: str, written: str) -> None:
    assert prose(text) == written


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_active_stands_outside_of_code(text: str) -> None:
    assert not ACTIVE.search(outside(prose(text)))
    assert "\n" not in prose(text) + code(text)


@given(st.text(max_size=60))
def test_any_text_stays_text(text: str) -> None:
    assert not ACTIVE.search(outside(prose(text)))
    assert outside(code(text)) == ""
    assert inside(code(text)) == [escape(text)] or not escape(text).strip()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_block_ends_where_it_should(text: str) -> None:
    lines = block([text, "end"]).split("\n")
    fence = lines[-1]
    assert lines[0] == f"{fence}text"
    assert len(fence) >= 3
    assert all(fence not in line for line in lines[1:-1])
    assert len(lines) == 4


def test_what_nobody_reads_is_cut() -> None:
    assert len(shortened("x" * 5_000)) == LONGEST
    assert shortened("short") == "short"
