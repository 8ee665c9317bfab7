"""Rollouts in the embedded cluster: what is loaded is at rest, what is late, and what goes wrong without a barrier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.cluster.embedded.templates import template_hash
from gatekeep.model.endpoints import is_ready
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Op, label_patch
from tests.builders import cluster

NAMESPACE = "dockercoins"
HASH = "controller-revision-hash"
HASHES = (HASH, "pod-template-generation")
ADD_LABEL = Op("add", "/spec/template/metadata/labels/active", "yes")
ON_DELETE = Op("replace", "/spec/updateStrategy", {"type": "OnDelete"})
ROLLING = Op("replace", "/spec/updateStrategy", {"type": "RollingUpdate"})
KINDS = {"Deployment": "web", "DaemonSet": "rng", "StatefulSet": "db"}
HISTORIES = ("DaemonSet", "StatefulSet")


def everything() -> EmbeddedCluster:
    built = cluster(NAMESPACE).nodes(3).deployment("web", 3, {"app": "web"}).daemonset("rng", {"app": "rng"})
    return built.statefulset("db", 3, {"app": "db"}).embedded()


def objects(without: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    kinds = ("Namespace", "Node", *KINDS, "ReplicaSet", "ControllerRevision", "Pod")
    source = everything()
    return [item for kind in kinds if kind not in without for item in source.list_objects(kind, "", {})]


def bare_pods() -> list[dict[str, Any]]:
    """No history, and pods that do not say of which revision they are."""
    found = objects(("ControllerRevision",))
    for item in found:
        for key in HASHES:
            item["metadata"].get("labels", {}).pop(key, None)
        if item["kind"] == "StatefulSet":
            del item["status"]
    return found


LISTS: Mapping[str, Callable[[], list[dict[str, Any]]]] = {
    "everything": objects,
    "no revisions": lambda: objects(("ControllerRevision",)),
    "no ReplicaSets": lambda: objects(("ReplicaSet",)),
    "no hashes": bare_pods,
}


def uids(target: EmbeddedCluster, name: str) -> set[str]:
    return {pod.uid for pod in target.list_pods(NAMESPACE, {"app": name})}


def ref(kind: str, name: str = "") -> ObjectRef:
    return ObjectRef(kind, NAMESPACE, name or KINDS[kind])


@pytest.mark.parametrize("name", LISTS)
def test_what_is_loaded_is_at_rest(name: str) -> None:
    target = EmbeddedCluster(LISTS[name]())
    before = target.list_pods(NAMESPACE)
    target.clock.sleep(60)
    assert target.list_pods(NAMESPACE) == before
    assert len(target.list_objects("ReplicaSet", NAMESPACE, {})) == 1
    assert len(target.list_objects("ControllerRevision", NAMESPACE, {})) == 2
    assert target.get(ref("DaemonSet"))["status"]["updatedNumberScheduled"] == 3
    assert target.get(ref("StatefulSet"))["status"]["updatedReplicas"] == 3
    assert target.get(ref("Deployment"))["status"]["updatedReplicas"] == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LISTS)
def test_and_rolls_out_when_its_template_changes(name: str, kind: str) -> None:
    target = EmbeddedCluster(LISTS[name]())
    before = uids(target, KINDS[kind])
    target.patch(ref(kind), (ADD_LABEL,))
    target.clock.sleep(60)
    pods = target.list_pods(NAMESPACE, {"app": KINDS[kind]})
    assert [(pod.labels.get("active"), is_ready(pod), pod.uid in before) for pod in pods] == [("yes", True, False)] * 3


def test_a_change_that_nobody_has_seen_yet_is_rolled_out_after_loading() -> None:
    source = everything()
    source.patch(ref("Deployment"), (ADD_LABEL,))
    kinds = ("Node", "Deployment", "ReplicaSet", "Pod")
    target = EmbeddedCluster([item for kind in kinds for item in source.list_objects(kind, "", {})])
    before = uids(target, "web")
    target.clock.sleep(60)
    assert not uids(target, "web") & before


def relabel(target: EmbeddedCluster, kind: str) -> None:
    """Gives every pod the label and the revision of the newest template."""
    found = target.list_objects("ControllerRevision", NAMESPACE, {"app": KINDS[kind]})
    newest = max(found, key=lambda item: int(item["revision"]))["metadata"]
    value = newest["labels"][HASH] if kind == "DaemonSet" else newest["name"]
    for pod in target.list_pods(NAMESPACE, {"app": KINDS[kind]}):
        target.patch(pod.ref, label_patch(pod.uid, {"active": (None, "yes"), HASH: (pod.labels[HASH], value)}))


@pytest.mark.parametrize("kind", HISTORIES)
@pytest.mark.parametrize("wait", [0.0, 5.0])
def test_without_the_barrier_late_pods_are_restarted(kind: str, wait: float) -> None:
    target = everything()
    target.lag(pods=3.0)
    before = uids(target, KINDS[kind])
    target.patch(ref(kind), (ON_DELETE,))
    target.patch(ref(kind), (ADD_LABEL,))
    target.clock.sleep(1)
    relabel(target, kind)
    target.clock.sleep(wait)
    target.patch(ref(kind), (ROLLING,))
    target.clock.sleep(60)
    assert (uids(target, KINDS[kind]) == before) is (wait > 0.0)


def test_a_replica_set_patched_without_a_pause_is_no_longer_the_deployments() -> None:
    target = everything()
    before = uids(target, "web")
    [old] = target.list_objects("ReplicaSet", NAMESPACE, {})
    target.patch(ref("ReplicaSet", old["metadata"]["name"]), (ADD_LABEL,))
    target.clock.sleep(30)
    between = uids(target, "web")
    assert not between & before
    target.patch(ref("Deployment"), (ADD_LABEL,))
    target.clock.sleep(60)
    assert not uids(target, "web") & (before | between)
    assert len(target.list_objects("ReplicaSet", NAMESPACE, {})) == 2


def test_a_name_that_is_taken_is_a_collision() -> None:
    target = everything()
    template = target.get(ref("Deployment"))["spec"]["template"]
    template["metadata"]["labels"]["active"] = "yes"
    taken = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"namespace": NAMESPACE}}
    other = {"selector": {"matchLabels": {"x": "y"}}, "template": {"metadata": {"labels": {"x": "y"}}}, "replicas": 0}
    taken["metadata"]["name"] = f"web-{template_hash(template, None)}"  # type: ignore[index]
    target.add({**taken, "spec": other})
    target.patch(ref("Deployment"), (ADD_LABEL,))
    target.clock.sleep(60)
    status = target.get(ref("Deployment"))["status"]
    assert (status["collisionCount"], status["updatedReplicas"], status["replicas"]) == (1, 3, 3)


def test_controllers_see_workloads_late() -> None:
    target = everything()
    target.clock.sleep(1)
    target.lag(workloads=2.0)
    for kind in KINDS:
        target.patch(ref(kind), (Op("add", "/spec/minReadySeconds", 0),))
    target.clock.sleep(1.5)
    assert [target.get(ref(kind))["status"]["observedGeneration"] for kind in KINDS] == [1, 1, 1]
    target.clock.sleep(1.0)
    assert [target.get(ref(kind))["status"]["observedGeneration"] for kind in KINDS] == [2, 2, 2]


@pytest.mark.parametrize("lag", [0.0, 1.5])
def test_a_rollout_ends_though_workloads_are_seen_late(lag: float) -> None:
    target = everything()
    target.lag(workloads=lag)
    for kind in KINDS:
        target.patch(ref(kind), (ADD_LABEL,))
    target.clock.sleep(120)
    assert {pod.labels.get("active") for pod in target.list_pods(NAMESPACE)} == {"yes"}
    assert len(target.list_pods(NAMESPACE)) == 9
    assert len(target.list_objects("ReplicaSet", NAMESPACE, {})) == 2
    assert len(target.list_objects("ControllerRevision", NAMESPACE, {})) == 4
    revision = target.get(ref("StatefulSet"))["status"]
    assert revision["currentRevision"] == revision["updateRevision"]


def test_a_scale_in_the_middle_of_a_rollout_is_shared() -> None:
    target = cluster(NAMESPACE).nodes(3).deployment("web", 8, {"app": "web"}).embedded(pod_start=600.0)
    target.patch(ref("Deployment"), (ADD_LABEL,))
    target.clock.sleep(5)
    target.patch(ref("Deployment"), (Op("add", "/spec/paused", True),))
    target.clock.sleep(5)
    sizes = sorted(item["spec"]["replicas"] for item in target.list_objects("ReplicaSet", NAMESPACE, {}))
    assert sum(sizes) == 10
    target.patch(ref("Deployment"), (Op("replace", "/spec/replicas", 16),))
    target.clock.sleep(5)
    grown = sorted(item["spec"]["replicas"] for item in target.list_objects("ReplicaSet", NAMESPACE, {}))
    assert sum(grown) == 20
    assert all(after > before for before, after in zip(sizes, grown, strict=True))


def test_a_daemon_sets_new_pod_waits_for_the_old_one_to_end() -> None:
    target = cluster(NAMESPACE).nodes(2).daemonset("rng", {"app": "rng"}).embedded(pod_grace=5.0)
    target.patch(ref("DaemonSet"), (ADD_LABEL,))
    for _ in range(40):
        target.clock.sleep(0.5)
        nodes = [pod.spec.node_name for pod in target.list_pods(NAMESPACE)]
        assert len(nodes) == len(set(nodes))
    assert {pod.labels.get("active") for pod in target.list_pods(NAMESPACE)} == {"yes"}


def test_a_stateful_set_may_do_everything_at_once() -> None:
    target = cluster(NAMESPACE).nodes(2).embedded(pod_start=100.0)
    labels = {"app": "db"}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}}, "replicas": 3}
    for name, policy in (("one", "OrderedReady"), ("all", "Parallel")):
        labels["app"] = name
        found = {**spec, "podManagementPolicy": policy, "ordinals": {"start": 5}, "serviceName": name}
        target.create("StatefulSet", NAMESPACE, {"metadata": {"name": name}, "spec": found})
        target.clock.sleep(1)
    assert [pod.name for pod in target.list_pods(NAMESPACE)] == ["all-5", "all-6", "all-7", "one-5"]
