"""Tables line up and paragraphs hang, at any width."""

from __future__ import annotations

import pytest

from gatekeep.render.layout import Cell, counted, paragraph, seconds, some, table, wrap
from gatekeep.render.style import Style, columns


def test_columns_line_up_with_wide_characters() -> None:
    rows = [(Cell("a"), Cell("one")), (Cell("数字"), Cell("two")), (Cell("abc"), Cell("three"))]
    assert table(rows, Style()) == ["  a     one", "  数字  two", "  abc   three"]


def test_colour_does_not_count_as_columns() -> None:
    rows = [(Cell("a", "red"), Cell("x")), (Cell("bb"), Cell("y"))]
    assert table(rows, Style(color=True)) == ["  \x1b[31ma\x1b[0m   x", "  bb  y"]


def test_the_last_column_is_wrapped_below_itself() -> None:
    rows = [(Cell("key"), Cell("one two three four five six seven eight nine ten eleven"))]
    lines = table(rows, Style(width=40))
    assert len(lines) == 2
    assert lines[1].startswith(" " * 7)
    assert all(columns(line) <= 40 for line in lines)


def test_an_empty_table() -> None:
    assert table([], Style()) == []


def test_names_are_not_broken_at_their_hyphens() -> None:
    assert wrap("the pod rng-54f57d4d49-7pt82 left", 20) == ["the pod", "rng-54f57d4d49-7pt82", "left"]


def test_a_sign_stays_with_its_label() -> None:
    assert wrap("+ annotation x.dev/y, - pod-template-hash=1", 24) == ["+ annotation x.dev/y,", "- pod-template-hash=1"]


def test_paragraph_hangs_below_its_first_word() -> None:
    assert paragraph("aa bb cc dd ee ff gg hh ii jj kk ll", Style(width=40), first="  ! ") == [
        "  ! aa bb cc dd ee ff gg hh ii jj kk ll"
    ]
    assert paragraph("aaaaaaaaaa bbbbbbbbbb cccccccccc dddddddddd", Style(width=40), first="Next: ") == [
        "Next: aaaaaaaaaa bbbbbbbbbb cccccccccc",
        "      dddddddddd",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0s"),
        (0.04, "0.0s"),
        (1.25, "1.2s"),
        (3, "3s"),
        (3.0, "3.0s"),
        (30, "30s"),
        (59.6, "1m"),
        (65, "1m 5s"),
        (300, "5m"),
    ],
)
def test_seconds(value: float, text: str) -> None:
    assert seconds(value) == text


def test_counts_and_lists() -> None:
    assert [counted(1, "step"), counted(2000, "step"), counted(2, "policy", "policies")] == [
        "1 step",
        "2,000 steps",
        "2 policies",
    ]
    assert some(["a", "b", "c"], limit=3) == "a, b, c"
    assert some(["a", "b", "c", "d"], limit=2) == "a, b and 2 more"
