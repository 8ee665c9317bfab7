"""Runs in words: where one stands, what goes on, what Git has to say; status, history and the plan's own block."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gatekeep.model.outcomes import (
    GateRun,
    GroupStatus,
    IsolationStatus,
    NodeStatus,
    PastRun,
    RunStatus,
)
from gatekeep.model.plan import GateTarget, Plan
from gatekeep.model.policy import TrafficGate
from gatekeep.model.progress import Isolated, IsolatedPod, Progress, Stage
from gatekeep.model.waits import CheckWait, DurationWait
from gatekeep.operations.status import Standing
from gatekeep.render.around import way_back
from gatekeep.render.reports import history_text, status_text
from gatekeep.render.runs import after_abort, after_promote, after_undo, next_text, plain_command, run_words
from gatekeep.render.style import Style
from gatekeep.render.text import plan_text
from tests.render.samples import GATED, LIVE, label, sample, select, step

STEPS = [{"weight": 10}, {"pause": "10m"}, {"check": "errors"}, {"weight": 50}, {"pause": {}}, {"weight": 100}]
PAUSED = RunStatus(phase="Paused", step=1, steps=6, weight=10, pause=600, age=240)
STAYS = RunStatus(phase="Paused", step=4, steps=6, weight=50, age=7800)
ABORTED = RunStatus(phase="Aborted", step=3, steps=6, weight=0, age=240, reason="check errors failed: found 0.5")
GREEN = RunStatus(phase="Done", color="green", former="blue")


def of(**fields: Any) -> RunStatus:
    return RunStatus(**{**PAUSED.__dict__, **fields})


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (PAUSED, "step 2 of 6: paused 4m of 10m"),
        (of(age=600), "step 2 of 6: its pause of 10m is over, the next apply goes on"),
        (of(age=None), "step 2 of 6: a pause of 10m"),
        (STAYS, "step 5 of 6: paused for 2h 10m, until promoted"),
        (ABORTED, "aborted after step 3 of 6 4m ago: check errors failed: found 0.5"),
        (RunStatus(phase="Aborted", color="blue"), "aborted: no reason was given"),
        (of(phase="Running", step=3), "step 3 of 6 done, and under way; if no run is, the next apply goes on"),
        (of(phase="Done", step=6), "all 6 steps done"),
        (of(phase="", step=0), "no step of 6 done"),
        (RunStatus(phase="Done", weight=10), ""),
        (GREEN, ""),
    ],
)
def test_where_a_run_stands(run: RunStatus, said: str) -> None:
    assert run_words(run) == said


def news(run: RunStatus, strategy: str = "canary") -> str:
    item = GateRun(namespace="shop", name="web", strategy=strategy, run=run)
    return "\n".join(next_text([item], "gatekeep apply -f policies", plain_command, Style()))


def test_what_goes_on() -> None:
    assert news(PAUSED) == (
        "  shop/web: paused at step 2 of 6 (weight 10)\n"
        "    gatekeep apply -f policies  goes on, 6m from now\n"
        "    gatekeep promote shop/web   goes on now\n"
        "    gatekeep abort shop/web     takes the canary out"
    )
    assert news(of(age=900)).splitlines()[0] == "  shop/web: paused at step 2 of 6 (weight 10), and the pause is over"
    assert news(STAYS) == (
        "  shop/web: paused at step 5 of 6 (weight 50) until it is promoted\n"
        "    gatekeep promote shop/web  goes on\n"
        "    gatekeep abort shop/web    takes the canary out"
    )
    assert news(of(phase="Done", step=6, weight=100)) == "  shop/web: done: step 6 of 6, weight 100"
    assert news(GREEN, "blueGreen") == "  shop/web: done: green is active"
    assert news(ABORTED).startswith("  shop/web: aborted, weight 0: check errors failed: found 0.5\n")
    assert news(RunStatus(phase="Done", weight=10)) == ""
    assert news(of(phase="Running")) == ""


def document(rotation: dict[str, Any]) -> dict[str, Any]:
    spec = {"services": ["rng"], "gate": {"key": "active", "value": "yes"}, "rotation": rotation}
    metadata = {"name": "rng", "namespace": "shop"}
    found = {"apiVersion": "gatekeep.dev/v1alpha1", "kind": "TrafficGate", "metadata": metadata, "spec": spec}
    policy: dict[str, Any] = msgspec.to_builtins(msgspec.convert(found, TrafficGate))
    return policy


def target(rotation: dict[str, Any], progress: Progress | None, **fields: Any) -> GateTarget:
    return GateTarget(
        "shop", "rng", "Gate", "active", "yes", ("rng",), policy=document(rotation), progress=progress, **fields
    )


CANARY = {"canary": {"stable": {"selector": {"matchLabels": {"v": "1"}}}, "canary": {}, "steps": STEPS}}
COLORS = {
    "blueGreen": {
        "colors": {"blue": {"selector": {"matchLabels": {"c": "blue"}}}, "green": {}}, "active": "green",
        "preview": {"service": "idle"}, "drain": "30s",
    }
}  # fmt: skip
BACK = Progress("r", "Aborted", former="blue", reason="slow")


def test_what_git_has_to_say() -> None:
    canary, colors = target(CANARY, Progress("r", "Aborted")), target(COLORS, BACK)
    pool = target({"pool": {}}, None)
    assert after_promote([canary]) == "Git has the steps already; nothing to change"
    weight = target({"canary": {"stable": CANARY["canary"]["stable"], "canary": {}, "weight": 10}}, None)
    assert after_promote([weight]) == "Git asks for it already; nothing to change"
    assert after_promote([colors]) == "Git asks for it already; nothing to change"
    assert "newPods: Hold" in after_promote([pool])
    assert "set weight 0 or revert the change" in after_abort([canary])
    assert after_abort([colors]) == "write active: blue in Git to make it permanent"
    assert after_abort([pool]) == after_undo("apply")
    assert after_abort([msgspec.structs.replace(canary, policy={"spec": 1})]) == after_undo("retire")
    assert after_undo("promote") == "Git says nothing of the promote that was undone; nothing to change there"
    assert after_undo("undo") == "Git brings about what it says with the next apply"


def block(plan: Plan, title: str) -> list[str]:
    """The lines of one block of a plan's text."""
    text = plan_text(plan, Style())
    return next((part.splitlines() for part in text.split("\n\n") if part.startswith(title)), [])


