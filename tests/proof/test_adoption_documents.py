"""Documents that adopt: noise, what makes them stale or done, and where they lead.

Aspects: noise (a refusal, never a traceback, and what passes writes three fields only) · stale · done already · the
snapshot at the end, and the way back from it · runs that were killed go on.
"""

from __future__ import annotations

import dataclasses
import json
import random
from datetime import UTC, datetime
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeep.model.errors import InvalidInputError
from gatekeep.model.objects import Workload
from gatekeep.model.plan import from_json, to_json
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.way_back import way_back_problem
from gatekeep.proof.drift import fulfilled, stale
from gatekeep.proof.templates import with_value
from gatekeep.proof.verify import final_snapshot, prove
from tests.gates import plan
from tests.proof.adoption import KINDS, OLD, adopting, good, killed, old_set, with_workloads
from tests.proof.test_documents import reason, scramble

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LABEL = "/spec/template/metadata/labels/active"
WRITTEN = ("/spec/paused", "/spec/updateStrategy", LABEL, "/metadata/labels/active", "/spec/selector/active",
           "/metadata/labels/controller-revision-hash")  # fmt: skip


@cache
def text_of(kind: str) -> str:
    return to_json(good(kind)[0])


@given(st.sampled_from(KINDS), st.randoms(use_true_random=False), st.integers(1, 3))
def test_noise_is_refused_and_never_crashes(kind: str, order: random.Random, times: int) -> None:
    document = json.loads(text_of(kind))
    for _ in range(times):
        scramble(document, order)
    try:
        found = from_json(json.dumps(document).encode(), "plan.json")
    except InvalidInputError:
        return
    if reason(document, good(kind)[1]) == "":
        ops = [op for step in found.steps for item in step.changes for op in item.patch if op.op != "test"]
        assert {item.namespace for step in found.steps for item in step.changes} <= {"dockercoins"}
        assert all(op.path.startswith(WRITTEN) or "temporary" in op.path for op in ops)


# Stale


def item_of(snapshot: Snapshot, kind: str, name: str = "rng") -> Workload:
    return next(item for item in snapshot.workloads if (item.kind, item.name) == (kind, name))


def edited(snapshot: Snapshot, kind: str, path: str, value: object) -> Snapshot:
    return with_workloads(snapshot, with_value(item_of(snapshot, kind), path, value))


@pytest.mark.parametrize(
    ("kind", "path", "value", "text"),
    [
        ("Deployment", "/spec/paused", True, "its pause was absent when the plan was made, now it is True"),
        ("DaemonSet", "/spec/updateStrategy", {"type": "OnDelete"}, "its update strategy was"),
        ("StatefulSet", LABEL, "no", "the label active of its pod template was absent"),
        ("DaemonSet", LABEL, "yes", "now it is 'yes'"),
    ],
)
def test_stale_where_a_field_is_another(kind: str, path: str, value: object, text: str) -> None:
    found, snapshot = good("all")
    assert stale(found, snapshot, NOW) == ()
    (sentence,) = stale(found, edited(snapshot, kind, path, value), NOW)
    assert f"{kind} dockercoins/rng: " in sentence
    assert text in sentence


def test_stale_where_a_workload_is_gone_or_another() -> None:
    found, snapshot = good("all")
    item = item_of(snapshot, "DaemonSet")
    rest = tuple(one for one in snapshot.workloads if one is not item)
    gone = msgspec.structs.replace(item, metadata=msgspec.structs.replace(item.metadata, uid="other"))
    assert stale(found, with_only(snapshot, rest), NOW) == ("DaemonSet dockercoins/rng is gone",)
    (sentence,) = stale(found, with_only(snapshot, (*rest, gone)), NOW)
    assert "was deleted and created again (uid other" in sentence


def with_only(snapshot: Snapshot, workloads: tuple[Workload, ...]) -> Snapshot:
    return dataclasses.replace(snapshot, workloads=workloads)


def test_an_old_replica_set_that_is_gone_or_new_is_not_stale_and_one_with_pods_is() -> None:
    found, snapshot = good("all")
    left = tuple(one for one in snapshot.workloads if one.name != OLD)
    assert stale(found, with_only(snapshot, left), NOW) == ()
    assert prove(found, with_only(snapshot, left), exact=False).proof.holds
    new = old_set(snapshot, "rng-new", spec={"containers": []})
    assert stale(found, with_workloads(snapshot, new), NOW) == ()
    assert prove(found, with_workloads(snapshot, new), exact=False).proof.holds
    scaled = msgspec.structs.replace(new, spec=msgspec.structs.replace(new.spec, replicas=1))
    (sentence,) = stale(found, with_workloads(snapshot, scaled), NOW)
    assert "ReplicaSet dockercoins/rng-new has pods" in sentence


def test_generations_and_status_are_not_stale() -> None:
    found, snapshot = good("all")
    later = tuple(
        msgspec.structs.replace(
            item, metadata=msgspec.structs.replace(item.metadata, generation=99), status=type(item.status)()
        )
        for item in snapshot.workloads
    )
    assert stale(found, with_only(snapshot, later), NOW) == ()
    assert prove(found, with_only(snapshot, later), exact=False).proof.holds


# Where plans lead


@pytest.mark.parametrize("kind", KINDS)
def test_the_end_of_a_plan(kind: str) -> None:
    found, snapshot = good(kind)
    end = final_snapshot(found, snapshot)
    assert fulfilled(found, end)
    assert not fulfilled(found, snapshot)
    assert way_back_problem(found, snapshot) is None
    gives = {"retire": None, "revalue": "sure"}.get(kind, "yes")
    for item in end.workloads:
        before = snapshot.workload_index[item.uid]
        assert (item.spec.paused, item.spec.update_strategy) == (before.spec.paused, before.spec.update_strategy)
        if item.spec.template != before.spec.template and (kind != "leave" or item.kind == "DaemonSet"):
            assert item.spec.template.metadata.labels.get("active") == gives


@pytest.mark.parametrize("field", ["/spec/paused", "/spec/updateStrategy", LABEL])
def test_not_done_where_one_field_is_not_as_planned(field: str) -> None:
    found, snapshot = good("all")
    end = final_snapshot(found, snapshot)
    values: dict[str, Any] = {"/spec/paused": True, "/spec/updateStrategy": {"type": "OnDelete"}, LABEL: None}
    kind = "Deployment" if field == "/spec/paused" else "DaemonSet"
    assert not fulfilled(found, edited(end, kind, field, values[field]))


def test_a_revision_is_one_value_wherever_it_stands() -> None:
    found, snapshot = good("all")
    end = final_snapshot(found, snapshot)
    for kind in ("DaemonSet", "StatefulSet"):
        marks = {pod.labels["controller-revision-hash"] for pod in end.pods_of(item_of(end, kind))}
        assert len(marks) == 1
        assert not marks & {pod.labels.get("controller-revision-hash") for pod in snapshot.pods}
        if kind == "StatefulSet":
            assert marks == {item_of(end, kind).status.update_revision}


# Runs that were killed


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet", "ReplicaSet"])
def test_what_a_killed_run_left_can_be_gone_on_with(kind: str) -> None:
    policy = adopting(kind)
    found, start = good(kind)
    for count in range(len(found.steps)):
        left = killed(found, count, start, policy)
        onward = plan(left, policy)
        assert onward.proof.holds, (count, onward.proof.counter_example)
        assert reason(json.loads(to_json(onward)), left) == ""
