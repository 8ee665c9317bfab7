"""What a hostile tester did to adoption: each found pods restarted, a hold for ever, or a run that could not end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import ObjectRef
from tests.builders import cluster
from tests.execute.faults import Mortal
from tests.execute.world import RED, Planner, record, run, wants
from tests.gates import NAMESPACE, gate, retirement

KINDS = ("Deployment", "DaemonSet", "StatefulSet")
LABELS = {"app": "rng"}
OWN = {"template": {"metadata": {"labels": {"active": "yes"}}}}
REVISIONED = KINDS[1:]


def site(kind: str, *, own: bool = False) -> EmbeddedCluster:
    """One workload of a kind behind Service rng; ``own`` says that its template gives the gate label already."""
    labels = {**LABELS, "active": "yes"} if own else LABELS
    built = cluster(NAMESPACE).nodes(3).service("rng", LABELS)
    if kind == "DaemonSet":
        built.daemonset("rng", LABELS)
    elif kind == "StatefulSet":
        built.statefulset("rng", 3, LABELS)
    else:
        built.deployment("rng", 3, LABELS)
    for item in built.document()["items"]:
        name = item["metadata"]["name"]
        if own and item["kind"] in (*KINDS, "ReplicaSet"):
            built.change(item["kind"], name, spec=OWN)
        if own and item["kind"] == "ControllerRevision":
            built.change(item["kind"], name, data={"spec": OWN})
        if own and item["kind"] == "Pod":
            built.change("Pod", name, metadata={"labels": labels})
    made = built.embedded()
    made.clock.sleep(30)
    return made


def template(**options: Any) -> Planner:
    """The gate by template."""
    return wants(gate(adopt="Template", **options))


def kill(made: EmbeddedCluster, planner: Planner, **when: int) -> None:
    """A run that is killed before or after one of its writes; everybody sees everything, and the lock is free."""
    Mortal(made, **when).run(lambda mortal: run(made, planner, through=mortal))
    made.clock.sleep(60)


def uids(made: EmbeddedCluster) -> set[str]:
    """The pods that are there."""
    made.clock.sleep(60)
    return {pod.uid for pod in made.list_pods(NAMESPACE)}


def workload(made: EmbeddedCluster, kind: str) -> dict[str, Any]:
    """The workload as it is."""
    return made.get(ObjectRef(kind, NAMESPACE, "rng"))


def is_held(made: EmbeddedCluster, kind: str) -> bool:
    """Paused, or OnDelete."""
    spec = workload(made, kind)["spec"]
    return bool(spec.get("paused") or spec.get("updateStrategy", {}).get("type") == "OnDelete")


def set_image(made: EmbeddedCluster, kind: str, image: str) -> None:
    """Another writer's new image."""

    def change(data: dict[str, Any]) -> None:
        data["spec"]["template"].setdefault("spec", {})["containers"] = [{"name": "rng", "image": image}]

    made.edit(ObjectRef(kind, NAMESPACE, "rng"), change)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wait", [0.0, 60.0], ids=["under-way", "complete"])
def test_a_rollout_between_the_last_look_and_the_patch_restarts_nobody_twice(kind: str, wait: float) -> None:
    made = site(kind)
    rolled: list[set[str]] = []

    def roll(verb: str, ref: ObjectRef, _: int) -> None:
        if verb == "patch" and ref.kind == kind and not rolled:
            rolled.append(set())
            set_image(made, kind, "rng:2")
            made.clock.sleep(wait)
            rolled[0] = {pod.uid for pod in made.list_pods(NAMESPACE)}

    made.before_write(roll)
    run(made, template())
    made.clock.sleep(120)
    pods = made.list_pods(NAMESPACE)
    if wait:
        assert {pod.uid for pod in pods} == rolled[0]
    assert not is_held(made, kind)
    images = {made.get(pod.ref)["spec"]["containers"][0]["image"] for pod in pods}
    assert images == {"rng:2"}
    run(made, template())
    assert all(pod.labels.get("active") == "yes" for pod in made.list_pods(NAMESPACE))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("next_run", [template(label=RED), wants(gate(label=RED))], ids=["template", "reconcile"])
