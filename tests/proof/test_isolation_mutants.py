"""Isolated pods in plans written by hand, and what a forged one must not get away with.

Aspects: annotations · releases: order, owners, adopters, whose pods, which labels · returns · the surplus pod · what
the record will say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
import pytest

from gatekeep.model.objects import OwnerReference, Pod
from gatekeep.model.patches import FieldEdit, Op
from gatekeep.model.plan import Change, Match, Plan
from gatekeep.model.progress import Isolated, IsolatedPod
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait
from gatekeep.operations.way_back import way_back_problem
from gatekeep.proof.drift import stale
from gatekeep.proof.verify import final_snapshot
from tests.builders import cluster, dockercoins
from tests.gates import applied, gate, record, remembering, snapshot_of
from tests.proof.handmade import (
    ALL_MARKS,
    COST,
    KEY,
    MARK,
    edit,
    holds,
    isolated,
    label,
    mark,
    marked,
    pods_of,
    reasons,
    refused,
    shown,
    target,
    written,
)

POLICY = gate()
GATED = {"app": "rng", KEY: "yes"}
OFF = label(KEY, "yes", None)
HASH = "pod-template-hash"


@cache
def fleet() -> Snapshot:
    """A gated Service over a Deployment (d), a DaemonSet (ds) and a StatefulSet (s), and another Deployment."""
    builder = cluster().nodes(3).service("rng", {"app": "rng"}).deployment("other", 2, {"app": "other"})
    builder.deployment("d", 4, {"app": "rng", "part": "d"}).daemonset("ds", {"app": "rng", "part": "ds"})
    return applied(snapshot_of(builder.statefulset("s", 2, {"app": "rng", "part": "s"})), POLICY)


def one(prefix: str, start: Snapshot | None = None) -> Pod:
    """The first pod of a workload."""
    return pods_of(start or fleet(), f"{prefix}-")[0]


def rest(*without: Pod, start: Snapshot | None = None) -> EndpointsWait:
    """A wait until these are out."""
    gone = {pod.uid for pod in without}
    pods = [pod for pod in (start or fleet()).pods if pod.labels.get(KEY) == "yes" and pod.uid not in gone]
    return shown("rng", GATED, pods)


def hash_of(pod: Pod) -> dict[str, str]:
    """The label that a Deployment's pod is released by."""
    return {HASH: pod.labels[HASH]}


def release(pod: Pod, labels: Mapping[str, str], *more: FieldEdit) -> tuple[Change, ...]:
    """The step that releases a pod."""
    return edit([pod], *more, *(label(key, value, None) for key, value in sorted(labels.items())))


def detaching(
    pod: Pod, labels: Mapping[str, str], start: Snapshot | None = None, held: Sequence[Isolated] | None = None
) -> Plan:
    """Out of rotation, proved, released; marked where an isolation is said to stand."""
    begin = start or fleet()
    gates = target(POLICY, isolations=tuple(held) if held is not None else (isolated([pod], "Detach", labels),))
    marks = () if held is not None else (mark(),)
    return written(begin, gates, edit([pod], OFF), rest(pod, start=begin), release(pod, labels, *marks))


@pytest.mark.parametrize("where", [mark(), FieldEdit(ALL_MARKS, None, {"gatekeep.dev/isolated": "{}"})])
def test_a_pod_loses_the_gate_label_and_gets_its_mark(where: FieldEdit) -> None:
    pod = one("d")
    gates = target(POLICY, isolations=(isolated([pod]),))
    holds(written(fleet(), gates, edit([pod], where, OFF), rest(pod)), fleet())
    holds(written(fleet(), gates, edit([pod], OFF), rest(pod), edit([pod], where)), fleet())


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        ([FieldEdit("/metadata/annotations/x", None, "y")], "may write one annotation, gatekeep.dev/isolated or"),
        ([mark(), FieldEdit(COST, None, "1")], "may write one annotation"),
        ([FieldEdit(ALL_MARKS, None, {"x": "y"})], "may write one annotation"),
        ([FieldEdit(ALL_MARKS, None, {"gatekeep.dev/isolated": "{}", "x": "y"})], "may write one annotation"),
        ([FieldEdit(ALL_MARKS, {"gatekeep.dev/isolated": "a"}, {"gatekeep.dev/isolated": "b"})], "may write one"),
        ([FieldEdit(MARK, None, ["x"])], "may write one annotation"),
        ([FieldEdit(f"{MARK}/x", None, "y")], "may write one annotation"),
        ([FieldEdit("/metadata/annotationsx", None, "y")], "may write one annotation"),
        ([FieldEdit("/spec/nodeName", None, "y")], "may only touch labels, not /spec/nodeName"),
        ([FieldEdit(COST, None, "5")], "takes a step of its own"),
    ],
)  # fmt: skip
def test_annotations_elsewhere(edits: list[FieldEdit], text: str) -> None:
    pod = one("d")
    gates = target(POLICY, isolations=(isolated([pod]),))
    refused(written(fleet(), gates, edit([pod], OFF, *edits), rest(pod)), fleet(), text)