def stages(progress: Progress, *reached: tuple[int, int], rotation: Any = None, **fields: Any) -> Plan:
    on_the_way = tuple(Stage(through, Progress("r", "Running", step)) for through, step in reached)
    steps = (
        step(1, 1, "Wait", "check errors", wait=CheckWait("errors", "q", max="0.01")),
        step(2, 2, "Patch", "label", label("rng-a")),
        step(3, 3, "Wait", "let connections end", wait=DurationWait(30)),
    )
    return sample(gates=(target(rotation or CANARY, progress, stages=on_the_way, **fields),), steps=steps)


def test_the_stages_of_a_canary() -> None:
    assert block(stages(Progress("r", "Paused", 4), (1, 3)), "Run of") == [
        "Run of shop/rng  reaches the pause at step 5 of 6",
        "  step 3  check errors          plan step 1",
        "  step 4  weight 50             plan steps 2-3",
        "  step 5  pause until promoted  the plan ends here",
    ]
    assert block(stages(Progress("r", "Done", 6), (3, 4)), "Run of") == [
        "Run of shop/rng  reaches the last step",
        "  step 4  weight 50   plan steps 1-3",
        "  step 6  weight 100  as it is",
    ]
    aborted = Progress("r", "Aborted", 3, reason="slow checkout")
    assert block(stages(aborted), "Run of") == ["Run of shop/rng  aborted: weight 0", "  reason  slow checkout"]


def test_a_switch_of_colors() -> None:
    done = Progress("r", "Done", former="blue")
    plan = stages(done, rotation=COLORS, preview="idle")
    assert block(plan, "Run of") == []
    moved = msgspec.structs.replace(plan.services[0], after=("rng-x", "rng-y", "rng-z"))
    assert block(msgspec.structs.replace(plan, services=(moved,)), "Run of") == [
        "Run of shop/rng  switches blue → green",
        "  both answer  for a moment: green joins before blue leaves",
        "  drain        30s once blue is out, for connections that last  (plan step 3)",
        "  preview      Service idle reaches blue at the end; until then it has no endpoint",
    ]
    first = stages(Progress("r", "Done"), rotation=COLORS, preview="idle")
    assert block(msgspec.structs.replace(first, services=(moved,)), "Run of")[0] == (
        "Run of shop/rng  switches blue → green"
    )
    leaving = msgspec.structs.replace(plan.services[0], after=("rng-a",))
    assert block(msgspec.structs.replace(first, services=(leaving,)), "Run of")[0:2] == [
        "Run of shop/rng  blue leaves, green stays",
        "  drain    30s once blue is out, for connections that last  (plan step 3)",
    ]
    assert block(stages(BACK, rotation=COLORS), "Run of")[0] == "Run of shop/rng  aborted: green → blue"


def test_a_preview_has_no_floor() -> None:
    plan = stages(Progress("r", "Done"), rotation=COLORS, preview="rng")
    assert "a preview: may have none on the way" in plan_text(plan, Style())


