"""The embedded cluster itself: time, faults, permissions, other writers, and what it is loaded from."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.cluster.protocol import Cluster
from gatekeep.model.endpoints import ready_in_slices
from gatekeep.model.errors import ForbiddenError, InvalidInputError, NotFoundError, PatchRejectedError, UnreachableError
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Op, label_patch, selector_patch
from gatekeep.model.plan import Access
from gatekeep.model.snapshot import ClusterIdentity
from tests.builders import cluster, dockercoins

NAMESPACE = "dockercoins"
RNG = ObjectRef("Service", NAMESPACE, "rng")
LABELS = {"app": "rng"}
ON = {"active": (None, "yes")}


def small(**options: Any) -> EmbeddedCluster:
    """Two pods behind rng, without any workload."""
    return cluster(NAMESPACE).nodes(2).service("rng", LABELS).pods("p-1", "p-2", labels=LABELS).embedded(**options)


def test_it_is_a_cluster() -> None:
    target: Cluster = small()
    assert target.clock.monotonic() == 0.0


def test_time_stands_still_unless_somebody_writes_or_sleeps() -> None:
    target = small()
    pod = target.list_pods(NAMESPACE)[0]
    assert target.clock.monotonic() == 0.0
    target.patch(pod.ref, label_patch(pod.uid, ON))
    assert target.clock.monotonic() == pytest.approx(target.write_latency)
    before = target.clock.now()
    target.clock.sleep(90)
    assert (target.clock.now() - before).total_seconds() == pytest.approx(90)


def test_tasks_run_in_order_and_at_their_time() -> None:
    clock = small().clock
    seen: list[tuple[str, float]] = []
    for name, delay in (("late", 2.0), ("early", 1.0), ("also early", 1.0)):
        clock.after(delay, lambda name=name: seen.append((name, clock.monotonic())))  # type: ignore[misc]
    clock.sleep(1.5)
    assert seen == [("early", 1.0), ("also early", 1.0)]
    clock.sleep(1.0)
    assert seen[-1] == ("late", 2.0)
    assert clock.monotonic() == 2.5


def test_writes_from_many_threads_are_all_applied() -> None:
    names = [f"p-{number:03}" for number in range(200)]
    target = cluster(NAMESPACE).nodes(3).service("rng", {**LABELS, "active": "yes"}).pods(*names, labels=LABELS)
    embedded = target.embedded()
    with ThreadPoolExecutor(8) as pool:
        pods = embedded.list_pods(NAMESPACE)
        list(pool.map(lambda pod: embedded.patch(pod.ref, label_patch(pod.uid, ON)), pods))
    embedded.clock.sleep(1)
    assert len(embedded.history(NAMESPACE, "rng")[-1][1]) == 200
    versions = [int(embedded.get(pod.ref)["metadata"]["resourceVersion"]) for pod in pods]
    assert len(set(versions)) == 200


def test_history_has_one_entry_per_slice_write() -> None:
    target = small()
    first = target.list_pods(NAMESPACE)[0]
    target.set_ready(first.ref, False)
    target.clock.sleep(1)
    target.set_ready(first.ref, True)
    target.clock.sleep(1)
    history = target.history(NAMESPACE, "rng")
    assert [len(ready) for _, ready in history] == [2, 1, 2]
    assert all(earlier[0] < later[0] for earlier, later in pairwise(history))
    slices = target.snapshot([NAMESPACE]).slices
    assert history[-1][1] == ready_in_slices(slices, "rng")
    assert target.history(NAMESPACE, "nobody") == ()


def test_a_crash_before_a_write_prevents_it() -> None:
    target = small()
    target.before_write(_raise_at(2))
    first, second = target.list_pods(NAMESPACE)
    target.patch(first.ref, label_patch(first.uid, ON))
    with pytest.raises(UnreachableError):
        target.patch(second.ref, label_patch(second.uid, ON))
    assert [pod.labels.get("active") for pod in target.list_pods(NAMESPACE)] == ["yes", None]


def test_a_write_can_be_applied_without_an_answer() -> None:
    target = small()
    target.after_write(_raise_at(1))
    pod = target.list_pods(NAMESPACE)[0]
    with pytest.raises(UnreachableError):
        target.patch(pod.ref, label_patch(pod.uid, ON))
    assert target.list_pods(NAMESPACE)[0].labels["active"] == "yes"


def _raise_at(number: int) -> Any:
    def hook(verb: str, ref: ObjectRef, count: int) -> None:
        if count == number:
            raise UnreachableError(f"no answer to {verb} {ref}")

    return hook


def test_another_writer_can_come_in_between() -> None:
    target = small()
    calls: list[tuple[str, str, int]] = []

    def other_writer(verb: str, ref: ObjectRef, count: int) -> None:
        calls.append((verb, ref.name, count))
        target.patch(RNG, (Op("add", "/spec/selector/tier", "front"),), manager="kubectl")
        target.kill(ObjectRef("Pod", NAMESPACE, "p-2"))
        target.clock.sleep(3)

    target.before_write(other_writer)
    uid = target.get(RNG)["metadata"]["uid"]
    with pytest.raises(PatchRejectedError):
        target.patch(RNG, selector_patch(uid, LABELS, {**LABELS, "active": "yes"}))
    assert calls == [("patch", "rng", 1)]
    assert target.get(RNG)["spec"]["selector"] == {**LABELS, "tier": "front"}


def test_forbidden_verbs_are_named() -> None:
    forbidden = (Access("patch", "", "services", NAMESPACE), Access("list", "", "nodes", ""))
    target = small(forbidden=forbidden)
    assert not target.may(Access("patch", "", "services", NAMESPACE))
    assert target.may(Access("patch", "", "services", "elsewhere"))
    with pytest.raises(ForbiddenError, match="may not patch services in namespace dockercoins"):
        target.patch(RNG, ())
    snapshot = target.snapshot([NAMESPACE])
    assert snapshot.missing == frozenset({"nodes"})
    with pytest.raises(ForbiddenError, match=r"list endpointslices\.discovery\.k8s\.io"):
        small(forbidden=[Access("list", "discovery.k8s.io", "endpointslices", "")]).snapshot([])


def test_the_identity_is_that_of_kube_system() -> None:
    target = small()
    assert target.identity().uid == target.get(ObjectRef("Namespace", "", "kube-system"))["metadata"]["uid"]
    blind = small(forbidden=[Access("get", "", "namespaces", "")])
    assert blind.identity().uid is None
    assert blind.snapshot([]).missing == frozenset({"namespaces"})
    assert small(identity=ClusterIdentity(uid="mine")).identity().uid == "mine"


def test_what_is_handed_out_is_a_copy() -> None:
    target = small()
    target.get(RNG)["spec"]["selector"]["app"] = "other"
    body = {"metadata": {"name": "record", "labels": {"a": "b"}}, "data": {}}
    target.create("ConfigMap", NAMESPACE, body)
    body["metadata"]["labels"] = {}
    assert target.get(RNG)["spec"]["selector"] == LABELS
    assert target.get(ObjectRef("ConfigMap", NAMESPACE, "record"))["metadata"]["labels"] == {"a": "b"}


def test_a_new_owner_of_the_selector_takes_it_from_the_old_one() -> None:
    applied = {"manager": "argocd", "operation": "Apply", "fieldsV1": {"f:spec": {"f:selector": {}, "f:ports": {}}}}
    builder = cluster(NAMESPACE).service("rng", LABELS).change("Service", "rng", metadata={"managedFields": [applied]})
    target = builder.embedded()
    target.patch(RNG, selector_patch(target.get(RNG)["metadata"]["uid"], LABELS, {**LABELS, "active": "yes"}))
    entries = {item["manager"]: item["fieldsV1"] for item in target.get(RNG)["metadata"]["managedFields"]}
    assert entries["argocd"] == {"f:spec": {"f:ports": {}}}
    assert entries["gatekeep"] == {"f:spec": {"f:selector": {}}}
    target.edit(RNG, lambda item: item["spec"]["selector"].update(tier="front"), manager="kubectl")
    assert [item["manager"] for item in target.get(RNG)["metadata"]["managedFields"]] == ["argocd", "kubectl"]


def test_a_pod_whose_node_is_gone_is_left_out_and_comes_back() -> None:
    target = small()
    node = ObjectRef("Node", "", "node1")
    saved = target.get(node)
    target.kill(node)
    pod = target.list_pods(NAMESPACE)[0]
    target.patch(pod.ref, label_patch(pod.uid, ON))
    target.clock.sleep(1)
    assert len(target.history(NAMESPACE, "rng")[-1][1]) == 1
    del saved["metadata"]["resourceVersion"]
    target.add(saved)
    target.clock.sleep(10)
    assert len(target.history(NAMESPACE, "rng")[-1][1]) == 2


def test_a_dual_stack_service_has_slices_of_both_families() -> None:
    both = [{"ip": "10.244.9.1"}, {"ip": "fd00::1"}]
    builder = cluster(NAMESPACE).service("rng", LABELS, ipFamilies=["IPv4", "IPv6"], ipFamilyPolicy="RequireDualStack")
    builder.pods("p-1", "p-2", labels=LABELS).change("Pod", "p-1", status={"podIPs": both})
    target = builder.embedded()
    listed = {item.address_type: len(item.endpoints or ()) for item in target.snapshot([]).slices}
    assert listed == {"IPv4": 2, "IPv6": 1}
    assert target.history(NAMESPACE, "rng")[-1][1] == {target.list_pods(NAMESPACE)[0].uid}


def test_a_list_without_nodes_is_not_a_cluster_without_nodes() -> None:
    document = dockercoins().document()
    items = [item for item in document["items"] if item["kind"] not in ("Node", "ReplicaSet", "EndpointSlice")]
    target = EmbeddedCluster.from_list({**document, "items": items})
    target.clock.sleep(60)
    assert len(target.list_pods(NAMESPACE, LABELS)) == 6
    assert len(target.history(NAMESPACE, "rng")[-1][1]) == 6


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"kind": "Pod", "metadata": {"name": "p", "labels": {"active": True}}}, "expected a string, found True"),
        ({"kind": "Service", "metadata": {}}, "expected a name"),
        ({"kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": 5}}, "nodeName"),
    ],
)
def test_what_no_api_server_would_hold_is_refused(item: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        EmbeddedCluster([item])


def test_a_name_stands_for_one_object() -> None:
    target = small()
    with pytest.raises(InvalidInputError, match="each object once"):
        target.add(target.get(RNG))


def test_a_service_of_an_old_name_gets_slices_of_its_own() -> None:
    target = small()
    old = target.snapshot([]).slices[0].metadata
    target.delete(RNG)
    body = {"metadata": {"name": "rng"}, "spec": {"selector": LABELS, "ports": [{"port": 80}]}}
    uid = target.create("Service", NAMESPACE, body)["metadata"]["uid"]
    target.clock.sleep(5)
    (new,) = target.snapshot([]).slices
    assert new.metadata.uid != old.uid
    assert new.metadata.owner_references[0].uid == uid
    assert len(new.endpoints or ()) == 2


def test_a_loaded_document_is_at_rest() -> None:
    document = dockercoins().document()
    target = EmbeddedCluster.from_list(json.loads(json.dumps(document)))
    before = {item.metadata.name: item for item in target.snapshot([]).slices}
    target.clock.sleep(60)
    assert {item.metadata.name: item for item in target.snapshot([]).slices} == before
    assert all(len(target.history(NAMESPACE, name)) == 1 for name in ("rng", "hasher", "redis", "webui"))
    original = {item["metadata"]["name"] for item in document["items"] if item["kind"] == "EndpointSlice"}
    assert set(before) == original


def test_a_status_that_says_null_is_no_change() -> None:
    template = {"metadata": {"creationTimestamp": None, "labels": LABELS}, "spec": {"containers": []}}
    spec = {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": template}
    body = {"kind": "Deployment", "metadata": {"name": "rng", "namespace": NAMESPACE}, "spec": spec}
    target = EmbeddedCluster([body])
    target.clock.sleep(1)
    ref = ObjectRef("Deployment", NAMESPACE, "rng")
    before = target.get(ref)
    assert target.patch(ref, ()) == before


def test_missing_objects_are_named() -> None:
    with pytest.raises(NotFoundError, match="Pod dockercoins/p-9: the object does not exist"):
        small().get(ObjectRef("Pod", NAMESPACE, "p-9"))
