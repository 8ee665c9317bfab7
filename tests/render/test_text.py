"""The plan as a person reads it."""

from __future__ import annotations

import msgspec
import pytest

from gatekeep.model.plan import Finding, GateTarget, Match, PolicySource, Proof, ServiceForecast, Source, Step
from gatekeep.model.selectors import LabelSelector
from gatekeep.model.waits import EndpointsWait, GateLabel
from gatekeep.render.style import Style, columns
from gatekeep.render.text import plan_text
from gatekeep.render.words import match_words
from tests.render.samples import GATED, LIVE, PODS, label, sample, select, step

LIVE_PODS = LabelSelector({"app": "rng"})
GOLDEN = """\
plan     {short}
cluster  https://10.0.0.1  v1.36.1  uid uid-cluster
gate     shop/rng active=yes (rng.yaml:3)

Findings
  ! TrafficGate shop/rng: pods born later stay out  [later-pods]
  · Service shop/rng: 2 owners  [mixed-owners rng.yaml:9]

Service shop/rng
  endpoints  before 3 → least 3 → after 3   at least 3 must stay (floor 2)
  rotation   the same 3 pods: rng-a, rng-b, rng-c

Steps  6 in 4 phases: 3 label edits, 1 selector edit
  #   phase     object                   change or condition
   1      1  +  3 pods of shop           + active=yes
                label the pods that join, and those born until then (app=rng)
   2      2  +  Service shop/rng-shadow  create, selector {{active=yes, app=rng}}
                ask what the new selector reaches
   3      2  ?  Service shop/rng-shadow  slices hold ready members (3 when planned)
                the labels were seen
   4      3  ~  Service shop/rng         selector {{app=rng}} → {{active=yes, app=rng}}
                switch the selector
   5      3  ?  Service shop/rng-marker  has an EndpointSlice
                the selector was read
   6      4  -  Service shop/rng-shadow  delete
                clean up
  + adds   - removes   ~ changes   ? waits until the cluster shows it
  phase: begins when the one before it is done, its waits included

  also writes  ConfigMap and Lease shop/gatekeep-rng
  waits        up to 5m each; if one is not met, apply stops, removes its helper Services and says
               how to go on
  way back     planned and proved with this plan (3 → 3 ready):
               gatekeep retire shop/rng

✔ proved: 1,234 states, every order of the watch streams, and pods that die or are born on the way:
  no Service falls below its floor.

Next: gatekeep apply
"""


def test_a_plan_on_a_page() -> None:
    plan = sample()
    expected = GOLDEN.format(short=plan.id.removeprefix("sha256:")[:12])
    assert plan_text(plan, Style(), next_step="gatekeep apply") == expected


def test_the_findings_come_before_the_steps() -> None:
    text = plan_text(sample(), Style())
    assert text.index("Findings") < text.index("Service shop/rng\n") < text.index("Steps") < text.index("proved")


def test_with_room_the_reasons_stand_beside_the_steps() -> None:
    lines = plan_text(sample(), Style(width=160)).splitlines()
    assert any("+ active=yes" in line and line.endswith("and those born until then (app=rng)") for line in lines)


