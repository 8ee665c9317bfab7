"""Is a plan still fresh?

Aspects: label, selector and uid that changed · a Service that is gone · a pod that is gone · expiry · another cluster ·
what never makes a plan stale · long lists.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from gatekeep.model.objects import PodStatus
from gatekeep.model.snapshot import ClusterIdentity, Snapshot
from gatekeep.proof.drift import explain, stale
from tests.builders import dockercoins
from tests.gates import applied, gate, plan, retirement, snapshot_of

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
