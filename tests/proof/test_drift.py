"""Is a plan still fresh?

Aspects: label, selector and uid that changed · a Service that is gone · a pod that is gone · expiry · another cluster ·
what never makes a plan stale · long lists · isolated pods · a run that has come further.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from gatekeep.model.objects import PodStatus
from gatekeep.model.patches import FieldEdit
from gatekeep.model.progress import Progress
from gatekeep.model.snapshot import ClusterIdentity, Snapshot
from gatekeep.proof.drift import explain, fulfilled, stale
from tests.builders import dockercoins
from tests.gates import applied, gate, plan, retirement, snapshot_of
from tests.proof import test_isolation_mutants as isolations
from tests.proof import test_run_mutants as runs
from tests.proof.handmade import ALL_MARKS, KEY, edit, isolated, label, mark, marked, target, written

NOW = datetime(2026, 6, 1, tzinfo=UTC)
START = snapshot_of(dockercoins())
PLAN = plan(START, gate())
FIRST = PLAN.steps[0].changes[0]


def with_pod(name: str, *, labels: dict[str, str] | None = None, uid: str = "", **fields: Any) -> Snapshot:
    """The cluster with one pod changed."""
    pods = []
    for pod in START.pods:
        if pod.name == name:
            meta = msgspec.structs.replace(pod.metadata, labels={**pod.labels, **(labels or {})}, uid=uid or pod.uid)
            pod = msgspec.structs.replace(pod, metadata=meta, **fields)
        pods.append(pod)
    return dataclasses.replace(START, pods=tuple(pods))


def with_service(selector: dict[str, str], uid: str = "") -> Snapshot:
    """The cluster with the Service changed."""
    services = []
    for item in START.services:
        if item.name == "rng":
            spec = msgspec.structs.replace(item.spec, selector=selector)
            meta = msgspec.structs.replace(item.metadata, uid=uid or item.metadata.uid)
            item = msgspec.structs.replace(item, spec=spec, metadata=meta)
        services.append(item)
    return dataclasses.replace(START, services=tuple(services))


@pytest.mark.parametrize(
    ("live", "text"),
    [
        (
            with_pod(FIRST.name, labels={"active": "no"}),
            f"Pod dockercoins/{FIRST.name}: the label active was absent when the plan was made, now it is 'no'",
        ),
        (with_service({"app": "rng", "x": "y"}), "the selector changed since the plan was made: gained x=y"),
        (with_service({"app": "web"}), "app was 'rng', now 'web'"),
        (with_service({"app": "rng"}, uid="new"), "was deleted and created again (uid new"),
        (
            dataclasses.replace(START, services=tuple(item for item in START.services if item.name != "rng")),
            "Service dockercoins/rng is gone",
        ),
        (
            dataclasses.replace(START, identity=ClusterIdentity(uid="cluster-2")),
            "the plan is for the cluster cluster-1 (a snapshot), this one is cluster-2",
        ),
    ],
)
def test_stale(live: Snapshot, text: str) -> None:
    (reason,) = stale(PLAN, live, NOW)
    assert text in reason


@pytest.mark.parametrize(
    "live",
    [
        START,
        dataclasses.replace(START, pods=START.pods[1:]),
        with_pod(FIRST.name, uid="new"),
        with_pod(FIRST.name, labels={"other": "x"}),
        dataclasses.replace(START, pods=tuple(msgspec.structs.replace(pod, status=PodStatus()) for pod in START.pods)),
        dataclasses.replace(START, identity=ClusterIdentity(uid=None), slices=(), workloads=(), nodes=()),
        snapshot_of(dockercoins().pods("newborn", labels={"app": "rng"})),
    ],
    ids=["same", "pod gone", "pod replaced", "other label", "status", "less known", "newborn"],
)  # fmt: skip
def test_fresh(live: Snapshot) -> None:
    assert stale(PLAN, live, NOW) == ()


@pytest.mark.parametrize(("expires", "count"), [("2026-06-01T00:00:00Z", 1), ("2026-06-01T00:00:01Z", 0), (None, 0)])
def test_expiry(expires: str | None, count: int) -> None:
    assert len(stale(msgspec.structs.replace(PLAN, expires_at=expires), START, NOW)) == count


def test_a_label_that_another_took_off() -> None:
    gated = applied(START, gate())
    reasons = stale(retirement(gated), dataclasses.replace(gated, pods=START.pods), NOW)
    assert len(reasons) == 6
    assert "the label active was 'yes' when the plan was made, now it is absent" in reasons[0]


def test_long_lists_are_cut() -> None:
    builder = dockercoins().deployment("many", 20, {"app": "rng"})
    start = snapshot_of(builder)
    found = plan(start, gate())
    done = applied(start, gate())
    reasons = stale(found, done, NOW)
    assert len(reasons) == 11
    assert reasons[-1] == "and 17 more"


def test_selectors_in_plain_words() -> None:
    assert explain({"a": "1", "b": "2"}, {"b": "3", "c/d": "4"}) == "b was '2', now '3', gained c/d=4, lost a=1"


def without(snapshot: Snapshot, *names: str) -> Snapshot:
    """The snapshot in which these pods are gone."""
    return dataclasses.replace(snapshot, pods=tuple(pod for pod in snapshot.pods if pod.name not in names))


def test_a_pod_that_is_to_be_released_is_gone() -> None:
    pod = isolations.one("d")
    found, start = isolations.detaching(pod, isolations.hash_of(pod)), isolations.fleet()
    assert stale(found, start, NOW) == ()
    (reason,) = stale(found, without(start, pod.name), NOW)
    assert reason == f"Pod dockercoins/{pod.name} was to be released from its controller, and is gone"


def test_an_isolated_pod_that_is_gone_is_skipped() -> None:
    pod, start = isolations.one("d"), isolations.fleet()
    gates = target(isolations.POLICY, isolations=(isolated([pod]),))
    found = written(start, gates, edit([pod], mark(), isolations.OFF), isolations.rest(pod))
    assert stale(found, without(start, pod.name), NOW) == ()


def test_a_pod_that_comes_back_and_is_gone_is_skipped() -> None:
    pod, start = isolations.released()
    found, _ = isolations.back(mark("{}", None), isolations.hashed(), label(KEY, None, "yes"))
    assert stale(found, start, NOW) == stale(found, without(start, pod.name), NOW) == ()


def test_a_pod_that_was_picked_is_missed() -> None:
    found, start = runs.running(), runs.fleet()
    name = found.steps[0].changes[0].name
    (reason,) = stale(found, without(start, name), NOW)
    assert reason == f"Pod dockercoins/{name} was picked to join, and is gone"


def test_a_mark_that_changed() -> None:
    pod, start = isolations.one("d"), isolations.fleet()
    gates = target(isolations.POLICY, isolations=(isolated([pod]),))
    live = marked(start, [pod], "other")
    for where in (mark(), FieldEdit(ALL_MARKS, None, {"gatekeep.dev/isolated": "{}"})):
        found = written(start, gates, edit([pod], where, isolations.OFF), isolations.rest(pod))
        (reason,) = stale(found, live, NOW)
        assert reason.endswith(f"{pod.name}: the annotation gatekeep.dev/isolated changed since the plan was made")
    (reason,) = stale(found, marked(start, [pod], ""), NOW)
    assert reason == f"Pod dockercoins/{pod.name} had no annotation when the plan was made, and has one now"


def test_a_plan_is_fulfilled_once_its_marks_are_there() -> None:
    pod, start = isolations.one("d"), isolations.fleet()
    gates = target(isolations.POLICY, isolations=(isolated([pod]),))
    found = written(start, gates, edit([pod], mark()))
    assert not fulfilled(found, start)
    assert fulfilled(found, marked(start, [pod]))


@pytest.mark.parametrize(
    ("now", "count"),
    [
        (None, 0),
        (runs.at(2), 0),
        (runs.at(3, "Paused"), 0),
        (runs.at(5, "Done"), 1),
        (runs.at(5, "Aborted"), 0),
        (Progress(run="two", phase="Done", step=5), 0),
    ],
)
def test_a_run_that_has_come_further(now: Progress | None, count: int) -> None:
    found = stale(runs.running(), runs.recorded(now), NOW)
    assert len(found) == count
    assert not found or "its run has done 5 steps by now, and the plan leads to step 3" in found[0]


def test_an_undo_may_lead_to_an_earlier_step() -> None:
    began = runs.at(3, "Paused", since="2026-01-01T00:00:00Z")
    assert stale(runs.resting(began), runs.recorded(runs.at(5, "Done"), began), NOW) == ()


def test_a_weight_that_was_reckoned_with_pods_that_are_gone() -> None:
    """So with names that never were: who forges them gets at most twice the pods that are there."""
    found, start = runs.running(), runs.fleet()
    names = [pod.name for pod in start.pods if pod.name.startswith("stable-")]
    assert stale(found, without(start, *names[:2]), NOW) == ()
    (reason,) = stale(found, without(start, *names[:3]), NOW)
    assert reason.startswith("TrafficGate dockercoins/web: stable-")
    assert "and 2 more that the plan counts on are gone, and 1 stable pods are left" in reason
    (claim,) = found.services
    forged = msgspec.structs.replace(claim, after=(*claim.after, *(f"x{number}" for number in range(5))))
    (reason,) = stale(msgspec.structs.replace(found, services=(forged,)), start, NOW)
    assert "x0 and 4 more that the plan counts on are gone, and 4 stable pods are left" in reason
