"""Plans that were tampered with, one way at a time; the proof must refuse each and name what would suffer.

Aspects: order · barriers (with those that may go) · guards (``test``, uid, undo) · what a plan may touch · what it
claims · slices · tampering that would hide a state from the proof. The good plan of each kind is accepted first of all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import pytest

from gatekeep.model.patches import Op, label_patch
from gatekeep.model.plan import Change, Match, Plan, ServiceForecast, Step
from gatekeep.model.policy import Gate
from gatekeep.model.selectors import LabelSelector
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import GateLabel
from gatekeep.proof.verify import prove
from tests.builders import ClusterBuilder, cluster, dockercoins
from tests.gates import (
    ACTIVE,
    DAEMONSET_ONLY,
    DEPLOYMENT_ONLY,
    applied,
    gate,
    plan,
    retirement,
    snapshot_of,
    with_steps,
    words,
)

Mutation = Callable[[Plan], Plan]
KINDS = ("add", "add-out", "join", "leave", "both", "retire", "rekey", "revalue", "big-both")


@cache
def good(kind: str) -> tuple[Plan, Snapshot]:
    """A good plan of each kind, and the snapshot that it is for."""
    if kind == "big-both":
        return switch_of(101)
    start = snapshot_of(dockercoins())
    if kind == "add":
        return plan(start, gate()), start
    if kind == "add-out":
        return plan(start, gate(pool=DEPLOYMENT_ONLY)), start
    if kind == "leave":
        start = applied(start, gate())
        return plan(start, gate(pool=DEPLOYMENT_ONLY)), start
    start = applied(start, gate(pool=DEPLOYMENT_ONLY))
    if kind == "retire":
        return retirement(start), start
    policies = {
        "join": gate(),
        "both": gate(pool=DAEMONSET_ONLY),
        "rekey": gate(pool=DEPLOYMENT_ONLY, label={"key": "lane", "value": "open"}),
        "revalue": gate(pool=DEPLOYMENT_ONLY, label={"key": "active", "value": "sure"}),
    }
    return plan(start, policies[kind]), start


def switch_of(count: int) -> tuple[Plan, Snapshot]:
    """From one Deployment of ``count`` pods to another."""
    builder = cluster().service("rng", {"app": "rng"})
    for color in ("blue", "green"):
        builder.deployment(color, count, {"app": "rng", "color": color})
    start = applied(snapshot_of(builder), gate(pool={"selector": {"matchLabels": {"color": "blue"}}}))
    return plan(start, gate(pool={"selector": {"matchLabels": {"color": "green"}}})), start


def refusal(bad: Plan, snapshot: Snapshot) -> str:
    """The counter-example; empty when the proof lets the plan pass."""
    return prove(bad, snapshot).proof.counter_example or ""


def at(found: Plan, prefix: str) -> int:
    """The place of the first step whose words begin so."""
    return next(number for number, text in enumerate(words(found)) if text.startswith(prefix))


def without(found: Plan, *places: int) -> Plan:
    """The plan without some steps."""
    return with_steps(found, [step for number, step in enumerate(found.steps) if number not in places])


def swapped(found: Plan, first: int, second: int) -> Plan:
    """The plan with two steps in each other's place."""
    steps = list(found.steps)
    steps[first], steps[second] = steps[second], steps[first]
    return with_steps(found, steps)


def changed(found: Plan, place: int, edit: Callable[[Change], Change]) -> Plan:
    """The plan with every change of one step edited."""
    step = found.steps[place]
    changes = tuple(edit(change) for change in step.changes)
    return replaced(found, place, msgspec.structs.replace(step, changes=changes))


def replaced(found: Plan, place: int, *steps: Step) -> Plan:
    """The plan with other steps in the place of one."""
    return with_steps(found, [*found.steps[:place], *steps, *found.steps[place + 1 :]])


