"""Checks asked of a real Prometheus; needs no Kubernetes.

* numbers, NaN, no data, several series, and queries that it refuses, as it really answers them
* a check that passes, that fails, that nobody has data for, and one in whose middle Prometheus is killed
* the command's own preflight
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gatekeep.cli.carry_out import measuring
from gatekeep.cluster.kube.clock import ServerClock
from gatekeep.cluster.protocol import Cluster
from gatekeep.execute.checks import await_check
from gatekeep.execute.context import Context
from gatekeep.metrics.measurement import BadQueryError, Measurement
from gatekeep.metrics.prometheus import Prometheus
from gatekeep.model.errors import CheckFailedError, UnreachableError
from gatekeep.model.events import CheckProgress, Event
from gatekeep.model.plan import ClusterSource, Plan, Proof, Source, Step
from gatekeep.model.waits import CheckWait
from tests.e2e.prometheus import Site, prometheus

RATE = "error_ratio"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with prometheus(tmp_path_factory.mktemp("prometheus")) as made:
        yield made


@pytest.fixture(autouse=True)
def _nothing_measured(site: Site) -> None:
    site.start()
    site.endpoint.clear()
    site.sees(f"count({RATE}) or vector(0)", "0")


def check(**fields: Any) -> CheckWait:
    """At most 0.01 for 3 s, asked every second; two failures or 20 s fail it."""
    given: dict[str, Any] = {"name": "errors", "query": RATE, "max": "0.01", "for_seconds": 3, "interval_seconds": 1}
    return CheckWait(**{**given, "failures": 2, "timeout_seconds": 20, **fields})


def plan_of(wait: CheckWait) -> Plan:
    step = Step(1, 1, "Wait", "the canary does well", "TrafficGate shop/rng", wait=wait)
    return Plan(Source(policies=()), ClusterSource("", "", ""), (step,), (), (), (), Proof(True, 1))


def run(site: Site, wait: CheckWait, act: Callable[[CheckProgress], None] = lambda event: None) -> list[CheckProgress]:
    """Awaits the check in real time; ``act`` is called with all that is told on the way."""
    told: list[CheckProgress] = []

    def listen(event: Event) -> None:
        assert isinstance(event, CheckProgress)
        told.append(event)
        act(event)

    plan = plan_of(wait)
    cluster = cast(Cluster, SimpleNamespace(clock=ServerClock()))
    context = Context(cluster, plan, listen, lambda: None, 1, measure=site.client.measure)
    await_check(context, plan.steps[0], wait)
    return told


def failure(site: Site, wait: CheckWait, act: Callable[[CheckProgress], None] = lambda event: None) -> str:
    with pytest.raises(CheckFailedError) as caught:
        run(site, wait, act)
    return caught.value.message


def numbers(*texts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, texts))


def test_numbers(site: Site) -> None:
    site.endpoint.set({f'{RATE}{{pod="a"}}': 0.25, f'{RATE}{{pod="b"}}': 1e-7})
    site.sees(RATE, "1E-7", "0.25")
    assert site.client.measure(f"sum({RATE}) > bool 0") == Measurement(numbers("1"))
    assert site.client.measure("scalar(vector(2))") == Measurement(numbers("2"))
    assert site.client.measure("1/0") == Measurement(numbers("Infinity"))
    assert site.client.measure("-vector(1)/0") == Measurement(numbers("-Infinity"))


def test_what_is_missing(site: Site) -> None:
    site.endpoint.set({f'{RATE}{{pod="a"}}': 0.5, f'{RATE}{{pod="b"}}': "NaN"})
    site.sees(f"count({RATE})", "2")
    assert site.client.measure("no_such_metric") == Measurement(missing="no data")
    assert site.client.measure("0/0") == Measurement(missing="NaN")
    assert site.client.measure("vector(0)/0") == Measurement(missing="NaN")
    assert site.client.measure(RATE) == Measurement(numbers("0.5"), "1 of 2 series is NaN")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sum(", "refuses the query: .*parse error"),
        ("", "refuses the query: .*no expression found"),
        ("nothing_like(up)", "refuses the query: .*unknown function"),
        ("up[1m]", "found a matrix"),
        ('"text"', "found a string"),
    ],
)
def test_queries_that_are_refused(site: Site, query: str, said: str) -> None:
    with pytest.raises(BadQueryError, match=said):
        site.client.measure(query)
    start = time.monotonic()
    failure(site, check(query=query))
    assert time.monotonic() - start < 5


def test_a_query_that_cannot_be_evaluated_now_is_no_answer(site: Site) -> None:
    site.endpoint.set({f'{RATE}{{pod="a"}}': 1, f'{RATE}{{pod="b"}}': 2})
    site.sees(f"count({RATE})", "2")
    found = site.client.measure(f"up * on(job) {RATE}")
    assert found.values == ()
    assert "could not be evaluated: found duplicate series" in found.missing


def test_a_long_query_and_a_prefix_that_is_wrong(site: Site) -> None:
    assert site.client.measure("+".join(["1"] * 5000)) == Measurement(numbers("5000"))
    with pytest.raises(UnreachableError, match="HTTP 404, and not as Prometheus answers"):
        Prometheus(site.url + "/prometheus").require()


def test_the_endpoint_of_the_metrics_is_no_prometheus(site: Site) -> None:
    with pytest.raises(UnreachableError, match="HTTP 200, and not as Prometheus answers"):
        Prometheus(f"http://127.0.0.1:{site.endpoint.port}").require()


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=prometheus",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    with prometheus(tmp_path, tls=(certificate, key)) as secure:
        with pytest.raises(UnreachableError, match=r"certificate refused: self-signed certificate\n.*SSL_CERT_FILE"):
            Prometheus(secure.url).require()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        Prometheus(secure.url).require()
        with pytest.raises(UnreachableError, match="Hostname mismatch"):
            Prometheus(secure.url.replace("127.0.0.1", "localhost")).require()
        with pytest.raises(UnreachableError, match="not as Prometheus answers"):
            Prometheus(secure.url.replace("https:", "http:")).require()


def test_it_passes(site: Site) -> None:
    site.endpoint.set({RATE: 0.005})
    start = time.monotonic()
    told = run(site, check())
    assert 3 <= time.monotonic() - start < 15
    assert told[-1].seen == "found 0.005"
    assert told[-1].failures == 0


def test_it_fails(site: Site) -> None:
    site.endpoint.set({RATE: 0.5})
    site.sees(RATE, "0.5")
    assert failure(site, check()) == "check errors failed: found 0.5, expected at most 0.01 (2 of 2 failures)"


def test_it_turns_bad_on_the_way(site: Site) -> None:
    site.endpoint.set({RATE: 0.005})

    def worsen(event: CheckProgress) -> None:
        if event.good >= 2:
            site.endpoint.set({RATE: 0.02})

    said = failure(site, check(for_seconds=10), worsen)
    assert said == "check errors failed: found 0.02, expected at most 0.01 (2 of 2 failures)"


@pytest.mark.parametrize(("value", "last"), [(None, "no data"), ("NaN", "NaN")])
def test_nobody_has_data(site: Site, value: str | None, last: str) -> None:
    if value is not None:
        site.endpoint.set({RATE: value})
        site.sees(f"count({RATE})", "1")
    said = failure(site, check(timeout_seconds=4))
    assert said == f"check errors failed: not passed within 4 s; last: {last}"


def test_data_that_goes_away_begins_anew(site: Site) -> None:
    site.endpoint.set({RATE: 0.005})
    site.sees(RATE, "0.005")
    went: list[bool] = []

    def take_away(event: CheckProgress) -> None:
        if event.good >= 2 and not went:
            site.endpoint.clear()
            went.append(True)
        if event.seen == "no data":
            site.endpoint.set({RATE: 0.005})

    told = run(site, check(for_seconds=5, timeout_seconds=60), take_away)
    assert [event.good for event in told if event.seen == "no data"]
    assert not any(event.failures for event in told)


def test_prometheus_is_killed_in_the_middle_and_comes_back(site: Site) -> None:
    site.endpoint.set({RATE: 0.005})
    site.sees(RATE, "0.005")
    restart = threading.Timer(3.0, site.process.spawn)
    killed: list[float] = []

    def kill(event: CheckProgress) -> None:
        if event.good >= 1 and not killed:
            site.process.kill()
            killed.append(event.seconds)
            restart.start()

    told = run(site, check(for_seconds=5, timeout_seconds=60), kill)
    restart.join()
    assert killed
    assert any("connection refused" in event.seen for event in told)
    assert not any(event.failures for event in told)
    lost = max(event.seconds for event in told if not event.seen.startswith("found"))
    assert told[-1].seconds >= lost + 3


def test_prometheus_is_gone_for_good(site: Site) -> None:
    site.process.kill()
    said = failure(site, check(timeout_seconds=3))
    assert said == "check errors failed: not passed within 3 s; last: no answer: connection refused"
    with pytest.raises(UnreachableError, match="connection refused"):
        measuring(plan_of(check()), site.url)


def test_the_preflight(site: Site) -> None:
    measure = measuring(plan_of(check(query="vector(7)")), site.url)
    assert measure is not None
    assert measure("vector(7)") == Measurement(numbers("7"))
    with pytest.raises(BadQueryError, match="check errors: Prometheus refuses the query"):
        measuring(plan_of(check(query="sum(")), site.url)
