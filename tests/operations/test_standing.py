"""How runs, groups, nodes and isolations stand, and what the records say of runs that are over."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from gatekeep.model.errors import RefusedError
from gatekeep.model.outcomes import GateRun, RunStatus
from gatekeep.model.plan import GateTarget
from gatekeep.model.policy import TrafficGate
from gatekeep.model.progress import Isolated, IsolatedPod, Progress
from gatekeep.model.record import Beginning, GateName, Record, Run
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.past import past_runs, run_to_undo
from gatekeep.operations.standing import asks_again, checks_ahead, gates_asking, run_status
from gatekeep.operations.status import Standing, gate_statuses
from tests.builders import cluster
from tests.gates import NAMESPACE, canary_gate, gate, plan, record, remembering, snapshot_of
from tests.render.samples import sample

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EARLIER = "2026-03-01T11:56:00Z"
STEPS: tuple[dict[str, Any], ...] = ({"weight": 25}, {"pause": "10m"}, {"weight": 100})
LATER_STEPS: tuple[dict[str, Any], ...] = ({"weight": 25}, {"pause": {}}, {"weight": 100})


def stepwise(*steps: dict[str, Any]) -> TrafficGate:
    data = msgspec.to_builtins(canary_gate(0))
    del data["spec"]["rotation"]["canary"]["weight"]
    data["spec"]["rotation"]["canary"]["steps"] = list(steps)
    return msgspec.convert(data, TrafficGate)


def start() -> Snapshot:
    built = cluster(NAMESPACE).nodes(2).service("web", {"app": "web", "active": "yes"})
    built.deployment("web", 3, {"app": "web", "version": "1"}, pod_labels={"active": "yes"})
    return snapshot_of(built.deployment("next", 3, {"app": "web", "version": "2"}, ready=2), NOW)


def standing(policy: TrafficGate, progress: Progress | None, **fields: Any) -> Standing:
    kept = msgspec.structs.replace(record(policy), progress=progress, **fields)
    (found,) = gate_statuses(remembering(start(), kept))
    return found


def run_of(policy: TrafficGate) -> str:
    """The identity of the run that the policy asks for on the cluster."""
    (target,) = plan(start(), policy).gates
    assert target.progress is not None
    return target.progress.run


def paused(policy: TrafficGate, **fields: Any) -> Progress:
    return Progress(**{"run": run_of(policy), "phase": "Paused", "step": 1, "since": EARLIER, **fields})


def test_a_timed_pause() -> None:
    policy = stepwise(*STEPS)
    found = standing(policy, paused(policy))
    assert found.run == RunStatus(phase="Paused", step=1, steps=3, weight=25, since=EARLIER, age=240, pause=600)
    assert found.strategy == "canary"
    assert [(item.name, item.members_ready, item.members_total, item.pods) for item in found.groups] == [
        ("stable", 3, 3, 3), ("canary", 0, 0, 3),
    ]  # fmt: skip
    assert [(item.name, item.members_ready, item.members_total) for item in found.nodes] == [
        ("node1", 2, 2), ("node2", 1, 1),
    ]  # fmt: skip


def test_the_checks_that_come_before_the_next_pause() -> None:
    steps: tuple[dict[str, Any], ...] = (
        {"weight": 25},
        {"pause": {}},
        {"check": "a"},
        {"weight": 50},
        {"check": "b"},
        {"pause": {}},
        {"check": "c"},
    )
    policy = stepwise(*steps)

    def ahead(**fields: Any) -> tuple[str, ...]:
        return checks_ahead(policy, RunStatus(**fields))

    assert ahead(phase="Paused", step=1) == ("a", "b")
    assert ahead(phase="Paused", step=5) == ("c",)
    assert ahead(phase="Running", step=3) == ("b",)
    assert ahead(phase="Aborted", step=5) == ()
    assert checks_ahead(gate(), RunStatus(phase="")) == ()
    made = GateTarget("dockercoins", "web", "Gate", "a", "b", ("web",), policy=msgspec.to_builtins(policy))
    item = GateRun(
        namespace="dockercoins", name="web", strategy="canary", run=RunStatus(phase="Paused", step=1, steps=7)
    )
    assert gates_asking(sample(gates=(made,)), [item]) == {("dockercoins", "web")}
    assert not gates_asking(sample(gates=(msgspec.structs.replace(made, policy={"kind": 1}),)), [item])
    assert not asks_again(sample(gates=(made,)), GateName("dockercoins", "web"))


def test_who_is_held() -> None:
    policy = gate("web", services=["web"], newPods="Hold")
    found = standing(policy, None)
    assert [name.rpartition("-")[0].partition("-")[0] for name in found.held] == ["next"] * 3
    assert standing(gate("web", services=["web"]), None).held == ()
    data = msgspec.to_builtins(canary_gate(10))
    data["spec"]["newPods"] = "Hold"
    assert standing(msgspec.convert(data, TrafficGate), None).held == ()


def test_other_phases() -> None:
    policy = stepwise(*LATER_STEPS)
    assert standing(policy, paused(policy)).run == RunStatus(
        phase="Paused", step=1, steps=3, weight=25, since=EARLIER, age=240
    )
    aborted = standing(policy, paused(policy, phase="Aborted", reason="slow")).run
    assert aborted is not None
    assert (aborted.weight, aborted.reason) == (0, "slow")
    assert run_status(policy, None, NOW) == RunStatus(phase="", steps=3, weight=0)
    beyond = RunStatus(phase="Paused", step=3, steps=3, weight=100)
    assert run_status(policy, Progress("r", "Paused", 9), None) == beyond
    assert run_status(canary_gate(10), Progress("r", "Done"), NOW) == RunStatus(phase="Done", weight=10)
    assert run_status(gate(), None, NOW) is None


def test_another_run_is_asked_for() -> None:
    policy = stepwise(*STEPS)
    run = standing(policy, paused(policy, run="sha256:another")).run
    assert run is not None
    assert run.outdated


def test_a_run_under_way_stands_by_the_policy_that_it_is_for() -> None:
    policy = stepwise(*STEPS)
    found = standing(gate("web", services=["web"]), paused(policy), wanted=policy)
    assert (found.strategy, found.run is not None) == ("canary", True)


def test_a_group_whose_owner_is_gone() -> None:
    policy = canary_gate(10, canary={"owners": [{"kind": "Deployment", "name": "nxet"}]})
    found = standing(policy, None)
    assert [item.name for item in found.groups] == ["stable"]
    assert any("an owner that does not exist: Deployment dockercoins/nxet" in item for item in found.drift)


def test_isolations() -> None:
    policy = gate("web", services=["web"])
    pod = next(pod for pod in start().pods if pod.labels.get("version") == "1")
    pods = (IsolatedPod(pod.name, pod.uid), IsolatedPod("gone", "gone"))
    by = "Isolation dockercoins/inc-1"
    held = Isolated("inc-1", "Gate", "500s", by, pods, "2026-03-01T10:00:00Z", EARLIER)
    over = msgspec.structs.replace(held, name="inc-2", pods=(IsolatedPod("gone", "gone"),), expires=None)
    first, second = standing(policy, None, isolations=(held, over)).isolations
    assert (first.pods, first.age, first.left, first.ended) == ((pod.name,), 240, -7200, "")
    assert (second.pods, second.left, second.ended) == ((), None, "its pods are gone")


def with_runs(policy: TrafficGate, *runs: Run) -> Record:
    return msgspec.structs.replace(record(policy), runs=runs)


def run(name: str, at: timedelta, **fields: Any) -> Run:
    moment = f"{NOW - at:%Y-%m-%dT%H:%M:%SZ}"
    given = {"id": name, "plan": "sha256:0", "started": moment, "by": "ci", "outcome": "done", "ended": moment}
    return Run(**{**given, **fields})


def test_runs_newest_first() -> None:
    before = Beginning(policy=stepwise(*STEPS), progress=Progress("r", "Paused", 1, since=EARLIER))
    first = with_runs(
        gate("a"), run("r9", timedelta(hours=1), before=before), run("r5", timedelta(hours=1), before=Beginning())
    )
    second = with_runs(gate("b"), run("r7", timedelta(minutes=5), outcome="running", ended=""))
    found = past_runs(remembering(start(), first, second))
    assert [(item.id, item.age, item.seconds, item.known, item.strategy) for item in found] == [
        ("r7", 300, None, False, ""), ("r9", 3600, 0, True, "canary"), ("r5", 3600, 0, True, ""),
    ]  # fmt: skip
    assert found[1].began == RunStatus(phase="Paused", step=1, steps=3, weight=25, since=EARLIER, pause=600)


def test_which_run_is_to_be_undone() -> None:
    first = with_runs(gate("a"), run("r9", timedelta(hours=1)))
    second = with_runs(gate("b", namespace="shop"), run("r7", timedelta(minutes=5)))
    snapshot = remembering(start(), first, second)
    with pytest.raises(RefusedError, match=r"runs are recorded in 2 namespaces \(dockercoins, shop\)"):
        run_to_undo(None, snapshot, None)
    assert run_to_undo(None, snapshot, NAMESPACE).id == "r9"
    assert run_to_undo("r7", snapshot, None).namespace == "shop"
    with pytest.raises(RefusedError, match="no run r7 is recorded"):
        run_to_undo("r7", snapshot, NAMESPACE)
    with pytest.raises(RefusedError, match="no run is recorded"):
        run_to_undo(None, dataclasses.replace(snapshot, config_maps=()), None)
