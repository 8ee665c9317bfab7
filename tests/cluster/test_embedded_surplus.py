"""Who goes first: the order of the controllers where a real cluster cannot be brought to show it on demand."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gatekeep.cluster.embedded.clock import timestamp
from gatekeep.cluster.embedded.store import Stored
from gatekeep.cluster.embedded.surplus import deletion_cost, doomed
from gatekeep.model.objects import controller_of
from gatekeep.model.patches import label_patch
from gatekeep.model.plan import Access
from tests.builders import cluster

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE = "dockercoins"
RNG = {"app": "rng"}
Facts = Mapping[str, Any]


def pod(
    name: str,
    *,
    node: str = "node1",
    phase: str = "Running",
    ready: float | None = 100.0,
    age: float = 100.0,
    cost: str = "0",
    restarts: int = 0,
    sidecar: int = 0,
    uid: str = "",
) -> Stored:
    """A pod; ``ready`` and ``age`` are seconds, None for ``ready`` says that it is not."""
    since = timestamp(NOW - timedelta(seconds=ready or 0))
    status = {
        "phase": phase,
        "conditions": [{"type": "Ready", "status": str(ready is not None), "lastTransitionTime": since}],
        "containerStatuses": [{"name": "main", "restartCount": restarts}],
        "initContainerStatuses": [{"name": "proxy", "restartCount": sidecar}, {"name": "setup", "restartCount": 99}],
    }
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid or name,
        "creationTimestamp": timestamp(NOW - timedelta(seconds=age)),
        "annotations": {"controller.kubernetes.io/pod-deletion-cost": cost},
    }
    sidecars = [{"name": "proxy", "restartPolicy": "Always"}, {"name": "setup"}]
    spec = {"nodeName": node, "containers": [{"name": "main"}], "initContainers": sidecars}
    return Stored("Pod", {"metadata": metadata, "spec": spec, "status": status}, 1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"node": "", "cost": "9"}, {}),
        ({"phase": "Pending", "cost": "9"}, {"phase": "Unknown"}),
        ({"phase": "Unknown", "cost": "9"}, {}),
        ({"ready": None, "cost": "9"}, {}),
        ({"cost": "-1", "ready": 1000.0}, {"ready": 1.0}),
        ({"node": "crowded", "ready": 1000.0}, {"ready": 1.0}),
        ({"ready": 60.0}, {"ready": 100.0, "restarts": 5}),
        ({"ready": 130.0, "uid": "a"}, {"ready": 80.0, "uid": "b"}),
        ({"restarts": 2, "age": 1000.0}, {"restarts": 1, "age": 110.0}),
        ({"sidecar": 1, "age": 1000.0}, {"age": 110.0}),
        ({"restarts": 1, "age": 1000.0}, {"sidecar": 7, "age": 110.0}),
        ({"age": 110.0}, {"age": 1000.0}),
        ({"age": 900.0, "uid": "a"}, {"age": 600.0, "uid": "b"}),
    ],
    ids=lambda facts: ",".join(f"{key}={value}" for key, value in facts.items()) or "plain",
)
def test_the_order(first: Facts, second: Facts) -> None:
    """Each row differs in what decides, and what comes later says the opposite."""
    crowd = [pod(f"c-{number}", node="crowded") for number in range(3)]
    one, other = pod("x", **first), pod("y", **second)
    for pods in ((one, other), (other, one)):
        assert doomed(pods, (*pods, *crowd), 1, NOW) == [one]


def test_nobody_goes_where_nobody_is_spare() -> None:
    assert doomed([pod("x")], [], 0, NOW) == doomed([pod("x")], [], -3, NOW) == []


@pytest.mark.parametrize(
    ("value", "cost"),
    [("0", 0), ("-5", -5), ("-05", -5), ("2147483647", 2**31 - 1)]
    + [(value, None) for value in ("", "+1", "008", "1_0", " 1", "2147483648", "text")],
)
def test_a_deletion_cost_is_read_as_go_reads_it(value: str, cost: int | None) -> None:
    assert deletion_cost({"controller.kubernetes.io/pod-deletion-cost": value}) == cost


def test_of_a_daemon_sets_pods_made_in_one_second_the_first_name_stays() -> None:
    builder = cluster(NAMESPACE).nodes(1).daemonset("rng", RNG).pods("a-1", "z-1", labels=RNG, node="node1")
    target = builder.embedded()
    target.clock.sleep(5)
    names = [item.name for item in target.list_pods(NAMESPACE)]
    assert len(names) == 1
    assert "z-1" not in names


@pytest.mark.parametrize("lag", [0.0, 2.0])
def test_an_orphan_is_adopted_by_one_of_several_controllers(lag: float) -> None:
    """Whoever comes too late has no pod too many."""
    builder = cluster(NAMESPACE).nodes(2).daemonset("rng", RNG).statefulset("web", 2, RNG)
    target = builder.embedded(pod_lag=lag)
    target.clock.sleep(5)
    before = {item.uid for item in target.list_pods(NAMESPACE)}
    spec = {"containers": [{"name": "main", "image": "x"}]}
    body = {"selector": {"matchLabels": RNG}, "template": {"metadata": {"labels": RNG}, "spec": spec}, "replicas": 2}
    target.create("ReplicaSet", NAMESPACE, {"metadata": {"name": "more"}, "spec": body})
    target.clock.sleep(10)
    target.create("Pod", NAMESPACE, {"metadata": {"name": "orphan", "labels": RNG}, "spec": spec})
    target.clock.sleep(10)
    owners = sorted(owner.kind for item in target.list_pods(NAMESPACE) if (owner := controller_of(item.metadata)))
    assert owners == ["DaemonSet"] * 2 + ["ReplicaSet"] * 2 + ["StatefulSet"] * 2
    assert before < {item.uid for item in target.list_pods(NAMESPACE)}


def test_a_returned_pod_leaves_and_comes_back_while_the_pod_stream_is_late() -> None:
    """Released, replaced, adopted again: as many pods as before in the end."""
    target = cluster(NAMESPACE).nodes(3).deployment("rng", 3, RNG).embedded(pod_lag=3.0)
    chosen = target.list_pods(NAMESPACE)[0]
    value = chosen.labels["pod-template-hash"]
    for edit in ((value, None), (None, value)) * 2:
        target.patch(chosen.ref, label_patch(chosen.uid, {"pod-template-hash": edit}))
        target.clock.sleep(1.0)
    target.clock.sleep(30)
    assert len(target.list_pods(NAMESPACE)) == 3
    assert chosen.uid in {item.uid for item in target.list_pods(NAMESPACE)}


def test_budgets_are_optional() -> None:
    builder = cluster(NAMESPACE).budget("rng", RNG)
    snapshot = builder.embedded().snapshot([NAMESPACE])
    assert ([item.metadata.name for item in snapshot.budgets], snapshot.missing) == (["rng"], frozenset())
    blind = builder.embedded(forbidden=[Access("list", "policy", "poddisruptionbudgets", "")]).snapshot([NAMESPACE])
    assert (blind.budgets, blind.missing) == ((), frozenset({"poddisruptionbudgets"}))
    assert blind.time == builder.embedded().clock.now()
