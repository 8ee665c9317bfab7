"""Workload controllers of the embedded cluster: who is replaced, released, adopted, and what new pods look like."""

from __future__ import annotations

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.endpoints import is_ready
from gatekeep.model.objects import ObjectRef, Pod, controller_of
from gatekeep.model.patches import Op, label_patch
from tests.builders import cluster

NAMESPACE = "dockercoins"
RNG = {"app": "rng"}


def deployment(**options: object) -> EmbeddedCluster:
    """rng as a Deployment of 3, its pods carrying a gate label that the template lacks."""
    builder = cluster(NAMESPACE).nodes(3).service("rng", RNG)
    return builder.deployment("rng", 3, RNG, pod_labels={"active": "yes"}).embedded(**options)


def pods(target: EmbeddedCluster) -> tuple[Pod, ...]:
    return target.list_pods(NAMESPACE)


def test_a_deleted_pod_is_replaced_without_the_gate_label() -> None:
    target = deployment()
    gone, *kept = pods(target)
    target.delete(gone.ref, uid=gone.uid)
    target.clock.sleep(5)
    new = [pod for pod in pods(target) if pod not in kept]
    assert len(new) == 1
    assert "active" not in new[0].labels
    assert new[0].labels["pod-template-hash"] == gone.labels["pod-template-hash"]
    assert is_ready(new[0])
    assert new[0].spec.node_name == gone.spec.node_name
    assert new[0].uid in target.history(NAMESPACE, "rng")[-1][1]


def test_a_new_pod_takes_a_while_to_become_ready() -> None:
    target = deployment(pod_start=4.0)
    target.kill(pods(target)[0].ref)
    target.clock.sleep(2)
    assert sorted(is_ready(pod) for pod in pods(target)) == [False, True, True]
    target.clock.sleep(3)
    assert all(is_ready(pod) for pod in pods(target))


def test_a_detached_pod_is_released_and_replaced_and_the_newest_goes_when_it_returns() -> None:
    target = deployment()
    chosen = pods(target)[0]
    target.patch(chosen.ref, label_patch(chosen.uid, {"app": ("rng", None)}))
    target.clock.sleep(5)
    detached = next(pod for pod in pods(target) if pod.uid == chosen.uid)
    assert controller_of(detached.metadata) is None
    assert len(pods(target)) == 4
    target.patch(chosen.ref, label_patch(chosen.uid, {"app": (None, "rng")}))
    target.clock.sleep(5)
    assert len(pods(target)) == 3
    assert chosen.uid in {pod.uid for pod in pods(target) if controller_of(pod.metadata)}


