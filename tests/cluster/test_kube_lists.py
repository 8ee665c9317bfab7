"""Lists on a real socket: paging, expiry, what may be missing, and what reaches the snapshot."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatekeep.cluster.kube.clock import ServerClock
from gatekeep.model.errors import ForbiddenError, UnreachableError
from gatekeep.model.objects import PodAnnotations
from gatekeep.model.selectors import LabelSelector
from gatekeep.sources.dumps import dump_snapshot, load_snapshot
from tests.cluster.kube_server import ApiServer, Reply, Seen, api_server, client, listed, named, status

PODS = "/api/v1/namespaces/shop/pods"
BUDGETS = "/apis/policy/v1/namespaces/shop/poddisruptionbudgets"
EMPTY = [
    "/api/v1/namespaces/shop/services",
    "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices",
    "/apis/apps/v1/namespaces/shop/deployments",
    "/apis/apps/v1/namespaces/shop/replicasets",
    "/apis/apps/v1/namespaces/shop/daemonsets",
    "/apis/apps/v1/namespaces/shop/statefulsets",
    "/api/v1/nodes",
    "/api/v1/namespaces/shop/configmaps",
]
ADMISSION = [
    "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings",
]


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as running:
        running.on("GET", PODS, listed())
        for path in (*EMPTY, BUDGETS, *ADMISSION):
            running.on("GET", path, listed())
        running.on(
            "GET", "/api/v1/namespaces/kube-system", Reply({"kind": "Namespace", "metadata": {"uid": "cluster-1"}})
        )
        running.on("GET", "/version", Reply({"gitVersion": "v1.36.3"}))
        yield running


def test_pages_are_followed_to_the_end(server: ApiServer) -> None:
    server.on("GET", PODS, listed(named("a"), more="t1"), listed(named("b"), more="t2"), listed(named("c")))
    with client(server) as cluster:
        pods = cluster.list_pods("shop", {"app": "rng", "active": "yes"})
    assert [pod.name for pod in pods] == ["a", "b", "c"]
    asked = [seen.query for seen in server.asked(PODS)]
    assert [query.get("continue") for query in asked] == [None, "t1", "t2"]
    assert {query["labelSelector"] for query in asked} == {"active=yes,app=rng"}
    assert {query["limit"] for query in asked} == {"2000"}
    assert not any("resourceVersion" in query for query in asked), "a list from the cache may be old"


def test_an_expired_list_starts_over(server: ApiServer) -> None:
    gone = status(410, "The provided continue parameter is too old", "Expired")
    server.on("GET", PODS, listed(named("old"), more="t1"), gone, listed(named("a"), more="t2"), listed(named("b")))
    with client(server) as cluster:
        assert [pod.name for pod in cluster.list_pods("shop")] == ["a", "b"]


def test_a_list_that_expires_again_and_again_is_asked_for_at_once(server: ApiServer) -> None:
    def answer(seen: Seen) -> Reply:
        query = seen.query
        if "limit" not in query:
            return listed(named("all"))
        return status(410, "too old", "Expired") if "continue" in query else listed(named("a"), more="t")

    server.on("GET", PODS, answer)
    with client(server) as cluster:
        assert [pod.name for pod in cluster.list_pods("shop")] == ["all"]


def test_pods_of_a_long_list_share_equal_parts(server: ApiServer) -> None:
    def pod(name: str) -> dict[str, object]:
        about = {"name": "main", "restartCount": 2, "imageID": name}
        ready = [{"type": "Ready", "status": "True"}]
        made = named(name, status={"phase": "Running", "conditions": ready, "containerStatuses": [about]})
        made["metadata"]["annotations"] = {"controller.kubernetes.io/pod-deletion-cost": "-1", "note": name}
        return made

    server.on("GET", PODS, listed(pod("a"), more="t"), listed(pod("b")))
    with client(server) as cluster:
        first, second = cluster.list_pods("shop")
    assert first.status.conditions is second.status.conditions
    assert first.status.container_statuses is second.status.container_statuses
    assert first.metadata.annotations is second.metadata.annotations
    assert first.metadata.annotations == PodAnnotations(deletion_cost="-1")
    assert [status.restart_count for status in second.status.container_statuses] == [2]
    assert (first.name, second.name, first.uid) == ("a", "b", "uid-a")


def test_a_cut_page_is_read_again(server: ApiServer) -> None:
    whole = listed(named("a"), named("b"))
    server.on("GET", PODS, Reply(whole.body, cut=40), whole)
    with client(server) as cluster:
        assert len(cluster.list_pods("shop")) == 2


def test_null_items_are_none(server: ApiServer) -> None:
    server.on("GET", PODS, Reply({"metadata": {}, "items": None}))
    with client(server) as cluster:
        assert cluster.list_pods("shop") == ()


def test_a_page_of_a_portal_is_no_answer(server: ApiServer) -> None:
    server.on("GET", PODS, Reply(b"<html>Log in to the guest network</html>"))
    with client(server) as cluster, pytest.raises(UnreachableError, match="no Kubernetes answer"):
        cluster.list_pods("shop")


def test_a_snapshot_lists_every_kind_once(server: ApiServer) -> None:
    server.on("GET", PODS, listed(named("rng-1")))
    server.on("GET", EMPTY[2], listed(named("rng", spec={"replicas": 2, "paused": True})))
    server.on("GET", EMPTY[4], listed(named("hasher")))
    with client(server) as cluster:
        found = cluster.snapshot(["shop", "shop"])
        cluster.snapshot(["shop"])
    assert [(item.kind, item.name, item.spec.replicas) for item in found.workloads] == [
        ("Deployment", "rng", 2),
        ("DaemonSet", "hasher", None),
    ]
    assert (found.identity.uid, found.identity.version, found.missing) == ("cluster-1", "v1.36.3", frozenset())
    assert [len(server.asked(path)) for path in (PODS, *EMPTY, BUDGETS, *ADMISSION, "/version")] == [2] * 12 + [1]
    for path in (EMPTY[-1], *ADMISSION):
        assert server.asked(path)[0].query["labelSelector"] == "app.kubernetes.io/managed-by=gatekeep"


def test_admission_policies_are_listed_where_they_are_served(server: ApiServer) -> None:
    server.on("GET", ADMISSION[0], listed(named("gatekeep-shop-rng")))
    with client(server) as cluster:
        found = cluster.snapshot(["shop"])
    assert [(item.kind, item.name) for item in found.admission] == [("MutatingAdmissionPolicy", "gatekeep-shop-rng")]
    assert found.unserved == frozenset()
    for path in ADMISSION:
        server.on("GET", path, status(404, "the server could not find the requested resource", "NotFound"))
    with client(server) as cluster:
        found = cluster.snapshot(["shop"])
    assert found.admission == ()
    assert found.unserved == {"mutatingadmissionpolicies", "mutatingadmissionpolicybindings"} == found.missing


def test_a_snapshot_holds_budgets_and_the_servers_time(server: ApiServer) -> None:
    server.on("GET", BUDGETS, listed(named("rng", spec={"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}})))
    with client(server) as cluster:
        found = cluster.snapshot(["shop"])
    [budget] = found.budgets
    assert (budget.metadata.name, budget.spec.selector) == ("rng", LabelSelector(match_labels={"a": "b"}))
    assert found.time is not None
    assert abs(found.time - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_servers_time_need_not_be_this_machines(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ServerClock, "offset", lambda self: timedelta(days=3650))
    with client(server) as cluster:
        found = cluster.snapshot(["shop"])
    assert found.time is not None
    assert found.time > datetime.now(UTC) + timedelta(days=3649)


def test_what_a_snapshot_file_holds_is_read_again(server: ApiServer, tmp_path: Path) -> None:
    """Budgets and annotations of pods among it; env nowhere."""
    env = [{"name": "PASSWORD", "value": "hunter2"}]
    template = {"spec": {"containers": [{"name": "main", "env": env}]}}
    pod = named("rng-1", spec=template["spec"], status={"containerStatuses": [{"name": "main", "restartCount": 4}]})
    pod["metadata"]["annotations"] = {"gatekeep.dev/isolated": "{}"}
    record = named("record")
    record["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "gatekeep"}
    others = {
        "/apis/apps/v1/namespaces/shop/controllerrevisions": named("rev", data={"spec": {"template": template}}),
        "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers": named("hpa"),
        "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies": named("net"),
        EMPTY[7]: record,
        BUDGETS: named("rng", spec={"selector": {"matchLabels": {"app": "rng"}}}),
    }
    server.on("GET", PODS, listed(pod))
    for path, item in others.items():
        server.on("GET", path, listed(item))
    system = {"kind": "Namespace", "metadata": {"name": "kube-system", "uid": "cluster-1"}}
    server.on("GET", "/api/v1/namespaces/kube-system", Reply({"apiVersion": "v1", **system}))
    with client(server) as cluster:
        document = dump_snapshot(cluster.raw_objects(["shop"]))
    kinds = {item["kind"] for item in document["items"]}
    assert kinds == {
        "Pod", "ControllerRevision", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap",
        "Namespace",
    }  # fmt: skip
    (tmp_path / "cluster.json").write_text(json.dumps(document))
    assert "hunter2" not in (tmp_path / "cluster.json").read_text()
    found = load_snapshot(tmp_path / "cluster.json")
    assert [budget.metadata.name for budget in found.budgets] == ["rng"]
    assert (found.pods[0].metadata.annotations, found.time) == (PodAnnotations(isolated="{}"), None)
    assert found.pods[0].status.container_statuses[0].restart_count == 4
    assert "poddisruptionbudgets" not in found.missing


def test_without_namespaces_everything_is_listed(server: ApiServer) -> None:
    for path in (*EMPTY, BUDGETS):
        server.on("GET", path.replace("/namespaces/shop", ""), listed())
    server.on("GET", "/api/v1/pods", listed(named("a", "x"), named("b", "y")))
    with client(server) as cluster:
        assert [pod.namespace for pod in cluster.snapshot([]).pods] == ["x", "y"]


def test_optional_kinds_may_be_forbidden(server: ApiServer) -> None:
    refused = status(403, 'nodes is forbidden: User "jane" cannot list resource "nodes"', "Forbidden")
    for path in (EMPTY[6], EMPTY[7], BUDGETS, "/api/v1/namespaces/kube-system", "/version"):
        server.on("GET", path, refused)
    with client(server) as cluster:
        found = cluster.snapshot(["shop"])
    assert found.missing == {"nodes", "configmaps", "poddisruptionbudgets", "namespaces", "version"}
    assert found.budgets == ()
    assert found.identity.uid is None


@pytest.mark.parametrize("path", [PODS, *EMPTY[:6]])
def test_required_kinds_may_not(server: ApiServer, path: str) -> None:
    server.on("GET", path, status(403, "no", "Forbidden"))
    plural = path.rpartition("/")[2]
    with client(server) as cluster, pytest.raises(ForbiddenError, match=f"may not list {plural} in namespace shop"):
        cluster.snapshot(["shop"])


def test_plain_objects_say_what_they_are(server: ApiServer) -> None:
    server.on("GET", EMPTY[2], listed(named("rng")))
    with client(server) as cluster:
        (found,) = cluster.list_objects("Deployment", "shop", {})
    assert (found["apiVersion"], found["kind"], found["metadata"]["name"]) == ("apps/v1", "Deployment", "rng")


def test_raw_objects_report_what_is_missing(server: ApiServer) -> None:
    server.on("GET", PODS, listed(named("a", spec={"hostNetwork": True})))
    server.on("GET", EMPTY[0], status(403, "no", "Forbidden"))
    reported: dict[str, str] = {}
    with client(server) as cluster:
        found = list(cluster.raw_objects(["shop"], reported.__setitem__))
    assert [(item["kind"], item["metadata"].get("name")) for item in found] == [("Pod", "a"), ("Namespace", None)]
    assert found[0]["spec"] == {"hostNetwork": True}
    assert set(reported) == {
        "services",
        "controllerrevisions",
        "horizontalpodautoscalers",
        "networkpolicies",
    }


def test_compression_is_not_asked_for_on_loopback(server: ApiServer) -> None:
    with client(server) as cluster:
        cluster.list_pods("shop")
    assert "gzip" not in server.asked(PODS)[0].headers.get("Accept-Encoding", "")


def test_a_compressed_answer_is_read(server: ApiServer) -> None:
    packed = gzip.compress(listed(named("a")).payload())
    server.on("GET", PODS, Reply(packed, headers={"Content-Encoding": "gzip"}))
    with client(server) as cluster:
        assert len(cluster.list_pods("shop")) == 1
