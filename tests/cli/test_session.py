"""Where commands get things from: the cluster's flags, dumps, who holds the lock."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from gatekeep.cli import carry_out, demo_data, session
from gatekeep.cli.options import ClusterFlags, OutputFlags, SourceFlags
from gatekeep.cli.planned import apply_command, without_credentials
from gatekeep.cluster.kube import KubeOptions
from tests.builders import dockercoins
from tests.cli.conftest import Gatekeep


def test_every_cluster_flag_reaches_the_cluster() -> None:
    assert set(ClusterFlags._fields) == {field.name for field in dataclasses.fields(KubeOptions)}


def test_the_flags_are_kubectl_s(gatekeep: Gatekeep, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[ClusterFlags] = []

    @contextmanager
    def opened(access: ClusterFlags) -> Iterator[object]:
        seen.append(access)
        yield dockercoins().embedded()

    monkeypatch.setattr(session, "opened", opened)
    flags = "--kubeconfig k --context c --cluster l --user u -s https://x --as me --as-group a --as-group b"
    assert gatekeep("status", *flags.split(), "--request-timeout", "0").code == 0
    assert seen == [ClusterFlags("k", "c", "l", "u", "https://x", "me", ("a", "b"), 0)]


class Dump:
    """A cluster that can only be written down."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def raw_objects(self, namespaces: Sequence[str], report: Callable[[str, str], None]) -> Iterator[dict[str, Any]]:
        self.asked.append(tuple(namespaces))
        report("nodes", "forbidden")
        yield from dockercoins().document()["items"]


def test_snapshot_can_be_planned_from(gatekeep: Gatekeep, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = Dump()

    @contextmanager
    def opened(access: ClusterFlags) -> Iterator[Dump]:
        yield dump

    monkeypatch.setattr(session, "opened", opened)
    run = gatekeep("snapshot")
    assert (run.code, run.err) == (0, "warning: without nodes: forbidden\n")
    assert run.document["kind"] == "List"
    saved = gatekeep("snapshot", "-n", "dockercoins", "--out", "dump.json")
    assert saved.out == ""
    assert re.search(r"note: \d+ objects \(\d+ Pod, .*\) written to dump.json\n$", saved.err)
    assert dump.asked == [(), ("dockercoins",)]
    assert gatekeep("plan", "--snapshot", "dump.json").code == 0


def test_only_who_looks_is_told_of_snapshots(gatekeep: Gatekeep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "nowhere")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    for command, advised in ((("plan",), True), (("status",), True), (("snapshot",), False), (("apply", "-y"), False)):
        run = gatekeep(*command)
        assert run.code == 64
        assert ("--snapshot FILE" in run.err) is advised


def test_what_to_run_next_is_for_the_same_policies_and_cluster() -> None:
    access = ClusterFlags(context="prod eu", as_user="ci", as_groups=("ops",))
    policies = SourceFlags(("a dir", "-"), "shop")
    assert apply_command(SourceFlags(), ClusterFlags(), OutputFlags()) == "gatekeep apply"
    assert apply_command(policies, access, OutputFlags()) == (
        "gatekeep apply -f 'a dir' -f - -n shop --context 'prod eu' --as ci --as-group ops"
    )
    saved = OutputFlags("json", "plan.json")
    assert (
        apply_command(policies, access, saved) == "gatekeep apply plan.json --context 'prod eu' --as ci --as-group ops"
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (None, None),
        ("git@github.com:shop/policies.git", "git@github.com:shop/policies.git"),
        ("https://bot:s3cret@git.example.com/shop.git", "https://git.example.com/shop.git"),
        ("https://p@ss@git.example.com/a@b", "https://git.example.com/a@b"),
        ("https://git.example.com", "https://git.example.com"),
    ],
)
def test_credentials_never_stand_in_a_plan(url: str | None, shown: str | None) -> None:
    assert without_credentials(url) == shown


def test_a_lock_s_holder_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "@" in carry_out.identity()

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1000")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert carry_out.identity().startswith("unknown@")


def test_the_demo_s_data_is_found_in_the_source_tree() -> None:
    assert json.dumps(demo_data.read(demo_data.POLICY).decode()).count("TrafficGate") == 1
    assert b"EndpointSlice" in demo_data.read(demo_data.CLUSTER)