def fields(**edits: Any) -> Callable[[Change], Change]:
    """An edit that replaces fields of a change."""
    return lambda change: msgspec.structs.replace(change, **edits)


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_plan_holds(kind: str) -> None:
    found, snapshot = good(kind)
    assert refusal(found, snapshot) == ""


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("add", "Label", "Patch rng"),
        ("add-out", "Label", "Patch rng"),
        ("rekey", "Label", "Patch rng"),
        ("revalue", "Label", "Patch rng"),
        ("retire", "Patch rng", "Unlabel"),
        ("rekey", "Patch rng", "Unlabel"),
        ("both", "Label", "Unlabel"),
        ("big-both", "Label", "Unlabel"),
        ("rekey", "Create rng-gatekeep-marker", "Patch rng"),
    ],
)
def test_wrong_order(kind: str, first: str, second: str) -> None:
    found, snapshot = good(kind)
    assert "Service dockercoins/rng " in refusal(swapped(found, at(found, first), at(found, second)), snapshot)


@pytest.mark.parametrize(
    ("kind", "wait"),
    [
        ("add", "Wait rng-gatekeep-shadow"),
        ("add-out", "Wait rng-gatekeep-shadow"),
        ("rekey", "Wait rng-gatekeep-shadow"),
        ("revalue", "Wait rng-gatekeep-shadow"),
        ("revalue", "Wait rng-gatekeep-shadow-2"),
        ("rekey", "Wait rng-gatekeep-marker"),
        ("revalue", "Wait rng-gatekeep-marker"),
        ("revalue", "Wait rng-gatekeep-marker-2"),
        ("big-both", "Wait rng"),
    ],
)
def test_a_barrier_that_matters(kind: str, wait: str) -> None:
    found, snapshot = good(kind)
    assert "Service dockercoins/rng " in refusal(without(found, words(found).index(wait)), snapshot)


def test_retiring_needs_one_of_its_two_barriers_when_the_set_changes() -> None:
    found, snapshot = good("retire")
    marker, confirm = at(found, "Wait rng-gatekeep-marker"), words(found).index("Wait rng")
    assert refusal(without(found, marker), snapshot) == refusal(without(found, confirm), snapshot) == ""
    assert "Service dockercoins/rng has " in refusal(without(found, marker, confirm), snapshot)


def test_retiring_needs_the_marker_when_the_set_stays() -> None:
    snapshot = applied(snapshot_of(dockercoins()), gate())
    found = retirement(snapshot)
    text = refusal(without(found, at(found, "Wait rng-gatekeep-marker")), snapshot)
    assert "Service dockercoins/rng has " in text


@pytest.mark.parametrize(
    ("kind", "place"),
    [("add", 4), ("add-out", 4), ("leave", -1), ("leave", 0), ("join", -1), ("both", -1), ("both", 1)],
)
def test_a_barrier_that_may_go(kind: str, place: int) -> None:
    """Confirmations at the end, and between labels of one slice: pods travel on one ordered stream.

    The first one of ``leave`` guards against what a killed run wrote just before, which is no part of this plan.
    """
    found, snapshot = good(kind)
    place %= len(found.steps)
    assert found.steps[place].wait is not None
    assert refusal(without(found, place), snapshot) == ""


def test_widening_and_narrowing_in_one_step() -> None:
    for kind in ("both", "big-both"):
        found, snapshot = good(kind)
        join, leave = at(found, "Label"), at(found, "Unlabel")
        changes = (*found.steps[join].changes, *found.steps[leave].changes)
        merged = replaced(without(found, leave), join, msgspec.structs.replace(found.steps[join], changes=changes))
        assert "Service dockercoins/rng has " in refusal(merged, snapshot)


def test_an_order_that_does_not_matter() -> None:
    """A shadow that is made before the labels still answers only once they were seen."""
    found, snapshot = good("add")
    assert refusal(swapped(found, at(found, "Create"), at(found, "Label")), snapshot) == ""


def test_a_disjoint_selector_switch_is_atomic_within_one_slice_only() -> None:
    """A slice holds 100; two places are for pods born on the way, of the Deployment and of its ReplicaSet."""
    assert refusal(*disjoint_switch(98)) == ""
    text = refusal(*disjoint_switch(101))
    assert text.startswith("if the endpoint controller writes one EndpointSlice of the change before the other")
    assert "Service dockercoins/rng has 0 ready endpoints; at least 101 must stay" in text


