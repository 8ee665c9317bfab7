"""Policies and pods against them.

Aspects: the floor in pods · the default gate · unknown and wrong fields · a match by selector, owner, anyOf and except.
"""

from __future__ import annotations

import msgspec
import pytest

from gatekeep.model.matching import in_match
from gatekeep.model.plan import Match
from gatekeep.model.policy import Floor, Gate, TrafficGate, floor_of
from gatekeep.model.selectors import LabelSelector
from tests.gates import gate

WEB = LabelSelector(match_labels={"app": "web"})


@pytest.mark.parametrize(
    ("floor", "ready", "expected"),
    [
        (0, 6, 0), (1, 0, 1), (7, 6, 7),
        ("50%", 6, 3), ("50%", 5, 3), ("1%", 1, 1), ("100%", 6, 6), ("0%", 6, 0), ("33%", 100_000, 33_000),
        ("50%", 0, 0), ("7%", 100, 7),
    ],
)  # fmt: skip
def test_the_floor_in_pods(floor: int | str, ready: int, expected: int) -> None:
    assert floor_of(Floor(min_ready=floor), ready) == expected


@pytest.mark.parametrize("floor", [-1, "101%", "50", "5.5%", "050%", ""])
def test_what_is_no_floor(floor: object) -> None:
    with pytest.raises(msgspec.ValidationError):
        gate(min_ready=floor)  # type: ignore[arg-type]


def test_the_default_gate_is_named_after_the_policy() -> None:
    assert gate("web", label=None).gate == Gate("gatekeep.dev/web", "open")
    assert gate("web").gate == Gate("active", "yes")


def test_a_policy_is_read_strictly() -> None:
    good = msgspec.to_builtins(gate())
    assert msgspec.convert(good, TrafficGate) == gate()
    for path, edit in (("spec", {"service": ["rng"]}), ("spec", {"services": []}), ("metadata", {"name": "Rng"})):
        bad = {**good, path: {**good[path], **edit}}
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(bad, TrafficGate)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (Match(), True),
        (Match(selector=WEB), True),
        (Match(selector=LabelSelector(match_labels={"app": "api"})), False),
        (Match(owner_uids=("o1", "o2")), True),
        (Match(owner_uids=("o2",)), False),
        (Match(owner_uids=()), False),
        (Match(selector=WEB, owner_uids=("o2",)), False),
        (Match(any_of=()), False),
        (Match(any_of=(Match(owner_uids=("o2",)), Match(selector=WEB))), True),
        (Match(any_of=(Match(owner_uids=("o2",)),)), False),
        (Match(except_=(Match(selector=WEB),)), False),
        (Match(except_=(Match(owner_uids=("o2",)),)), True),
        (Match(any_of=(Match(),), except_=(Match(any_of=()),)), True),
    ],
)
def test_a_match(match: Match, expected: bool) -> None:
    assert in_match(match, {"app": "web"}, frozenset({"o1"})) is expected
