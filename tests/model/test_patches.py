"""JSON Patch as Kubernetes 1.36.3 answers it (measured, ``docs/design/0001-patches.md``), and as gatekeep writes it.

Aspects: every row of the dialect · types of scalars · escaping · guards of label and selector patches · undo.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gatekeep.model.errors import PatchRejectedError
from gatekeep.model.patches import (
    Op,
    apply,
    delete_guard,
    label_patch,
    pointer,
    selector_patch,
    tokens_of,
    uid_guard,
)

POD: dict[str, Any] = {
    "metadata": {"uid": "u", "labels": {"app": "rng", "a/b": "x", "t~e": "y", "empty": ""}, "generation": 30},
    "spec": {"paused": True, "list": ["p", "q"]},
}


def op(verb: str, path: str, *value: object) -> Op:
    """One operation, with a value or without."""
    return msgspec.convert({"op": verb, "path": path, **({"value": value[0]} if value else {})}, Op)


@pytest.mark.parametrize(
    "operation",
    [
        op("test", "/metadata/labels/app", "rng"),
        op("test", "/metadata/labels/none", None),
        op("test", "/metadata/labels/none"),
        op("test", "/metadata/annotations", None),
        op("test", "/metadata/annotations"),
        op("test", "/metadata/labels/a~1b", "x"),
        op("test", "/metadata/labels/t~0e", "y"),
        op("test", "/metadata/labels/empty", ""),
        op("test", "/metadata/generation", 30),
        op("test", "/spec/paused", True),
        op("test", "/spec/list", ["p", "q"]),
        op("test", "/spec/list/1", "q"),
    ],
    ids=str,
)
def test_a_test_that_passes_changes_nothing(operation: Op) -> None:
    assert apply(POD, [operation]) == POD


@pytest.mark.parametrize(
    "operation",
    [
        op("test", "/metadata/labels/app", "web"),
        op("test", "/metadata/labels/none", "x"),
        op("test", "/metadata/labels/none", ""),
        op("test", "/metadata/labels/app", None),
        op("test", "/metadata/labels/app"),
        op("test", "/metadata/labels/empty", None),
        op("test", "/metadata/annotations", {}),
        op("test", "/metadata/annotations", False),
        op("test", "/metadata/annotations/x", None),
        op("add", "/metadata/annotations/x", "y"),
        op("replace", "/metadata/annotations/x", "y"),
        op("remove", "/metadata/annotations/x"),
        op("remove", "/metadata/labels/none"),
        op("test", "/metadata/labels/a/b", "x"),
        op("add", "/metadata/labels/a/b", "x"),
        op("test", "metadata/labels/app", "rng"),
        op("add", "metadata/labels/app", "rng"),
        op("add", "/metadata/labels/app/deeper", "x"),
        op("test", "/metadata/generation", "30"),
        op("test", "/metadata/generation", 30.0),
        op("test", "/spec/paused", 1),
        op("test", "/spec/list", ["q", "p"]),
        op("test", "/spec/list/2", "p"),
        op("test", "/spec/list/x", "p"),
    ],
    ids=str,
)
def test_what_the_api_server_refuses_with_422(operation: Op) -> None:
    with pytest.raises(PatchRejectedError, match="does not apply"):
        apply(POD, [operation])


@pytest.mark.parametrize(
    ("operation", "labels"),
    [
        (op("add", "/metadata/labels/new", "x"), {"new": "x"}),
        (op("add", "/metadata/labels/app", "x"), {"app": "x"}),
        (op("replace", "/metadata/labels/app", "x"), {"app": "x"}),
        (op("replace", "/metadata/labels/new", "x"), {"new": "x"}),
        (op("remove", "/metadata/labels/app"), {"app": None}),
        (op("remove", "/metadata/labels/a~1b"), {"a/b": None}),
    ],
    ids=str,
)
def test_what_a_write_leaves(operation: Op, labels: dict[str, str | None]) -> None:
    expected = {key: value for key, value in {**POD["metadata"]["labels"], **labels}.items() if value is not None}
    assert apply(POD, [operation])["metadata"]["labels"] == expected


def test_adding_the_whole_map_wipes_it() -> None:
    assert apply(POD, [op("add", "/metadata/labels", {})])["metadata"]["labels"] == {}


@pytest.mark.parametrize("value", [(), (None,)])
def test_adding_null_stores_something_that_is_not_absent(value: tuple[None, ...]) -> None:
    labels = apply(POD, [op("add", "/metadata/labels/new", *value)])["metadata"]["labels"]
    assert labels["new"] is None


def test_nothing_is_applied_unless_everything_is() -> None:
    before = msgspec.to_builtins(POD)
    with pytest.raises(PatchRejectedError):
        apply(POD, [op("remove", "/metadata/labels/app"), op("test", "/metadata/uid", "other")])
    assert before == POD
    assert apply(POD, []) == POD


@pytest.mark.parametrize(
    ("tokens", "path"),
    [
        (("metadata", "labels", "gatekeep.dev/rng"), "/metadata/labels/gatekeep.dev~1rng"),
        (("a~b",), "/a~0b"),
        (("~1", "/"), "/~01/~1"),
        (("",), "/"),
        ((), ""),
    ],
)
def test_pointers_are_escaped_and_back(tokens: tuple[str, ...], path: str) -> None:
    assert pointer(*tokens) == path
    assert tokens_of(path) == tokens


def test_a_label_patch_tests_what_it_relies_on_first() -> None:
    patch = label_patch("u", {"b": (None, "new"), "a/b": ("x", None), "app": ("rng", "web")})
    assert patch == (
        op("test", "/metadata/uid", "u"),
        op("test", "/metadata/labels/a~1b", "x"),
        op("test", "/metadata/labels/app", "rng"),
        op("test", "/metadata/labels/b", None),
        op("remove", "/metadata/labels/a~1b"),
        op("replace", "/metadata/labels/app", "web"),
        op("add", "/metadata/labels/b", "new"),
    )
    undo = label_patch("u", {"b": ("new", None), "a/b": (None, "x"), "app": ("web", "rng")})
    assert apply(apply(POD, patch), undo) == POD


def test_a_selector_patch_tests_the_whole_selector() -> None:
    live, wanted = {"app": "rng", "active": "yes", "z": "1"}, {"app": "rng", "active": "no", "k/2": "v"}
    patch = selector_patch("u", live, wanted)
    assert patch == (
        op("test", "/metadata/uid", "u"),
        op("test", "/spec/selector", live),
        op("remove", "/spec/selector/z"),
        op("replace", "/spec/selector/active", "no"),
        op("add", "/spec/selector/k~12", "v"),
    )
    service = {"metadata": {"uid": "u"}, "spec": {"selector": live}}
    after = apply(service, patch)
    assert after["spec"]["selector"] == wanted
    assert apply(after, selector_patch("u", wanted, live)) == service
    with pytest.raises(PatchRejectedError):
        apply(after, patch)


def test_a_selector_is_never_emptied() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        selector_patch("u", {"app": "rng"}, {})


def test_guards_know_the_object() -> None:
    bound = {"$bound": "x.uid"}
    assert delete_guard(bound) == (uid_guard(bound),) == (op("test", "/metadata/uid", bound),)


def test_a_present_null_is_written_and_an_absent_value_is_not() -> None:
    assert msgspec.to_builtins(op("test", "/a", None)) == {"op": "test", "path": "/a", "value": None}
    assert msgspec.to_builtins(op("remove", "/a")) == {"op": "remove", "path": "/a"}
