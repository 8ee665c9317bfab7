"""Which steps a plan has, for every kind of move.

Aspects: add · steady join, leave and both · retire · another key · another value · recovery after a kill at every
step · what a killed run left · several Services, some gated · long names · labels that were there before.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from gatekeep.model.objects import Service
from gatekeep.model.plan import Plan
from gatekeep.model.policy import Gate, TrafficGate
from gatekeep.model.record import Record
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import ExistsWait
from gatekeep.proof.verify import final_snapshot
from tests.builders import cluster, dockercoins
from tests.gates import (
    DAEMONSET_ONLY,
    DEPLOYMENT_ONLY,
    applied,
    gate,
    killed_after,
    labelled,
    plan,
    ready,
    record,
    remembering,
    retirement,
    selectors,
    snapshot_of,
    words,
)

START = snapshot_of(dockercoins())
GATED = applied(START, gate())
HALF = applied(START, gate(pool=DEPLOYMENT_ONLY))
OTHER_KEY = {"key": "lane", "value": "open"}
OTHER_VALUE = {"key": "active", "value": "sure"}
SHADOW, MARKER = "rng-gatekeep-shadow", "rng-gatekeep-marker"


def switch(count: int, number: str = "") -> list[str]:
    """Label, prove, switch."""
    return [f"Label {count}", f"Create {SHADOW}{number}", f"Wait {SHADOW}{number}", "Patch rng"]


def marked(number: str = "") -> list[str]:
    """The barrier on the service stream, and the confirmation."""
    return [f"Create {MARKER}{number}", f"Wait {MARKER}{number}", "Wait rng"]


def unlabelled(count: int, number: str = "") -> list[str]:
    """Labels off, and a shadow that asks for them comes out empty."""
    return [f"Unlabel {count}", f"Create {SHADOW}{number}", f"Wait {SHADOW}{number}"]


@pytest.mark.parametrize(
    ("found", "steps", "before", "after"),
    [
        (plan(START, gate()), [*switch(6), "Wait rng", f"Delete {SHADOW}"], 6, 6),
        (plan(START, gate(pool=DEPLOYMENT_ONLY)), [*switch(3), "Wait rng", f"Delete {SHADOW}"], 6, 3),
        (plan(GATED, gate()), [], 6, 6),
        (plan(HALF, gate()), ["Label 3", "Wait rng"], 3, 6),
        (plan(GATED, gate(pool=DEPLOYMENT_ONLY)), ["Wait rng", "Unlabel 3", "Wait rng"], 6, 3),
        (plan(HALF, gate(pool=DAEMONSET_ONLY)), ["Label 3", "Wait rng", "Unlabel 3", "Wait rng"], 3, 3),
        (retirement(GATED), ["Patch rng", *marked(), *unlabelled(6), f"Delete {MARKER}, {SHADOW}"], 6, 6),
        (retirement(HALF), ["Patch rng", *marked(), *unlabelled(3), f"Delete {MARKER}, {SHADOW}"], 3, 6),
        (
            plan(HALF, gate(pool=DEPLOYMENT_ONLY, label=OTHER_KEY)),
            [*switch(3), *marked(), *unlabelled(3, "-2"), f"Delete {SHADOW}, {MARKER}, {SHADOW}-2"],
            3,
            3,
        ),
        (
            plan(HALF, gate(pool=DEPLOYMENT_ONLY, label=OTHER_VALUE)),
            [*switch(3), *marked(), *switch(3, "-2"), *marked("-2"), *unlabelled(3, "-3"),
             f"Delete {SHADOW}, {MARKER}, {SHADOW}-2, {MARKER}-2, {SHADOW}-3"],
            3,
            3,
        ),
    ],
    ids=["add", "add-out", "again", "join", "leave", "both", "retire", "retire-out", "rekey", "revalue"],
)  # fmt: skip
def test_steps(found: Plan, steps: list[str], before: int, after: int) -> None:
    assert words(found) == steps
    assert tuple(map(len, ready(found))) == (before, after)
    assert found.proof.holds
    assert found.services[0].least_ready == min(before, after)


def test_where_moves_end() -> None:
    assert selectors(GATED)["rng"] == {"app": "rng", "active": "yes"}
    assert len(labelled(GATED)) == 6
    assert len(labelled(HALF)) == 3
    gone = final_snapshot(retirement(HALF), HALF)
    assert (selectors(gone)["rng"], labelled(gone)) == ({"app": "rng"}, set())
    assert {item.name for item in gone.services} == {item.name for item in START.services}


def test_phases_count_up_and_stand_between_barriers() -> None:
    phases = [step.phase for step in plan(HALF, gate(label=OTHER_VALUE)).steps]
    assert phases == sorted(phases)
    assert phases[0] == 1
    assert set(phases) == set(range(1, phases[-1] + 1))


MOVES = {
    "add": (START, gate()),
    "add-out": (START, gate(pool=DEPLOYMENT_ONLY)),
    "both": (HALF, gate(pool=DAEMONSET_ONLY)),
    "rekey": (HALF, gate(pool=DEPLOYMENT_ONLY, label=OTHER_KEY)),
    "rekey-both": (HALF, gate(pool=DAEMONSET_ONLY, label=OTHER_KEY)),
    "revalue": (HALF, gate(pool=DEPLOYMENT_ONLY, label=OTHER_VALUE)),
    "revalue-both": (HALF, gate(pool=DAEMONSET_ONLY, label=OTHER_VALUE)),
}


def running(policy: TrafficGate) -> Record:
    """The record while ``policy`` is applied over the gate active=yes."""
    pending = (policy.gate,) if policy.gate != Gate("active", "yes") else ()
    return record(policy, gate=Gate("active", "yes"), pending=pending, outcome="running", ended="")


@pytest.mark.parametrize("kind", MOVES)
def test_a_run_that_was_killed_is_finished_by_the_next(kind: str) -> None:
    start, policy = MOVES[kind]
    whole = plan(start, policy)
    end = final_snapshot(whole, start)
    for count in range(len(whole.steps) + 1):
        left = remembering(killed_after(whole, count, start), running(policy))
        rest = plan(left, policy)
        assert rest.proof.holds, (count, rest.proof.counter_example)
        done = final_snapshot(rest, left)
        assert (selectors(done), pods(done)) == (selectors(end), pods(end)), count
        only_cleans = all(step.action == "Delete" for step in rest.steps)
        assert only_cleans or any(isinstance(step.wait, ExistsWait) for step in rest.steps), count


@pytest.mark.parametrize("kind", MOVES)
def test_a_run_that_was_killed_can_be_retired(kind: str) -> None:
    start, policy = MOVES[kind]
    whole = plan(start, policy)
    for count in range(len(whole.steps) + 1):
        left = remembering(killed_after(whole, count, start), running(policy))
        rest = retirement(left)
        assert rest.proof.holds, (count, rest.proof.counter_example)
        done = final_snapshot(rest, left)
        assert (selectors(done), labelled(done), labelled(done, "lane")) == (selectors(START), set(), set()), count


def test_a_retirement_that_was_killed_is_finished() -> None:
    whole = retirement(HALF)
    for count in range(len(whole.steps) + 1):
        left = remembering(killed_after(whole, count, HALF), record(gate(pool=DEPLOYMENT_ONLY), outcome="running"))
        rest = retirement(left)
        assert rest.proof.holds, (count, rest.proof.counter_example)
        assert pods(final_snapshot(rest, left)) == pods(START)
        back = plan(left, gate(pool=DEPLOYMENT_ONLY))
        assert back.proof.holds, (count, back.proof.counter_example)
        assert labelled(final_snapshot(back, left)) == labelled(HALF)


def pods(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """Labels by pod."""
    return {pod.name: dict(pod.labels) for pod in snapshot.pods}


def test_what_a_killed_run_left_goes_first_and_its_names_are_not_used_again() -> None:
    policy = gate(pool=DEPLOYMENT_ONLY, label=OTHER_KEY)
    whole = plan(HALF, policy)
    left = remembering(killed_after(whole, 6, HALF), running(policy))
    found = retirement(left)
    assert words(found)[:3] == [f"Delete {MARKER}, {SHADOW}", f"Create {MARKER}-2", f"Wait {MARKER}-2"]
    assert found.steps[0].changes[0].uid == left.service("dockercoins", MARKER).metadata.uid  # type: ignore[union-attr]


def test_helpers_of_another_gate_are_left_alone() -> None:
    other = killed_after(plan(START, gate("web", services=("webui",), label=None)), 3, START)
    assert not any("Delete webui" in text for text in words(plan(other, gate())))


MIXED = cluster().nodes(2).service("web", {"app": "web"}).service("api", {"app": "web", "tier": "a"})
MIXED.deployment("web", 3, {"app": "web", "tier": "a"}).deployment("more", 2, {"app": "web"})
BOTH = ("web", "api")


def test_several_services_share_one_gate() -> None:
    found = plan(snapshot_of(MIXED), gate("web", services=BOTH))
    assert words(found) == [
        "Label 5",
        "Create web-gatekeep-shadow, api-gatekeep-shadow",
        "Wait web-gatekeep-shadow",
        "Wait api-gatekeep-shadow",
        "Patch web, api",
        "Wait web",
        "Wait api",
        "Delete web-gatekeep-shadow, api-gatekeep-shadow",
    ]
    assert found.proof.holds


@pytest.mark.parametrize("gated", BOTH)
@pytest.mark.parametrize("label", [{"key": "active", "value": "yes"}, OTHER_KEY, OTHER_VALUE])
def test_a_gated_service_and_one_that_is_not(gated: str, label: dict[str, str]) -> None:
    start = applied(snapshot_of(MIXED), gate("web", services=(gated,)))
    policy = gate("web", services=BOTH, label=label)
    found = plan(start, policy)
    assert found.proof.holds, found.proof.counter_example
    done = remembering(final_snapshot(found, start), record(policy))
    assert {name: selectors(done)[name][label["key"]] for name in BOTH} == dict.fromkeys(BOTH, label["value"])
    assert plan(done, policy).steps == ()
    assert retirement(done, "web").proof.holds


@pytest.mark.parametrize("name", ["a" * 63, "b" * 50, "c" * 43])
def test_names_of_helpers_stay_within_63_characters(name: str) -> None:
    start = snapshot_of(cluster().service(name, {"app": "x"}).deployment("x", 1, {"app": "x"}))
    policy = gate("g", services=(name,))
    second = applied(start, policy)
    for found in (plan(start, policy), plan(second, gate("g", services=(name,), label=OTHER_VALUE))):
        created = [change.name for step in found.steps if step.action == "Create" for change in step.changes]
        assert len(set(created)) == len(created)
        assert max(map(len, created)) <= 63
        assert found.proof.holds


def test_long_names_that_begin_alike_get_different_helpers() -> None:
    one, two = "a" * 62 + "b", "a" * 62 + "c"
    start = snapshot_of(
        cluster().service(one, {"app": "x"}).service(two, {"app": "x"}).deployment("x", 1, {"app": "x"})
    )
    found = plan(start, gate("g", services=(one, two)))
    assert len({change.name for step in found.steps if step.action == "Create" for change in step.changes}) == 2


def test_a_shadow_is_resolved_exactly_as_its_service() -> None:
    spec: dict[str, Any] = {"ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "publishNotReadyAddresses": True}
    builder = cluster().service("rng", {"app": "rng"}, ports=[{"port": 80, "targetPort": "http", "name": "h"}], **spec)
    found = plan(snapshot_of(builder.deployment("rng", 1, {"app": "rng"}, ports={"http": 80})), gate())
    body = next(step.changes[0].object for step in found.steps if step.action == "Create")
    shadow = msgspec.convert(body, Service)
    assert shadow.spec.cluster_ip == "None"
    assert shadow.spec.selector == {"app": "rng", "active": "yes"}
    assert shadow.spec.publish_not_ready_addresses
    assert (shadow.spec.ip_families, shadow.spec.ip_family_policy) == (("IPv4",), "SingleStack")
    assert [(port.port, port.target_port) for port in shadow.spec.ports] == [(80, "http")]


def test_labels_that_were_there_before_the_gate_stay() -> None:
    builder = cluster().service("rng", {"app": "rng"}).deployment("rng", 2, {"app": "rng"})
    builder.pods("old", labels={"app": "rng", "active": "yes"})
    start = snapshot_of(builder)
    assert retirement_end(applied(start, gate())) == {"old"}


def retirement_end(snapshot: Snapshot) -> set[str]:
    """Who carries the label after retiring."""
    return labelled(final_snapshot(retirement(snapshot), snapshot))


def test_who_carries_the_label_by_chance_and_is_to_stay_out_is_never_let_in() -> None:
    builder = cluster().service("rng", {"app": "rng", "active": "yes"})
    builder.daemonset("rng", {"app": "rng"}, pod_labels={"active": "yes"})
    builder.pods("chance", labels={"app": "rng", "lane": "open"})
    policy = gate(pool={"owners": [{"kind": "DaemonSet", "name": "rng"}]}, label=OTHER_KEY)
    start = remembering(snapshot_of(builder), record(gate()))
    found = plan(start, policy)
    assert words(found)[:4] == [f"Create {MARKER}", f"Wait {MARKER}", "Unlabel 1", "Label 1"]
    assert found.proof.holds, found.proof.counter_example
    assert "chance" not in labelled(final_snapshot(found, start), "lane")


def test_a_pod_in_another_namespace_is_never_touched() -> None:
    builder = dockercoins().namespace("other").pods("twin", labels={"app": "rng"})
    found = plan(snapshot_of(builder), gate())
    assert {change.namespace for step in found.steps for change in step.changes} == {"dockercoins"}


def test_the_order_of_pods_does_not_show() -> None:
    shuffled = dataclasses.replace(START, pods=tuple(reversed(START.pods)), services=tuple(reversed(START.services)))
    assert plan(shuffled, gate()).id == plan(START, gate()).id
