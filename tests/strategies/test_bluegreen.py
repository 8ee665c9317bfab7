"""Blue/green: which colour is in rotation, when a switch is refused, and who is behind the preview."""

from __future__ import annotations

import pytest

from gatekeep.model.errors import RefusedError
from gatekeep.model.policy import Gate
from gatekeep.model.progress import Progress
from gatekeep.strategies import bluegreen
from gatekeep.strategies.question import Course, Question
from gatekeep.strategies.rotation import desired_course, run_identity
from tests.builders import ClusterBuilder, cluster
from tests.gates import NAMESPACE, color_gate, snapshot_of

BASE = {"app": "web"}
STANDING = (Gate(key="active", value="yes"),)


def web(serving: str = "blue", ready: bool | int = True, wanted: int = 3) -> ClusterBuilder:
    """Three pods of each colour; those of ``serving`` carry the label. ``ready`` and ``wanted`` are of green."""
    built = cluster(NAMESPACE).nodes(3).service("web", BASE)
    for color in ("blue", "green"):
        labels = {**BASE, "color": color}
        live = {**labels, "active": "yes"} if color == serving else labels
        built.deployment(color, 3, labels, pod_labels=live, ready=ready if color == "green" else True)
    return built.change("Deployment", "green", spec={"replicas": wanted})


def question(active: str = "green", builder: ClusterBuilder | None = None, **fields: object) -> Question:
    """Asked while the gate stands, unless ``fields`` say otherwise."""
    given = {"standing": STANDING, **fields}
    return Question(policy=color_gate(active), bases=[BASE], snapshot=snapshot_of(builder or web()), **given)  # type: ignore[arg-type]


def members(found: Course, asked: Question) -> set[str]:
    """The colours in rotation."""
    return {pod.labels["color"] for pod in asked.snapshot.pods if pod.uid in found.legs[-1].rotation.members}


def test_the_active_colour_is_in_as_a_whole_and_takes_its_later_pods_along() -> None:
    asked = question()
    found = desired_course(asked)
    rotation = found.legs[0].rotation
    green = next(item.uid for item in asked.snapshot.workloads if item.name == "green")
    assert members(found, asked) == {"green"}
    assert rotation.match.owner_uids == (green,)
    assert rotation.remark == "for a moment both colours answer: 3 pods of green join before 3 of blue leave"


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        (web(ready=2), "1 of its 3 pods are not ready"),
        (web(ready=False), "3 of its 3 pods are not ready"),
        (web(wanted=5), "3 of the 5 pods that Deployment green wants are there"),
    ],
)
def test_a_colour_that_is_not_ready_as_a_whole_does_not_take_over(builder: ClusterBuilder, words: str) -> None:
    with pytest.raises(RefusedError, match=words):
        desired_course(question(builder=builder))
    with pytest.raises(RefusedError, match=words):
        desired_course(question(builder=builder, standing=()))


def test_a_colour_without_pods() -> None:
    built = cluster(NAMESPACE).service("web", BASE).deployment("blue", 3, {**BASE, "color": "blue"})
    with pytest.raises(RefusedError, match="it has no pod"):
        desired_course(question(builder=built.deployment("green", 0, {**BASE, "color": "green"})))


def test_once_it_serves_alone_pods_may_be_unready() -> None:
    asked = question(builder=web(serving="green", ready=1))
    found = desired_course(asked)
    assert members(found, asked) == {"green"}
    assert found.legs[0].rotation.remark == ""


def test_isolated_pods_need_not_serve() -> None:
    built = web(ready=2)
    sick = next(pod.uid for pod in snapshot_of(built).pods if pod.labels["color"] == "green"
                and pod.status.conditions[-1].status == "False")  # fmt: skip
    asked = question(builder=built, isolated=frozenset([sick]))
    assert len(desired_course(asked).legs[0].rotation.members) == 2


@pytest.mark.parametrize(
    ("phase", "former", "color"), [("Done", "blue", "green"), ("Aborted", "blue", "blue"), ("Aborted", "", "green")]
)
def test_an_aborted_switch_stays_where_it_came_from(phase: str, former: str, color: str) -> None:
    asked = question()
    progress = Progress(run=run_identity(asked), phase=phase, former=former)  # type: ignore[arg-type]
    again = question(progress=progress)
    assert members(desired_course(again), again) == {color}
    other = question(progress=Progress(run="another", phase="Aborted", former="blue"))
    assert members(desired_course(other), other) == {"green"}


def test_the_former_colour_is_remembered() -> None:
    found = desired_course(question(former="blue")).progress
    assert found is not None
    assert (found.phase, found.former) == ("Done", "blue")
    later = desired_course(question(former="green", progress=found)).progress
    assert later is not None
    assert later.former == "blue"


def test_the_idle_colour_is_behind_the_preview() -> None:
    asked = question()
    wanted = asked.policy.spec.rotation.blue_green
    assert wanted is not None
    idle = bluegreen.idle(asked, wanted)
    assert {pod.labels["color"] for pod in asked.snapshot.pods if pod.uid in idle.members} == {"blue"}


def test_a_pod_of_both_colours() -> None:
    built = web()
    policy = color_gate("green", colors={"blue": {"selector": {"matchLabels": BASE}},
                                         "green": {"owners": [{"kind": "Deployment", "name": "green"}]}})  # fmt: skip
    asked = Question(policy=policy, bases=[BASE], snapshot=snapshot_of(built), standing=STANDING)
    with pytest.raises(RefusedError, match="3 pods are of both colours, blue and green"):
        desired_course(asked)
