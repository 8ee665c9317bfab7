"""Plans that adopt by admission and were tampered with: the proof must refuse each.

Aspects: what a policy matches · its binding · the probe and the other API servers · removal · what gates say · the end.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import pytest

from gatekeep.model.admission import BINDING, POLICY
from gatekeep.model.plan import Change, Plan, Step, to_json
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import AdmissionWait, DurationWait
from gatekeep.proof.drift import fulfilled
from gatekeep.proof.verify import final_snapshot
from tests.gates import plan, retirement, with_steps
from tests.proof.adoption import adopting, carried_out, changed, each_change, fleet, moved, refusal, without, writes
from tests.proof.test_documents import reason

LABEL = writes("Pod", "/labels/active")
KINDS = ("add", "retire")


def of(kind: str) -> Callable[[Step], bool]:
    """Steps that create or remove objects of a kind."""
    return lambda step: any(item.kind == kind for item in step.changes)


def probe(step: Step) -> bool:
    return isinstance(step.wait, AdmissionWait)


def pause(step: Step) -> bool:
    return isinstance(step.wait, DurationWait)


@cache
def good(kind: str) -> tuple[Plan, Snapshot]:
    policy = msgspec.structs.replace(adopting(), spec=msgspec.structs.replace(adopting().spec, adopt="Admission"))
    if kind == "retire":
        start = carried_out(fleet(), policy)
        return retirement(start), start
    return plan(fleet(), policy), fleet()


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_plan_holds(kind: str) -> None:
    found, snapshot = good(kind)
    assert any(of(POLICY)(step) for step in found.steps)
    assert refusal(found, snapshot) == ""
    assert reason(json.loads(to_json(found)), snapshot) == ""
    assert not fulfilled(found, snapshot)
    assert fulfilled(found, final_snapshot(found, snapshot))


def body(*path: Any) -> Callable[[Change], Change]:
    """Puts the last of ``path`` into the object, where the others lead."""

    def edit(item: Change) -> Change:
        document = json.loads(json.dumps(item.object))
        target = document
        for part in path[:-2]:
            target = target[part]
        target[path[-2]] = path[-1]
        return msgspec.structs.replace(item, object=document)

    return edit


EXPRESSION = '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("active"), value: "no"}]'


@pytest.mark.parametrize(
    ("kind", "edit"),
    [
        (POLICY, body("spec", "failurePolicy", "Ignore")),
        (POLICY, body("spec", "matchConditions", [])),
        (POLICY, body("spec", "matchConstraints", "objectSelector", {})),
        (POLICY, body("spec", "matchConstraints", "objectSelector", {"matchLabels": {"app": "else"}})),
        (POLICY, body("spec", "matchConstraints", "resourceRules", 0, "resources", ["secrets"])),
        (POLICY, body("spec", "mutations", 0, "jsonPatch", "expression", EXPRESSION)),
        (POLICY, body("spec", "mutations", 0, "jsonPatch", "expression", "[]")),
        (POLICY, body("metadata", "labels", {})),
        (POLICY, body("metadata", "name", "other")),
        (POLICY, body("metadata", "annotations", {"a": "b"})),
        (BINDING, body("spec", "policyName", "other")),
        (BINDING, body("spec", "matchResources", "namespaceSelector", {})),
        (BINDING, body("spec", "matchResources", "namespaceSelector", "matchLabels",
                       {"kubernetes.io/metadata.name": "kube-system"})),
    ],
)  # fmt: skip
def test_a_policy_that_does_more(kind: str, edit: Callable[[Change], Change]) -> None:
    found, snapshot = good("add")
    text = refusal(changed(found, of(kind), each_change(edit)), snapshot)
    assert "does more than to give the gate's label to the new pods of one workload" in text


def test_a_policy_without_a_binding() -> None:
    found, snapshot = good("add")
    for kind in (POLICY, BINDING):
        assert "are not both there" in refusal(without(found, of(kind)), snapshot)


@pytest.mark.parametrize("pick", [probe, pause])
def test_a_barrier_that_is_missing_or_late(pick: Callable[[Step], bool]) -> None:
    found, snapshot = good("add")
    assert "may be born without active=yes" in refusal(without(found, pick), snapshot)
    assert "may be born without active=yes" in refusal(moved(found, LABEL, pick), snapshot)


def test_probes_that_say_nothing() -> None:
    found, snapshot = good("add")

    def asking(**edits: Any) -> str:
        def edit(step: Step) -> Step:
            assert step.wait is not None
            return msgspec.structs.replace(step, wait=msgspec.structs.replace(step.wait, **edits))

        return refusal(changed(found, probe, edit), snapshot)

    assert "is none of" in asking(labels={})
    assert "is none of" in asking(labels={"app": "rng", "part": "d", "active": "yes"})
    short = changed(found, pause, lambda step: msgspec.structs.replace(step, wait=DurationWait(seconds=1)))
    assert "may be born without" in refusal(short, snapshot)
    first = next(place for place, step in enumerate(found.steps) if pause(step))
    early = [found.steps[first], *found.steps[:first], *found.steps[first + 1 :]]
    assert "may be born without" in refusal(with_steps(found, early), snapshot)


def test_what_gates_say() -> None:
    found, snapshot = good("add")
    gates = tuple(msgspec.structs.replace(item, adopted=()) for item in found.gates)
    assert "no gate says" in refusal(msgspec.structs.replace(found, gates=gates), snapshot)


def test_a_policy_that_stands_already_is_not_created_again() -> None:
    found, snapshot = good("add")
    standing = final_snapshot(found, snapshot).admission
    assert "exists already" in refusal(found, dataclasses.replace(snapshot, admission=standing))


def test_removal_of_somebody_elses() -> None:
    found, snapshot = good("retire")
    unguarded = each_change(lambda item: msgspec.structs.replace(item, patch=()))
    assert "without a test of its uid" in refusal(changed(found, of(POLICY), unguarded), snapshot)
    others: tuple[dict[str, str], ...] = ({}, {"app.kubernetes.io/managed-by": "gatekeep", "gatekeep.dev/gate": "x"})
    for labels in others:
        other = tuple(
            msgspec.structs.replace(item, metadata=msgspec.structs.replace(item.metadata, labels=labels))
            for item in snapshot.admission
        )

        text = refusal(found, dataclasses.replace(snapshot, admission=other))
        assert "is none that gatekeep made for this gate" in text
