"""A saved plan, read again.

Aspects: a good one passes · order of refusals: proof 4, id 65, stale 3 · a stored verdict is not trusted ·
the way back · pods born since.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import msgspec
import pytest

from gatekeep.model.errors import GatekeepError
from gatekeep.model.plan import Plan, Proof, from_json, sealed, to_json
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.verify import require_applicable, verify_plan
from gatekeep.operations.way_back import way_back_problem
from tests.builders import cluster, dockercoins
from tests.gates import (
    DAEMONSET_ONLY,
    DEPLOYMENT_ONLY,
    applied,
    gate,
    plan,
    retirement,
    snapshot_of,
    with_steps,
    words,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
START = snapshot_of(dockercoins())
GATED = applied(START, gate())
PLAN = plan(START, gate())


def swapped(found: Plan) -> Plan:
    """The selector before the labels."""
    steps = [found.steps[3], *found.steps[:3], *found.steps[4:]]
    return with_steps(found, steps)


def exit_code(found: Plan, snapshot: Snapshot) -> int:
    """What ``apply`` would answer; 0 when it would go on, -1 when it would not say what to do."""
    try:
        require_applicable(found, snapshot, now=NOW)
    except GatekeepError as error:
        return error.exit_code if error.hint else -1
    return 0


def test_a_saved_plan_passes() -> None:
    again = from_json(to_json(PLAN).encode(), "plan.json")
    assert require_applicable(again, START, now=NOW).plan == again
    found = verify_plan(again, START, now=NOW)
    assert (found.proof.holds, found.stale, found.id_fits) == (True, (), True)


@pytest.mark.parametrize(
    ("found", "snapshot", "code"),
    [
        (swapped(PLAN), GATED, 4),
        (sealed(swapped(PLAN)), START, 4),
        (msgspec.structs.replace(swapped(PLAN), proof=Proof(holds=True, states=1)), START, 4),
        (msgspec.structs.replace(PLAN, id="sha256:0"), GATED, 65),
        (msgspec.structs.replace(PLAN, id="sha256:0"), START, 65),
        (PLAN, GATED, 3),
        (sealed(msgspec.structs.replace(PLAN, expires_at="2026-01-01T00:00:00Z")), START, 3),
        (PLAN, START, 0),
    ],
)
def test_the_proof_comes_before_the_id_and_the_id_before_freshness(found: Plan, snapshot: Snapshot, code: int) -> None:
    assert exit_code(found, snapshot) == code


def test_a_plan_that_has_been_carried_out_is_stale_and_still_proved() -> None:
    found = verify_plan(PLAN, GATED, now=NOW)
    assert found.proof.holds
    assert len(found.stale) == 7


@pytest.mark.parametrize(
    "live",
    [
        snapshot_of(dockercoins().pods("newborn", labels={"app": "rng"})),
        dataclasses.replace(START, pods=tuple(pod for pod in START.pods if pod.name != PLAN.steps[0].changes[0].name)),
    ],
    ids=["born", "gone"],
)
def test_pods_that_came_or_went_are_not_the_plans_fault(live: Snapshot) -> None:
    assert exit_code(PLAN, live) == 0


def test_a_floor_that_would_break_is_refused_with_the_counter_example() -> None:
    found = plan(GATED, gate(pool=DEPLOYMENT_ONLY, min_ready=4))
    assert not found.proof.holds
    assert "Service dockercoins/rng has 3 ready endpoints; at least 4 must stay" in str(found.proof.counter_example)
    assert exit_code(found, GATED) == 4
    assert plan(GATED, gate(pool=DEPLOYMENT_ONLY, min_ready="50%")).proof.holds


def test_a_plan_that_heals_is_never_refused_for_its_floor() -> None:
    builder = cluster().service("rng", {"app": "rng", "active": "yes"}).deployment("rng", 3, {"app": "rng"})
    found = plan(snapshot_of(builder), gate(min_ready=3))
    assert (found.proof.holds, words(found)) == (True, ["Label 3", "Wait rng"])


HALF = applied(START, gate(pool=DEPLOYMENT_ONLY))


@pytest.mark.parametrize(
    ("found", "snapshot"),
    [
        (PLAN, START),
        (plan(START, gate(pool=DEPLOYMENT_ONLY)), START),
        (plan(HALF, gate()), HALF),
        (plan(HALF, gate(pool=DAEMONSET_ONLY)), HALF),
        (plan(HALF, gate(label={"key": "lane", "value": "open"})), HALF),
        (plan(HALF, gate(label={"key": "active", "value": "sure"})), HALF),
        (retirement(HALF), HALF),
    ],
    ids=["add", "add-out", "join", "both", "rekey", "revalue", "retire"],
)
def test_there_is_a_way_back(found: Plan, snapshot: Snapshot) -> None:
    assert way_back_problem(found, snapshot) is None


def test_a_way_back_that_leads_elsewhere_is_none() -> None:
    """A plan that does not say which gate it brings about cannot be taken back, and is not applied."""
    found = plan(HALF, gate())
    assert way_back_problem(msgspec.structs.replace(found, gates=()), HALF) == (
        "the plan back does not restore the rotation of Service dockercoins/rng"
    )
