"""A label goes into a running workload's template, or leaves it, step by step, and nobody restarts.

* every kind, both directions, with late streams: the same pods, all templates and pods agree, nothing is held
* every answer lost, one after the other: the same end
* pods die and are born, ReplicaSets are made and go, others scale, at every moment
* another writer changes the image at every moment: nobody is marked wrongly, his rollout runs
"""

from __future__ import annotations

import msgspec
import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.execute.context import last_label_step
from gatekeep.model.errors import UnreachableError
from gatekeep.model.events import StepFinished
from gatekeep.model.objects import ObjectRef
from gatekeep.model.plan import Plan
from gatekeep.model.selectors import LabelSelector
from tests.execute.adoptions import (
    ALWAYS,
    HASH,
    KINDS,
    LABELS,
    NAMESPACE,
    ON_DELETE,
    PAIRS,
    PODS,
    adoption,
    carry_out,
    pods,
    ref,
    set_image,
    shop,
    uids,
    values,
)
from tests.execute.faults import NEVER, Moments, failing

LATE: tuple[dict[str, float], ...] = ({}, {"pod_lag": 3.0}, {"workload_lag": 3.0})


def is_let_go(made: EmbeddedCluster, kind: str) -> bool:
    spec = made.get(ref(kind))["spec"]
    return not spec.get("paused") and spec.get("updateStrategy") != ON_DELETE


def moments(kind: str) -> int:
    """How many moments an undisturbed run has."""
    made = shop(kind)
    counter = Moments(made, NEVER, lambda: None)
    carry_out(made, adoption(made, kind), counter.listen)
    return counter.count