def disjoint_switch(count: int) -> tuple[Plan, Snapshot]:
    """One selector patch from blue to green, as kubectl would do it."""
    builder = cluster().service("rng", {"app": "rng", "color": "blue"})
    for color in ("blue", "green"):
        builder.deployment(color, count, {"app": "rng", "color": color})
    snapshot = snapshot_of(builder)
    service = snapshot.services[0]
    patch = (Op("test", "/metadata/uid", service.metadata.uid), Op("test", "/spec/selector", service.spec.selector))
    undo = (patch[0], Op("test", "/spec/selector", {"app": "rng", "color": "green"}))
    change = Change(
        api_version="v1", kind="Service", namespace="dockercoins", name="rng", uid=service.metadata.uid,
        patch=(*patch, Op("replace", "/spec/selector/color", "green")),
        undo=(*undo, Op("replace", "/spec/selector/color", "blue")),
    )  # fmt: skip
    step = Step(number=1, phase=1, action="Patch", reason="", policy="", changes=(change,))
    blue, green = (
        tuple(sorted(pod.name for pod in snapshot.pods if pod.labels["color"] == color)) for color in ("blue", "green")
    )
    claim = ServiceForecast(
        namespace="dockercoins", name="rng", before=blue, after=green, floor=1, least_ready=count
    )  # fmt: skip
    return msgspec.structs.replace(good("add")[0], steps=(step,), services=(claim,)), snapshot


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_every_test_operation_is_needed(kind: str) -> None:
    found, snapshot = good(kind)
    for place, step in enumerate(found.steps):
        for side in ("patch", "undo"):
            for number in (number for change in step.changes[:1] for number, op in enumerate(getattr(change, side))
                           if op.op == "test"):  # fmt: skip
                bad = changed(found, place, lambda change, n=number, s=side: fields(  # type: ignore[misc]
                    **{s: (*getattr(change, s)[:n], *getattr(change, s)[n + 1 :])})(change))  # fmt: skip
                assert step.changes[0].name.split("-")[0] in refusal(bad, snapshot), (words(found)[place], side)


def test_a_test_of_something_else_is_no_guard() -> None:
    found, snapshot = good("add")
    bad = changed(found, 0, lambda change: fields(
        patch=(change.patch[0], Op("test", "/metadata/labels/other", None), *change.patch[2:]))(change))  # fmt: skip
    assert "without a test of its old value" in refusal(bad, snapshot)


@pytest.mark.parametrize("kind", ["add", "retire", "rekey"])
def test_an_undo_that_does_not_take_the_patch_back(kind: str) -> None:
    found, snapshot = good(kind)
    for prefix in ("Patch rng", "Unlabel" if kind == "retire" else "Label"):
        place = at(found, prefix)
        bad = changed(found, place, lambda change: fields(undo=(*change.undo[:-1],))(change))
        assert "not taken back by its undo" in refusal(bad, snapshot)


def label_step(found: Plan, edits: Mapping[str, tuple[str | None, str | None]], count: int = 1) -> Plan:
    """The plan with another label edit, before all others, on its first pods."""
    undo = {key: (new, old) for key, (old, new) in edits.items()}
    step = found.steps[at(found, "Label")]
    changes = tuple(
        msgspec.structs.replace(item, patch=label_patch(item.uid, edits), undo=label_patch(item.uid, undo))
        for item in step.changes[:count]
    )
    return with_steps(found, [msgspec.structs.replace(step, changes=changes, match=None), *found.steps])


@pytest.mark.parametrize("key", ["app", "pod-template-hash"])
def test_a_key_that_a_controller_selects_by(key: str) -> None:
    found, snapshot = good("add-out")
    pod = {item.uid: item for item in snapshot.pods}[found.steps[0].changes[0].uid or ""]
    text = refusal(label_step(found, {key: (pod.labels[key], "x")}), snapshot)
    assert pod.name in text
    assert f"touches the label {key}, by which" in text


@pytest.mark.parametrize("key", ["controller-revision-hash", "topology.kubernetes.io/zone", "pod-template-generation"])
def test_a_key_that_kubernetes_lives_by(key: str) -> None:
    found, snapshot = good("add-out")
    assert f"touches the label {key}, by which Kubernetes" in refusal(label_step(found, {key: (None, "x")}), snapshot)


