"""Strict YAML: positions · what is refused (anchors, aliases, merge keys, tags, duplicates, complex keys) · limits,
checked fast and before anything is built · encodings · JSON with tabs · any text gives nodes or DocumentErrors."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatekeep.model.policy import Position
from gatekeep.sources.problems import DocumentErrors
from gatekeep.sources.tree import Limits, ListNode, MapNode, Scalar, plain_data, read_documents, text_of


def read(text: str, file: str = "f.yaml", **limits: int) -> list[object]:
    bounds = Limits(**{"size": 10_000, "documents": 3, "depth": 5, "nodes": 100, **limits})
    return [plain_data(node) for node in read_documents(text, file, bounds)]


def failure(text: str, **limits: int) -> DocumentErrors:
    with pytest.raises(DocumentErrors) as caught:
        read(text, "f.yaml", **limits)
    assert caught.value.exit_code == 65
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# nothing\n", []),
        ("---\n---\na: 1\n", [None, {"a": 1}]),
        ("a: [1, 'x', \"yes\", yes]", [{"a": [1, "x", "yes", "yes"]}]),
        ("1: a\ntrue: b", [{"1": "a", "true": "b"}]),
        ("'<<': a", [{"<<": "a"}]),
        ("a: |\n  b\n  c\n", [{"a": "b\nc\n"}]),
        ('a: "\\ud83d\\ude00"', [{"a": "😀"}]),
        ("\ufeffa: b", [{"a": "b"}]),
    ],
)
def test_documents(text: str, expected: list[object]) -> None:
    assert read(text) == expected


def test_json_may_be_indented_with_tabs() -> None:
    assert read('{\n\t"a":\t[1]\n}', "f.json") == [{"a": [1]}]


def test_nodes_know_their_place() -> None:
    (node,) = read_documents("a:\n  - b\n  -   c: d\n", "f.yaml")
    assert isinstance(node, MapNode)
    items = node.get("a")
    assert isinstance(items, ListNode)
    assert [(item.line, item.column) for item in items.items] == [(2, 5), (3, 7)]
    second = items.items[1]
    assert isinstance(second, MapNode)
    key, value = second.entries["c"]
    assert isinstance(value, Scalar)
    assert (key.column, value.column, value.plain) == (7, 10, True)


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("a: &x 1", "f.yaml:1:4", "anchor &x is not allowed"),
        ("a: *x", "f.yaml:1:4", "alias *x is not allowed"),
        ("a:\n  <<: {b: 1}", "f.yaml:2:3", "merge key << is not allowed"),
        ("a: !!str 1", "f.yaml:1:4", "tag !!str is not allowed"),
        ("a: !x 1", "f.yaml:1:4", "tag !x is not allowed"),
        ("a: ! 1", "f.yaml:1:4", "tag ! is not allowed"),
        ("a: 1\nb: 2\n'a': 3", "f.yaml:3:1", "duplicate key a: it stands in line 1 already"),
        ("? [a]\n: b", "f.yaml:1:3", "a key must be text"),
        ("a:\n\t- b", "f.yaml:2:1", "not valid YAML"),
        ("a: [1", "f.yaml:1:6", "not valid YAML"),
        ("a: 'b", "f.yaml:1:6", "not valid YAML"),
        ("a: {{ .Values.x }}", "f.yaml:1:5", "a key must be text"),
        ("a: b\nc: \x01", "f.yaml:2:4", "is not allowed in YAML"),
        ('a: "\\UFFFFFFFF"', "f.yaml:1:7", "not valid YAML"),
        ('a: "\\ud800"', "f.yaml:1:4", "half of a surrogate pair"),
        ("%YAML " + "9" * 5000 + ".1\n---\na", "f.yaml:1:7", "not valid YAML"),
    ],
)
def test_refused(text: str, where: str, said: str) -> None:
    error = failure(text)
    assert str(error.problems[0].position) == where
    assert said in error.problems[0].message
    assert error.problems[0].hint


def test_all_problems_of_a_file_are_told_up_to_a_point() -> None:
    assert len(failure("a: &x 1\nb: *x\nb: 2\n").problems) == 3
    assert len(failure("\n".join(f"- &x{number} 1" for number in range(30))).problems) == 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 6 + "]" * 6, "nested deeper than 5 levels"),
        ("[" + "1, " * 200 + "]", "more than 100 values"),
        ("---\na\n" * 4, "more than 3 document(s)"),
        ("a" * 10_001, "larger than"),
    ],
)
def test_limits(text: str, said: str) -> None:
    assert said in str(failure(text))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "- " * 100_000,
        "? " * 100_000,
        "\n".join(" " * level + "a:" for level in range(1_400)),
    ],
    ids=["lists", "maps", "dashes", "keys", "indented"],
)
def test_100_000_levels_are_one_quick_error(text: str) -> None:
    started = time.monotonic()
    assert "nested deeper than 50 levels" in str(failure(text, size=10**6, depth=50, nodes=1_000))
    assert time.monotonic() - started < 5  # it takes 0.1 s; a hang would take minutes


@pytest.mark.parametrize("merge", ["", "<<: "], ids=["aliases", "merge keys"])
def test_a_bomb_does_not_go_off(merge: str) -> None:
    levels = [f"x{level}: &x{level} {{{merge}[{f'*x{level - 1}, ' * 9}]}}" for level in range(1, 12)]
    assert "is not allowed" in str(failure("x0: &x0 {a: 1}\n" + "\n".join(levels)))


@pytest.mark.parametrize(
    ("data", "where", "said"),
    [
        (b"a: b\n\x00\x01", "f.yaml:2:1", "NUL byte"),
        ("a: b".encode("utf-16"), "f.yaml:1:4", "NUL byte"),
        (b"a: b\nc: \xff", "f.yaml:2:4", "byte 0xff is not UTF-8"),
        ("ä: 1\nü: ".encode() + b"\xc3", "f.yaml:2:4", "byte 0xc3 is not UTF-8"),
    ],
)
def test_only_utf_8_text(data: bytes, where: str, said: str) -> None:
    with pytest.raises(DocumentErrors) as caught:
        text_of(data, "f.yaml")
    assert said in caught.value.message
    assert caught.value.where.startswith(where.rsplit(":", 1)[0])


@given(st.text() | st.text(alphabet="ab01:-?[]{},&*!|>'\"%@` \n#~<\\uU", max_size=60))
@example("!<tag:%ff> a")
@example("%TAG ! tag:x,\n--- !a b")
@example("\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
def test_any_text_is_read_or_refused(text: str) -> None:
    places: list[Position] = []
    try:
        read(text)
    except DocumentErrors as error:
        places = [problem.position for problem in error.problems]
    assert all(place.line >= 1 and place.column >= 1 for place in places)
