"""A plan with checks on the command line: which Prometheus is asked, and what is said before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest

from gatekeep.cli import carry_out
from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.metrics.measurement import BadQueryError, Measurement
from gatekeep.model.errors import UnreachableError, UsageError
from gatekeep.model.plan import Plan, Step
from gatekeep.model.waits import CheckWait
from tests.cli.conftest import Gatekeep
from tests.cli.test_help import modules_after
from tests.cluster.kube_server import ApiServer, Reply, api_server
from tests.render.samples import sample, step

PATH = "/api/v1/query"
PROBED: Mapping[str, Any] = {"status": "success", "data": {"resultType": "scalar", "result": [1e9, "1"]}}
REFUSED: Mapping[str, Any] = {"status": "error", "errorType": "bad_data", "error": "1:1: parse error"}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with api_server() as made:
        yield made


def wait(name: str = "error-rate", query: str = "errors") -> Step:
    return step(1, 1, "Wait", "the canary does well", wait=CheckWait(name, query, max="0.01"))


def with_check(*waits: Step) -> Plan:
    return sample(steps=waits or (wait(),))


def test_a_plan_without_checks_asks_nobody() -> None:
    assert carry_out.measuring(sample(), None) is None
    assert carry_out.measuring(sample(), "no address") is None


@pytest.mark.parametrize("url", [None, ""])
def test_no_address(url: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        carry_out.measuring(with_check(wait(), wait("latency")), url)
    assert str(caught.value) == (
        "the plan has 2 checks (error-rate, latency), and no Prometheus to ask was named\n"
        "  → say --prometheus URL, or set GATEKEEP_PROMETHEUS"
    )


def test_an_address_that_is_none() -> None:
    with pytest.raises(UsageError, match="expected an http or https URL as the address of Prometheus, found 'nowhere'"):
        carry_out.measuring(with_check(), "nowhere")


def test_nobody_answers() -> None:
    with api_server() as gone:
        pass
    with pytest.raises(UnreachableError, match=f"cannot ask Prometheus at {gone.url}: connection refused"):
        carry_out.measuring(with_check(), gone.url.replace("http://", "http://me:secret@"))


def test_somebody_else_answers(server: ApiServer) -> None:
    with pytest.raises(UnreachableError, match="HTTP 404, and not as Prometheus answers"):
        carry_out.measuring(with_check(), server.url)


def test_every_query_is_asked_once_before(server: ApiServer) -> None:
    server.on("POST", PATH, Reply(PROBED))
    measure = carry_out.measuring(with_check(wait(), wait("latency", "slow")), server.url)
    assert measure is not None
    assert [seen.body for seen in server.requests] == [b"query=1", b"query=errors", b"query=slow"]
    assert measure("up") == Measurement((Decimal(1),))


def test_a_query_that_is_refused(server: ApiServer) -> None:
    server.on("POST", PATH, Reply(PROBED), Reply(REFUSED, 400))
    with pytest.raises(BadQueryError) as caught:
        carry_out.measuring(with_check(), server.url)
    assert caught.value.exit_code == 65
    assert str(caught.value).startswith("check error-rate: Prometheus refuses the query: 1:1: parse error\n  → ")


def test_the_flag_and_the_variable(
    gatekeep: Gatekeep, cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str | None] = []

    def note(plan: Plan, url: str | None) -> None:
        given.append(url)
        raise UsageError("enough")

    monkeypatch.setattr(carry_out, "measuring", note)
    gatekeep("plan", "-o", "json", "--out", "plan.json")
    for arguments in (("-y",), ("plan.json",)):
        assert gatekeep("apply", *arguments).code == 64
        assert gatekeep("apply", *arguments, "--prometheus", "http://flag").code == 64
        monkeypatch.setenv("GATEKEEP_PROMETHEUS", "http://variable")
        assert gatekeep("apply", *arguments).code == 64
        assert gatekeep("apply", *arguments, "--prometheus", "http://flag").code == 64
        monkeypatch.delenv("GATEKEEP_PROMETHEUS")
    assert given == [None, "http://flag", "http://variable", "http://flag"] * 2


def test_help_imports_no_client() -> None:
    for arguments in (("--help",), ("apply", "--help")):
        assert not {"gatekeep.metrics.prometheus", "urllib.request"} & set(modules_after(*arguments))
