"""Label selectors as apimachinery has them.

Aspects: nil and empty · equality · In, NotIn, Exists, DoesNotExist · AND of all · validation in Kubernetes' own words ·
conjunction.
"""

from __future__ import annotations

import pytest

from gatekeep.model.selectors import (
    EVERYTHING,
    LABEL_VALUE,
    QUALIFIED_NAME,
    SUBDOMAIN,
    LabelSelector,
    Operator,
    Requirement,
    conjunction,
    key_problems,
    keys_of,
    matches,
    matches_map,
    selector_problems,
    value_problems,
)

WEB = {"app": "web", "tier": ""}


def term(key: str, operator: Operator, *values: str) -> LabelSelector:
    """A selector of one expression."""
    return LabelSelector(match_expressions=(Requirement(key, operator, values),))


def test_nil_matches_nothing_and_empty_everything() -> None:
    assert not matches(None, WEB)
    assert not matches_map(None, WEB)
    for labels in ({}, WEB):
        assert matches(EVERYTHING, labels)
        assert matches_map({}, labels)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [({"app": "web"}, True), ({"app": "api"}, False), ({"app": "web", "tier": ""}, True), ({"zone": ""}, False)],
)
def test_equality(selector: dict[str, str], expected: bool) -> None:
    assert matches_map(selector, WEB) is expected
    assert matches(LabelSelector(match_labels=selector), WEB) is expected


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (term("app", "In", "api", "web"), True),
        (term("app", "In", "api"), False),
        (term("none", "In", "api", ""), False),
        (term("app", "NotIn", "api"), True),
        (term("app", "NotIn", "web"), False),
        (term("none", "NotIn", "web"), True),
        (term("tier", "Exists"), True),
        (term("none", "Exists"), False),
        (term("tier", "DoesNotExist"), False),
        (term("none", "DoesNotExist"), True),
    ],
)
def test_expressions(selector: LabelSelector, expected: bool) -> None:
    assert matches(selector, WEB) is expected


def test_labels_and_expressions_are_joined_by_and() -> None:
    both = LabelSelector(match_labels={"app": "web"}, match_expressions=(Requirement("tier", "DoesNotExist"),))
    assert not matches(both, WEB)
    assert matches(both, {"app": "web"})
    assert keys_of(both) == {"app", "tier"}
    assert keys_of(None) == frozenset()


@pytest.mark.parametrize(
    ("key", "problems"),
    [
        ("active", ()),
        ("gatekeep.dev/rng", ()),
        ("a" * 63, ()),
        ("d" * 253 + "/x", ()),
        ("", ("name part must be non-empty", )),
        ("/x", ("prefix part must be non-empty",)),
        ("a" * 64, ("name part must be no more than 63 bytes",)),
        ("-x", (QUALIFIED_NAME,)),
        ("x.", (QUALIFIED_NAME,)),
        ("Example.com/x", ("prefix part " + SUBDOMAIN,)),
        ("d" * 254 + "/x", ("prefix part must be no more than 253 bytes",)),
    ],
)  # fmt: skip
def test_keys(key: str, problems: tuple[str, ...]) -> None:
    assert key_problems(key) == problems


def test_a_key_has_one_slash_at_most() -> None:
    (problem,) = key_problems("a/b/c")
    assert "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')" in problem


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ("", ()),
        ("yes", ()),
        ("a" * 63, ()),
        ("a" * 64, ("must be no more than 63 bytes",)),
        ("a b", (LABEL_VALUE,)),
        ("é", (LABEL_VALUE,)),
        ("é" * 32, ("must be no more than 63 bytes", LABEL_VALUE)),
    ],
)
def test_values(value: str, problems: tuple[str, ...]) -> None:
    assert value_problems(value) == problems


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        (term("a", "In"), "values must be specified when `operator` is 'In' or 'NotIn'"),
        (term("a", "NotIn"), "values must be specified when `operator` is 'In' or 'NotIn'"),
        (term("a", "Exists", "x"), "values may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        (term("a", "DoesNotExist", "x"), "values may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
        (term("a/b/c", "Exists"), "matchExpressions: key 'a/b/c'"),
        (term("a", "In", "x y"), "'x y'"),
        (LabelSelector(match_labels={"-": "x"}), "matchLabels: key '-'"),
        (LabelSelector(match_labels={"a": "-"}), "matchLabels: a: '-'"),
    ],
)
def test_what_the_api_server_would_refuse(selector: LabelSelector, text: str) -> None:
    (problem,) = selector_problems(selector)
    assert text in problem
    assert selector_problems(term("a", "In", "x")) == ()


def test_conjunction() -> None:
    parts = [LabelSelector(match_labels={"app": "web"}), term("tier", "Exists"), term("tier", "Exists")]
    joined = conjunction(parts)
    assert joined == LabelSelector(match_labels={"app": "web"}, match_expressions=parts[1].match_expressions)
    assert conjunction([parts[0], LabelSelector(match_labels={"app": "api"})]) is None
    assert conjunction([]) == EVERYTHING
