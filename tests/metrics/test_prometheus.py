"""The client of Prometheus' HTTP API against a small server on real sockets.

* answers of every kind: numbers, NaN, infinity, no data, and results that are no numbers
* what is no answer: nobody there, slow, huge, cut, not JSON, not Prometheus, an error, a redirect
* addresses: what is refused, and that user and password go to the server and nowhere else
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from gatekeep.metrics import prometheus as module
from gatekeep.metrics.measurement import BadQueryError, Measurement
from gatekeep.metrics.prometheus import Prometheus
from gatekeep.model.errors import UnreachableError, UsageError
from tests.cluster.kube_server import ApiServer, Reply, Seen, Watch, api_server

PATH = "/api/v1/query"
UP = 'avg(up) < 1 and (x{a="b&c"} or y)'
BASIC = "Basic " + base64.b64encode(b"me:p@ss/word").decode()


@pytest.fixture(autouse=True)
def _no_proxy_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as made:
        yield made


def success(result: Any, kind: str = "vector") -> Reply:
    return Reply({"status": "success", "data": {"resultType": kind, "result": result}})


def series(*numbers: str) -> Reply:
    return success([{"metric": {"pod": str(at)}, "value": [1e9, number]} for at, number in enumerate(numbers)])


def failing(kind: str, message: str, status: int) -> Reply:
    return Reply({"status": "error", "errorType": kind, "error": message}, status)


def measured(server: ApiServer, answer: Any, **options: Any) -> Measurement:
    server.on("POST", PATH, answer)
    return Prometheus(server.url, **options).measure("up")


def unreachable(server: ApiServer, answer: Any, **options: Any) -> str:
    """Why ``require`` fails; a measurement is missing for just that reason, and does not say the address."""
    server.on("POST", PATH, answer)
    client = Prometheus(server.url, **options)
    with pytest.raises(UnreachableError) as caught:
        client.require()
    start = f"cannot ask Prometheus at {server.url}: "
    assert caught.value.message.startswith(start)
    assert client.measure("up") == Measurement(missing="no answer: " + caught.value.message.removeprefix(start))
    assert caught.value.hint
    assert "127.0.0.1" not in client.measure("up").missing
    return str(caught.value)


def numbers(*texts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, texts))


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (series("0.25"), Measurement(numbers("0.25"))),
        (series("1", "-2.5", "1e-05"), Measurement(numbers("1", "-2.5", "0.00001"))),
        (success([1e9, "3"], "scalar"), Measurement(numbers("3"))),
        (series("+Inf", "-Inf"), Measurement(numbers("Infinity", "-Infinity"))),
        (series(), Measurement(missing="no data")),
        (series("NaN"), Measurement(missing="NaN")),
        (success([1e9, "NaN"], "scalar"), Measurement(missing="NaN")),
        (series("1", "NaN"), Measurement(numbers("1"), "1 of 2 series is NaN")),
        (series("NaN", "NaN"), Measurement(missing="2 of 2 series are NaN")),
    ],
)
def test_what_is_measured(server: ApiServer, answer: Reply, found: Measurement) -> None:
    assert measured(server, answer) == found


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (success([], "matrix"), "expected a query that gives a vector or a scalar, found a matrix"),
        (success([1e9, "x"], "string"), "expected a query that gives a vector or a scalar, found a string"),
        (success([{"metric": {}, "histogram": [1e9, {}]}]), "expected numbers, found a native histogram"),
        (failing("bad_data", "1:3: parse error: unexpected\nend", 400), "refuses the query: 1:3: parse error"),
    ],
)
def test_a_query_that_is_never_answered(server: ApiServer, answer: Reply, said: str) -> None:
    with pytest.raises(BadQueryError, match=said) as caught:
        measured(server, answer)
    assert caught.value.hint


def test_the_question(server: ApiServer) -> None:
    server.on("POST", "/prom" + PATH, series("1"))
    Prometheus(server.url + "/prom/").measure(UP)
    (seen,) = server.requests
    assert (seen.method, seen.headers["Accept"]) == ("POST", "application/json")
    assert seen.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert b"query=avg%28up%29+%3C+1+and" in seen.body
    assert "Authorization" not in seen.headers


@pytest.mark.parametrize("status", [405, 501])
def test_get_where_post_is_not_allowed(server: ApiServer, status: int) -> None:
    server.on("POST", PATH, Reply(b"", status))
    server.on("GET", PATH, series("2"))
    assert Prometheus(server.url).measure(UP) == Measurement(numbers("2"))
    assert server.requests[-1].query == {"query": UP}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Reply(b"<html>hello</html>"), "HTTP 200, and not as Prometheus answers"),
        (Reply(b"<html>", 404), "HTTP 404, and not as Prometheus answers"),
        (Reply({"kind": "Status", "code": 404}, 404), "HTTP 404, and not as Prometheus answers"),
        (Reply({"status": "Failure"}, 404), "HTTP 404, and not as Prometheus answers"),
        (Reply({"status": "success"}), "HTTP 200, and not as Prometheus answers"),
        (Reply(b"[" * 100_000), "HTTP 200, and not as Prometheus answers"),
        (Reply(b'{"status": "\xff"}'), "HTTP 200, and not as Prometheus answers"),
        (Reply(b""), "HTTP 200, and not as Prometheus answers"),
        (success({"a": 1}), "it is none of Prometheus"),
        (success([{"value": [1e9, 2]}]), "it is none of Prometheus"),
        (series("one"), "it is none of Prometheus"),
        (series("9" * 100), "it is none of Prometheus"),
        (Reply(b"Service Unavailable", 503), "HTTP 503: Service Unavailable"),
        (failing("execution", "many-to-many matching not allowed", 422), "could not be evaluated: many-to-many"),
        (failing("timeout", "query timed out", 503), "could not be evaluated: query timed out"),
        (failing("internal", "", 500), "could not be evaluated: HTTP 500"),
        (Reply(b"", 401), "HTTP 401, it refuses this user"),
        (Reply(b"", 403), "HTTP 403, it refuses this user"),
        (Reply(b'{"status"', cut=4), "IncompleteRead"),
        (Reply(cut=0), "RemoteDisconnected"),
    ],
)
def test_what_is_no_answer(server: ApiServer, answer: Reply, said: str) -> None:
    assert said in unreachable(server, answer)


def test_redirects_are_not_followed(server: ApiServer) -> None:
    with api_server() as other:
        other.on("POST", PATH, series("1"))
        other.on("GET", PATH, series("1"))
        place = other.url.replace("http://", "http://you:secret@") + PATH
        for status in (301, 302, 303, 307, 308):
            said = unreachable(server, Reply(b"", status, {"Location": place}))
            assert f"HTTP {status}, a redirect" in said
            assert f"→ give the address that it leads to: {other.url}{PATH}" in said
        assert other.requests == []


def test_an_answer_has_a_largest_size(server: ApiServer) -> None:
    texts = ["0.5"] * (module.LARGEST_ANSWER // 40)
    assert "it is larger than 4 MB" in unreachable(server, series(*texts))


def test_nobody_there() -> None:
    with api_server() as gone:
        pass
    client = Prometheus(gone.url)
    found = client.measure("up")
    assert found == Measurement(missing="no answer: connection refused")
    with pytest.raises(UnreachableError, match="check that Prometheus runs at this address"):
        client.require()


def test_a_name_that_does_not_resolve() -> None:
    with pytest.raises(UnreachableError, match="its name does not resolve"):
        Prometheus("http://prometheus.invalid:9090").require()


def test_tls_where_none_is_spoken(server: ApiServer) -> None:
    with pytest.raises(UnreachableError, match=r"TLS fails: .*\n.*http or https"):
        Prometheus(server.url.replace("http:", "https:")).require()


@contextmanager
def dripping(watch: Watch) -> Iterator[None]:
    """A byte or two again and again, so that the connection is never silent."""
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.02):
            watch.events.put(0)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        watch.cut()


@pytest.mark.parametrize("drips", [False, True])
def test_a_slow_answer_is_none(server: ApiServer, drips: bool) -> None:
    watch = Watch()
    server.on("POST", PATH, watch)
    client = Prometheus(server.url, timeout=0.3)
    start = time.monotonic()
    if drips:
        with dripping(watch):
            found = client.measure("up")
    else:
        found = client.measure("up")
        watch.cut()
    assert found.missing == "no answer: nothing within 0.3 s"
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("url", "expected", "shown"),
    [
        ("prometheus:9090", "an http or https URL", "prometheus:9090"),
        ("me:secret@prometheus:9090", "an http or https URL", "prometheus:9090"),
        ("ftp://me:secret@host/", "an http or https URL", "host/"),
        ("file:///etc/passwd", "an http or https URL", "file:///etc/passwd"),
        ("http://", "an http or https URL", "http://"),
        ("http://host:port", "an http or https URL", "http://host:port"),
        ("http://host:0", "an http or https URL", "http://host:0"),
        ("http://host:99999", "an http or https URL", "http://host:99999"),
        ("http://[::1", "an http or https URL", "http://[::1"),
        ("", "an http or https URL", ""),
        ("http://me:12/secret@host", "a URL whose user and password are percent-encoded", "http://host"),
        ("http://me:sec/ret@host", "an http or https URL", "http://host"),
        ("http://me:sec?ret@host", "an http or https URL", "http://host"),
        ("http://me:sec#ret@host", "an http or https URL", "http://host"),
        ("http://host/?a=b", "a URL without query and fragment", "http://host/?a=b"),
        ("http://host/#a", "a URL without query and fragment", "http://host/#a"),
        ("http://host/a b", "a URL of printable ASCII characters", "http://host/a b"),
        ("http://host/\x1b[2J", "a URL of printable ASCII characters", "http://host/\x1b[2J"),
        ("http://me:sécret@host", "a URL of printable ASCII characters", "http://host"),
    ],
)
def test_addresses_that_are_refused(url: str, expected: str, shown: str) -> None:
    with pytest.raises(UsageError) as caught:
        Prometheus(url)
    assert caught.value.message == f"expected {expected} as the address of Prometheus, found {shown!r}"
    assert "secret" not in str(caught.value)


def test_user_and_password_go_to_the_server_alone(server: ApiServer) -> None:
    client = Prometheus(server.url.replace("http://", "http://me:p%40ss%2Fword@"))
    server.on("POST", PATH, series("1"), Reply(b"", 403))
    assert client.measure("up").values
    assert server.requests[0].headers["Authorization"] == BASIC
    assert client.address == server.url
    assert "p%40ss" not in client.measure("up").missing


def test_a_proxy_is_used_but_not_for_this_machine(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def note(found: Seen) -> Reply:
        seen.append(found.headers["Host"])
        return series("1")

    server.on("POST", PATH, note)
    monkeypatch.setenv("http_proxy", server.url)
    assert Prometheus("http://prometheus.invalid").measure("up").values
    assert seen == ["prometheus.invalid"]
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert Prometheus(server.url).measure("up").values
    monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
    with pytest.raises(UnreachableError, match="unknown url type"):
        Prometheus("http://prometheus.invalid").require()


def test_the_answer_to_the_probe(server: ApiServer) -> None:
    server.on("POST", PATH, success([1e9, "1"], "scalar"))
    Prometheus(server.url).require()
    assert server.requests[0].body == b"query=1"
    assert json.loads(success([], "scalar").payload())["status"] == "success"
