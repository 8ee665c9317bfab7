"""Colour only where it is wanted; symbols that the stream can show."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest

from gatekeep.render.style import Style, columns, style_for, wants_color


@pytest.mark.parametrize(
    ("terminal", "environ", "wanted"),
    [
        (True, {}, True),
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"CLICOLOR_FORCE": "1"}, True),
        (False, {"FORCE_COLOR": "0"}, False),
        (False, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (False, {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
    ],
)
def test_wants_color(terminal: bool, environ: Mapping[str, str], wanted: bool) -> None:
    assert wants_color(terminal, environ) is wanted


def test_a_stream_that_is_no_terminal_is_100_columns_wide_and_plain() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert style_for(stream, {}) == Style(color=False, unicode=True, width=100)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_symbols_fall_back_to_ascii(encoding: str) -> None:
    style = style_for(io.TextIOWrapper(io.BytesIO(), encoding=encoding), {})
    assert not style.unicode
    assert style.text("6 → 3 ≥ 2 … ✔ é") == "6 -> 3 >= 2 ... ok \\xe9"


def test_text_is_escaped_before_it_is_painted() -> None:
    style = Style(color=True)
    assert style.paint(style.text("\x1b[0m"), "red") == "\x1b[31m\\x1b[0m\x1b[0m"


def test_nothing_is_painted_without_colour() -> None:
    assert Style().paint("word", "bold", "red") == "word"


def test_columns() -> None:
    assert [columns(text) for text in ("abc", "数字", "e\u0301", "→")] == [3, 4, 1, 1]
