"""promote, abort, undo and history: a canary and a blue/green switch on the embedded cluster.

* a run from pause to pause, taken out, started again, and gone back to where it began
* a check that fails: the canary is out, the exit code is 4, the message says what to do; and where that fails too
* what Git is said to need; who is asked; what the exit codes say
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gatekeep.cli import carry_out, session
from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.metrics.measurement import Measurement
from gatekeep.model.errors import UnreachableError
from gatekeep.model.objects import ObjectRef
from tests.builders import cluster as built
from tests.cli.conftest import Gatekeep
from tests.cli.test_writing import answer

CANARY = """\
apiVersion: gatekeep.dev/v1alpha1
kind: TrafficGate
metadata: {name: web, namespace: dockercoins}
spec:
  services: [web]
  gate: {key: active, value: "yes"}
  adopt: Reconcile
  rotation:
    canary:
      stable: {owners: [{kind: Deployment, name: web}]}
      canary: {owners: [{kind: Deployment, name: web-next}]}
      steps: [{weight: 25}, {pause: 10m}, {check: errors}, {weight: 50}, {pause: {}}, {weight: 100}]
  checks:
    - name: errors
      prometheus: {query: errors, max: 0.01}
"""
COLORS = """\
apiVersion: gatekeep.dev/v1alpha1
kind: TrafficGate
metadata: {name: web, namespace: dockercoins}
spec:
  services: [web]
  gate: {key: active, value: "yes"}
  adopt: Reconcile
  rotation:
    blueGreen:
      colors:
        blue: {owners: [{kind: Deployment, name: web}]}
        green: {owners: [{kind: Deployment, name: web-next}]}
      active: blue