def test_a_mark_without_its_test_or_undo() -> None:
    pod = one("d")
    gates = target(POLICY, isolations=(isolated([pod]),))
    (good,) = edit([pod], mark(), OFF)
    bare = tuple(op for op in good.patch if not (op.path == MARK and op.op == "test"))
    refused(written(fleet(), gates, (msgspec.structs.replace(good, patch=bare),)), fleet(), "with a test of its old")
    gone = tuple(op for op in good.undo if op.path != MARK)
    refused(written(fleet(), gates, (msgspec.structs.replace(good, undo=gone),)), fleet(), "not take", "by its undo")


def test_marks_are_for_isolated_pods() -> None:
    pod, other = pods_of(fleet(), "d-")[:2]
    gates = target(POLICY, isolations=(isolated([pod]),))
    steps = edit([pod, other], mark(), OFF)
    refused(written(fleet(), gates, steps, rest(pod, other)), fleet(), other.name, "no isolation of its gate holds")
    held = target(POLICY, isolations=(isolated([], ended="its pods are gone"),))
    refused(written(fleet(), held, edit([pod], mark(), OFF)), fleet(), "no isolation of its gate holds that pod")
    off = edit([pod], mark("{}", None), OFF)
    refused(written(fleet(), gates, off, rest(pod)), fleet(), "the isolation look holds that pod still")
    refused(written(fleet(), target(POLICY), off, rest(pod)), fleet(), "the record knows no isolation of that pod")


@pytest.mark.parametrize(("prefix", "key"), [("d", HASH), ("d", "part"), ("ds", "part"), ("ds", "app")])
def test_a_release_holds(prefix: str, key: str) -> None:
    pod = one(prefix)
    found = detaching(pod, {key: pod.labels[key]})
    holds(found, fleet())
    end = final_snapshot(found, fleet())
    assert key not in {item.uid: item for item in end.pods}[pod.uid].labels


def test_the_way_back_of_a_release_leaves_the_pod_released() -> None:
    pod = one("d")
    assert way_back_problem(detaching(pod, hash_of(pod)), fleet()) is None


def test_a_release_before_the_pod_is_out() -> None:
    pod = one("d")
    found = detaching(pod, hash_of(pod))
    out, wait, step = (item.changes or item.wait for item in found.steps)
    for parts in ((step, out, wait), (out, step, wait), (out, step)):
        bad = written(fleet(), found.gates[0], *parts)
        refused(bad, fleet(), f"releases Pod dockercoins/{pod.name}", "may still reach it", "a wait must have shown it")


def test_a_wait_on_another_service_shows_nothing() -> None:
    pod = one("d")
    found = detaching(pod, hash_of(pod))
    selector = {"app": "other"}
    start = dataclasses.replace(
        fleet(), services=(*fleet().services, *snapshot_of(cluster().service("other", selector)).services)
    )
    wait = shown("other", selector, pods_of(start, "other-"))
    bad = written(start, found.gates[0], found.steps[0].changes, wait, found.steps[2].changes)
    refused(bad, start, "may still reach it")


def test_a_release_and_the_loss_of_the_gate_label_at_once() -> None:
    pod = one("d")
    gates = target(POLICY, isolations=(isolated([pod], "Detach", hash_of(pod)),))
    refused(written(fleet(), gates, release(pod, hash_of(pod), OFF), rest(pod)), fleet(), "takes other labels off than")