def _op(op: str, path: str, *value: object) -> Op:
    return msgspec.convert({"op": op, "path": path, **({"value": value[0]} if value else {})}, Op)


@pytest.mark.parametrize(
    "op",
    [
        _op("add", "/spec/nodeName", "n9"),
        _op("test", "/spec/nodeName", "n1"),
        _op("add", "/metadata/annotations/x", "y"),
        _op("add", "/metadata/labels", {}),
        _op("replace", "/metadata/uid", "x"),
        _op("add", "/metadata/labels/active", None),
        _op("add", "/metadata/labels/active"),
        _op("add", "/metadata/labels/active", ["yes"]),
        _op("test", "/metadata/labels/active", {"a": 1}),
        _op("remove", "/metadata/labels/nowhere"),
    ],
    ids=str,
)
def test_pods_take_nothing_but_labels(op: Op) -> None:
    found, snapshot = good("add")
    assert refusal(changed(found, 0, lambda change: fields(patch=(*change.patch, op))(change)), snapshot)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/spec/externalIPs", ["192.0.2.1"]),
        ("/spec/type", "NodePort"),
        ("/metadata/labels/x", "y"),
        ("/spec/ports", []),
    ],
)
def test_services_take_nothing_but_a_selector(path: str, value: object) -> None:
    found, snapshot = good("add")
    bad = changed(found, at(found, "Patch rng"), lambda change: fields(
        patch=(*change.patch, _op("add", path, value)), undo=(*change.undo, _op("remove", path)))(change))  # fmt: skip
    assert f"may only touch the selector, not {path}" in refusal(bad, snapshot)


def test_a_selector_is_never_emptied() -> None:
    found, snapshot = good("retire")
    bad = changed(found, 0, lambda change: fields(
        patch=(*change.patch, Op("remove", "/spec/selector/app")),
        undo=(change.undo[0], Op("test", "/spec/selector", {}), *change.undo[2:],
              Op("add", "/spec/selector/app", "rng")))(change))  # fmt: skip
    assert "Service dockercoins/rng leaves it without a selector" in refusal(bad, snapshot)


def test_a_null_in_a_selector_is_no_absent_key() -> None:
    found, snapshot = good("add")
    wanted = {"app": "rng", "active": None}
    bad = changed(found, at(found, "Patch rng"), lambda change: fields(
        patch=(*change.patch[:2], Op("add", "/spec/selector/active", None)),
        undo=(change.undo[0], Op("test", "/spec/selector", wanted), change.undo[2]))(change))  # fmt: skip
    assert "Service dockercoins/rng writes a value that is no label value" in refusal(bad, snapshot)


def test_the_wrong_pods() -> None:
    found, snapshot = good("add-out")
    members = {change.uid for change in found.steps[0].changes}
    others = [pod for pod in snapshot.pods if pod.labels.get("app") == "rng" and pod.uid not in members]
    edits = {"active": (None, "yes")}, {"active": ("yes", None)}
    changes = tuple(
        fields(name=pod.name, uid=pod.uid, patch=label_patch(pod.uid, edits[0]), undo=label_patch(pod.uid, edits[1]))(
            item
        )
        for item, pod in zip(found.steps[0].changes, others, strict=True)
    )
    bad = replaced(found, 0, msgspec.structs.replace(found.steps[0], changes=changes, match=None))
    assert "Service dockercoins/rng ends with 3 ready pods" in refusal(bad, snapshot)


def test_the_name_of_one_pod_and_the_uid_of_another() -> None:
    found, snapshot = good("add")
    first, *rest, other = found.steps[0].changes
    changes = (msgspec.structs.replace(first, name=other.name), *rest)
    bad = replaced(found, 0, msgspec.structs.replace(found.steps[0], changes=changes))
    assert f"not of Pod dockercoins/{other.name}" in refusal(bad, snapshot)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("kind", KINDS[:-1])
def test_a_lie_about_who_is_ready(kind: str, side: str) -> None:
    found, snapshot = good(kind)
    for names in ((), ("rng-1",), (*getattr(found.services[0], side), "rng-1")):
        claims = (msgspec.structs.replace(found.services[0], **{side: names}),)
        text = refusal(msgspec.structs.replace(found, services=claims), snapshot)
        assert text.startswith("the plan says that Service dockercoins/rng")