def test_who_is_isolated() -> None:
    pods = (IsolatedPod("rng-a", "u1"), IsolatedPod("rng-b", "u2"))
    held = Isolated("inc-1", "Detach", "500s", "Isolation shop/inc-1", pods, "2026-12-01T12:00:00Z")
    over = Isolated("inc-2", "Gate", "500s", "Isolation shop/inc-2", ended="its pods are gone")
    plan = sample(gates=(target({"pool": {}}, None, isolations=(held, over)),))
    assert block(plan, "Isolated") == [
        "Isolated from shop/rng",
        "  inc-1  2 pods: rng-a, rng-b",
        "         Detach: released from its controller, which replaces it; until 2026-12-01T12:00:00Z; 500s",
    ]


def test_a_document_may_hold_anything() -> None:
    broken = msgspec.structs.replace(target(CANARY, Progress("r", "Done", 9)), policy={"kind": "\x1b[2J"})
    assert "Run of" not in plan_text(sample(gates=(broken,)), Style())
    beyond = target(CANARY, Progress("r", "Paused", 99), stages=(Stage(-4, Progress("r", "Running", 77)),))
    assert "reaches the last step" in plan_text(sample(gates=(beyond,)), Style())


def test_the_way_back_of_a_run_is_its_undoing() -> None:
    steps = (step(1, 1, "Patch", "swap", select(GATED, LIVE | {"open": "yes"})),)
    plan = sample(gates=(target(CANARY, Progress("r", "Paused", 1)),), steps=steps)
    text = plan_text(plan, Style(width=200))
    assert "ready): undo the run that carries it out: that run prints the command at its end, and" in text
    assert way_back(plan, run_id="r1")[:2] == ("", ("gatekeep undo r1",))


def status(**fields: Any) -> Standing:
    given: dict[str, Any] = {
        "namespace": "shop", "name": "web", "services": ("web",), "gate": "active=yes", "strategy": "canary",
        "stage": "done", "members_ready": 10, "members_total": 10, "candidates": 18, "drift": (), "last_run": "apply r",
        "source": "", "run": PAUSED,
        "groups": (GroupStatus(name="stable", members_ready=9, members_total=9, pods=9),
                   GroupStatus(name="canary", members_ready=1, members_total=1, pods=9)),
        "nodes": tuple(NodeStatus(name=f"node{at}", members_ready=at, members_total=3) for at in (2, 3)),
    }  # fmt: skip
    return Standing(**{**given, **fields})


def isolation(**fields: Any) -> IsolationStatus:
    given: dict[str, Any] = {
        "name": "inc-1", "mode": "Gate", "reason": "500s", "by": "Isolation shop/inc-1", "pods": ("rng-a",),
        "age": 240, "expires": "2026-12-01T12:00:00Z", "left": 7800,
    }  # fmt: skip
    return IsolationStatus(**{**given, **fields})


def test_status_of_a_canary() -> None:
    assert status_text([status()], Style()) == (
        "NAMESPACE  GATE  LABEL       SERVICES  STRATEGY           READY  OUT\n"
        "shop       web   active=yes  web       canary, weight 10  10/10  8\n"
        "  run     step 2 of 6: paused 4m of 10m\n"
        "  groups  stable 9/9, canary 1/1 (8 out)\n"
        "  nodes   node2 2/3, node3 3/3\n"
        "  next    gatekeep apply -f POLICIES  goes on, 6m from now\n"
        "          gatekeep promote shop/web   goes on now\n"
        "          gatekeep abort shop/web     takes the canary out\n"
        "  last run: done, apply r\n"
    )
    outdated = status_text([status(run=of(outdated=True))], Style(width=200))
    assert "of 10m; the policy or the canary's pods changed since: the next apply starts a new run\n" in outdated
    many = tuple(NodeStatus(name=f"n{at}", members_ready=3 + at % 3, members_total=5) for at in range(12))
    assert "  nodes   on 12 nodes, 3..5 ready each\n" in status_text([status(nodes=many)], Style())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "inc-1 (Gate): 1 pod (rng-a) for 4m, expires in 2h 10m: 500s"),
        ({"left": -10800}, "inc-1 (Gate): 1 pod (rng-a) for 4m, OVERDUE since 3h: 500s"),
        ({"left": None}, "inc-1 (Gate): 1 pod (rng-a) for 4m, expires at 2026-12-01T12:00:00Z: 500s"),
        ({"expires": "", "left": None, "age": None}, "inc-1 (Gate): 1 pod (rng-a), never expires: 500s"),
        ({"ended": "its pods are gone", "pods": ()},
         "inc-1 (Gate): nobody, its pods are gone; delete its document, if it is still there"),
    ],
)  # fmt: skip
def test_status_of_an_isolation(fields: dict[str, Any], said: str) -> None:
    pool = status(strategy="pool", run=None, isolations=(isolation(**fields),))
    lines = [line for line in status_text([pool], Style()).splitlines() if not line.startswith("  next ")]
    assert lines[1:] == [
        "shop       web   active=yes  web       pool      10/10  8",
        f"  isolated  {said}",
        "  last run: done, apply r",
    ]