def test_pods_of_a_statefulset_are_not_released() -> None:
    pod = one("s")
    refused(detaching(pod, {"part": "s"}), fleet(), "from StatefulSet s: the pod that takes its place needs its name")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("Job", "would do its work again"),
        ("CloneSet", "no plan releases pods"),
        ("ReplicationController", "which that selects by are not known"),
    ],
)
def test_pods_of_other_owners_are_not_released(kind: str, text: str) -> None:
    pod = one("d")
    start = owned(fleet(), pod, OwnerReference(kind=kind, name="x", uid="x", controller=True))
    pod = {item.uid: item for item in start.pods}[pod.uid]
    refused(detaching(pod, hash_of(pod), start), start, f"releases it from {kind} x", text)


def owned(start: Snapshot, pod: Pod, *owners: OwnerReference) -> Snapshot:
    """The snapshot in which the pod has another owner."""
    meta = msgspec.structs.replace(pod.metadata, owner_references=owners)
    changed = msgspec.structs.replace(pod, metadata=meta)
    return dataclasses.replace(start, pods=tuple(changed if item.uid == pod.uid else item for item in start.pods))


def test_a_pod_without_a_controller_is_not_released() -> None:
    pod = one("d")
    start = owned(fleet(), pod)
    held = isolated([pod], "Detach", hash_of(pod))
    refused(detaching(pod, hash_of(pod), start, [held]), start, "from its controller, and it has none")


def test_another_controller_would_adopt_it() -> None:
    """The DaemonSet of dockercoins selects by app=rng alone, and so what a pod of the Deployment has left."""
    start = applied(snapshot_of(dockercoins()), POLICY)
    pod = next(pod for pod in pods_of(start, "rng-") if HASH in pod.labels)
    text = "DaemonSet dockercoins/rng would adopt it"
    refused(detaching(pod, hash_of(pod), start), start, "releases it from ReplicaSet", text)
    holds(detaching(pod, {"app": "rng"}, start), start)


def test_a_file_may_leave_out_a_kind_that_has_nothing() -> None:
    """Who applies the plan lists all kinds, and proves it again."""
    pod = one("d")
    start = dataclasses.replace(fleet(), missing=frozenset({"statefulsets"}))
    holds(detaching(pod, hash_of(pod), start), start)


def test_its_own_controller_must_let_it_go() -> None:
    pod = one("ds")
    key = "controller-revision-hash"
    text = f"takes off {key}, by which DaemonSet dockercoins/ds does not select its pods"
    refused(detaching(pod, {key: pod.labels[key]}), fleet(), text)


def test_a_release_of_a_pod_that_no_isolation_names() -> None:
    pod, other = pods_of(fleet(), "d-")[:2]
    nobody = detaching(pod, hash_of(pod), held=[])
    refused(nobody, fleet(), "touches the label pod-template-hash", "an isolation that releases the pod is not in")
    another = isolated([other], "Detach", hash_of(other))
    refused(detaching(pod, hash_of(pod), held=[another]), fleet(), "not in the plan")
    refused(detaching(pod, hash_of(pod), held=[isolated([pod])]), fleet(), "not in the plan")
    ended = isolated([pod], "Detach", hash_of(pod), ended="expired")
    refused(detaching(pod, hash_of(pod), held=[ended]), fleet(), "not in the plan")


def test_a_release_takes_exactly_what_is_remembered() -> None:
    pod = one("d")
    more = {**hash_of(pod), "part": "d"}
    for said, done in ((more, hash_of(pod)), (hash_of(pod), more), ({HASH: "x"}, hash_of(pod))):
        found = detaching(pod, done, held=[isolated([pod], "Detach", said)])
        refused(found, fleet(), "takes other labels off than", "pod-template-hash=")
    holds(detaching(pod, more), fleet())


def test_a_release_remembers_the_right_owner() -> None:
    pod, other = one("d"), one("ds")
    (entry,) = isolated([pod], "Detach", hash_of(pod)).pods
    wrong = msgspec.structs.replace(entry, owner=other.metadata.owner_references[0].uid)
    found = detaching(pod, hash_of(pod), held=[isolated([], "Detach", pods=(wrong,))])
    refused(found, fleet(), "its isolation says that another controls it")