@pytest.mark.parametrize("kind", ["join", "leave", "both", "add-out"])
def test_silence_about_a_service_that_changes(kind: str) -> None:
    found, snapshot = good(kind)
    text = refusal(msgspec.structs.replace(found, services=()), snapshot)
    assert "changes the ready pods of Service dockercoins/rng" in text


def test_another_service_that_selects_by_the_label() -> None:
    """Preflight refuses such a key; a plan from elsewhere must not pass either."""
    found, _ = good("leave")
    builder = dockercoins().service("mirror", {"active": "yes"})
    snapshot = applied(snapshot_of(dockercoins()), gate())
    mirror = next(item for item in snapshot_of(builder).services if item.name == "mirror")
    text = refusal(found, msgspec_snapshot(snapshot, mirror))
    assert "Service dockercoins/mirror" in text


def msgspec_snapshot(snapshot: Snapshot, *services: Any) -> Snapshot:
    """The snapshot with more Services."""
    return Snapshot(pods=snapshot.pods, services=(*snapshot.services, *services), workloads=snapshot.workloads)


@pytest.mark.parametrize("gate", [None, GateLabel("other", "yes"), GateLabel("app", "yes"), GateLabel("active", "x y")])
def test_a_match_puts_on_the_very_label_of_its_step(gate: GateLabel | None) -> None:
    found, snapshot = good("add")
    match = found.steps[0].match
    assert match is not None
    bare = msgspec.structs.replace(found.steps[0], match=msgspec.structs.replace(match, gate=gate), changes=())
    for step in (msgspec.structs.replace(bare, changes=found.steps[0].changes), bare):
        if gate is None or step.changes or gate.key != "other":
            assert "step 1: " in refusal(replaced(found, 0, step), snapshot)


def test_a_match_that_reaches_more_than_it_names() -> None:
    found, snapshot = good("add-out")
    label = GateLabel(key="active", value="yes")
    wide = Match(namespace="dockercoins", selector=LabelSelector(match_labels={"app": "rng"}), gate=label)
    bad = replaced(found, 0, msgspec.structs.replace(found.steps[0], match=wide))
    assert "which its match would label" in refusal(bad, snapshot)
    assert not prove(bad, snapshot, exact=False).proof.holds


def test_pods_are_patched_and_never_created_or_deleted() -> None:
    found, snapshot = good("add")
    for action in ("Create", "Delete"):
        bad = replaced(found, 0, msgspec.structs.replace(found.steps[0], action=action))
        assert f"no plan may {action.lower()} pods" in refusal(bad, snapshot)


def test_only_helpers_are_created_and_deleted() -> None:
    found, snapshot = good("add")
    place = at(found, "Create")
    body = dict(found.steps[place].changes[0].object or {})
    for edit in ({"spec": {**body["spec"], "clusterIP": ""}}, {"spec": {**body["spec"], "type": "LoadBalancer"}},
                 {"metadata": {**body["metadata"], "labels": {}}}):  # fmt: skip
        bad = changed(found, place, fields(object={**body, **edit}))
        assert "is no helper of gatekeep" in refusal(bad, snapshot)
    webui = next(item for item in snapshot.services if item.name == "webui")
    uid = webui.metadata.uid
    bad = changed(found, at(found, "Delete"), fields(name="webui", uid=uid, patch=(Op("test", "/metadata/uid", uid),)))
    assert "Service dockercoins/webui is to be deleted, and is no helper" in refusal(bad, snapshot)
    bound = Op("test", "/metadata/uid", {"$bound": "rng-gatekeep-shadow.uid"})
    bad = changed(found, at(found, "Delete"), fields(name="rng", patch=(bound,)))
    assert "deletion of Service dockercoins/rng relies on" in refusal(bad, snapshot)


def test_a_helper_is_not_deleted_before_it_answered() -> None:
    found, snapshot = good("add")
    wait, delete = at(found, "Wait rng-gatekeep-shadow"), at(found, "Delete")
    assert refusal(swapped(found, wait, delete), snapshot)


