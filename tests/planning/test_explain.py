"""What a reader of the plan is told.

Aspects: later pods first of all · which owner has which pod · pods without owner · drift and newborn · who returns ·
nobody ready · a controller that is behind · permissions.
"""

from __future__ import annotations

import dataclasses

from gatekeep.model.plan import Access
from gatekeep.model.snapshot import Snapshot
from tests.builders import cluster, dockercoins
from tests.gates import (
    APPLIED,
    DEPLOYMENT_ONLY,
    applied,
    gate,
    message,
    plan,
    record,
    remembering,
    retirement,
    rules,
    snapshot_of,
)

START = snapshot_of(dockercoins())


def test_pods_born_later_come_first() -> None:
    found = plan(START, gate())
    assert rules(found)[:2] == ["later-pods", "mixed-owners"]
    first = found.findings[0]
    assert (first.severity, first.object) == ("warning", "TrafficGate dockercoins/rng")
    for part in ("for the next apply", "DaemonSet rng, Deployment rng", "leaves rng with no endpoint"):
        assert part in first.message


def test_no_such_warning_when_every_template_gives_the_label() -> None:
    builder = cluster().service("rng", {"app": "rng"}).deployment("rng", 2, {"app": "rng"})
    builder.change("Deployment", "rng", spec={"template": {"metadata": {"labels": {"active": "yes"}}}})
    assert "later-pods" not in rules(plan(snapshot_of(builder), gate()))


def test_which_pod_comes_from_which_owner() -> None:
    text = message(plan(START, gate()), "mixed-owners")
    daemonset, deployment = text.split(";")
    for part, kind in ((daemonset, "DaemonSet"), (deployment, "Deployment")):
        assert f"{kind} rng has 3 pods" in part
        mine = [pod.name for pod in START.pods if pod.labels["app"] == "rng" and START.top_owner(pod).kind == kind]  # type: ignore[union-attr]
        assert len(mine) == 3
        assert all(name in part for name in mine)


def test_many_pods_are_not_all_named() -> None:
    builder = (
        cluster().service("rng", {"app": "rng"}).deployment("rng", 9, {"app": "rng"}).daemonset("d", {"app": "rng"})
    )
    assert "9 pods (" in (text := message(plan(snapshot_of(builder), gate()), "mixed-owners"))
    assert "and 3 more" in text


def test_pods_without_an_owner() -> None:
    found = plan(snapshot_of(cluster().service("rng", {"app": "rng"}).pods("solo", labels={"app": "rng"})), gate())
    assert message(found, "orphan-pods") == "1 pod (solo) without an owner: nothing replaces them when they go"


def test_a_lost_label_is_drift_and_a_young_pod_is_newborn() -> None:
    builder = cluster().service("rng", {"app": "rng", "active": "yes"})
    for name, created, labels in (
        ("kept", "2026-01-01T00:00:00Z", {"active": "yes"}),
        ("lost", "2026-01-01T00:00:00Z", {}),
        ("young", "2026-03-01T00:00:00Z", {}),
    ):
        builder.pods(name, labels={"app": "rng", **labels})
        builder.change("Pod", name, metadata={"creationTimestamp": created})
    snapshot = remembering(snapshot_of(builder), record(gate()))
    found = plan(snapshot, gate())
    assert message(found, "drift").startswith("1 pod (lost) lost the label active=yes")
    assert message(found, "newborn").startswith("1 pod (young) born since the last apply")
    assert not {"drift", "newborn"} & set(rules(plan(remembering(snapshot), gate())))


def test_a_selector_without_its_gate_is_drift() -> None:
    found = plan(remembering(START, record(gate())), gate())
    assert "has gone from the selector" in message(found, "drift")
    assert APPLIED not in message(found, "drift")


def test_who_returns_to_rotation() -> None:
    found = retirement(applied(START, gate(pool=DEPLOYMENT_ONLY)))
    assert "without the gate 3 pods (" in message(found, "returns-to-rotation")
    assert "later-pods" not in rules(found)
    assert "returns-to-rotation" not in rules(retirement(applied(START, gate())))


def test_nobody_is_ready() -> None:
    builder = cluster().service("rng", {"app": "rng"}).deployment("rng", 2, {"app": "rng"}, ready=False)
    found = plan(snapshot_of(builder), gate())
    assert message(found, "no-ready-endpoint") == ("the Service has no ready endpoint now (2 pods match its selector)")
    assert found.proof.holds


def test_the_endpoint_controller_is_behind() -> None:
    assert "controller-behind" not in rules(plan(START, gate()))
    behind = dataclasses.replace(START, slices=tuple(item for item in START.slices if "rng" not in item.metadata.name))
    assert "list 0 ready pods, the pods say 6" in message(plan(behind, gate()), "controller-behind")


def test_findings_are_sorted_by_weight() -> None:
    builder = dockercoins().service("rng2", {"app": "none"}).pods("solo", labels={"app": "rng"})
    found = plan(snapshot_of(builder), gate(services=("rng", "rng2")))
    assert [item.severity for item in found.findings] == sorted(
        (item.severity for item in found.findings), key=["error", "warning", "info"].index
    )


def permissions(snapshot: Snapshot) -> set[tuple[str, str]]:
    """Verb and resource of everything that the plan needs."""
    return {(item.verb, item.resource) for item in plan(snapshot, gate()).access}


def test_permissions() -> None:
    needed = permissions(START)
    assert {("patch", "pods"), ("patch", "services"), ("create", "services"), ("delete", "services"),
            ("watch", "endpointslices"), ("patch", "leases"), ("create", "configmaps")} <= needed  # fmt: skip
    steady = permissions(applied(START, gate(pool=DEPLOYMENT_ONLY)))
    assert ("patch", "pods") in steady
    assert not {("patch", "services"), ("create", "services"), ("delete", "services")} & steady
    assert permissions(applied(START, gate())) == set()
    assert Access("patch", "", "pods", "dockercoins") in plan(START, gate()).access