def next_lines(**fields: Any) -> list[str]:
    """What status says of what leads on."""
    lines = status_text([status(**fields)], Style(width=120)).splitlines()
    at = next((at for at, line in enumerate(lines) if line.startswith("  next ")), len(lines))
    return [" ".join(line.split()).removeprefix("next ") for line in lines[at:-1]]


def test_status_says_what_leads_on() -> None:
    checks = next_lines(checks=("errors",))
    assert checks[:2] == [
        "gatekeep apply -f POLICIES --prometheus URL goes on, 6m from now",
        "gatekeep promote shop/web --prometheus URL goes on now",
    ]
    assert next_lines(run=ABORTED) == [
        "gatekeep promote shop/web starts the run again",
        "in Git: set weight 0, or revert the change makes the abort permanent",
    ]
    back = RunStatus(phase="Aborted", color="blue", former="green")
    assert next_lines(run=back, strategy="blueGreen") == [
        "gatekeep promote shop/web switches again", "in Git: write active: blue makes it permanent",
    ]  # fmt: skip
    assert next_lines(run=of(outdated=True)) == ["gatekeep apply -f POLICIES starts a new run"]
    assert next_lines(run=of(phase="Running"), stage="running") == [
        "gatekeep apply -f POLICIES goes on, if no run is under way"
    ]
    pool: dict[str, Any] = {"strategy": "pool", "run": None}
    assert next_lines(**pool) == []
    assert next_lines(**pool, stage="stopped") == ["gatekeep apply -f POLICIES goes on from the run that failed"]
    assert next_lines(**pool, held=("a", "b")) == ["gatekeep promote shop/web admits who is held; or raise spec.admit"]
    assert "  held  2 pods (a, b)\n" in status_text([status(**pool, held=("a", "b"))], Style())
    assert next_lines(**pool, isolations=(isolation(), isolation(left=-1, pods=("a", "b")))) == [
        "in Git: delete Isolation shop/inc-1, and apply returns its pod",
        "gatekeep apply -f POLICIES returns the pods of inc-1",
    ]
    assert next_lines(**pool, isolations=(isolation(ended="it expired", pods=()),)) == []


def test_gates_stand_apart() -> None:
    pool = status(strategy="pool", run=None)
    assert status_text([pool, pool], Style()).splitlines()[2:4] == ["  last run: done, apply r", ""]


def past(**fields: Any) -> PastRun:
    given: dict[str, Any] = {
        "namespace": "shop", "name": "web", "id": "r1", "action": "promote", "by": "ci@runner",
        "plan": "sha256:" + "a" * 64, "outcome": "done", "started": "2026-11-21T10:00:00Z",
        "ended": "2026-11-21T10:01:05Z", "age": 7800, "seconds": 65, "known": True, "strategy": "canary",
        "began": of(age=None), "isolated": 2,
    }  # fmt: skip
    return PastRun(**{**given, **fields})


def test_history() -> None:
    failed = past(outcome="stopped at step 3:\n" + "many words " * 20, age=None, seconds=None, known=False)
    text = history_text([past(), failed, past(strategy="", began=None)], Style(width=100))
    assert text.splitlines() == [
        "OUTCOME  RUN  ACTION   GATE      WHEN                  TOOK",
        "done     r1   promote  shop/web  2h 10m ago            1m 5s",
        "  by ci@runner, plan aaaaaaaaaaaa, at 2026-11-21T10:00:00Z, from canary, weight 10, step 2 of 6: a",
        "  pause of 10m, 2 pods isolated",
        "failed   r1   promote  shop/web  2026-11-21T10:00:00Z  -",
        "  failed: stopped at step 3: many words many words many words many words many words many words many",
        "  words many words many words many words many words many words many words many words many words many",
        "  words many words many words many words many words",
        "  by ci@runner, plan aaaaaaaaaaaa, at 2026-11-21T10:00:00Z, from where the record does not say",
        "done     r1   promote  shop/web  2h 10m ago            1m 5s",
        "  by ci@runner, plan aaaaaaaaaaaa, at 2026-11-21T10:00:00Z, from no gate",
    ]
    assert history_text([], Style()) == "no runs\n"
    assert max(map(len, history_text([failed], Style(width=80)).splitlines())) <= 80