def test_a_release_is_a_step_of_its_own() -> None:
    pod, other = pods_of(fleet(), "d-")[:2]
    gates = target(POLICY, isolations=(isolated([pod], "Detach", hash_of(pod)), isolated([other], name="b")))
    step = (*release(pod, hash_of(pod)), *edit([other], OFF))
    refused(written(fleet(), gates, edit([pod], OFF), rest(pod), step, rest(pod, other)), fleet(), "a step of its own")
    found = detaching(pod, hash_of(pod))
    match = Match(namespace="dockercoins", any_of=())
    steps = (*found.steps[:2], msgspec.structs.replace(found.steps[2], match=match))
    refused(msgspec.structs.replace(found, steps=steps), fleet(), "step 3", "a step of its own")


def test_a_gate_releases_its_own_pods_only() -> None:
    pod = one("other")
    gates = target(POLICY, isolations=(isolated([pod], "Detach", hash_of(pod)),))
    refused(written(fleet(), gates, release(pod, hash_of(pod))), fleet(), "is behind no Service of its gate")


def test_the_loss_is_seen_by_other_services() -> None:
    """A Service that is of no gate selects by the label: it would lose a pod, and nobody says so."""
    pod = one("d")
    found = detaching(pod, {"part": "d"})
    parts = snapshot_of(cluster().service("parts", {"part": "d"})).services
    start = dataclasses.replace(fleet(), services=(*fleet().services, *parts))
    refused(found, start, "Service dockercoins/parts")


@pytest.mark.parametrize(
    ("held", "text"),
    [
        ({"mode": "Gate"}, "isolates Pod dockercoins/"),
        ({"mode": "Detach", "labels": {HASH: ""}}, "isolates Pod dockercoins/"),
        ({"mode": "Gate", "labels": {HASH: ""}}, "of mode Gate, takes labels off"),
    ],
)
def test_who_is_called_isolated_is_out(held: dict[str, Any], text: str) -> None:
    pod = one("d")
    found = written(fleet(), target(POLICY, isolations=(isolated([pod], **held),)), edit([pod], mark()))
    refused(found, fleet(), "TrafficGate dockercoins/rng says that look", text)


def test_who_is_called_detached_is_released() -> None:
    pod = one("d")
    gates = target(POLICY, isolations=(isolated([pod], "Detach", hash_of(pod)),))
    refused(written(fleet(), gates, edit([pod], OFF), rest(pod)), fleet(), "still has pod-template-hash at the end")


def test_isolations_make_sense() -> None:
    pod, other = pods_of(fleet(), "d-")[:2]
    twice = target(POLICY, isolations=(isolated([pod]), isolated([pod], name="again")))
    refused(written(fleet(), twice, edit([pod], OFF), rest(pod)), fleet(), f"says twice that {pod.name} is isolated")
    (entry,) = isolated([pod]).pods
    renamed = isolated([], pods=(msgspec.structs.replace(entry, name=other.name),))
    refused(written(fleet(), target(POLICY, isolations=(renamed,)), edit([pod], OFF), rest(pod)), fleet(),
            f"isolates {other.name}, whose uid is that of Pod dockercoins/{pod.name}")  # fmt: skip
    over = isolated([pod], ended="expired")
    refused(written(fleet(), target(POLICY, isolations=(over,))), fleet(), f"has ended, and that it holds {pod.name}")


@cache
def released(key: str = HASH, prefix: str = "d") -> tuple[Pod, Snapshot]:
    """A pod that was released, and the record that remembers it."""
    pod = one(prefix)
    labels = {key: pod.labels[key]}
    end = marked(final_snapshot(detaching(pod, labels), fleet()), [pod])
    known = msgspec.structs.replace(record(POLICY), isolations=(isolated([pod], "Detach", labels),))
    return pod, remembering(end, known)


def back(*edits: FieldEdit, start: Snapshot | None = None, held: Sequence[Isolated] = ()) -> tuple[Plan, Snapshot]:
    """A plan that writes these edits on the released pod."""
    pod, begin = released()
    begin = start or begin
    joins = any(item.path.endswith(f"/{KEY}") for item in edits)
    inside = [item for item in begin.pods if item.labels.get(KEY) == "yes" or (joins and item.uid == pod.uid)]
    gates = target(POLICY, isolations=tuple(held))
    return written(begin, gates, edit([pod], *edits), shown("rng", GATED, inside)), begin


