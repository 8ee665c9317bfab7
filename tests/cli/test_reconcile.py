"""``gatekeep reconcile --once`` on the embedded cluster: it never asks, and one gate holds up no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Op
from tests.cli.conftest import POLICY, Gatekeep

OTHER = POLICY.replace("name: rng,", "name: hasher,").replace("[rng]", "[hasher]").replace("key: active", "key: blue")
BROKEN = OTHER.replace("[hasher]", "[nobody]")


def test_it_brings_everything_about_and_then_has_nothing_to_do(gatekeep: Gatekeep, cluster: EmbeddedCluster) -> None:
    run = gatekeep("reconcile", "--once", "--detailed-exitcode")
    assert run.code == 2
    assert "✔  dockercoins/rng" in run.out
    assert "rng 6 → 6 ready" in run.out
    again = gatekeep("reconcile", "--once", "--detailed-exitcode")
    assert again.code == 0
    assert "·  dockercoins/rng  nothing to do" in again.out


def test_a_gate_that_is_refused_holds_up_no_other(gatekeep: Gatekeep, cluster: EmbeddedCluster, folder: Path) -> None:
    (folder / "policies" / "other.yaml").write_text(BROKEN)
    run = gatekeep("reconcile", "--once", "-o", "json")
    assert run.code == 3
    found = {item["gate"]: item for item in run.document["gates"]}
    assert (found["dockercoins/hasher"]["exitCode"], found["dockercoins/rng"]["exitCode"]) == (3, 0)
    assert "does not exist" in found["dockercoins/hasher"]["message"]
    assert found["dockercoins/rng"]["changed"] is True
    assert run.document["exitCode"] == 3


def test_the_record_calls_it_a_reconcile(gatekeep: Gatekeep, cluster: EmbeddedCluster) -> None:
    gatekeep("reconcile", "--once")
    assert "reconcile" in gatekeep("history", "-n", "dockercoins").out


def test_an_isolation_that_expires_ends(gatekeep: Gatekeep, cluster: EmbeddedCluster, folder: Path) -> None:
    text = (
        "apiVersion: gatekeep.dev/v1alpha1\nkind: Isolation\nmetadata: {name: inc, namespace: dockercoins}\n"
        "spec: {gate: rng, pods: {count: 1}, reason: a look, expires: 2026-01-01T01:00:00Z}\n"
    )
    (folder / "policies" / "inc.yaml").write_text(text)
    assert gatekeep("reconcile", "--once").code == 0
    assert len(cluster.list_pods("dockercoins", {"active": "yes"})) == 5
    cluster.clock.sleep(3600)
    run = gatekeep("reconcile", "--once")
    assert run.code == 0
    assert "expired" in run.out
    assert len(cluster.list_pods("dockercoins", {"active": "yes"})) == 6


def test_it_prunes(gatekeep: Gatekeep, cluster: EmbeddedCluster, folder: Path) -> None:
    git = ("--repository", "https://git.example.com/x")
    (folder / "policies" / "other.yaml").write_text(OTHER)
    assert gatekeep("reconcile", "--once", *git).code in (0, 3)
    (folder / "policies" / "rng.yaml").rename(folder / "rng.yaml")
    (folder / "policies" / "other.yaml").write_text(OTHER)
    gatekeep("reconcile", "--once", *git, "--prune")
    assert cluster.get(ObjectRef("Service", "dockercoins", "rng"))["spec"]["selector"] == {"app": "rng"}


@pytest.mark.parametrize("arguments", [(), ("--once", "--yes"), ("--once", "--dry-run")])
def test_usage(gatekeep: Gatekeep, arguments: tuple[str, ...]) -> None:
    assert gatekeep("reconcile", *arguments).code == 64


def test_a_held_lock_is_worth_another_try(gatekeep: Gatekeep, cluster: EmbeddedCluster) -> None:
    gatekeep("reconcile", "--once")
    cluster.patch(
        ObjectRef("Lease", "dockercoins", "gatekeep-rng"),
        (Op("add", "/spec/holderIdentity", "somebody"), Op("add", "/spec/renewTime", "2036-01-01T00:00:00.000000Z")),
    )
    cluster.patch(ObjectRef("Service", "dockercoins", "rng"), (Op("remove", "/spec/selector/active"),))
    run = gatekeep("reconcile", "--once", "--lock-timeout", "2s")
    assert run.code == 75
    assert "somebody" in run.out


def test_gates_that_have_a_policy_are_not_called_gates_without_one(
    gatekeep: Gatekeep, cluster: EmbeddedCluster, folder: Path
) -> None:
    (folder / "policies" / "other.yaml").write_text(OTHER)
    gatekeep("apply", "-y")
    assert "gate-without-policy" not in gatekeep("reconcile", "--once").out
    (folder / "policies" / "other.yaml").unlink()
    assert "dockercoins/hasher: this gate stands" in gatekeep("reconcile", "--once").out
