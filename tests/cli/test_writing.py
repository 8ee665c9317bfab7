"""Commands that write: apply and retire, on the embedded cluster."""

from __future__ import annotations

import io
import os
import signal
import sys
from pathlib import Path

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.objects import ObjectRef
from tests.cli.conftest import Gatekeep
from tests.cli.test_offline import swap_steps

RNG = ObjectRef("Service", "dockercoins", "rng")
GATED = {"active": "yes", "app": "rng"}


class Terminal(io.StringIO):
    """A terminal on which somebody has typed an answer."""

    def isatty(self) -> bool:
        return True


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(text))


def selector(cluster: EmbeddedCluster) -> object:
    return cluster.get(RNG)["spec"]["selector"]


def test_plan_and_confirm(gatekeep: Gatekeep, cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "y\n")
    run = gatekeep("apply")
    assert run.code == 0
    assert "Apply this plan? [y/N] " in run.err
    assert "[ 1/18] ✔" in run.err
    assert "✔ applied plan" in run.out
    assert "ready before 6 → least 6 → after 6" in run.out
    assert selector(cluster) == GATED


@pytest.mark.parametrize("text", ["n\n", "\n", "", "yess\n", "j\n"])
def test_anything_but_yes_is_no(
    gatekeep: Gatekeep, cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    answer(monkeypatch, text)
    run = gatekeep("apply")
    assert run.code == 1
    assert "nothing was written" in run.err
    assert selector(cluster) == {"app": "rng"}


def test_a_second_apply_has_nothing_to_do(gatekeep: Gatekeep, cluster: EmbeddedCluster) -> None:
    assert gatekeep("apply", "-y", "--detailed-exitcode").code == 2
    again = gatekeep("apply", "-y", "--detailed-exitcode")
    assert again.code == 0
    assert again.out.count("nothing to do") == 1
    assert again.err == ""
    assert gatekeep("plan", "--detailed-exitcode").code == 0


def test_without_a_terminal_only_a_plan_that_writes_needs_an_answer(
    gatekeep: Gatekeep, cluster: EmbeddedCluster
) -> None:
    run = gatekeep("apply")
    assert run.code == 64
    assert "there is no terminal to ask on" in run.err
    assert selector(cluster) == {"app": "rng"}
    assert gatekeep("apply", "-y").code == 0
    assert gatekeep("apply").code == 0
    assert gatekeep("retire", "dockercoins/rng").code == 64


def test_the_way_back_is_named_after_an_apply(gatekeep: Gatekeep, cluster: EmbeddedCluster, folder: Path) -> None:
    assert gatekeep("apply", "-y").out.endswith(
        "  way back (planned and proved: 6 → 6 ready)\n    gatekeep retire dockercoins/rng\n"
    )
    policy = folder / "policies" / "rng.yaml"
    owner = "pool: {owners: [{kind: Deployment, name: rng}]}"
    policy.write_text(policy.read_text().replace("pool: {}", owner))
    run = gatekeep("apply", "-y")
    assert run.code == 0
    assert "gatekeep retire" not in run.out
    assert run.out.endswith(
        "  way back (planned and proved: 3 → 6 ready): put the previous policy back in Git and apply it\n"
    )


def test_dry_run_writes_nothing(gatekeep: Gatekeep, cluster: EmbeddedCluster) -> None:
    run = gatekeep("apply", "--dry-run")
    assert run.code == 0
    assert "Steps" in run.out
    assert selector(cluster) == {"app": "rng"}
    assert gatekeep("apply", "--dry-run", "-o", "json").document["kind"] == "Plan"


def test_a_saved_plan_is_its_own_approval(gatekeep: Gatekeep, cluster: EmbeddedCluster) -> None:
    gatekeep("plan", "-o", "json", "--out", "plan.json")
    run = gatekeep("apply", "plan.json", "-o", "json")
    assert run.code == 0
    report = run.document
    assert (report["kind"], report["wrote"], report["steps"]) == ("ApplyReport", True, 18)
    assert report["services"] == [{"namespace": "dockercoins", "name": "rng", "before": 6, "least": 6, "after": 6}]
    assert selector(cluster) == GATED
    assert gatekeep("apply", "plan.json").code == 3


def test_a_saved_plan_in_the_wrong_order_is_refused(gatekeep: Gatekeep, cluster: EmbeddedCluster, folder: Path) -> None:
    gatekeep("plan", "-o", "json", "--out", "plan.json")
    swap_steps(folder / "plan.json")
    run = gatekeep("apply", "plan.json")
    assert run.code == 4
    assert "the proof fails" in run.err
    assert selector(cluster) == {"app": "rng"}


def test_a_plan_that_expired(gatekeep: Gatekeep, cluster: EmbeddedCluster) -> None:
    gatekeep("plan", "--expires", "1m", "-o", "json", "--out", "plan.json")
    cluster.clock.sleep(120)
    run = gatekeep("apply", "plan.json")
    assert run.code == 3
    assert "expired" in run.err


def test_retire(gatekeep: Gatekeep, cluster: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    gatekeep("apply", "-y")
    status = gatekeep("status")
    assert "dockercoins  rng   active=yes" in status.out
    assert gatekeep("status", "-o", "json").document["items"][0]["membersReady"] == 6
    assert gatekeep("retire", "rng", "-n", "dockercoins", "--dry-run").code == 0
    answer(monkeypatch, "yes\n")
    run = gatekeep("retire", "dockercoins/rng")
    assert run.code == 0
    assert selector(cluster) == {"app": "rng"}
    assert gatekeep("status").out == "no gates\n"


def test_advice_and_ways_stand_behind_one_arrow(gatekeep: Gatekeep, cluster: EmbeddedCluster) -> None:
    cluster.lag(pods=1e6)
    run = gatekeep("apply", "-y", "--timeout", "5s")
    assert run.code == 6
    assert [line.strip()[:1] for line in run.err.splitlines()].count("→") == 1
    assert "is kube-controller-manager running" in run.err
    assert "    to go back:\n      gatekeep retire dockercoins/rng\n" in run.err


def test_a_signal_before_the_first_write(gatekeep: Gatekeep, cluster: EmbeddedCluster) -> None:
    def interrupt(verb: str, ref: ObjectRef, count: int) -> None:
        if count == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    cluster.before_write(interrupt)
    run = gatekeep("apply", "-y")
    assert run.code in (6, 143)
    assert "stopping: " in run.err


def test_a_signal_after_the_first_write_leaves_a_safe_state(gatekeep: Gatekeep, cluster: EmbeddedCluster) -> None:
    def interrupt(verb: str, ref: ObjectRef, count: int) -> None:
        if ref.kind == "Pod":
            os.kill(os.getpid(), signal.SIGINT)

    cluster.after_write(interrupt)
    run = gatekeep("apply", "-y")
    assert run.code == 6
    assert "stopping: " in run.err
    assert "error: " in run.err
    assert run.err.endswith(
        "  → the state is safe as it is. To go on:\n      gatekeep apply\n    to go back:\n"
        "      gatekeep retire dockercoins/rng\n"
    )
    assert selector(cluster) == {"app": "rng"}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
