"""Single requests on a real socket: what is sent, what is sent again, and what a refusal becomes."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from gatekeep.cluster.kube import KubeCluster
from gatekeep.cluster.kube.clock import ServerClock
from gatekeep.cluster.kube.login import Credentials, Login
from gatekeep.model.errors import (
    AlreadyExistsError,
    ForbiddenError,
    GatekeepError,
    NotFoundError,
    PatchRejectedError,
    RefusedError,
    UnreachableError,
)
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Op, label_patch
from gatekeep.model.plan import Access
from tests.cluster.kube_server import ApiServer, Reply, api_server, client, named, status

POD = ObjectRef("Pod", "shop", "rng-1")
POD_PATH = "/api/v1/namespaces/shop/pods/rng-1"
SERVICE = ObjectRef("Service", "shop", "rng")
SERVICE_PATH = "/api/v1/namespaces/shop/services/rng"
PATCH = label_patch("u1", {"active": (None, "yes")})


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as running:
        yield running


def test_a_pod_patch_asks_for_metadata_only(server: ApiServer) -> None:
    server.on("PATCH", POD_PATH, Reply(named("rng-1")))
    with client(server, as_user="ci", as_groups=("a", "b")) as cluster:
        assert cluster.patch(POD, PATCH)["metadata"]["name"] == "rng-1"
    (seen,) = server.requests
    assert json.loads(seen.body)[0] == {"op": "test", "path": "/metadata/uid", "value": "u1"}
    assert seen.query == {"fieldManager": "gatekeep"}
    assert seen.headers["Content-Type"] == "application/json-patch+json"
    assert seen.headers["Accept"].startswith("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,")
    assert seen.headers["Authorization"] == "Bearer secret"
    assert seen.headers["Impersonate-User"] == "ci"
    assert seen.headers["User-Agent"].startswith("gatekeep/")


def test_other_patches_are_strict_and_give_the_object(server: ApiServer) -> None:
    server.on("PATCH", SERVICE_PATH, Reply(named("rng")))
    with client(server) as cluster:
        cluster.patch(SERVICE, (Op("test", "/metadata/annotations/a", "<ü&\u2028>"),))
    (seen,) = server.requests
    assert seen.query == {"fieldManager": "gatekeep", "fieldValidation": "Strict"}
    assert seen.headers["Accept"] == "application/json"
    assert seen.body.decode().endswith('"value":"\\u003cü\\u0026\\u2028\\u003e"}]'), (
        "test compares bytes as Go writes them"
    )


def test_creation_and_deletion(server: ApiServer) -> None:
    server.on("POST", "/api/v1/namespaces/shop/services", Reply(named("rng"), 201))
    server.on("DELETE", SERVICE_PATH, Reply({}))
    with client(server) as cluster:
        cluster.create("Service", "shop", named("rng"))
        cluster.delete(SERVICE, "u1")
    created, deleted = server.requests
    assert created.query == {"fieldManager": "gatekeep", "fieldValidation": "Strict"}
    options = json.loads(deleted.body)
    assert (options["preconditions"], options["propagationPolicy"]) == ({"uid": "u1"}, "Background")


def test_a_dry_run_says_so(server: ApiServer) -> None:
    server.on("POST", "/api/v1/namespaces/shop/pods", Reply(named("probe-x")))
    with client(server) as cluster:
        cluster.dry_run_create("Pod", "shop", {"metadata": {"generateName": "probe-"}})
    (seen,) = server.requests
    assert seen.query == {"dryRun": "All", "fieldManager": "gatekeep", "fieldValidation": "Strict"}
    assert json.loads(seen.body) == {"metadata": {"generateName": "probe-"}}


def test_access_reviews(server: ApiServer) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    server.on("POST", path, Reply({"status": {"allowed": True}}, 201), Reply({"status": {}}, 201))
    with client(server) as cluster:
        assert cluster.may(Access("patch", "apps", "deployments/scale", "shop"))
        assert not cluster.may(Access("patch", "", "pods", ""))
    assert json.loads(server.requests[0].body)["spec"]["resourceAttributes"] == {
        "namespace": "shop",
        "verb": "patch",
        "group": "apps",
        "resource": "deployments",
        "subresource": "scale",
    }


@pytest.mark.parametrize(
    ("method", "reply", "error", "exit_code"),
    [
        ("PATCH", status(422, "the server rejected our request", "Invalid"), PatchRejectedError, 3),
        ("PATCH", status(409, "the object has been modified", "Conflict"), PatchRejectedError, 3),
        ("PATCH", status(404, 'pods "rng-1" not found', "NotFound"), NotFoundError, 3),
        ("PATCH", status(403, "pods is forbidden", "Forbidden"), ForbiddenError, 77),
        ("PATCH", status(401, "Unauthorized", "Unauthorized"), ForbiddenError, 77),
        ("PATCH", status(400, "json: cannot unmarshal", "BadRequest"), GatekeepError, 1),
        ("PATCH", status(500, "etcdserver: leader changed", "InternalError"), UnreachableError, 69),
        ("PATCH", Reply(b"<html>moved</html>", 302), UnreachableError, 69),
        ("PATCH", Reply(b"Client sent an HTTP request to an HTTPS server.\n", 400), UnreachableError, 69),
        ("GET", status(503, "shutting down"), UnreachableError, 69),
        ("POST", status(409, "already exists", "AlreadyExists"), AlreadyExistsError, 3),
        ("POST", status(409, "try again", "Conflict"), RefusedError, 3),
        ("POST", status(422, "Service is invalid", "Invalid"), RefusedError, 3),
        ("DELETE", status(409, "the UID does not match", "Conflict"), PatchRejectedError, 3),
    ],
)
def test_what_a_refusal_becomes(
    server: ApiServer, method: str, reply: Reply, error: type[GatekeepError], exit_code: int
) -> None:
    server.on(method, POD_PATH.rpartition("/")[0] if method == "POST" else POD_PATH, reply)
    with client(server) as cluster:
        calls: dict[str, Callable[[], object]] = {
            "GET": lambda: cluster.get(POD),
            "PATCH": lambda: cluster.patch(POD, PATCH),
            "POST": lambda: cluster.create("Pod", "shop", named("rng-1")),
            "DELETE": lambda: cluster.delete(POD, "u1"),
        }
        with pytest.raises(error) as caught:
            calls[method]()
    assert type(caught.value) is error
    assert caught.value.exit_code == exit_code
    assert "secret" not in str(caught.value)


def test_a_refusal_names_verb_resource_namespace_and_identity(server: ApiServer) -> None:
    server.on("PATCH", POD_PATH, status(403, 'User "jane" cannot patch resource "pods"', "Forbidden"))
    with client(server, as_user="ci") as cluster, pytest.raises(ForbiddenError) as caught:
        cluster.patch(POD, PATCH)
    assert caught.value.message.startswith(
        "ci (impersonated by user jane) may not patch pods rng-1 in namespace shop: "
    )
    assert caught.value.hint == "check with: kubectl auth can-i patch pods -n shop"


def test_server_texts_are_cut_and_escaped(server: ApiServer) -> None:
    server.on("PATCH", POD_PATH, status(422, "\x1b[31mred\r\n\u202e\u200b" + "x" * 9000, "Invalid"))
    with client(server) as cluster, pytest.raises(PatchRejectedError) as caught:
        cluster.patch(POD, PATCH)
    message = caught.value.message
    assert "\\x1b[31mred\\x0d\\x0a\\u202e\\u200b" in message
    assert message.isprintable()
    assert len(message) < 400


def test_an_overloaded_server_is_waited_for(server: ApiServer) -> None:
    busy = status(429, "too many requests", "TooManyRequests", {"Retry-After": "1"})
    starting = status(503, "starting", headers={"Retry-After": "2"})
    server.on("PATCH", POD_PATH, busy, starting, Reply(named("rng-1")))
    slept: list[float] = []
    with client(server, slept=slept) as cluster:
        cluster.patch(POD, PATCH)
    assert len(server.requests) == 3
    assert 1 <= slept[0] <= 1.5
    assert 2 <= slept[1] <= 3


def test_but_not_for_ever(server: ApiServer) -> None:
    server.on("PATCH", POD_PATH, status(429, "too many requests", headers={"Retry-After": "1"}))
    slept: list[float] = []
    with client(server, slept=slept) as cluster, pytest.raises(UnreachableError, match="overloaded"):
        cluster.patch(POD, PATCH)
    assert len(server.requests) == 9
    assert sum(slept) < 90


def test_a_long_wait_is_refused_at_once(server: ApiServer) -> None:
    server.on("PATCH", POD_PATH, status(429, "too many requests", headers={"Retry-After": "3600"}))
    with client(server) as cluster, pytest.raises(UnreachableError):
        cluster.patch(POD, PATCH)
    assert len(server.requests) == 1


def test_a_cut_patch_is_sent_again(server: ApiServer) -> None:
    server.on("PATCH", POD_PATH, Reply(cut=0), Reply(named("rng-1")))
    with client(server) as cluster:
        assert cluster.patch(POD, PATCH)["metadata"]["name"] == "rng-1"
    assert len(server.requests) == 2


def test_a_patch_that_was_applied_before_the_cut_is_rejected_with_a_word(server: ApiServer) -> None:
    server.on("PATCH", POD_PATH, Reply(cut=0), status(422, "the server rejected our request", "Invalid"))
    with client(server) as cluster, pytest.raises(PatchRejectedError, match="first try may have been applied"):
        cluster.patch(POD, PATCH)


def test_a_server_that_always_cuts_is_unreachable(server: ApiServer) -> None:
    server.on("PATCH", POD_PATH, Reply(cut=0))
    with client(server) as cluster, pytest.raises(UnreachableError, match=server.url):
        cluster.patch(POD, PATCH)
    assert len(server.requests) == 3


def test_connections_are_used_again(server: ApiServer) -> None:
    server.on("GET", POD_PATH, Reply(named("rng-1")))
    with client(server) as cluster:
        for _ in range(5):
            cluster.get(POD)
        assert len(cluster._transport._idle) == 1


def test_refused_credentials_are_read_anew_once(server: ApiServer) -> None:
    tokens = iter(["Bearer old", "Bearer new", "Bearer newer"])
    server.on("GET", POD_PATH, status(401, "Unauthorized"), Reply(named("rng-1")), status(401, "Unauthorized"))
    with client(server, credentials=Credentials(lambda: next(tokens), lambda: next(tokens))) as cluster:
        cluster.get(POD)
        with pytest.raises(ForbiddenError, match="credentials of user jane"):
            cluster.get(POD)
    sent = [seen.headers["Authorization"] for seen in server.requests]
    assert sent == ["Bearer old", "Bearer new", "Bearer new", "Bearer newer"]


def test_nobody_listens() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    cluster = KubeCluster(Login(server=url.replace("://", "://user:pw@")))
    with cluster, pytest.raises(UnreachableError) as caught:
        cluster.get(POD)
    assert str(caught.value).startswith(f"cannot reach {url}: connection refused")
    assert "pw" not in str(caught.value)


def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        begun = time.monotonic()
        with KubeCluster(Login(server=url), request_timeout=0.2) as cluster, pytest.raises(UnreachableError) as caught:
            cluster.get(POD)
    assert "--request-timeout" in caught.value.hint
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_never_becomes_another_path(name: str) -> None:
    with KubeCluster(Login(server="http://127.0.0.1:1")) as cluster, pytest.raises(ValueError, match="no object name"):
        cluster.get(ObjectRef("Pod", "shop", name))


def test_names_are_quoted(server: ApiServer) -> None:
    with client(server) as cluster, pytest.raises(NotFoundError):
        cluster.get(ObjectRef("Pod", "shop", "../../secrets?x"))
    assert server.requests[0].path == "/api/v1/namespaces/shop/pods/..%2F..%2Fsecrets%3Fx"


@pytest.mark.parametrize(("ahead", "used"), [(0, False), (1.4, False), (-1, False), (90, True), (-3600, True)])
def test_the_clock_follows_the_server_beyond_two_seconds(ahead: float, used: bool) -> None:
    local = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
    clock = ServerClock(lambda: local)
    assert clock.now() == local
    clock.observe(format_datetime(local + timedelta(seconds=ahead), usegmt=True))
    expected = ahead + 0.5 if used else 0
    assert (clock.now() - local).total_seconds() == pytest.approx(expected, abs=0.6)
    assert (clock.offset() != timedelta()) is used


def test_a_broken_date_is_ignored() -> None:
    clock = ServerClock()
    clock.observe("yesterday")
    assert clock.offset() == timedelta()