@pytest.mark.parametrize("width", [72, 80, 100, 130, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    assert max(columns(line) for line in plan_text(sample(), Style(width=width)).splitlines()) <= width


def test_ascii_is_enough() -> None:
    assert plan_text(sample(), Style(unicode=False)).isascii()


def test_colour_changes_nothing_but_colour() -> None:
    import re

    painted = plan_text(sample(), Style(color=True))
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plan_text(sample(), Style())


def test_a_refused_plan_names_the_counter_example() -> None:
    proof = Proof(False, 7, "if the controller sees the selector first, Service shop/rng has 0 ready endpoints")
    text = plan_text(sample(proof=proof), Style(width=200))
    assert "✘ REFUSED: if the controller sees the selector first" in text
    assert "\nNext: mend what the sentence above names" in text
    assert "Nothing was written." in text
    assert "proved" not in text
    assert "way back" not in text


def test_a_plan_that_moves_no_traffic_has_nothing_to_prove() -> None:
    assert "✔ nothing to prove: traffic does not change\n" in plan_text(sample(proof=Proof(True, 0)), Style())


def test_a_step_that_nobody_needs_yet_has_its_row() -> None:
    gate, two = GateLabel("active", "yes"), Match(owner_uids=("u1", "u2"))
    later = step(1, 1, "Patch", "label the pods that join", match=Match("shop", LIVE_PODS, except_=(two,), gate=gate))
    text = plan_text(sample(steps=(later, *sample().steps[1:])), Style())
    assert "   1      1  +  pods born until then     + active=yes\n" in text
    assert "                label the pods that join (app=rng, but not the pods of 2 workloads)\n" in text


@pytest.mark.parametrize(
    ("match", "said"),
    [
        (Match("shop", LIVE_PODS), "app=rng"),
        (Match("shop"), "any pod"),
        (Match("shop", any_of=()), "nobody"),
        (Match("shop", LIVE_PODS, any_of=(Match(),)), "app=rng"),
        (Match("shop", owner_uids=("u",)), "the pods of 1 workload"),
        (
            Match("shop", LIVE_PODS, any_of=(Match(selector=LabelSelector({"tier": "a"})), Match(owner_uids=("u",)))),
            "app=rng, of these tier=a or the pods of 1 workload",
        ),
        (Match("shop", LIVE_PODS, except_=(Match(owner_uids=("u",)),)), "app=rng, but not the pods of 1 workload"),
    ],
)
def test_whom_a_step_is_for(match: Match, said: str) -> None:
    assert match_words(match) == said


def test_the_floor_counts_where_a_plan_heals() -> None:
    grows = ServiceForecast("shop", "rng", ("a", "b", "c", "d"), ("a", "b"), 3, 2)
    assert "at least 3 must stay (floor 3)" in plan_text(sample(services=(grows,)), Style())


def test_retiring_is_the_way_back_only_where_no_gate_stood() -> None:
    swapped = step(1, 1, "Patch", "swap", select(GATED, LIVE | {"open": "yes"}))
    labelled = step(1, 1, "Patch", "label", label("rng-a"))
    for steps in ((swapped,), (labelled,)):
        text = plan_text(sample(steps=steps), Style(width=200))
        assert "retire" not in text
        assert "put the previous policy back in Git and apply it\n" in text
    gate = GateTarget("shop", "rng", "Retire", "active", "yes", ("rng",))
    assert "keep the policy in Git and apply it again\n" in plan_text(sample(gates=(gate,)), Style(width=200))


def test_a_command_is_never_wrapped() -> None:
    long = "gatekeep retire shop/rng --context " + "a-long-name " * 10
    text = plan_text(sample(), Style(width=80), next_step=long, command=lambda verb, what: long)
    assert text.count(long.rstrip()) == 2


def test_a_stored_verdict_is_quoted_not_believed() -> None:
    text = plan_text(sample(), Style(), proved=False)
    assert "The document says: proved, 1,234 states. `gatekeep verify` proves it again." in text


def test_nothing_to_do_is_one_calm_line() -> None:
    text = plan_text(sample(steps=(), findings=()), Style())
    assert text.endswith("✔ shop/rng: nothing to do\n  Service shop/rng: 3 ready pods in rotation, floor 2\n")
    assert "Steps" not in text


def test_joining_and_leaving_pods_are_named_and_cut_with_a_count() -> None:
    many = tuple(f"rng-{number:02}" for number in range(20))
    forecast = ServiceForecast("shop", "rng", many, PODS, 2, 3)
    text = plan_text(sample(services=(forecast,)), Style(width=200))
    assert "  joining    3: rng-a, rng-b, rng-c\n" in text
    assert "  leaving    20: rng-00, rng-01" in text
    assert "rng-11 and 8 more\n" in text
    assert "before 20 → least 3 → after 3   at least 3 must stay (floor 2)" in text
    assert "  staying    nobody\n" in text
    assert "  leaving pods  keep their established connections" in text


def test_pods_that_get_different_changes_are_told_apart() -> None:
    mixed = step(1, 1, "Patch", "label", label("rng-a"), label("rng-b", "no"), label("rng-c", "yes", None))
    text = plan_text(sample(steps=(mixed,)), Style(width=72))
    assert "   1      1  +  Pod shop/rng-a  + active=yes\n" in text
    assert "             ~  Pod shop/rng-b  ~ active=no → yes\n" in text
    assert "             -  Pod shop/rng-c  - active=yes\n" in text
    assert text.count("  label\n") == 1


def test_a_selector_that_changes_in_place() -> None:
    swapped = step(1, 1, "Patch", "swap", select(GATED, LIVE | {"open": "yes"}))
    text = plan_text(sample(steps=(swapped,)), Style())
    assert "selector {active=yes, app=rng} → {app=rng, open=yes}" in text


def test_what_came_from_outside_cannot_repaint_the_screen() -> None:
    evil = "\x1b[2J\u202e"
    plan = sample(
        findings=(Finding("error", evil, evil, object=evil, file=evil, line=1),),
        source=Source(repository=evil, revision=evil, policies=(PolicySource("T", evil, evil, evil, 1, ""),)),
        services=(ServiceForecast(evil, evil, (evil,), (), 0, 0),),
        steps=(Step(1, 1, "Wait", evil, evil, wait=EndpointsWait(evil, evil, {evil: evil}, ())),),
        proof=Proof(False, 1, evil),
    )
    for style in (Style(), Style(unicode=False), Style(width=160)):
        text = plan_text(plan, style, next_step=evil)
        assert all(char == "\n" or char.isprintable() for char in text)
        assert r"\x1b[2J\u202e" in text


def test_a_large_plan_is_one_row_a_step() -> None:
    pods = tuple(f"rng-{number}" for number in range(5000))
    plan = msgspec.structs.replace(sample(), steps=(step(1, 1, "Patch", "label", *map(label, pods)),))
    text = plan_text(plan, Style())
    assert "5,000 pods of shop" in text
    assert len(text.splitlines()) < 30
