"""Following EndpointSlices over a stream that breaks, expires and ends."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from gatekeep.cluster.kube.watch import SliceFollower
from gatekeep.model.errors import ForbiddenError, UnreachableError
from gatekeep.model.objects import EndpointSlice
from tests.cluster.kube_server import ApiServer, Reply, Watch, api_server, client, listed, named, status

PATH = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
SECONDS = 5.0
"""Far more than anything here takes; a wait that ends by itself has failed."""


def piece(name: str, version: int, *ready: str) -> dict[str, Any]:
    found = named(name, endpoints=[{"addresses": [f"10.0.0.{len(pod)}"], "targetRef": {"uid": pod}} for pod in ready])
    found["metadata"]["resourceVersion"] = str(version)
    return found


def uids(slices: tuple[EndpointSlice, ...]) -> list[list[str]]:
    return [[end.target_ref.uid for end in item.endpoints or () if end.target_ref] for item in slices]


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as running:
        yield running


def script(server: ApiServer, lists: list[Reply], watches: list[Watch | Reply]) -> None:
    """Lists and watches are asked for at one path; each has its own order."""
    server.on("GET", PATH, *_in_turn(lists, watches))


def _in_turn(lists: list[Reply], watches: list[Watch | Reply]) -> list[Reply | Watch]:
    pairs: list[tuple[Reply | Watch | None, Reply | Watch | None]] = list(itertools.zip_longest(lists, watches))
    return [part for pair in pairs for part in pair if part is not None]


def test_changes_arrive(server: ApiServer) -> None:
    watch = Watch()
    script(server, [listed(piece("a", 5, "p1"), version="7")], [watch])
    with client(server) as cluster, cluster.watch_slices("shop", "rng") as slices:
        assert uids(slices.current()) == [["p1"]]
        watch.send("MODIFIED", piece("a", 8, "p1", "p2"))
        assert uids(slices.wait(SECONDS)) == [["p1", "p2"]]
        watch.send("ADDED", piece("b", 9, "p3"))
        assert uids(slices.wait(SECONDS)) == [["p1", "p2"], ["p3"]]
        watch.send("DELETED", piece("a", 10))
        assert uids(slices.wait(SECONDS)) == [["p3"]]
    first, second = server.asked(PATH)
    assert first.query["labelSelector"] == second.query["labelSelector"] == "kubernetes.io/service-name=rng"
    assert (second.query["watch"], second.query["resourceVersion"]) == ("1", "7")
    assert second.query["allowWatchBookmarks"] == "true"


def test_a_change_between_two_looks_is_not_waited_for(server: ApiServer) -> None:
    watch = Watch()
    script(server, [listed()], [watch])
    with client(server) as cluster, cluster.watch_slices("shop", "rng") as slices:
        slices.current()
        watch.send("ADDED", piece("a", 2, "p1"))
        _until(lambda: len(slices._slices) == 1)
        assert uids(slices.wait(SECONDS)) == [["p1"]]


def test_without_a_change_the_wait_ends(server: ApiServer) -> None:
    script(server, [listed(piece("a", 1, "p1"))], [Watch()])
    with client(server) as cluster, cluster.watch_slices("shop", "rng") as slices:
        slices.current()
        assert uids(slices.wait(0.05)) == [["p1"]]


def test_a_polite_end_goes_on_from_the_last_bookmark(server: ApiServer) -> None:
    first, second = Watch(), Watch()
    server.on("GET", PATH, listed(version="7"), first, second)
    with client(server) as cluster, cluster.watch_slices("shop", "rng") as slices:
        slices.current()
        first.send("BOOKMARK", {"metadata": {"resourceVersion": "40"}})
        first.end()
        second.send("ADDED", piece("a", 41, "p1"))
        assert uids(slices.wait(SECONDS)) == [["p1"]]
    assert [seen.query.get("resourceVersion") for seen in server.asked(PATH)] == [None, "7", "40"]


EXPIRED = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}


@pytest.mark.parametrize(
    "broken",
    [Watch(EXPIRED), status(410, "too old", "Expired"), Watch(ConnectionAbortedError), Reply(cut=0), status(401, "no")],
    ids=["expired event", "expired answer", "cut", "cut at once", "token expired"],
)
def test_a_broken_watch_lists_again(server: ApiServer, broken: Watch | Reply) -> None:
    script(server, [listed(version="1"), listed(piece("a", 50, "p1"), version="60")], [broken, Watch()])
    with client(server) as cluster, cluster.watch_slices("shop", "rng") as slices:
        _until(lambda: len(server.asked(PATH)) == 4)
        assert uids(slices.wait(SECONDS)) == [["p1"]]
    assert server.asked(PATH)[-1].query["resourceVersion"] == "60"


def test_entering_raises_what_the_list_raises(server: ApiServer) -> None:
    script(server, [status(403, "no", "Forbidden")], [])
    with (
        client(server) as cluster,
        pytest.raises(ForbiddenError, match="list endpointslices in namespace shop"),
        cluster.watch_slices("shop", "rng"),
    ):
        raise AssertionError("not reached")


def test_a_refusal_comes_out_of_the_wait_at_once(server: ApiServer) -> None:
    script(server, [listed()], [status(403, "no watching", "Forbidden")])
    with client(server) as cluster, cluster.watch_slices("shop", "rng") as slices:
        for _ in range(2):
            with pytest.raises(ForbiddenError, match="watch endpointslices"):
                slices.wait(SECONDS)


def test_an_unreachable_server_comes_out_of_the_wait_when_it_lasts(server: ApiServer) -> None:
    script(server, [listed(), status(500, "down")], [Reply(cut=0)])
    with client(server) as cluster, SliceFollower(cluster._caller, "shop", "rng", patience=0.2) as slices:
        slices.current()
        with pytest.raises(UnreachableError):
            slices.wait(SECONDS)


def test_closing_ends_the_thread_and_the_connection_at_once(server: ApiServer) -> None:
    watch = Watch()
    script(server, [listed()], [watch])
    with client(server) as cluster, cluster.watch_slices("shop", "rng"):
        _until(lambda: len(server.asked(PATH)) == 2)
        begun = time.monotonic()
    assert time.monotonic() - begun < 1
    assert not any(thread.name.startswith("gatekeep-watch") for thread in threading.enumerate())
    assert watch.closed.wait(SECONDS), "the server sees that the client has gone"


def test_a_watch_that_is_cut_all_the_time_becomes_slow_polling(server: ApiServer) -> None:
    def answer(seen: Any) -> Reply:
        return Reply(cut=0) if "watch" in seen.query else listed(version="1")

    server.on("GET", PATH, answer)
    with client(server) as cluster, cluster.watch_slices("shop", "rng") as slices:
        slices.wait(0.5)
        slices.wait(0.5)
    assert len(server.asked(PATH)) < 16


def _until(met: Any) -> None:
    deadline = time.monotonic() + SECONDS
    while not met():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.005)
