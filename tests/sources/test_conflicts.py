"""Policies of one load that contradict each other, each told with both places · and those that do not."""

from __future__ import annotations

import pytest

from tests.sources.samples import BLUE_GREEN, CANARY, ISOLATION, RNG, changed, load, problems

RNG2 = RNG.replace("rng", "rng2")
DEFAULT = changed('  gate: {key: active, value: "yes"}\n', "", RNG)
NAME_HINT = "keep one of the two, or rename one"
SERVICE_HINT = "let one policy name the Service; a policy may name several Services"
KEY_HINT = "give each gate a key of its own, or let one policy name all the Services"
POD_HINT = "let one Isolation of a gate name the pod"
SECOND = ISOLATION.replace("4711", "4712")


def key(name: str, first: str, namespace: str = "dockercoins") -> str:
    return (
        f"gate key {name} in {namespace} belongs to TrafficGate {first} at stdin:1:1 already: the two could want "
        f"opposite things of one pod → {KEY_HINT}"
    )


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (
            RNG,
            RNG,
            [f"13:1: TrafficGate dockercoins/rng stands already at stdin:1:1 → {NAME_HINT}"],
        ),
        (
            ISOLATION,
            changed("[rng-54f57d4d49-7pt82]", "[b]", ISOLATION),
            [f"11:1: Isolation dockercoins/inc-4711 stands already at stdin:1:1 → {NAME_HINT}"],
        ),
        (RNG, RNG2, [f"13:1: {key('active', 'rng')}"]),
        (RNG, changed("yes", "other", RNG2), [f"13:1: {key('active', 'rng')}"]),
        (DEFAULT, changed("key: active", "key: gatekeep.dev/rng", RNG2), [f"12:1: {key('gatekeep.dev/rng', 'rng')}"]),
        (
            RNG,
            changed("name: rng", "name: rng2", RNG).replace("active", "serving"),
            [f"13:1: Service dockercoins/rng has a policy already: rng at stdin:1:1 → {SERVICE_HINT}"],
        ),
        (
            BLUE_GREEN,
            CANARY.replace("name: web, namespace", "name: other, namespace").replace("[web]", "[web-preview]"),
            [f"15:1: Service shop/web-preview has a policy already: web at stdin:1:1 → {SERVICE_HINT}"],
        ),
        (
            BLUE_GREEN,
            BLUE_GREEN.replace("name: web, namespace", "name: other, namespace").replace("[web]", "[other]"),
            [f"15:1: Service shop/web-preview has a policy already: web at stdin:1:1 → {SERVICE_HINT}"],
        ),
        (
            ISOLATION,
            SECOND,
            [f"11:1: pod dockercoins/rng-54f57d4d49-7pt82 is isolated already: by inc-4711 at stdin:1:1 → {POD_HINT}"],
        ),
    ],
)
def test_both_are_named(first: str, second: str, expected: list[str]) -> None:
    assert problems(f"{first}---\n{second}") == expected


@pytest.mark.parametrize(
    "texts",
    [
        (RNG, RNG.replace("dockercoins", "staging")),
        (RNG, changed("active", "serving", RNG2)),
        (DEFAULT, DEFAULT.replace("rng", "rng2")),
        (ISOLATION,),
        (ISOLATION, RNG),
        (RNG, ISOLATION.replace("inc-4711", "rng")),
        (ISOLATION, SECOND.replace("7pt82", "abcde")),
        (ISOLATION, SECOND.replace("gate: rng", "gate: web")),
        (ISOLATION, SECOND.replace("dockercoins", "staging")),
        (ISOLATION, SECOND.replace("{names: [rng-54f57d4d49-7pt82]}", "{count: 1}")),
    ],
)
def test_these_live_side_by_side(texts: tuple[str, ...]) -> None:
    assert len(load("---\n".join(texts)).policies) == len(texts)