def test_a_shadow_that_asks_something_else() -> None:
    found, snapshot = good("add")
    place = at(found, "Create")
    body = dict(found.steps[place].changes[0].object or {})
    for selector in ({"app": "rng"}, {"app": "redis"}):
        bad = changed(found, place, fields(object={**body, "spec": {**body["spec"], "selector": selector}}))
        assert refusal(bad, snapshot)


def test_steps_are_what_they_say() -> None:
    found, snapshot = good("add")
    wait = found.steps[at(found, "Wait rng-gatekeep-shadow")]
    assert "must be either a wait or a write" in refusal(
        replaced(found, wait.number - 1, msgspec.structs.replace(wait, action="Patch")), snapshot
    )
    assert "must be either a wait or a write" in refusal(
        replaced(found, 0, msgspec.structs.replace(found.steps[0], wait=wait.wait)), snapshot
    )


def test_equal_numbers_would_hide_what_lies_between() -> None:
    """Off and on again under one number looks like nothing at all."""
    found, snapshot = good("leave")
    off = msgspec.structs.replace(found.steps[at(found, "Unlabel")], match=None)
    on = msgspec.structs.replace(off, changes=tuple(
        msgspec.structs.replace(change, patch=change.undo, undo=change.patch) for change in off.changes))  # fmt: skip
    same = tuple(msgspec.structs.replace(step, number=1) for step in (off, on))
    claims = (msgspec.structs.replace(found.services[0], after=found.services[0].before, floor=6),)
    bad = msgspec.structs.replace(found, steps=same, services=claims)
    assert refusal(bad, snapshot) == "step 1 stands where step 2 should"
    text = refusal(with_steps(bad, same), snapshot)
    assert "Service dockercoins/rng has 3 ready endpoints; at least 6 must stay" in text


def test_one_object_twice_in_a_step() -> None:
    """Two writes to one pod, of which the proof would see but one."""
    found, snapshot = good("leave")
    place = at(found, "Unlabel")
    step = found.steps[place]
    idle = tuple(
        msgspec.structs.replace(change, patch=label_patch(change.uid, {"x": (None, "y")}),
                                undo=label_patch(change.uid, {"x": ("y", None)}))
        for change in step.changes
    )  # fmt: skip
    bad = replaced(found, place, msgspec.structs.replace(step, changes=(*step.changes, *idle)))
    assert "writes one object twice" in refusal(bad, snapshot)


def test_the_floor_of_the_plan_is_kept() -> None:
    found, snapshot = good("leave")
    for floor, holds in ((3, True), (4, False)):
        claims = (msgspec.structs.replace(found.services[0], floor=floor),)
        text = refusal(msgspec.structs.replace(found, services=claims), snapshot)
        assert (text == "") is holds
    assert "Service dockercoins/rng has 3 ready endpoints; at least 4 must stay" in text


def builder_for(policy: str, pods: Sequence[tuple[str, bool]]) -> ClusterBuilder:
    """A Service of a Local traffic policy and its pods, by node."""
    builder = cluster().nodes(2).service("rng", {"app": "rng"}, internalTrafficPolicy=policy)
    for number, (node, active) in enumerate(pods):
        labels = {"app": "rng", **(ACTIVE_LABEL if active else {})}
        builder.pods(f"rng-{number}", labels=labels, node=node)
    return builder


ACTIVE_LABEL = {Gate(**ACTIVE).key: Gate(**ACTIVE).value}


def test_a_local_traffic_policy_keeps_one_on_every_node() -> None:
    pods = [("node1", True), ("node1", True), ("node2", False)]
    pool = {"selector": {"matchLabels": ACTIVE_LABEL}}
    for policy, holds in (("Cluster", True), ("Local", False)):
        snapshot = snapshot_of(builder_for(policy, pods))
        found = plan(snapshot, gate(pool=pool, label={"key": "lane", "value": "open"}))
        assert found.proof.holds is holds
    assert "has 0 ready endpoints on node node2" in str(found.proof.counter_example)


def test_a_label_that_was_never_put_on_is_not_assumed() -> None:
    """Without its first labelling step, the plan only fits a cluster whose pods had the temporary label already."""
    found, snapshot = good("revalue")
    assert refusal(with_steps(found, [step for step in found.steps if step.match is None or step.number > 1]), snapshot)
