"""Which templates should give the label, and what stands in the way of changing one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gatekeep.model.errors import RefusedError
from gatekeep.model.plan import Hold
from gatekeep.model.policy import Gate
from gatekeep.model.record import Record
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning.courses import gate_course
from gatekeep.planning.task import GateTask, Wanted
from tests.builders import CREATED, ClusterBuilder, cluster
from tests.gates import DEPLOYMENT_ONLY, NAMESPACE, gate, record, snapshot_of
from tests.manifests import uid_of

LABELS = {"app": "rng"}
OLDER = "2025-11-01T00:00:00Z"


def rng() -> ClusterBuilder:
    """A Deployment, a DaemonSet and a StatefulSet behind one Service."""
    built = cluster(NAMESPACE).nodes(2).service("rng", LABELS)
    return built.deployment("rng", 2, LABELS).daemonset("rng", LABELS).statefulset("rng-set", 2, LABELS)


def task(builder: ClusterBuilder, known: Record | None = None, **policy: Any) -> GateTask:
    """The task for the gate, by template unless told otherwise."""
    return gate_course(Wanted(policy=gate(**{"adopt": "Template", **policy})), known, snapshot_of(builder), 300).task


def wanted(found: GateTask, snapshot: Snapshot) -> dict[str, str | None]:
    """What each template should have for the gate's key: ``Deployment rng`` → ``yes``."""
    index = snapshot.workload_index
    return {
        f"{index[uid].kind} {index[uid].name}": value
        for (uid, key), value in found.templates.items()
        if key == "active"
    }


def test_every_template_whose_pods_belong_gives_the_label() -> None:
    built = rng().deployment("other", 1, {"app": "other"})
    found = wanted(task(built), snapshot_of(built))
    assert found == {"Deployment rng": "yes", "DaemonSet rng": "yes", "StatefulSet rng-set": "yes"}


def test_a_workload_without_pods_is_adopted_too() -> None:
    built = rng().deployment("spare", 0, LABELS)
    assert wanted(task(built), snapshot_of(built))["Deployment spare"] == "yes"


def test_a_template_outside_the_group_loses_the_label() -> None:
    template = {"template": {"metadata": {"labels": {"active": "yes"}}}}
    built = rng().change("DaemonSet", "rng", spec=template)
    assert wanted(task(built, pool=DEPLOYMENT_ONLY), snapshot_of(built)) == {
        "Deployment rng": "yes", "DaemonSet rng": None,
    }  # fmt: skip


def test_a_label_that_only_living_pods_have_decides_nothing_for_later_ones() -> None:
    built = cluster(NAMESPACE).service("rng", LABELS).deployment("rng", 2, LABELS, pod_labels={"track": "canary"})
    pool = {"selector": {"matchLabels": {"track": "canary"}}}
    assert wanted(task(built, pool=pool), snapshot_of(built)) == {}


def test_labels_that_the_controller_adds_count_for_who_belongs() -> None:
    expression = {"key": "controller-revision-hash", "operator": "DoesNotExist"}
    found = wanted(task(rng(), pool={"selector": {"matchExpressions": [expression]}}), snapshot_of(rng()))
    assert found == {"Deployment rng": "yes"}


@pytest.mark.parametrize("adopt", ["Reconcile", "Admission"])
def test_other_ways_touch_no_template(adopt: str) -> None:
    assert not task(rng(), adopt=adopt).templates


def test_hold_takes_the_label_out_of_templates() -> None:
    built = rng().change("DaemonSet", "rng", spec={"template": {"metadata": {"labels": {"active": "yes"}}}})
    assert wanted(task(built, newPods="Hold"), snapshot_of(built)) == {"DaemonSet rng": None}


def test_owned_replica_sets_follow_their_deployment_and_bare_ones_stand_for_themselves() -> None:
    built = cluster(NAMESPACE).service("rng", LABELS).deployment("rng", 2, LABELS)
    bare = {"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "bare", "namespace": NAMESPACE, "uid": "bare", "creationTimestamp": CREATED},
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "rng", "of": "bare"}},
                     "template": {"metadata": {"labels": {"app": "rng", "of": "bare"}}, "spec": {"containers": []}}},
            }  # fmt: skip
    found = wanted(task(built.object(bare)), snapshot_of(built))
    assert found == {"Deployment rng": "yes", "ReplicaSet bare": "yes"}