def hashed() -> FieldEdit:
    """The label comes back."""
    return label(HASH, None, released()[0].labels[HASH])


def test_a_return_holds() -> None:
    on = label(KEY, None, "yes")
    for edits in ((mark("{}", None), hashed()), (mark("{}", None), on, hashed())):
        holds(*back(*edits))
    holds(*back(FieldEdit(ALL_MARKS, {"gatekeep.dev/isolated": "{}"}, None), hashed()))
    pod, start = released()
    parted = written(start, target(POLICY), edit([pod], hashed()), edit([pod], mark("{}", None), on))
    holds(parted, start)


def test_a_pod_that_stays_isolated_may_be_given_back() -> None:
    holds(*back(hashed(), held=[isolated([released()[0]])]))


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        ([label(HASH, None, "other")], "the record does not know that it was taken off that pod"),
        ([label("part", "d", "ds")], "touches the label part"),
        ([label("part", "d", None)], "an isolation that releases the pod is not in the plan"),
    ],
)
def test_labels_that_were_never_recorded(edits: list[FieldEdit], text: str) -> None:
    refused(*back(*edits), text)


def test_a_return_gives_back_what_is_recorded_and_no_more() -> None:
    pod, start = released()
    foreign = label("statefulset.kubernetes.io/pod-name", None, "s-0")
    refused(*back(hashed(), foreign), "touches the label")
    bare = dataclasses.replace(start, config_maps=())
    refused(*back(hashed(), start=bare), "touches the label pod-template-hash", "the record does not know")
    detached = isolated([pod], "Detach", hash_of(pod))
    refused(*back(hashed(), held=[detached]), "touches the label pod-template-hash")
    found, _ = back(hashed(), label("role", None, "x"))
    assert "it puts on role=x, which is not the label of its gate" in reasons(found, start)[1]


def test_a_record_that_was_edited_leads_to_no_other_controller() -> None:
    pod, start = released()
    labels = {HASH: pod_hash("other")}
    (entry,) = isolated([pod], "Detach", labels).pods
    edited = msgspec.structs.replace(record(POLICY), isolations=(isolated([], "Detach", pods=(entry,)),))
    begin = remembering(start, edited)
    refused(*back(label(HASH, None, labels[HASH]), start=begin), "does not select it by that")


def pod_hash(prefix: str) -> str:
    """The hash of another Deployment's pods."""
    return one(prefix).labels[HASH]


def surplus(changes: tuple[Change, ...]) -> tuple[Plan, Snapshot]:
    """A return, before which a surplus pod is marked and leaves."""
    pod, start = released()
    others = pods_of(start, "d-")[1:2]
    inside = [item for item in start.pods if item.labels.get(KEY) == "yes" and item not in others]
    parts = (edit([pod], label(KEY, None, "yes")), shown("rng", GATED, [*inside, *others, pod]),
             edit(others, OFF), shown("rng", GATED, [*inside, pod]), changes,
             edit([pod], mark("{}", None), hashed()))  # fmt: skip
    return written(start, target(POLICY), *parts), start


def cost(pods: Sequence[Pod], new: str = "-2147483647", *more: FieldEdit) -> tuple[Change, ...]:
    """The step that marks who is deleted first."""
    return edit(pods, FieldEdit(COST, None, new), *more)


def test_the_surplus_pod_is_marked() -> None:
    others = pods_of(released()[1], "d-")[1:2]
    holds(*surplus(cost(others)))
    holds(*surplus(edit(others, FieldEdit(ALL_MARKS, None, {"controller.kubernetes.io/pod-deletion-cost": "-1"}))))
    refused(*surplus(cost(others, "-2147483649")), "which is no number that Kubernetes reads")
    refused(*surplus(cost(others, "low")), "which is no number that Kubernetes reads")
    refused(*surplus(cost(others, "-1", label("x", None, "y"))), "takes a step of its own")
    for prefix in ("ds", "other", "s"):
        refused(*surplus(cost([one(prefix)])), "no pod comes back to its ReplicaSet")


