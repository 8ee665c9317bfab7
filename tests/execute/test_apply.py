"""Undisturbed runs of every kind of plan, however late the controllers are.

* the end is as predicted, and the same at every lag; helpers, locks and labels that are not needed are gone
* at every moment each Service has the smaller of before and after, and nobody but those two rotations is reachable
* without its barriers the same plan loses endpoints, so these tests can see loss
* a second plan is empty and a second apply writes nothing
* the record: policy, gate, source, pending gates on the way, the last ten runs
* retiring leaves nothing behind: every object is as it was
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.events import Event, Note, ReadyEndpoints, StepFinished, StepProgress, StepStarted, WaitProgress
from gatekeep.model.objects import ObjectRef
from gatekeep.model.plan import Plan
from gatekeep.model.policy import Gate
from tests.execute.world import (
    ALWAYS,
    GATE,
    RECORD,
    RED,
    STORIES,
    Story,
    bare,
    carry_out,
    helpers,
    keeps_floor,
    objects_of,
    picture,
    proved,
    record,
    run,
    sizes,
    wants,
)
from tests.gates import DAEMONSET_ONLY, DEPLOYMENT_ONLY, NAMESPACE, gate, retirement

LAGS = {"none": (0.0, 0.0), "pods": (3.0, 0.0), "services": (0.0, 3.0), "both": (3.0, 2.0)}
every_story = pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)


@every_story
@pytest.mark.parametrize(("pods", "services"), LAGS.values(), ids=LAGS)
def test_a_run_ends_as_predicted_and_keeps_the_floor(story: Story, pods: float, services: float) -> None:
    made = story.start(pod_lag=pods, service_lag=services)
    snapshot = made.snapshot([NAMESPACE])
    found = story.planner(snapshot)
    outcome = carry_out(made, proved(found, snapshot))
    assert outcome.wrote
    assert helpers(made) == []
    assert keeps_floor(made, story)
    assert only_the_two_rotations(made, found)
    seen = picture(made)
    assert {item.name: frozenset(item.after) for item in found.services}.items() <= seen.ready.items()
    assert seen == story.end()
    assert seen.holder == ""


def only_the_two_rotations(made: EmbeddedCluster, found: Plan) -> bool:
    """No Service ever reached a pod that the plan names neither before nor after."""
    names = {pod.uid: pod.name for pod in made.list_pods(NAMESPACE)}
    return all(
        {names[uid] for uid in ready} <= {*item.before, *item.after}
        for item in found.services
        for _, ready in made.history(NAMESPACE, item.name)
    )


@every_story
def test_parallel_writes_end_in_the_same_state(story: Story) -> None:
    made = story.start(pod_lag=1.0)
    run(made, story.planner, workers=8)
    assert keeps_floor(made, story)
    assert picture(made) == story.end()


LOSING = [("add", 3.0, 0.0), ("key", 3.0, 0.0), ("value", 3.0, 0.0), ("swap", 0.0, 0.0), ("retire", 0.0, 3.0),
          ("key-and-swap", 0.0, 3.0)]  # fmt: skip


@pytest.mark.parametrize(("name", "pods", "services"), LOSING, ids=[item[0] for item in LOSING])
def test_without_its_barriers_the_same_plan_loses_endpoints(name: str, pods: float, services: float) -> None:
    story = STORIES[name]
    made = story.start(pod_lag=pods, service_lag=services, write_latency=0.05)
    for patch in patches_in_haste(story, made):
        made.patch(*patch)
    made.clock.sleep(ALWAYS)
    assert not keeps_floor(made, story)
    assert picture(made).selectors == story.end().selectors


def patches_in_haste(story: Story, made: EmbeddedCluster) -> Sequence[tuple[ObjectRef, Any]]:
    """The plan's patches without its waits. One stream keeps its order, so a swap must be turned round to lose."""
    found = story.planner(made.snapshot([NAMESPACE]))
    patches = [
        (ObjectRef(change.kind, change.namespace, change.name), change.patch)
        for step in found.steps
        if step.action == "Patch"
        for change in step.changes
    ]
    return patches[::-1] if story is STORIES["swap"] else patches


@every_story
def test_a_second_plan_is_empty_and_a_second_apply_writes_nothing(story: Story) -> None:
    made = story.start()
    run(made, story.planner)
    if story.planner is retirement:
        assert record(made) is None
        return
    writes: list[str] = []
    made.before_write(lambda verb, ref, count: writes.append(f"{verb} {ref}"))
    before = objects_of(made)
    snapshot = made.snapshot([NAMESPACE])
    again = story.planner(snapshot)
    assert again.steps == ()
    assert not carry_out(made, proved(again, snapshot)).wrote
    assert writes == []
    assert objects_of(made) == before


def test_a_policy_that_changes_nothing_in_the_cluster_is_recorded() -> None:
    made = bare()
    run(made, wants(gate(min_ready=1)))
    outcome = run(made, wants(gate(min_ready=2)))
    assert not outcome.wrote
    found = record(made)
    assert found is not None
    assert found.policy.spec.floor.min_ready == 2
    assert len(found.runs) == 2


