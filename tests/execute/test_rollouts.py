"""Pods are born without the label while a plan is applied.

* a whole rollout at any moment before the switch: the newborns are let in, the barrier is repeated, nothing is lost
* pods that are born for ever: nothing is switched
* a steady gate lets in who was born between plan and apply; a pod of another owner stays out
"""

from __future__ import annotations

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.errors import IncompleteError
from gatekeep.model.objects import ObjectRef
from tests.builders import cluster
from tests.execute.faults import NEVER, Moments
from tests.execute.world import (
    RNG,
    STORIES,
    bare,
    carry_out,
    helpers,
    picture,
    proved,
    ref,
    run,
    wants,
)
from tests.gates import DEPLOYMENT_ONLY, NAMESPACE, gate


def fleet() -> EmbeddedCluster:
    """Four pods without a controller behind a Service, the endpoint controller 3 s behind."""
    names = [f"rng-{number}" for number in range(4)]
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}).pods(*names, labels={"app": "rng"})
    return built.embedded(pod_lag=3.0)


def roll_out(made: EmbeddedCluster) -> None:
    """Every pod is replaced by one without the label, which is ready before the old one goes."""
    for old in made.list_pods(NAMESPACE):
        new = made.get(ref(old.name))
        new["metadata"] = {"name": f"{old.name}-new", "namespace": NAMESPACE, "labels": {"app": "rng"}}
        address = f"10.9.9.{old.name[-1]}"
        new["status"].update(podIP=address, podIPs=[{"ip": address}])
        made.add(new)
        made.kill(ref(old.name))


def test_a_whole_rollout_before_the_switch_is_let_in() -> None:
    for number in range(1, last_moment_before_the_switch() + 1):
        made = fleet()
        moment = Moments(made, number, lambda made=made: roll_out(made))  # type: ignore[misc]
        outcome = run(made, wants(gate(min_ready="100%")), listener=moment.listen)
        assert moment.acted
        assert sorted(outcome.added) == [f"rng-{number}-new" for number in range(4)]
        assert sizes_later(made) == {4}
        assert helpers(made) == []
        seen = picture(made)
        assert {item.get("active") for item in seen.labels.values()} == {"yes"}
        assert len(seen.ready["rng"]) == 4


def last_moment_before_the_switch() -> int:
    """The end of the wait: what happens after the last list is nobody's to see."""
    made = fleet()
    counted: list[int] = []
    counter = Moments(made, NEVER, lambda: None)

    def note(verb: str, target: ObjectRef, count: int) -> None:
        if target == RNG:
            counted.append(counter.count - 1)

    made.before_write(note)
    run(made, wants(gate()), listener=counter.listen)
    return counted[0]


def sizes_later(made: EmbeddedCluster) -> set[int]:
    """How many were ready, once per instant: a rollout's own slice writes are in between."""
    return {len(ready) for _, ready in dict(made.history(NAMESPACE, "rng")).items()}


def test_a_rollout_that_never_rests_is_not_switched() -> None:
    made = fleet()
    number = iter(range(1000))

    def bear(verb: str, target: ObjectRef, count: int) -> None:
        if verb == "patch" and target.kind == "Pod":
            new = made.get(ref("rng-0"))
            new["metadata"] = {"name": f"new-{next(number)}", "namespace": NAMESPACE, "labels": {"app": "rng"}}
            made.add(new)

    made.after_write(bear)
    with pytest.raises(IncompleteError, match="born faster than they can be labelled"):
        run(made, wants(gate()))
    assert made.get(RNG)["spec"]["selector"] == {"app": "rng"}
    assert helpers(made) == []


def grow(made: EmbeddedCluster) -> None:
    """The Deployment wants one pod more."""
    made.edit(ObjectRef("Deployment", NAMESPACE, "rng"), lambda data: data["spec"].update(replicas=3))


def test_a_steady_gate_lets_in_who_was_born_since_the_plan() -> None:
    story = STORIES["join"]
    made = story.start()
    snapshot = made.snapshot([NAMESPACE])
    found = proved(story.planner(snapshot), snapshot)
    grow(made)
    made.clock.sleep(5.0)
    assert len(carry_out(made, found).added) == 1
    assert len(picture(made).ready["rng"]) == 5
    assert not story.planner(made.snapshot([NAMESPACE])).writes


def test_a_newborn_of_another_owner_is_left_out() -> None:
    made = bare()

    def act() -> None:
        stranger = made.get(ref(made.list_pods(NAMESPACE)[0].name))
        stranger["metadata"] = {"name": "stranger", "namespace": NAMESPACE, "labels": {"app": "rng", "own": "yes"}}
        made.add(stranger)
        made.edit(ObjectRef("Deployment", NAMESPACE, "rng"), lambda data: data["spec"].update(replicas=3))

    outcome = run(made, wants(gate(pool=DEPLOYMENT_ONLY)), listener=Moments(made, 6, act).listen)
    assert len(outcome.added) == 1
    assert "active" not in made.get(ref("stranger"))["metadata"]["labels"]