def test_nobody_is_marked_where_nobody_comes_back() -> None:
    refused(written(fleet(), target(POLICY), cost([one("d")])), fleet(), "no pod comes back to its ReplicaSet")


def test_values_that_are_none() -> None:
    """What no patch of a plan holds is refused, and never a crash."""
    pod = one("d")
    gates = target(POLICY, isolations=(isolated([pod], "Detach", hash_of(pod)),))
    (good,) = edit([pod], mark(), OFF)
    values: list[Any] = [None, 1, {}, [], {"$bound": "x"}]
    for value in values:
        for place in range(len(good.patch)):
            ops = list(good.patch)
            ops[place] = Op(ops[place].op, ops[place].path, value)
            bad = msgspec.structs.replace(good, patch=tuple(ops))
            if bad.patch != good.patch and ops[place].op != "remove":
                refused(written(fleet(), gates, (bad,)), fleet(), "")


def test_a_release_that_is_made_up() -> None:
    """What is to be given back was taken off; else a return would put any label on."""
    pod = one("d")
    out, wait = edit([pod], OFF, mark()), rest(pod)
    owner = {"owner": pod.metadata.owner_references[0].uid}
    for labels, more in (({"app2": "evil"}, {}), ({"app2": "evil"}, owner), ({HASH: "x"}, owner), ({}, owner)):
        entry = IsolatedPod(name=pod.name, uid=pod.uid, labels=labels, **more)
        gates = target(POLICY, isolations=(isolated([], "Detach", pods=(entry,)),))
        refused(written(fleet(), gates, out, wait), fleet(), "TrafficGate dockercoins/rng says that", pod.name)


def test_what_is_recorded_is_not_changed() -> None:
    pod, start = released()
    (entry,) = isolated([pod], "Detach", hash_of(pod)).pods
    holds(written(start, target(POLICY, isolations=(isolated([], "Detach", pods=(entry,)),))), start)
    for more in ({"owner": "x"}, {"labels": {HASH: "x"}}, {"labels": {**hash_of(pod), "x": "y"}}, {"owner": ""}):
        bad = isolated([], "Detach", pods=(msgspec.structs.replace(entry, **more),))
        refused(written(start, target(POLICY, isolations=(bad,))), start, "")


def test_two_isolations_of_one_name() -> None:
    pod, other = pods_of(fleet(), "d-")[:2]
    gates = target(POLICY, isolations=(isolated([pod]), isolated([other])))
    steps = edit([pod, other], OFF, mark())
    refused(written(fleet(), gates, steps, rest(pod, other)), fleet(), "has two isolations of the name look")


def test_nobody_who_is_isolated_is_forgotten() -> None:
    """The proof of a fresh plan says so; of a document, staleness does."""
    pod, start = released()
    text = f"Pod dockercoins/{pod.name} was isolated by Isolation dockercoins/look since the plan was made"
    now = datetime(2026, 6, 1, tzinfo=UTC)
    bare = isolated([pod], "Detach")
    plans = [written(start, target(POLICY, isolations=held)) for held in ((), (bare,), (isolated([], ended="x"),))]
    for found in (*plans, back(hashed())[0], back(mark("{}", None))[0]):
        assert "the plan neither holds it nor gives back all it lacks" in reasons(found, start)[0]
        assert text in stale(found, start, now)
    gone = dataclasses.replace(start, pods=tuple(item for item in start.pods if item.uid != pod.uid))
    kept = written(start, target(POLICY, isolations=(isolated([pod], "Detach", hash_of(pod)),)))
    for found, live in ((plans[0], gone), (kept, start), back(mark("{}", None), hashed())):
        assert stale(found, live, now) == ()


def test_a_pod_that_lacks_nothing_may_be_forgotten() -> None:
    """By hand it got its labels back, and lost its mark."""
    pod = one("d")
    known = msgspec.structs.replace(record(POLICY), isolations=(isolated([pod]),))
    start = remembering(fleet(), known)
    holds(written(start, target(POLICY)), start)
    bare = remembering(marked(fleet(), [pod]), known)
    assert "neither holds it" in reasons(written(bare, target(POLICY)), bare)[0]