def test_a_daemonset_keeps_one_pod_on_each_node() -> None:
    target = cluster(NAMESPACE).nodes(3).daemonset("rng", RNG).embedded()
    chosen = pods(target)[0]
    target.patch(chosen.ref, label_patch(chosen.uid, {"app": ("rng", "debug")}))
    target.clock.sleep(5)
    assert [pod.spec.node_name for pod in pods(target)].count(chosen.spec.node_name) == 2
    target.patch(chosen.ref, label_patch(chosen.uid, {"app": ("debug", "rng")}))
    target.clock.sleep(5)
    assert len(pods(target)) == 3
    assert chosen.uid in {pod.uid for pod in pods(target)}
    target.add({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node4"}})
    target.clock.sleep(5)
    new = next(pod for pod in pods(target) if pod.spec.node_name == "node4")
    assert new.labels["controller-revision-hash"] == chosen.labels["controller-revision-hash"]
    assert new.labels["pod-template-generation"] == "1"


def test_a_daemonset_stays_off_tainted_nodes() -> None:
    target = cluster(NAMESPACE).nodes(2).daemonset("rng", RNG).embedded()
    taint = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node9"}, "spec": {"taints": [taint]}}
    target.add(node)
    target.clock.sleep(5)
    assert {pod.spec.node_name for pod in pods(target)} == {"node1", "node2"}


def test_a_statefulset_cannot_replace_a_detached_pod_as_its_name_is_taken() -> None:
    target = cluster(NAMESPACE).nodes(3).statefulset("db", 3, {"app": "db"}).embedded()
    chosen = pods(target)[1]
    target.patch(chosen.ref, label_patch(chosen.uid, {"app": ("db", None)}))
    target.clock.sleep(5)
    assert [pod.name for pod in pods(target)] == ["db-0", "db-1", "db-2"]
    assert target.get(ObjectRef("StatefulSet", NAMESPACE, "db"))["status"]["replicas"] == 2
    target.kill(chosen.ref)
    target.clock.sleep(20)
    new = pods(target)[1]
    assert new.uid != chosen.uid
    assert new.labels["statefulset.kubernetes.io/pod-name"] == "db-1"
    assert new.labels["controller-revision-hash"] == chosen.labels["controller-revision-hash"]


def test_scaling_a_deployment_goes_through_its_replicaset() -> None:
    target = deployment()
    ref = ObjectRef("Deployment", NAMESPACE, "rng")
    before = {pod.uid for pod in pods(target)}
    target.patch(ref, (Op("replace", "/spec/replicas", 5),))
    target.clock.sleep(5)
    assert len(pods(target)) == 5
    assert target.get(ref)["status"]["readyReplicas"] == 5
    target.patch(ref, (Op("replace", "/spec/replicas", 3),))
    target.clock.sleep(5)
    assert {pod.uid for pod in pods(target)} == before


def test_a_scale_down_takes_the_pod_with_the_lowest_deletion_cost() -> None:
    target = deployment()
    cheap = pods(target)[1]
    annotations = {"controller.kubernetes.io/pod-deletion-cost": "-1"}
    target.patch(cheap.ref, (Op("add", "/metadata/annotations", annotations),))
    target.patch(ObjectRef("Deployment", NAMESPACE, "rng"), (Op("replace", "/spec/replicas", 2),))
    target.clock.sleep(5)
    assert cheap.uid not in {pod.uid for pod in pods(target)}


def test_an_orphan_that_matches_is_adopted() -> None:
    target = cluster(NAMESPACE).nodes(2).daemonset("rng", RNG).pods("orphan", labels=RNG, node="node1").embedded()
    target.clock.sleep(5)
    assert len(pods(target)) == 2


def test_slow_pod_events_do_not_make_a_controller_create_twice() -> None:
    target = deployment(pod_lag=3.0)
    target.kill(pods(target)[0].ref)
    target.clock.sleep(30)
    assert len(pods(target)) == 3


def test_fully_labelled_replicas_wait_for_the_pod_stream() -> None:
    target = deployment(pod_lag=3.0)
    name = str(next(owner.name for pod in pods(target) if (owner := controller_of(pod.metadata))))
    ref = ObjectRef("ReplicaSet", NAMESPACE, name)
    target.patch(ref, (Op("add", "/spec/template/metadata/labels/track", "stable"),))
    for pod in pods(target):
        target.patch(pod.ref, label_patch(pod.uid, {"track": (None, "stable")}))
    target.clock.sleep(2)
    status = target.get(ref)["status"]
    assert (status["observedGeneration"], status["fullyLabeledReplicas"]) == (2, 0)
    target.clock.sleep(2)
    assert target.get(ref)["status"]["fullyLabeledReplicas"] == 3


@pytest.mark.parametrize("grace", [0.0, 5.0])
def test_a_terminating_pod_serves_but_is_not_ready(grace: float) -> None:
    target = cluster(NAMESPACE).nodes(1).service("rng", RNG).pods("p-1", "p-2", labels=RNG).embedded(pod_grace=grace)
    target.delete(ObjectRef("Pod", NAMESPACE, "p-1"))
    target.clock.sleep(1)
    endpoints = target.snapshot([]).slices[0].endpoints or ()
    states = {item.target_ref.name: item.conditions for item in endpoints if item.target_ref}
    if grace:
        assert (states["p-1"].ready, states["p-1"].serving, states["p-1"].terminating) == (False, True, True)
    target.clock.sleep(10)
    assert [pod.name for pod in pods(target)] == ["p-2"]


def test_what_a_deployment_owned_goes_with_it() -> None:
    target = deployment()
    target.delete(ObjectRef("Deployment", NAMESPACE, "rng"))
    target.clock.sleep(5)
    assert pods(target) == ()
    assert target.list_objects("ReplicaSet", NAMESPACE, {}) == ()