def test_without_replica_sets_a_deployment_is_left_alone() -> None:
    built = rng()
    seen = snapshot_of(built)
    blind = Snapshot(
        pods=seen.pods, services=seen.services, slices=seen.slices, nodes=seen.nodes,
        workloads=tuple(item for item in seen.workloads if item.kind != "ReplicaSet"),
        missing=frozenset({"replicasets"}),
    )  # fmt: skip
    found = gate_course(Wanted(policy=gate(adopt="Template")), None, blind, 300).task
    assert "Deployment rng" not in wanted(found, blind)


CONTROLLED = {"ownerReferences": [{"apiVersion": "x/v1", "kind": "App", "name": "web", "uid": "1", "controller": True}]}
OTHER_VALUE = {"template": {"metadata": {"labels": {"active": "maybe"}}}}

REFUSED: list[tuple[str, Callable[[], ClusterBuilder], str]] = [
    ("paused", lambda: rng().change("Deployment", "rng", spec={"paused": True}), "no run of gatekeep paused it"),
    ("controlled", lambda: rng().change("Deployment", "rng", metadata=CONTROLLED), "controlled by App web"),
    ("controlled set", lambda: rng().change("DaemonSet", "rng", metadata=CONTROLLED), "controlled by App web"),
    ("other value", lambda: rng().change("StatefulSet", "rng-set", spec=OTHER_VALUE), "already has active=maybe"),
    ("unseen", lambda: rng().change("DaemonSet", "rng", metadata={"generation": 5}), "has not seen its latest change"),
    ("Deployment rolling", lambda: rng().change("Deployment", "rng", status={"updatedReplicas": 1}), "1 of 2 pods"),
    ("DaemonSet rolling", lambda: rng().change("DaemonSet", "rng", status={"updatedNumberScheduled": 1}), "1 of 2"),
    ("StatefulSet rolling", lambda: rng().change("StatefulSet", "rng-set", status={"updatedReplicas": 1}), "1 of 2"),
    ("mixed pods", lambda: rng().change("Pod", "rng-set-1", metadata={"labels": {"controller-revision-hash": "x"}}),
     "a rollout is in progress"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "text"), [item[1:] for item in REFUSED], ids=[item[0] for item in REFUSED])
def test_what_cannot_be_changed_safely_is_refused_with_a_way_on(make: Callable[[], ClusterBuilder], text: str) -> None:
    with pytest.raises(RefusedError, match=text) as caught:
        task(make())
    assert caught.value.where
    assert caught.value.hint


def test_a_pause_that_the_record_knows_is_gone_on_from() -> None:
    built = rng().change("Deployment", "rng", spec={"paused": True})
    hold = Hold(kind="Deployment", name="rng", uid=uid_of("Deployment", NAMESPACE, "rng"))
    known = record(gate(adopt="Template"), outcome="running")
    found = task(built, Record(policy=known.policy, gate=known.gate, runs=known.runs, holds=(hold,)))
    assert wanted(found, snapshot_of(built))["Deployment rng"] == "yes"


def with_older_set(label: str | None) -> ClusterBuilder:
    """The Deployment has an old ReplicaSet with the same template but for the gate label and the hash."""
    built = cluster(NAMESPACE).service("rng", LABELS).deployment("rng", 2, LABELS)
    present = next(item for item in built.document()["items"] if item["kind"] == "ReplicaSet")
    labels = {**LABELS, "pod-template-hash": "old", **({"active": label} if label else {})}
    return built.object(
        {
            **present,
            "metadata": {**present["metadata"], "name": "rng-old", "uid": "old", "creationTimestamp": OLDER,
                         "labels": labels},
            "spec": {**present["spec"], "replicas": 0, "selector": {"matchLabels": {"pod-template-hash": "old"}},
                     "template": {**present["spec"]["template"], "metadata": {"labels": labels}}},
            "status": {"replicas": 0, "observedGeneration": 1},
        }
    )  # fmt: skip


def test_a_twin_that_is_older_is_refused_with_the_command_that_helps() -> None:
    with pytest.raises(RefusedError, match="would move all pods to the older one") as caught:
        task(with_older_set("yes"))
    assert "delete replicaset rng-old" in caught.value.hint


def test_a_deployment_whose_template_has_the_label_already_is_not_touched_for_its_history() -> None:
    built = with_older_set(None)
    spec = {"template": {"metadata": {"labels": {"active": "yes"}}}}
    names = [item["metadata"]["name"] for item in built.document()["items"] if item["kind"] == "ReplicaSet"]
    for kind, name in (("Deployment", "rng"), ("ReplicaSet", next(name for name in names if name != "rng-old"))):
        built.change(kind, name, spec=spec)
    found = task(built)
    assert found.templates
    assert found.target == Gate(key="active", value="yes")
