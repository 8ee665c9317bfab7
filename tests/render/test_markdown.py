"""The comment on a pull request: what it says, how long it may be, and that nothing in it does anything."""

from __future__ import annotations

import re

import msgspec
import pytest

from gatekeep.model.plan import Finding, GateTarget, Proof, ServiceForecast
from gatekeep.render.markdown import LIMIT, marker, plan_markdown
from tests.render.hostile import HOSTILE, hostile_plan, large_plan
from tests.render.samples import PODS, sample
from tests.render.test_inert import ACTIVE, outside

OURS = ("<!-- gatekeep: ", " -->", "<details><summary>", "</summary>", "</details>", "####", "###", "**")


def test_it_says_what_a_reviewer_asks() -> None:
    service = ServiceForecast("shop", "rng", ("rng-a", "rng-b"), ("rng-b", "rng-c"), 1, 2)
    reverts = Finding("warning", "will-be-reverted", "Argo CD writes it", object="Service shop/rng")
    text = plan_markdown(sample(services=(service,), findings=(reverts, *sample().findings)))
    lines = text.splitlines()
    assert lines[0] == "<!-- gatekeep: shop/rng -->"
    assert lines[2] == "### ✔ gatekeep: proved"
    assert "**Service** `shop/rng`: 2 → least 2 → 2 ready; at least 2 must stay (floor 1)" in lines
    assert "- joins, 1: `rng-c`" in lines
    assert "- leaves, 1: `rng-a`" in lines
    assert "- stays, 1: `rng-b`" in lines
    assert "- `Service shop/rng`: Argo CD writes it (`will-be-reverted`)" in lines
    assert "gatekeep retire shop/rng" in lines
    order = ["### ", "**Service**", "#### Who might revert it", "#### Findings", "**Warnings**", "**Notes**",
             "#### The way back", "<details><summary>6 steps in 4 phases</summary>", "</details>"]  # fmt: skip
    places = [text.index(part) for part in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("fields", "proved", "headline"),
    [
        ({}, True, "### ✔ gatekeep: proved"),
        ({}, False, "### · gatekeep: a saved plan, not proved again"),
        ({"proof": Proof(False, 3, "Service shop/rng has 0")}, True, "### ✘ gatekeep: refused"),
        ({"steps": ()}, True, "### ✔ gatekeep: nothing to do"),
    ],
)
def test_the_headline_is_the_verdict(fields: dict[str, object], proved: bool, headline: str) -> None:
    text = plan_markdown(sample(**fields), proved=proved)
    assert text.splitlines()[2] == headline
    assert ("### ✘" not in headline) or "The way back" not in text


def test_many_names_are_cut() -> None:
    service = ServiceForecast("shop", "rng", (), tuple(f"pod-{number:03}" for number in range(300)), 1, 0)
    assert "`pod-011` and 288 more" in plan_markdown(sample(services=(service,)))


@pytest.mark.parametrize(
    "plan",
    [
        large_plan(2_000, steps=3_000),
        large_plan(10, services=2_000),
        large_plan(10, findings=3_000),
        large_plan(100, steps=2_000, services=500, findings=500),
        hostile_plan("`" * 3_000),
        hostile_plan("@" * 3_000),
        hostile_plan(" @ ` " * 900),
    ],
    ids=["steps", "services", "findings", "all", "backticks", "mentions", "mixed"],
)
def test_it_is_never_longer_than_a_comment_may_be(plan: object) -> None:
    text = plan_markdown(msgspec.convert(plan, type(sample())))
    assert len(text) <= LIMIT
    assert text.count("<details>") == text.count("</details>") == 1


def test_what_was_cut_is_counted() -> None:
    text = plan_markdown(large_plan(2, steps=3_000))
    shown = sum(f"reason {number}\n" in text for number in range(2, 3_002))
    assert 100 < shown < 2_000
    assert f"… {3_001 - shown:,} more steps; `gatekeep show PLAN` has all" in text
    assert len(text) > LIMIT - 200


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_from_outside_does_anything(text: str) -> None:
    written = plan_markdown(hostile_plan(text))
    first, *lines = written.splitlines()
    assert re.fullmatch(r"<!-- gatekeep: [A-Za-z0-9./_-]*/[A-Za-z0-9./_-]* -->", first)
    fenced = False
    for line in lines:
        if line.startswith("```"):
            fenced = not fenced
            continue
        if fenced:
            continue
        for part in OURS:
            line = line.replace(part, "", 2)
        assert not ACTIVE.search(outside(line)), line
    assert not fenced


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([("shop", "b"), ("shop", "a"), ("shop", "a")], "<!-- gatekeep: shop/a shop/b -->"),
        ([("x-->", "<b>")], "<!-- gatekeep: x--/b -->"),
        ([("n", f"{number:02}") for number in range(22)],
         f"<!-- gatekeep: {' '.join(f'n/{number:02}' for number in range(20))} and-2-more -->"),
    ],
)  # fmt: skip
def test_the_marker_names_the_gates(names: list[tuple[str, str]], found: str) -> None:
    gates = tuple(GateTarget(namespace, name, "Gate", "active", "yes", ("rng",)) for namespace, name in names)
    assert marker(sample(gates=gates)) == found


def test_the_pods_of_the_sample_stay() -> None:
    assert f"the same 3 pods: {', '.join(f'`{name}`' for name in PODS)}" in plan_markdown(sample())