def test_the_record_says_what_was_applied_by_whom_and_when() -> None:
    made = bare()
    policy = gate(pool=DEPLOYMENT_ONLY)
    run(made, wants(policy), identity="ci@runner", run_id="first")
    found = record(made)
    assert found is not None
    assert (found.policy, found.gate, found.pending) == (policy, Gate("active", "yes"), ())
    assert str(found.source) == "rng.yaml:1:1"
    last = found.runs[0]
    assert (last.id, last.by, last.action, last.outcome) == ("first", "ci@runner", "apply", "done")
    assert last.started == "2026-01-01T00:00:00Z"
    assert last.ended >= last.started
    assert last.plan.startswith("sha256:")
    assert made.get(RECORD)["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "gatekeep",
        "gatekeep.dev/gate": "rng",
    }


def test_while_a_run_is_under_way_both_gates_are_remembered() -> None:
    made = bare()
    run(made, wants(gate()))
    seen: list[tuple[Gate, tuple[Gate, ...], str]] = []

    def look(event: Event) -> None:
        found = record(made)
        assert found is not None
        seen.append((found.gate, found.pending, found.runs[0].outcome))

    run(made, wants(gate(label=RED)), listener=look)
    assert set(seen) == {(Gate("active", "yes"), (Gate("red", "yes"),), "running")}
    found = record(made)
    assert found is not None
    assert (found.gate, found.pending) == (Gate("red", "yes"), ())


def test_the_record_keeps_the_last_ten_runs_newest_first() -> None:
    made = bare()
    for number in range(12):
        run(made, wants(gate(pool=(DEPLOYMENT_ONLY, DAEMONSET_ONLY)[number % 2])), run_id=f"run {number}")
    found = record(made)
    assert found is not None
    assert [item.id for item in found.runs] == [f"run {number}" for number in range(11, 1, -1)]
    assert {item.outcome for item in found.runs} == {"done"}


@pytest.mark.parametrize("policy", [gate(), gate(pool=DAEMONSET_ONLY, services=("rng", "rng-admin"), label=RED)])
def test_retiring_leaves_every_object_as_it_was(policy: Any) -> None:
    made = bare()
    before = contents(made)
    run(made, wants(policy))
    assert contents(made) != before
    run(made, retirement)
    made.clock.sleep(ALWAYS)
    assert contents(made) == before


def contents(made: EmbeddedCluster) -> dict[str, Any]:
    """Every object by kind and name without what the API server keeps for itself; slices by what they list."""
    found: dict[str, Any] = {}
    for item in objects_of(made):
        for key in ("managedFields", "resourceVersion", "generation"):
            item["metadata"].pop(key, None)
        if item["kind"] == "EndpointSlice":
            listed = sorted(entry["targetRef"]["name"] for entry in item["endpoints"])
            found.setdefault("slices", []).append(listed)
        else:
            found[f"{item['kind']} {item['metadata']['name']}"] = item
    return found


def test_labels_that_were_there_before_the_gate_stay_when_it_is_retired() -> None:
    made = bare()
    name = made.list_pods(NAMESPACE)[0].name
    made.edit(ObjectRef("Pod", NAMESPACE, name), lambda data: data["metadata"]["labels"].update(active="yes"))
    before = picture(made)
    run(made, wants(gate()))
    run(made, retirement)
    assert picture(made) == before


def test_two_gates_are_applied_by_one_plan_and_recorded_each() -> None:
    made = bare()
    blue = gate("blue", services=("rng-admin",), label={"key": "blue", "value": "yes"}, pool=DAEMONSET_ONLY)
    run(made, wants(gate(), blue))
    seen = picture(made)
    assert seen.selectors["rng"] == {"app": "rng", "active": "yes"}
    assert seen.selectors["rng-admin"] == {"app": "rng", "blue": "yes"}
    assert len(made.list_objects("ConfigMap", NAMESPACE, {})) == 2
    assert min(sizes(made)) == 4
    assert min(sizes(made, "rng-admin")) == 2


def test_the_events_tell_the_story_in_order() -> None:
    made = bare(pod_lag=3.0)
    events: list[Event] = []
    outcome = run(made, wants(gate()), listener=events.append)
    started = [event.step.number for event in events if isinstance(event, StepStarted)]
    finished = [event.number for event in events if isinstance(event, StepFinished)]
    assert started == finished == [1, 2, 3, 4, 5, 6]
    assert [event.done for event in events if isinstance(event, StepProgress)] == [1, 2, 3, 4]
    assert {event.number for event in events if isinstance(event, WaitProgress)} == {3}
    assert [event.ready for event in events if isinstance(event, ReadyEndpoints)] == [4]
    assert not [event for event in events if isinstance(event, Note)]
    [seen] = outcome.services
    assert (seen.name, seen.before, seen.least, seen.after) == (GATE.name, 4, 4, 4)
    assert outcome.seconds >= 3.0
    assert (outcome.steps, outcome.skipped, outcome.added) == (6, (), ())


def test_a_shadow_copies_what_decides_about_endpoints() -> None:
    made = bare()
    bodies: list[dict[str, Any]] = []

    def look(verb: str, ref: ObjectRef, count: int) -> None:
        if verb == "create" and ref.kind == "Service":
            bodies.append(made.get(ref))

    made.after_write(look)
    run(made, wants(gate()))
    [body] = bodies
    spec = msgspec.convert(body["spec"], dict[str, Any])
    assert spec["clusterIP"] == "None"
    assert spec["selector"] == {"app": "rng", "active": "yes"}
    assert [port["port"] for port in spec["ports"]] == [80]