"""
RECORD = ObjectRef("ConfigMap", "dockercoins", "gatekeep-web")


@pytest.fixture
def made(folder: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedCluster:
    """Three stable pods and three new ones, and the canary's policy."""
    (folder / "policies" / "rng.yaml").write_text(CANARY)
    names = built("dockercoins").service("web", {"app": "web"}).deployment("web", 3, {"app": "web", "version": "1"})
    embedded = names.deployment("web-next", 3, {"app": "web", "version": "2"}).embedded(pod_lag=1.0)

    @contextmanager
    def opened(access: object) -> Iterator[EmbeddedCluster]:
        yield embedded

    monkeypatch.setattr(session, "opened", opened)
    return embedded


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the check measures; the last one is what counts."""
    found = ["0.001"]
    monkeypatch.setattr(carry_out, "measuring", lambda plan, url: lambda query: Measurement((Decimal(found[-1]),)))
    return found


def members(made: EmbeddedCluster) -> list[str]:
    """The versions of the pods that carry the label, sorted."""
    pods = made.list_pods("dockercoins")
    return sorted(pod.labels["version"] for pod in pods if pod.labels.get("active") == "yes")


def test_a_run_ends_at_its_pause(gatekeep: Gatekeep, made: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    run = gatekeep("apply", "-y", "--detailed-exitcode")
    assert run.code == 2
    assert run.out.endswith(
        "  dockercoins/web: paused at step 2 of 6 (weight 25)\n"
        "    gatekeep apply --prometheus URL                    goes on, 10m from now\n"
        "    gatekeep promote dockercoins/web --prometheus URL  goes on now\n"
        "    gatekeep abort dockercoins/web                     takes the canary out\n"
        "  way back (planned and proved: 4 → 6 ready)\n"
        "    gatekeep retire dockercoins/web\n"
    )
    assert "  next    gatekeep apply -f POLICIES --prometheus URL " in gatekeep("status").out
    monkeypatch.setenv("GATEKEEP_PROMETHEUS", "http://prometheus")
    assert "--prometheus URL" not in gatekeep("apply").out + gatekeep("status").out
    monkeypatch.delenv("GATEKEEP_PROMETHEUS")
    made.clock.sleep(240)
    again = gatekeep("apply", "--detailed-exitcode")
    assert again.code == 2
    assert "goes on, 6m from now" in again.out or "goes on, 5m from now" in again.out
    assert gatekeep("apply").code == 0
    (item,) = gatekeep("apply", "-o", "json").document["runs"]
    assert (item["strategy"], item["run"]["phase"], item["run"]["step"], item["run"]["pause"]) == (
        "canary", "Paused", 1, 600,
    )  # fmt: skip


def test_promote(gatekeep: Gatekeep, made: EmbeddedCluster, errors: list[str]) -> None:
    gatekeep("apply", "-y")
    run = gatekeep("promote", "web", "-n", "dockercoins", "-y", "--detailed-exitcode")
    assert run.code == 2
    assert members(made) == ["1", "1", "1", "2", "2", "2"]
    assert "  Git has the steps already; nothing to change\n" in run.out
    assert "paused at step 5 of 6 (weight 50) until it is promoted\n" in run.out
    assert "gatekeep apply" not in run.out
    done = gatekeep("promote", "dockercoins/web", "-y", "-o", "json")
    assert done.document["action"] == "promote"
    assert done.document["runs"][0]["run"] | {"since": ""} == {
        "phase": "Done", "step": 6, "steps": 6, "weight": 100, "color": "", "former": "", "since": "",
        "age": done.document["runs"][0]["run"]["age"], "pause": None, "reason": "", "outdated": False,
    }  # fmt: skip
    assert members(made) == ["2", "2", "2"]
    again = gatekeep("promote", "dockercoins/web", "-y")
    assert (again.code, "there is nothing to promote: the run is at its end" in again.err) == (3, True)
    assert "  run     all 6 steps done\n" in gatekeep("status").out


def test_abort_and_what_git_has_to_say(gatekeep: Gatekeep, made: EmbeddedCluster) -> None:
    gatekeep("apply", "-y")
    run = gatekeep("abort", "dockercoins/web", "-y", "--reason", "slow checkout")
    assert run.code == 0
    assert members(made) == ["1", "1", "1"]
    said = " ".join(run.out.split())
    assert "dockercoins/web: aborted, weight 0: slow checkout gatekeep promote dockercoins/web starts the run" in said
    assert "to make it permanent set weight 0 or revert the change" in said
    assert "gatekeep undo " in said.partition("way back")[2]
    assert "aborted after step 1 of 6" in gatekeep("status").out
    again = gatekeep("apply")
    assert (again.code, again.out.count("Git still asks for it: a change of the policy")) == (0, 1)
    assert members(made) == ["1", "1", "1"]
    assert "Git still asks for it: " in gatekeep("plan").out
    assert "  next    gatekeep promote dockercoins/web " in gatekeep("status").out
    assert gatekeep("promote", "dockercoins/web", "-y").code == 0
    assert members(made) == ["1", "1", "1", "2"]


def test_blue_green(gatekeep: Gatekeep, made: EmbeddedCluster, folder: Path) -> None:
    policy = folder / "policies" / "rng.yaml"
    policy.write_text(COLORS)
    gatekeep("apply", "-y")
    policy.write_text(COLORS.replace("active: blue", "active: green"))
    run = gatekeep("apply", "-y")
    assert "Run of dockercoins/web  switches blue → green\n" in run.out
    assert "  dockercoins/web: done: green is active\n" in run.out
    assert "blue/green, green" in gatekeep("status").out
    back = gatekeep("abort", "dockercoins/web", "-y")
    assert "aborted: green → blue\n" in back.out
    assert "  write active: blue in Git to make it permanent\n" in back.out
    assert members(made) == ["1", "1", "1"]
    on = gatekeep("promote", "dockercoins/web", "-y")
    assert "  Git asks for it already; nothing to change\n" in on.out
    assert members(made) == ["2", "2", "2"]


def test_undo_goes_back_to_where_the_run_began(gatekeep: Gatekeep, made: EmbeddedCluster, folder: Path) -> None:
    gatekeep("apply", "-y")
    policy = folder / "policies" / "rng.yaml"
    policy.write_text(CANARY.replace("weight: 25", "weight: 50"))
    gatekeep("apply", "-y")
    assert members(made) == ["1", "1", "1", "2", "2", "2"]
    run = gatekeep("undo", "-y")
    assert run.code == 0
    assert members(made) == ["1", "1", "1", "2"]
    assert "Git still says otherwise: revert the change there, or the next apply brings it back" in run.out
    gatekeep("abort", "dockercoins/web", "-y")
    back = gatekeep("undo", "-n", "dockercoins", "-y")
    assert "  Git says nothing of the abort that was undone; nothing to change there\n" in back.out
    assert members(made) == ["1", "1", "1", "2"]
    none = gatekeep("undo", "no-such-run", "-y")
    assert (none.code, none.err) == (
        3, "error: no run no-such-run is recorded\n  → gatekeep history lists the runs that are\n"
    )  # fmt: skip


def test_history(gatekeep: Gatekeep, made: EmbeddedCluster) -> None:
    assert gatekeep("history").out == "no runs\n"
    gatekeep("apply", "-y")
    made.clock.sleep(7800)
    gatekeep("abort", "dockercoins/web", "-y")
    made.clock.sleep(60)
    run = gatekeep("history")
    assert run.code == 0
    head, second, *_, first, below = run.out.splitlines()
    assert head.split() == ["OUTCOME", "RUN", "ACTION", "GATE", "WHEN", "TOOK"]
    assert second.split()[2:6] == ["abort", "dockercoins/web", "1m", "ago"]
    assert first.split()[2:7] == ["apply", "dockercoins/web", "2h", "11m", "ago"]
    assert "from canary, weight 25, step 2 of 6: a pause of 10m" in " ".join(run.out.split())
    assert below.endswith("from no gate")
    items = gatekeep("history", "web", "-n", "dockercoins", "-o", "json").document["items"]
    assert [(item["action"], item["strategy"], item["known"]) for item in items] == [
        ("abort", "canary", True), ("apply", "", True),
    ]  # fmt: skip
    assert (items[0]["began"]["phase"], items[0]["began"]["weight"]) == ("Paused", 25)
    assert gatekeep("history", "dockercoins/none").code == 3
    assert gatekeep("history", "-n", "shop").out == "no runs\n"


def test_a_check_that_fails(gatekeep: Gatekeep, made: EmbeddedCluster, errors: list[str]) -> None:
    gatekeep("apply", "-y")
    errors.append("0.5")
    run = gatekeep("promote", "dockercoins/web", "-y", "--context", "prod")
    assert run.code == 4
    assert run.out.count("✔ applied") == 0
    assert members(made) == ["1", "1", "1"]
    said = run.err.partition("\nerror: ")[2]
    assert said.startswith(
        "check errors failed: found 0.5, expected at most 0.01 (3 of 3 failures); the run of dockercoins/web was "
        "aborted, and weight 0 stands (web 4 → 3 ready)\n  → look at it in Prometheus: errors\n"
    )
    assert "      gatekeep promote dockercoins/web --context prod\n" in said
    assert "Git still asks for it" in said
    actions = [item["action"] for item in gatekeep("history", "-o", "json").document["items"]]
    assert sorted(actions) == ["abort", "apply", "promote"]
    status = gatekeep("status", "-o", "json").document["items"][0]
    assert (status["run"]["phase"], status["run"]["weight"]) == ("Aborted", 0)
    assert status["run"]["reason"] == "check errors failed: found 0.5, expected at most 0.01 (3 of 3 failures)"


def test_a_check_that_fails_and_a_canary_that_stays_in(
    gatekeep: Gatekeep, made: EmbeddedCluster, errors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gatekeep("apply", "-y")
    errors.append("0.5")

    def unreachable(verb: str, ref: ObjectRef, count: int) -> None:
        if ref.kind == "Pod":
            raise UnreachableError("cannot reach the cluster", hint="check the network")

    made.before_write(unreachable)
    run = gatekeep("promote", "dockercoins/web", "-y")
    assert run.code == 6
    said = run.err.partition("\nerror: ")[2]
    assert said.startswith("check errors failed: found 0.5, expected at most 0.01 (3 of 3 failures); the run of ")
    assert "is aborted, but its canary could not be taken out: " in said
    assert said.endswith("to take the canary out:\n      gatekeep abort dockercoins/web\n")
    assert members(made) == ["1", "1", "1", "2"]
    made.before_write(lambda verb, ref, count: None)


@pytest.mark.parametrize("command", [("promote", "dockercoins/web"), ("abort", "dockercoins/web"), ("undo",)])
def test_who_is_asked(
    command: tuple[str, ...], gatekeep: Gatekeep, made: EmbeddedCluster, monkeypatch: pytest.MonkeyPatch, errors: Any
) -> None:
    gatekeep("apply", "-y")
    before = made.get(RECORD)
    assert gatekeep(*command).code == 64
    assert gatekeep(*command, "--dry-run", "--detailed-exitcode").code == 2
    assert gatekeep(*command, "--dry-run", "-o", "json").document["kind"] == "Plan"
    assert gatekeep(*command, "--snapshot", "cluster.json").code == 64
    answer(monkeypatch, "n\n")
    run = gatekeep(*command)
    assert (run.code, "nothing was written" in run.err) == (1, True)
    assert made.get(RECORD) == before
    answer(monkeypatch, "y\n")
    assert gatekeep(*command).code == 0
    monkeypatch.setattr(sys, "stdin", sys.__stdin__)


def test_a_gate_that_is_not_there(gatekeep: Gatekeep, made: EmbeddedCluster) -> None:
    for command in ("promote", "abort"):
        assert gatekeep(command, "web", "-y").code == 64
        for answer_given in (("-y",), ()):
            run = gatekeep(command, "dockercoins/web", *answer_given)
            assert (run.code, run.err.splitlines()[0]) == (3, "error: there is no record of a gate dockercoins/web")
    assert "no run is recorded" in gatekeep("undo", "-y").err


def test_a_run_that_stops_names_its_own_undoing(gatekeep: Gatekeep, made: EmbeddedCluster, errors: list[str]) -> None:
    gatekeep("apply", "-y")

    def unreachable(verb: str, ref: ObjectRef, count: int) -> None:
        if ref.kind == "Pod":
            raise UnreachableError("cannot reach the cluster", hint="check the network")

    made.before_write(unreachable)
    run = gatekeep("promote", "dockercoins/web", "-y")
    made.before_write(lambda verb, ref, count: None)
    assert run.code == 6
    last = gatekeep("history", "-o", "json").document["items"][0]["id"]
    assert run.err.endswith(
        "    the state is safe as it is. To go on:\n      gatekeep promote dockercoins/web --prometheus URL\n"
        f"    to go back:\n      gatekeep undo {last}\n"
    )
    assert gatekeep("undo", last, "-y").code == 0
