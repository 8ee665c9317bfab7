"""Nothing from outside moves the cursor, hides, or runs backwards."""

from __future__ import annotations

import json
import unicodedata

import pytest

from gatekeep.render.escape import escape, escape_json

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
INVISIBLE = "\u00ad\u034f\u115f\u180e\u200b\u200c\u200d\u2060\u2028\u2029\u3164\ufeff\ufe0f\ufff9\U000e0041\U000e0100"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rng-54f57d4d49-7pt82", "rng-54f57d4d49-7pt82"),
        ("größe 数 é", "größe 数 é"),
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("50%\r100%", r"50%\r100%"),
        ("one\ntwo\tthree", r"one\ntwo\tthree"),
        ("\x9b31m", r"\x9b31m"),
        ("a\u202eb", r"a\u202eb"),
        ("\U000e0041", r"\U000e0041"),
        ("\udc80", r"\udc80"),
        ("", ""),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_no_control_format_or_invisible_character_passes() -> None:
    for code in [*range(0x300), *range(0x2000, 0x2100), *map(ord, BIDI + INVISIBLE)]:
        char = chr(code)
        harmless = escape(char) == char
        if char in BIDI + INVISIBLE or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            assert not harmless, hex(code)


def test_escaped_text_is_stable() -> None:
    once = escape("\x1b[31m\u202e\u200b")
    assert escape(once) == once


def test_json_stays_equal_data() -> None:
    data = {"name": f"a\x1b\x9b{BIDI}{INVISIBLE}é", "n": 1}
    document = json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    shown = escape_json(document)
    assert json.loads(shown) == data
    assert all(char == "\n" or escape(char) == char for char in shown)
    assert "é" in shown


def test_plain_json_is_untouched() -> None:
    assert escape_json('{\n  "a": "→"\n}\n') == '{\n  "a": "→"\n}\n'
