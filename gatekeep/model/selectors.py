"""Label selectors with Kubernetes' exact meaning.

A nil selector matches nothing, an empty one matches everything; expressions and labels are joined by AND.
Rules and messages follow apimachinery:
https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/helpers.go (LabelSelectorAsSelector) and
https://github.com/kubernetes/apimachinery/blob/master/pkg/api/validate/content (label keys and values).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]

QUALIFIED_NAME = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)

_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One term of a set-based selector."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()


class LabelSelector(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """matchLabels AND matchExpressions; with neither it matches everything."""

    match_labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    match_expressions: tuple[Requirement, ...] = ()


EVERYTHING = LabelSelector()


def matches(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """True when ``labels`` satisfy ``selector``. None (nil) matches nothing."""
    if selector is None:
        return False
    return matches_map(selector.match_labels, labels) and all(
        _satisfies(requirement, labels) for requirement in selector.match_expressions
    )


def matches_map(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    """Equality-only selector, as a Service has it. None (nil) matches nothing, an empty map everything."""
    if selector is None:
        return False
    for key, value in selector.items():  # noqa: SIM110 - a plain loop is twice as fast, and this is the hot path
        if labels.get(key) != value:
            return False
    return True


def _satisfies(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value is not None and value in requirement.values
        case "NotIn":
            return value is None or value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None


def keys_of(selector: LabelSelector | None) -> frozenset[str]:
    """Every label key that the selector looks at."""
    if selector is None:
        return frozenset()
    return frozenset(selector.match_labels) | {term.key for term in selector.match_expressions}


def conjunction(selectors: Iterable[LabelSelector]) -> LabelSelector | None:
    """One selector that matches what all of ``selectors`` match; None when two of them demand different values."""
    labels: dict[str, str] = {}
    expressions: list[Requirement] = []
    for selector in selectors:
        for key, value in selector.match_labels.items():
            if labels.setdefault(key, value) != value:
                return None
        expressions.extend(term for term in selector.match_expressions if term not in expressions)
    return LabelSelector(match_labels=labels, match_expressions=tuple(expressions))


def key_problems(key: str) -> tuple[str, ...]:
    """Why ``key`` is no valid label key, in apimachinery's words; empty when it is valid."""
    prefix, slash, name = key.rpartition("/")
    if key.count("/") > 1:
        return (
            f"a qualified name {QUALIFIED_NAME} with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')",
        )
    problems: list[str] = []
    if slash and not prefix:
        problems.append("prefix part must be non-empty")
    elif prefix:
        problems.extend(f"prefix part {problem}" for problem in _subdomain_problems(prefix))
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append("name part must be no more than 63 bytes")
    if name and not _NAME.fullmatch(name):
        problems.append(QUALIFIED_NAME)
    return tuple(problems)


def value_problems(value: str) -> tuple[str, ...]:
    """Why ``value`` is no valid label value, in apimachinery's words; empty when it is valid."""
    problems: list[str] = []
    if len(value.encode()) > 63:
        problems.append("must be no more than 63 bytes")
    if value and not _NAME.fullmatch(value):
        problems.append(LABEL_VALUE)
    return tuple(problems)


def selector_problems(selector: LabelSelector) -> tuple[str, ...]:
    """Why the API server would refuse ``selector``; empty when it is valid."""
    problems: list[str] = []
    for key, value in selector.match_labels.items():
        problems.extend(f"matchLabels: key {key!r}: {problem}" for problem in key_problems(key))
        problems.extend(f"matchLabels: {key}: {value!r}: {problem}" for problem in value_problems(value))
    for term in selector.match_expressions:
        problems.extend(f"matchExpressions: {problem}" for problem in _requirement_problems(term))
    return tuple(problems)


def _requirement_problems(term: Requirement) -> list[str]:
    problems = [f"key {term.key!r}: {problem}" for problem in key_problems(term.key)]
    needs_values = term.operator in ("In", "NotIn")
    if needs_values and not term.values:
        problems.append(f"{term.key}: values must be specified when `operator` is 'In' or 'NotIn'")
    if not needs_values and term.values:
        problems.append(f"{term.key}: values may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
    for value in term.values:
        problems.extend(f"{term.key}: {value!r}: {problem}" for problem in value_problems(value))
    return problems


def _subdomain_problems(name: str) -> list[str]:
    problems = []
    if len(name) > 253:
        problems.append("must be no more than 253 bytes")
    if not _SUBDOMAIN.fullmatch(name):
        problems.append(SUBDOMAIN)
    return problems


_RESERVED = frozenset({
    "pod-template-hash", "controller-revision-hash", "pod-template-generation",
    "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
})  # fmt: skip


def is_reserved(key: str) -> bool:
    """Kubernetes' own controllers write this pod label and live by it."""
    return key in _RESERVED or key.startswith("topology.kubernetes.io/")
