"""A canary's numbers and who makes them up: the table, and what holds for any numbers and any pods."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeep.model.objects import Pod, PodMeta, PodSpec
from gatekeep.strategies.shares import chosen, shares

ZONES = {"node1": "a", "node2": "a", "node3": "b", "node4": "c"}


@pytest.mark.parametrize(
    ("stable", "canary", "weight", "wanted"),
    [
        (9, 9, 10, (9, 1)),
        (9, 9, 50, (9, 9)),
        (9, 9, 0, (9, 0)),
        (9, 9, 100, (0, 9)),
        (10, 5, 25, (10, 3)),  # 3.33
        (10, 5, 50, (5, 5)),  # too few canary pods: fewer stable ones
        (10, 1, 50, (1, 1)),
        (10, 2, 90, (1, 2)),  # 0.22, but each group has one
        (10, 1, 1, (10, 1)),  # 0.1, but each group has one
        (1, 1, 99, (1, 1)),
        (3, 0, 50, (3, 0)),
        (0, 3, 50, (0, 3)),
        (5, 9, 75, (3, 9)),  # 15 wanted, 9 there: 9 * 25 / 75
        (2, 9, 80, (2, 8)),
        (2, 1, 20, (2, 1)),  # a half is rounded up
    ],
)
def test_the_numbers(stable: int, canary: int, weight: int, wanted: tuple[int, int]) -> None:
    assert shares(stable, canary, weight) == wanted


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 99))
def test_more_weight_is_never_a_smaller_share(stable: int, canary: int, weight: int) -> None:
    less, more = shares(stable, canary, weight), shares(stable, canary, weight + 1)
    assert less.canary * (more.stable + more.canary) <= more.canary * (less.stable + less.canary)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 100))
def test_nobody_is_taken_who_is_not_there(stable: int, canary: int, weight: int) -> None:
    found = shares(stable, canary, weight)
    assert 0 <= found.stable <= stable
    assert 0 <= found.canary <= canary
    assert sum(found) > 0 or stable + canary == 0 or (weight == 0 and not stable) or (weight == 100 and not canary)


def pods(count: int) -> list[Pod]:
    """Pods over four nodes in three zones."""
    return [
        Pod(
            metadata=PodMeta(name=f"pod-{number:02}", uid=str(number)),
            spec=PodSpec(node_name=f"node{number % 4 + 1}"),
        )
        for number in range(count)
    ]


@given(st.integers(0, 30), st.integers(0, 30), st.sets(st.integers(0, 29)), st.randoms(use_true_random=False))
def test_the_choice_is_stable(count: int, wanted: int, inside: set[int], chance: random.Random) -> None:
    made = pods(count)
    is_in = lambda pod: int(pod.uid) in inside  # noqa: E731
    first = chosen(made, wanted, is_in, ZONES)
    shuffled = list(made)
    chance.shuffle(shuffled)
    assert chosen(shuffled, wanted, is_in, ZONES) == first
    assert chosen(made, wanted + 1, is_in, ZONES)[: len(first)] == first
    assert sum(map(is_in, first)) == min(len(first), sum(map(is_in, made)))
    again = chosen(made, wanted, lambda pod: pod in first, ZONES)
    assert set(map(id, again)) == set(map(id, first))


def test_who_joins_is_spread_over_zones_and_then_nodes() -> None:
    found = chosen(pods(12), 6, lambda pod: False, ZONES)
    assert sorted(ZONES[pod.spec.node_name] for pod in found) == ["a", "a", "b", "b", "c", "c"]
    assert len({pod.spec.node_name for pod in found}) == 4
