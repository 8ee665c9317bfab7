"""Any small cluster, any policy, any state of the gate.

Aspects: the proof agrees with the brute force on every prefix · a refusal has a cause · planning from the end is
empty · the way back restores every rotation · a killed run and its successor are safe back to back, whatever the
controller has read · the order in which pods are listed does not show.
"""

from __future__ import annotations

import random

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Service
from gatekeep.model.plan import Plan, to_json
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.way_back import bare_nodes, way_back
from gatekeep.proof.verify import final_snapshot, prove
from tests.gates import plan, record, remembering, retirement
from tests.properties import worlds
from tests.properties.bruteforce import (
    Action,
    Demand,
    PodWrite,
    World,
    actions_of,
    demand_on_the_way,
    demands,
    stages,
    violation,
    world_of,
)
from tests.properties.worlds import Case, cases


def planned(case: Case, *, retire: bool = False) -> tuple[Plan, Snapshot]:
    """The case's plan and what it was made from; cases that preflight refuses are left out."""
    snapshot = remembering(case.snapshot, case.record) if case.record else case.snapshot
    try:
        return (retirement(snapshot, "g") if retire and case.record else plan(snapshot, case.policy)), snapshot
    except RefusedError as error:
        assume(not error.hint)
        raise


def proved(case: Case, *, retire: bool = False) -> tuple[Plan, Snapshot]:
    """As ``planned``, for plans whose proof holds."""
    found, snapshot = planned(case, retire=retire)
    assume(found.proof.holds)
    return found, snapshot


def first_violation(found: Plan, snapshot: Snapshot, order: random.Random) -> str | None:
    """What the brute force has against a plan."""
    before = world_of(snapshot)
    actions = actions_of(found.steps, before, order)
    wanted = demands(before, before.after(actions), found, snapshot)
    return next((problem for demand in wanted if (problem := violation(before, actions, demand))), None)


@given(cases(), st.booleans(), st.randoms(use_true_random=False))
def test_proof_and_brute_force_agree(case: Case, retire: bool, order: random.Random) -> None:
    found, snapshot = planned(case, retire=retire)
    if found.proof.holds:
        assert first_violation(found, snapshot, order) is None
    elif "the plan back" not in str(found.proof.counter_example):
        assert any(first_violation(found, snapshot, random.Random(seed)) for seed in range(30))


@given(cases(), st.booleans())
def test_a_plan_of_the_end_state_is_empty(case: Case, retire: bool) -> None:
    found, snapshot = proved(case, retire=retire)
    assume(not retire or case.record is None)
    target = found.gates[0]
    known = msgspec.structs.replace(record(case.policy, kept=target.kept), progress=target.progress)
    assert plan(remembering(final_snapshot(found, snapshot), known), case.policy).steps == ()


@given(cases(), st.booleans())
def test_the_way_back_restores_every_rotation(case: Case, retire: bool) -> None:
    found, snapshot = proved(case, retire=retire)
    assume(found.writes)
    end = final_snapshot(found, snapshot)
    back = way_back(found, snapshot, end)
    assert prove(back, end, may_empty=bare_nodes(found, snapshot)).proof.holds
    assert rotations(final_snapshot(back, end)) == rotations(snapshot)


def rotations(snapshot: Snapshot) -> dict[str, frozenset[str]]:
    """Who is ready behind each Service."""
    world = world_of(snapshot)
    return {name: world.matched(selector) & world.ready for name, selector in world.selectors.items()}


@given(cases(), st.data(), st.randoms(use_true_random=False))
def test_a_killed_run_and_its_successor_are_safe_back_to_back(
    case: Case, data: st.DataObject, order: random.Random
) -> None:
    first, snapshot = proved(case)
    before = world_of(snapshot)
    actions = actions_of(first.steps, before, order)
    done = actions[: data.draw(st.integers(0, len(actions)), label="actions before the kill")]
    left = worlds.with_world(snapshot, before.after(done), "g")
    policy = data.draw(st.just(case.policy) | worlds.policies(case.policy.spec.services), label="policy")
    left = remembering(left, worlds.interrupted(case))
    second, _ = proved(Case(left, policy, None))
    rest = actions_of(second.steps, world_of(left), order, run=" of the second run")
    assume(not goes_back(before, [*done, *rest]))
    for service in snapshot.services:
        demand = _both(first, second, service, snapshot, left, [*done, *rest])
        assert violation(before, [*done, *rest], demand) is None


def goes_back(before: World, actions: list[Action]) -> bool:
    """Some label comes back to a value that it had, which no shadow tells from never having moved.

    It takes a run that was killed, a policy that was reverted, and a second run before the controller has read the
    first. The order of steps does not guard against that.
    """
    trails: dict[tuple[str, str], list[str | None]] = {}
    for action in actions:
        if isinstance(action, PodWrite):
            start = before.labels[action.name]
            for key in {*start, *action.labels, *(key for name, key in trails if name == action.name)}:
                trail = trails.setdefault((action.name, key), [start.get(key)])
                if trail[-1] != action.labels.get(key):
                    trail.append(action.labels.get(key))
    return any(len(trail) > len(set(trail)) for trail in trails.values())


def _both(
    first: Plan, second: Plan, service: Service, snapshot: Snapshot, left: Snapshot, actions: list[Action]
) -> Demand:
    """The weaker of the two plans' demands: neither promises more than that about a run that was killed."""
    begin, middle = world_of(snapshot), world_of(left)
    ends = (begin.after(actions_of(first.steps, begin, random.Random(0))), begin.after(actions))
    parts = [
        demand_on_the_way([start, *stages(start, found), end], service,
                          next((item.floor for item in found.services if item.name == service.name), 1), snapshot)
        for found, start, end in ((first, begin, ends[0]), (second, middle, ends[1]))
    ]  # fmt: skip
    nodes = tuple(node for node in parts[0].nodes if node in parts[1].nodes)
    allowed = parts[0].allowed | parts[1].allowed
    return Demand(service.name, min(item.least for item in parts), allowed, nodes, parts[0].many_slices)


@given(cases(), st.randoms(use_true_random=False))
def test_the_order_of_the_lists_does_not_show(case: Case, order: random.Random) -> None:
    found, snapshot = planned(case)
    shuffled = {name: order.sample(getattr(snapshot, name), len(getattr(snapshot, name)))
                for name in ("pods", "services", "workloads", "slices")}  # fmt: skip
    again = plan(worlds.msgspec_replace(snapshot, **{name: tuple(items) for name, items in shuffled.items()}),
                 case.policy)  # fmt: skip
    assert to_json(again) == to_json(found)
