"""The preview Service in plans written by hand: it may be empty on the way, and nobody else may.

Aspects: a switch, a first gating, a retirement · whose exemption it is · what may be done to it · what stays forbidden.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import pytest

from gatekeep.model.objects import Pod
from gatekeep.model.plan import GateTarget, Plan
from gatekeep.model.policy import TrafficGate
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait
from gatekeep.proof.previews import previews_of
from gatekeep.proof.verify import prove
from tests.builders import cluster
from tests.gates import NAMESPACE, record, remembering, snapshot_of
from tests.proof.handmade import (
    DRAIN,
    KEY,
    edit,
    holds,
    label,
    pods_of,
    reasons,
    refused,
    select,
    shown,
    target,
    written,
)

LIVE, IDLE = {"app": "web", KEY: "yes"}, {"app": "web", KEY: "preview"}


def policy(active: str = "green", preview: str = "idle", value: str = "yes", **spec: Any) -> TrafficGate:
    """A blue/green policy over two Deployments."""
    colors = {name: {"owners": [{"kind": "Deployment", "name": name}]} for name in ("blue", "green")}
    switch: dict[str, Any] = {"colors": colors, "active": active}
    if preview:
        switch["preview"] = {"service": preview}
    document = {
        "apiVersion": "gatekeep.dev/v1alpha1",
        "kind": "TrafficGate",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {"services": ["web"], "gate": {"key": KEY, "value": value}, "adopt": "Reconcile",
                 "rotation": {"blueGreen": switch}, **spec},
    }  # fmt: skip
    return msgspec.convert(document, TrafficGate)


@cache
def fleet(*, gated: bool = True) -> Snapshot:
    """Three pods of each colour: blue serves, green is behind the preview; without a gate all are behind both."""
    base = {"app": "web"}
    builder = cluster().service("web", LIVE if gated else base).service("idle", IDLE if gated else base)
    builder.service("redis", {"app": "redis"}).deployment("redis", 1, {"app": "redis"})
    for name, value in (("blue", "yes"), ("green", "preview")):
        labels = {KEY: value} if gated else {}
        builder.deployment(name, 3, {"app": "web", "color": name}, pod_labels=labels)
    found = snapshot_of(builder)
    return remembering(found, record(policy("blue"))) if gated else found


def blue() -> list[Pod]:
    """The pods that served."""
    return pods_of(fleet(), "blue-")


def green() -> list[Pod]:
    """The pods that join."""
    return pods_of(fleet(), "green-")


def web(*pods: Pod) -> EndpointsWait:
    """The Service shows these."""
    return shown("web", LIVE, pods)


def idle(*pods: Pod) -> EndpointsWait:
    """The preview Service shows these."""
    return shown("idle", IDLE, pods)


def switch(gate: GateTarget | None = None, **fields: Any) -> Plan:
    """Green joins and so leaves the preview, blue leaves, is drained, and is behind the preview then."""
    return written(
        fleet(), gate or target(policy(), preview="idle"),
        edit(green(), label(KEY, "preview", "yes")), web(*blue(), *green()),
        edit(blue(), label(KEY, "yes", None)), web(*green()), DRAIN,
        edit(blue(), label(KEY, None, "preview")), idle(*blue()), **fields,
    )  # fmt: skip


def test_a_switch_holds_though_the_preview_is_empty_for_a_while() -> None:
    holds(switch(), fleet())
    assert prove(switch(), fleet()).least_ready == {(NAMESPACE, "idle"): 0, (NAMESPACE, "web"): 3}


def test_without_being_called_a_preview_it_may_not_be_empty() -> None:
    bare = switch(target(policy(preview="")))
    claims = {item.name: item for item in switch().services}
    named = msgspec.structs.replace(bare, services=tuple(claims.values()))
    assert "Service dockercoins/idle has 0 ready endpoints; at least 3 must stay" in reasons(named, fleet())[0]
    assert reasons(named, fleet())[1]
    assert "changes the ready pods of Service dockercoins/idle" in reasons(bare, fleet())[0]


def test_the_way_back_is_told_which_previews_there_are() -> None:
    """It has no gates of its own."""
    bare = msgspec.structs.replace(switch(), gates=())
    assert "Service dockercoins/idle has 0 ready endpoints" in str(prove(bare, fleet()).proof.counter_example)
    assert prove(bare, fleet(), preview=previews_of(switch(), fleet())).proof.holds


@pytest.mark.parametrize(
    ("rules", "preview", "text"),
    [
        (policy(), "", "has the preview '', its policy 'idle'"),
        (policy(), "redis", "has the preview 'redis', its policy 'idle'"),
        (policy(preview=""), "redis", "of which neither its policy nor its record knows"),
        (policy(preview="web"), "web", "a gate of the plan has that Service already"),
        (policy(value="preview"), "idle", "puts its own members on the value preview, so it can have no preview"),
    ],
)
def test_the_policy_says_which_service_it_is(rules: TrafficGate, preview: str, text: str) -> None:
    found = switch(target(rules, preview=preview))
    refused(found, fleet(), text)


def test_two_gates_do_not_share_a_preview() -> None:
    first = target(policy(), preview="idle")
    other = msgspec.structs.replace(
        target(policy(services=["redis"])), name="other", preview="idle", services=("redis",)
    )
    bad = msgspec.structs.replace(switch(), gates=(first, other))
    assert "says that idle is its preview, and a gate of the plan has that Service already" in reasons(bad, fleet())[0]


def test_a_preview_has_no_floor_to_promise() -> None:
    refused(switch(floors={"idle": 1}), fleet(), "promises a floor of 1 for the preview Service dockercoins/idle")


def test_the_real_service_is_not_exempt() -> None:
    found = switch()
    parts = [item.changes or item.wait for item in found.steps]
    order = (parts[2], parts[0], *parts[5:])
    bad = written(fleet(), found.gates[0], *order)  # type: ignore[arg-type]
    refused(bad, fleet(), "Service dockercoins/web has 0 ready endpoints; at least 3 must stay")


def test_nobody_else_is_behind_the_preview_on_the_way() -> None:
    on = edit(blue()[:1], label(KEY, "yes", "preview"))
    off = edit(blue()[:1], label(KEY, "preview", None))
    bad = written(fleet(), target(policy(), preview="idle"), on, off)
    refused(bad, fleet(), f"Service dockercoins/idle reaches pod {blue()[0].name}, which it reaches neither before nor")


def test_a_prediction_for_the_preview_must_be_true() -> None:
    found = switch()
    claims = tuple(msgspec.structs.replace(item, after=()) if item.name == "idle" else item for item in found.services)
    refused(msgspec.structs.replace(found, services=claims), fleet(), "says that Service dockercoins/idle ends with 0")
    claims = tuple(item for item in found.services if item.name != "idle")
    refused(msgspec.structs.replace(found, services=claims), fleet(), "Service dockercoins/idle")


def gating(*, labelled: bool = True) -> tuple[Plan, Snapshot]:
    """The preview Service gets its key; the real one is left out of the story."""
    start = fleet(gated=False)
    pods = pods_of(start, "green-")
    steps = (edit(pods, label(KEY, None, "preview")),) if labelled else ()
    found = written(start, target(policy(), preview="idle"), *steps, select(start, "idle", IDLE),
                    shown("idle", IDLE, pods if labelled else ()))  # fmt: skip
    return found, start


def test_a_first_gating() -> None:
    holds(*gating())
    holds(*gating(labelled=False))


@pytest.mark.parametrize(
    "wanted",
    [
        {"app": "web", KEY: "yes"},
        {"app": "redis", KEY: "preview"},
        {KEY: "preview"},
        {"app": "web", KEY: "preview", "color": "green"},
        {"app": "web", "lane": "preview"},
    ],
)
def test_a_preview_gets_its_key_and_nothing_else(wanted: dict[str, str]) -> None:
    start = fleet(gated=False)
    pods = pods_of(start, "green-")
    found = written(start, target(policy(), preview="idle"), edit(pods, label(KEY, None, "preview")),
                    select(start, "idle", wanted))  # fmt: skip
    refused(found, start, "step 2 does more to the preview Service dockercoins/idle than to ask for the value preview")


def test_while_it_asks_for_no_preview_it_is_a_service_like_any_other() -> None:
    """Its selector asks for another label, which the plan takes off its pods."""
    builder = cluster().service("web", LIVE).service("idle", {"app": "web", "lane": "x"})
    builder.deployment("blue", 3, {"app": "web", "color": "blue"}, pod_labels={KEY: "yes", "lane": "x"})
    builder.deployment("green", 3, {"app": "web", "color": "green"})
    start = snapshot_of(builder)
    pods = pods_of(start, "blue-")
    off, on = edit(pods, label("lane", "x", None)), edit(pods, label("lane", None, "x"))
    found = written(start, target(policy(), preview="idle"), off, on)
    assert "Service dockercoins/idle has 0 ready endpoints; at least 3 must stay" in reasons(found, start)[0]


def retiring(start: Snapshot, preview: str = "idle") -> Plan:
    """The key leaves the preview Service, and so does the value of its pods; blue serves on."""
    gate = GateTarget(namespace=NAMESPACE, name="web", action="Retire", key=KEY, value="yes", services=("web",),
                      preview=preview)  # fmt: skip
    return written(
        start, gate, edit(green()[:2], label(KEY, "preview", None)), select(start, "idle", {"app": "web"}),
        shown("idle", {"app": "web"}, [*blue(), *green()]), edit(green()[2:], label(KEY, "preview", None)),
    )  # fmt: skip


def test_a_retirement_takes_the_key_off_the_preview_that_the_record_knows() -> None:
    holds(retiring(fleet()), fleet())
    bare = remembering(fleet())
    refused(retiring(bare), bare, "has the preview 'idle', of which neither its policy nor its record knows")
    other = remembering(fleet(), record(policy("blue", preview="redis")))
    refused(retiring(other), other, "of which neither its policy nor its record knows")
    refused(retiring(fleet(), "redis"), fleet(), "of which neither its policy nor its record knows")


def test_the_value_preview_is_for_pods_of_a_gate_that_has_one() -> None:
    found = written(fleet(), target(policy(preview="")), edit(blue()[:1], label(KEY, "yes", "preview")))
    assert "it puts on active=preview, which is not the label of its gate" in reasons(found, fleet())[1]