def test_a_killed_hold_and_then_another_key(kind: str, next_run: Planner) -> None:
    made = site(kind, own=True)
    before = uids(made)
    for after in (3, 4, 5):
        kill(made, template(newPods="Hold"), after=after)
    run(made, next_run)
    assert uids(made) == before
    assert not is_held(made, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hold_that_was_recorded_and_never_placed_is_not_taken_for_ours(kind: str) -> None:
    made = site(kind)
    kill(made, template(), before=3)
    assert record(made) is not None

    def hold(data: dict[str, Any]) -> None:
        if kind == "Deployment":
            data["spec"]["paused"] = True
        else:
            data["spec"]["updateStrategy"] = {"type": "OnDelete"}

    made.edit(ObjectRef(kind, NAMESPACE, "rng"), hold)
    set_image(made, kind, "rng:2")
    before = uids(made)
    if kind == "Deployment":
        with pytest.raises(RefusedError, match="no run of gatekeep paused it"):
            run(made, template())
    else:
        run(made, template())
    assert uids(made) == before
    assert is_held(made, kind)


@pytest.mark.parametrize("kind", REVISIONED)
def test_the_strategy_that_comes_back_is_the_last_one_that_its_owner_wrote(kind: str) -> None:
    made = site(kind)
    kill(made, template(), before=3)
    wanted = {
        "type": "RollingUpdate",
        "rollingUpdate": {"partition": 3} if kind == "StatefulSet" else {"maxUnavailable": 2},
    }

    def change(data: dict[str, Any]) -> None:
        data["spec"]["updateStrategy"] = wanted

    made.edit(ObjectRef(kind, NAMESPACE, "rng"), change)
    made.clock.sleep(30)
    kill(made, template(), after=5)
    run(made, template())
    assert workload(made, kind)["spec"]["updateStrategy"] == wanted


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("after", [3, 4, 5])
def test_a_killed_hold_and_then_retire_leaves_nothing_held(kind: str, after: int) -> None:
    made = site(kind, own=True)
    before = uids(made)
    kill(made, template(newPods="Hold"), after=after)
    run(made, retirement)
    assert uids(made) == before
    assert not is_held(made, kind)
    assert record(made) is None
    assert workload(made, kind)["spec"]["template"]["metadata"]["labels"].get("active") == "yes"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("doomed", range(3, 9))
@pytest.mark.parametrize(
    "ways",
    [(template(), retirement), (retirement,), (template(label=RED), retirement)],
    ids=["back-then-retire", "retire", "again-then-retire"],
)
def test_every_way_on_from_a_killed_change_of_key_comes_to_an_end(
    kind: str, doomed: int, ways: tuple[Callable[..., Any], ...]
) -> None:
    made = site(kind)
    before = uids(made)
    run(made, template())
    kill(made, template(label=RED), before=doomed)
    for way in ways:
        run(made, way)
    assert uids(made) == before
    assert not is_held(made, kind)
    assert all(not {"active", "red"} & pod.labels.keys() for pod in made.list_pods(NAMESPACE))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("doomed", range(3, 9))
def test_a_killed_first_run_and_then_another_policy_comes_to_an_end(kind: str, doomed: int) -> None:
    made = site(kind)
    before = uids(made)
    kill(made, template(label=RED), before=doomed)
    run(made, template())
    assert uids(made) == before
    assert not is_held(made, kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("adopt", ["Reconcile", "Admission"])
def test_a_run_that_was_killed_before_its_first_step_binds_nobody(kind: str, adopt: str) -> None:
    made = site(kind)
    kill(made, template(), before=3)
    run(made, wants(gate(adopt=adopt)))
    found = record(made)
    assert found is not None
    assert not [item for item in found.adopted if item.by == "Template"]


@pytest.mark.parametrize("kind", KINDS)
def test_retiring_after_a_hold_gives_the_templates_their_own_label_back(kind: str) -> None:
    made = site(kind, own=True)
    before = uids(made)
    run(made, template(newPods="Hold"))
    assert "active" not in workload(made, kind)["spec"]["template"]["metadata"]["labels"]
    run(made, retirement)
    assert uids(made) == before
    assert workload(made, kind)["spec"]["template"]["metadata"]["labels"]["active"] == "yes"
    assert all(pod.labels.get("active") == "yes" for pod in made.list_pods(NAMESPACE))


@pytest.mark.parametrize("kind", KINDS)
def test_a_label_that_comes_back_by_policy_is_the_templates_own_again(kind: str) -> None:
    made = site(kind, own=True)
    run(made, template(newPods="Hold"))
    run(made, template())
    found = record(made)
    assert found is not None
    assert found.adopted == ()
    run(made, retirement)
    assert workload(made, kind)["spec"]["template"]["metadata"]["labels"]["active"] == "yes"