@pytest.mark.parametrize("lag", LATE, ids=["prompt", "late-pods", "late-workloads"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_template_gets_the_label_and_loses_it_again_and_nobody_restarts(kind: str, lag: dict[str, float]) -> None:
    made = shop(kind, **lag)
    before = uids(made)
    for old, new in PAIRS.values():
        carry_out(made, adoption(made, kind, old, new), workers=4)
        assert values(made) == {new}
        assert uids(made) == before
        assert is_let_go(made, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_every_lost_answer_is_made_up_for(kind: str) -> None:
    writes: list[ObjectRef] = []
    counted = shop(kind)
    counted.after_write(lambda verb, target, count: writes.append(target))
    carry_out(counted, adoption(counted, kind))
    for number in range(1, len(writes) + 1):
        made = shop(kind)
        before = uids(made)
        failing(made, number, UnreachableError("no answer in time"), after=True)
        run = carry_out(made, adoption(made, kind))
        assert values(made) == {"yes"}
        assert uids(made) == before
        assert not run.context.held
        assert is_let_go(made, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_pod_that_dies_at_any_moment_comes_back_with_the_label_and_the_others_stay(kind: str) -> None:
    for number in range(1, moments(kind) + 1):
        made = shop(kind)
        first, *others = pods(made)
        moment = Moments(made, number, lambda made=made, first=first: made.kill(first.ref))  # type: ignore[misc]
        plan = adoption(made, kind)
        carry_out(made, plan, moment.listen)
        assert moment.acted
        assert {pod.uid for pod in others} <= uids(made)
        assert values(made) == {"yes"}
        assert len(pods(made)) == PODS
        assert is_let_go(made, kind)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_scaling_goes_on_at_any_moment(kind: str) -> None:
    for number in range(1, moments(kind) + 1):
        made = shop(kind)
        before = uids(made)

        def grow(made: EmbeddedCluster = made) -> None:
            made.edit(ref(kind), lambda data: data["spec"].update(replicas=PODS + 2))
            made.clock.sleep(0.5)

        carry_out(made, adoption(made, kind), Moments(made, number, grow).listen)
        assert before <= uids(made)
        assert len(pods(made)) == PODS + 2
        assert values(made) == {"yes"}


@pytest.mark.parametrize("pause", [0.0, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_image_at_any_moment_is_rolled_out_in_the_end_with_the_label(kind: str, pause: float) -> None:
    """Nobody is marked as being of a revision that he is not: else the old image would run for ever."""
    for number in range(1, moments(kind) + 1):
        made = shop(kind)

        def act(made: EmbeddedCluster = made) -> None:
            set_image(made, kind)
            made.clock.sleep(pause)

        run = carry_out(made, adoption(made, kind), Moments(made, number, act).listen)
        made.clock.sleep(ALWAYS)
        assert images(made) == {"registry.invalid/rng:2"}
        assert {pod.labels.get("active") for pod in pods(made)} == {"yes"}
        assert not run.context.held
        assert is_let_go(made, kind)


def images(made: EmbeddedCluster) -> set[str]:
    return {made.get(pod.ref)["spec"]["containers"][0]["image"] for pod in pods(made)}


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet"])
def test_a_template_that_was_changed_before_leaves_steps_out_and_says_so(kind: str) -> None:
    made = shop(kind)
    plan = adoption(made, kind)
    set_image(made, kind)
    run = carry_out(made, plan)
    left_out = [event.number for event in run.events if isinstance(event, StepFinished) and event.left_out]
    assert left_out == [4, 5]
    assert "another writer changed its pod template" in run.notes
    assert "step 4 is left out: there is no rng.revision" in run.notes
    made.clock.sleep(ALWAYS)
    assert images(made) == {"registry.invalid/rng:2"}


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet"])
def test_an_answer_that_is_lost_just_when_the_image_changes_marks_nobody(kind: str) -> None:
    """What is bound then is of his template, and would be waited for in vain."""
    made = shop(kind)
    plan = adoption(made, kind)
    written: list[ObjectRef] = []

    def lose(verb: str, target: ObjectRef, count: int) -> None:
        written.append(target)
        if len(written) == 1:
            made.clock.sleep(0.5)  # the controller makes the revision that the pods could be marked as
            set_image(made, kind)
            raise UnreachableError("no answer in time")

    made.after_write(lose)
    started = made.clock.monotonic()
    run = carry_out(made, plan)
    assert made.clock.monotonic() - started < 5.0
    assert "another writer changed its pod template" in run.notes
    made.clock.sleep(ALWAYS)
    assert images(made) == {"registry.invalid/rng:2"}


def test_a_pod_that_is_of_another_revision_by_now_is_not_marked() -> None:
    made = shop("DaemonSet")
    plan = adoption(made, "DaemonSet")
    odd = pods(made)[0]
    made.edit(odd.ref, lambda data: data["metadata"]["labels"].update({HASH: "newer"}))
    run = carry_out_to_mark(made, plan)
    assert f"{odd.ref} is of revision newer by now: it is not marked" in run
    assert made.get(odd.ref)["metadata"]["labels"][HASH] == "newer"


def carry_out_to_mark(made: EmbeddedCluster, plan: Plan) -> str:
    """The steps until pods are marked: the count that follows would wait for the odd one."""
    return carry_out(made, msgspec.structs.replace(plan, steps=plan.steps[:4]), workers=4).notes


def replica_sets(made: EmbeddedCluster) -> tuple[Plan, ObjectRef]:
    """A plan, and what it cannot know: one ReplicaSet went, and another one was made."""
    [first] = made.list_objects("ReplicaSet", NAMESPACE, {})
    set_image(made, "Deployment")
    made.clock.sleep(ALWAYS)
    plan = adoption(made, "Deployment")
    metadata = {name: first["metadata"][name] for name in ("labels", "namespace", "ownerReferences")}
    gone = ref("ReplicaSet", first["metadata"]["name"])
    made.kill(gone)
    made.add({**first, "metadata": {**metadata, "name": "rng-extra"}, "spec": {**first["spec"], "replicas": 0}})
    return plan, gone


def test_a_replica_set_made_since_the_plan_is_done_too_and_one_that_is_gone_is_skipped() -> None:
    made = shop("Deployment")
    plan, gone = replica_sets(made)
    before = uids(made)
    run = carry_out(made, plan)
    assert f"{gone} is gone: skipped" in run.notes
    assert "ReplicaSet shop/rng-extra was made since the plan, done too" in run.notes
    assert values(made) == {"yes"}
    assert uids(made) == before


def test_a_replica_set_made_since_the_plan_is_waited_for_within_the_step() -> None:
    made = shop("Deployment")
    plan, _ = replica_sets(made)
    made.clock.sleep(ALWAYS)
    made.lag(workloads=3.0)
    carry_out(made, msgspec.structs.replace(plan, steps=plan.steps[2:3]))
    extra = made.get(ref("ReplicaSet", "rng-extra"))
    assert extra["status"]["observedGeneration"] == extra["metadata"]["generation"]


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet"])
def test_newborn_pods_are_let_in_by_the_step_that_labels_pods_and_no_other(kind: str) -> None:
    made = shop(kind)
    plan = adoption(made, kind)
    found = last_label_step(plan, plan.steps[-1])
    assert found is not None
    assert found.match is not None
    assert found.match.selector == LabelSelector(LABELS)
