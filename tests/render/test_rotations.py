"""Who is in rotation after each phase, worked out from the plan alone."""

from __future__ import annotations

import pytest

from examples.make import CLUSTERS, plan_of
from gatekeep.model.plan import Plan, ServiceForecast
from gatekeep.render.rotations import rotations_of
from tests.render.samples import GATED, LIVE, label, sample, select, step

KEY = ("shop", "rng")


def courses(plan: Plan) -> dict[str, list[str]]:
    """For each pod its states, phase by phase, in the first Service."""
    found = rotations_of(plan)
    return {pod: [states[0] for states in group.states] for group in found.groups for pod in group.pods}


def made(before: str, after: str, *steps: object) -> Plan:
    forecast = ServiceForecast("shop", "rng", tuple(before), tuple(after), 1, 1)
    return sample(services=(forecast,), steps=steps)


COMES = made("ab", "a", step(1, 1, "Patch", "", label("a")), step(2, 2, "Patch", "", select(LIVE, GATED)))
GOES = made("a", "ab", step(1, 1, "Patch", "", select(GATED, LIVE)), step(2, 2, "Patch", "", label("a", "yes", None)))
POOL = made("ab", "bc", step(1, 1, "Patch", "", label("c")), step(2, 2, "Patch", "", label("a", "yes", None)))
VALUE = made(
    "ab", "bc",
    step(1, 1, "Patch", "", label("b", "yes", "no"), label("c", None, "no")),
    step(2, 2, "Patch", "", select(GATED, {"active": "no", "app": "rng"})),
)  # fmt: skip


@pytest.mark.parametrize(
    ("plan", "states"),
    [
        (COMES, {"a": ["in", "in"], "b": ["in", "leaves"]}),
        (GOES, {"a": ["in", "in"], "b": ["joins", "in"]}),
        (POOL, {"a": ["in", "leaves"], "b": ["in", "in"], "c": ["joins", "in"]}),
        (VALUE, {"a": ["in", "leaves"], "b": ["leaves", "joins"], "c": ["out", "joins"]}),
    ],
    ids=["comes", "goes", "pool", "value"],
)
def test_each_pod_has_its_course(plan: Plan, states: dict[str, list[str]]) -> None:
    assert courses(plan) == states


def test_pods_that_fare_alike_stand_together() -> None:
    names = [f"p{number}" for number in range(500)]
    forecast = ServiceForecast("shop", "rng", (), tuple(names), 1, 0)
    plan = sample(services=(forecast,), steps=(step(1, 1, "Patch", "", *map(label, names)),))
    assert [len(group.pods) for group in rotations_of(plan).groups] == [500]


@pytest.mark.parametrize("example", CLUSTERS)
def test_every_course_leads_from_before_to_after(example: str) -> None:
    plan = plan_of(example)
    found = rotations_of(plan)
    for at, (namespace, name) in enumerate(found.services):
        service = next(item for item in plan.services if (item.namespace, item.name) == (namespace, name))
        for group in found.groups:
            states = [phase[at] for phase in group.states]
            for pod in group.pods:
                inside = pod in service.before
                for state in states:
                    assert (state in ("in", "leaves")) == inside
                    inside = state in ("in", "joins")
                assert inside == (pod in service.after)
