"""Policies edited again and again, by hypothesis: pools, keys, values, floors, retiring, at any lag.

Each edit ends with exactly the pods it wants in rotation, no Service ever falls below the smaller of before and after,
nobody else is reachable, and going back to an earlier policy brings back its labels and selectors exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.policy import Group, TrafficGate
from tests.builders import cluster
from tests.execute.world import ALWAYS, helpers, picture, record, run, wants
from tests.gates import NAMESPACE, gate, retirement

KEYS = ("active", "red")
VALUES = ("yes", "maybe")
SERVICES = (("rng",), ("rng", "rng-admin"))
LAGS = (0.0, 0.5, 3.0)

lags = some.tuples(some.sampled_from(LAGS), some.sampled_from(LAGS))


@some.composite
def policies(draw: some.DrawFn, count: int) -> TrafficGate:
    """Any pool of one to all pods, under any of the gates."""
    wanted = draw(some.sets(some.integers(0, count - 1), min_size=1))
    numbers = {"key": "number", "operator": "In", "values": sorted(map(str, wanted))}
    label = {"key": draw(some.sampled_from(KEYS)), "value": draw(some.sampled_from(VALUES))}
    return gate(pool={"selector": {"matchExpressions": [numbers]}}, label=label, services=SERVICES[1])


@some.composite
def edits(draw: some.DrawFn) -> tuple[int, list[TrafficGate | None], list[tuple[float, float]]]:
    """How many pods, and policies in order; None retires."""
    count = draw(some.integers(2, 8))
    found = draw(some.lists(some.one_of(some.none(), policies(count)), min_size=2, max_size=5))
    return count, found, draw(some.lists(lags, min_size=len(found), max_size=len(found)))


def fleet(count: int) -> EmbeddedCluster:
    """Pods with a number each, behind two Services."""
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}).service("rng-admin", {"app": "rng"}, port=81)
    for number in range(count):
        built.pods(f"rng-{number}", labels={"app": "rng", "number": str(number)})
    return built.embedded()


def wanted_by(policy: TrafficGate | None, count: int) -> frozenset[str]:
    """The rotation that a policy asks for."""
    if policy is None:
        return frozenset(f"rng-{number}" for number in range(count))
    group = (policy.spec.rotation.pool or Group()).selector
    assert group is not None
    return frozenset(f"rng-{number}" for number in group.match_expressions[0].values)


def edit(made: EmbeddedCluster, policy: TrafficGate | None, late: tuple[float, float]) -> None:
    """Applies one policy, or retires what there is."""
    made.lag(pods=late[0], services=late[1])
    if policy is not None:
        run(made, wants(policy))
    elif record(made) is not None:
        run(made, retirement)


@given(edits())
@settings(max_examples=40)
def test_any_sequence_of_edits_keeps_the_floor_and_ends_as_desired(
    case: tuple[int, list[TrafficGate | None], list[tuple[float, float]]],
) -> None:
    count, found, late = case
    made = fleet(count)
    names = {pod.uid: pod.name for pod in made.list_pods(NAMESPACE)}
    before = wanted_by(None, count)
    for policy, lag in zip(found, late, strict=True):
        marks = {name: len(made.history(NAMESPACE, name)) for name in ("rng", "rng-admin")}
        after = wanted_by(policy, count)
        edit(made, policy, lag)
        for name, mark in marks.items():
            states = [ready for _, ready in made.history(NAMESPACE, name)[mark - 1 :]]
            assert min(map(len, states)) >= min(len(before), len(after))
            assert {names[uid] for state in states for uid in state} <= before | after
        made.clock.sleep(ALWAYS)
        check(made, policy, after)
        before = after


def check(made: EmbeddedCluster, policy: TrafficGate | None, after: frozenset[str]) -> None:
    """The cluster is as the policy says, and nothing else is left on it."""
    assert helpers(made) == []
    expected = {"app": "rng", **({policy.gate.key: policy.gate.value} if policy else {})}
    seen = picture(made)
    assert seen.selectors == {"rng": expected, "rng-admin": expected}
    assert seen.ready == {"rng": after, "rng-admin": after}
    extra = {name: {key: value for key, value in labels.items() if key not in ("app", "number")}
             for name, labels in seen.labels.items()}  # fmt: skip
    gate_label = {policy.gate.key: policy.gate.value} if policy else {}
    assert extra == {name: gate_label if name in after else {} for name in extra}


@given(some.integers(2, 8).flatmap(lambda count: some.tuples(some.just(count), policies(count), policies(count))), lags)
@settings(max_examples=25)
def test_there_and_back_again_restores_labels_and_selectors(
    case: tuple[int, TrafficGate, TrafficGate], late: tuple[float, float]
) -> None:
    count, there, back = case
    made = fleet(count)
    edit(made, back, late)
    before = contents(made)
    edit(made, there, late)
    edit(made, back, late)
    assert contents(made) == before


def contents(made: EmbeddedCluster) -> Sequence[Mapping[str, Any]]:
    """Pods and Services byte for byte, but for what the API server keeps for itself."""
    made.clock.sleep(ALWAYS)
    found = [item for kind in ("Pod", "Service") for item in made.list_objects(kind, NAMESPACE, {})]
    for item in found:
        item["metadata"] = {key: value for key, value in item["metadata"].items()
                            if key not in ("managedFields", "resourceVersion")}  # fmt: skip
    return found
