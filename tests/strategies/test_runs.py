"""Where a run of a canary goes from where it stands, and what makes it another one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from gatekeep.model.durations import timestamp
from gatekeep.model.policy import CanaryStep
from gatekeep.model.progress import Progress
from gatekeep.strategies.question import Course, Question
from gatekeep.strategies.rotation import desired_course, run_identity
from gatekeep.strategies.runs import Leg, begin, end_of, legs, weight_at
from tests.builders import ClusterBuilder, cluster
from tests.gates import NAMESPACE, run_gate, snapshot_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BASE = {"app": "web"}
W10, W50, W100 = {"weight": 10}, {"weight": 50}, {"weight": 100}
PAUSE: dict[str, Any] = {"pause": {}}
TIMED, CHECK = {"pause": "10m"}, {"check": "errors"}


def steps(*documents: dict[str, Any]) -> tuple[CanaryStep, ...]:
    """Steps as a policy writes them."""
    return msgspec.convert(documents, tuple[CanaryStep, ...])


@pytest.mark.parametrize(
    ("documents", "done", "expected", "end"),
    [
        ((W10, PAUSE, W100), 0, [Leg(10, 1)], 1),
        ((W10, PAUSE, W100), 1, [Leg(10, 1)], 1),
        ((W10, PAUSE, W100), 2, [Leg(100, 3)], 3),
        ((W10, PAUSE, W100), 3, [Leg(100, 3)], 3),
        ((W10, W50, W100), 0, [Leg(10, 1), Leg(50, 2), Leg(100, 3)], 3),
        ((W10, CHECK, W50, PAUSE), 0, [Leg(10, 1, (("errors", 2),)), Leg(50, 3)], 3),
        ((W10, PAUSE, CHECK, CHECK, W50), 2, [Leg(10, 2, (("errors", 3), ("errors", 4))), Leg(50, 5)], 5),
        ((PAUSE, W10), 0, [Leg(0, 0)], 0),
        ((CHECK, W10), 0, [Leg(0, 0, (("errors", 1),)), Leg(10, 2)], 2),
        ((W10, PAUSE, PAUSE, W50), 2, [Leg(10, 2)], 2),
        ((W10, PAUSE), 2, [Leg(10, 2)], 2),
    ],
)
def test_a_plan_reaches_to_the_next_pause(
    documents: tuple[dict[str, Any], ...], done: int, expected: list[Leg], end: int
) -> None:
    found = steps(*documents)
    assert legs(found, done) == tuple(expected)
    assert end_of(found, done) == end


@pytest.mark.parametrize(
    ("pause", "phase", "minutes", "done"),
    [
        (TIMED, "Paused", 9.9, 1),
        (TIMED, "Paused", 10, 2),
        (TIMED, "Running", 99, 1),  # it got there, and the record does not say yet that it waits
        (PAUSE, "Paused", 9999, 1),
    ],
)
def test_a_timed_pause_is_over_after_its_time(pause: dict[str, Any], phase: Any, minutes: float, done: int) -> None:
    since = timestamp(NOW - timedelta(minutes=minutes))
    stands = Progress(run="r", phase=phase, step=1, since=since)
    assert begin(steps(W10, pause, W50), stands, NOW) == done
    assert begin(steps(W10, pause, W50), stands, None) == 1


@pytest.mark.parametrize(("done", "weight"), [(0, 0), (1, 10), (2, 10), (3, 50), (4, 100)])
def test_the_weight_in_effect(done: int, weight: int) -> None:
    assert weight_at(steps(W10, PAUSE, W50, W100), done) == weight


def web(fresh: int = 9, **template: Any) -> ClusterBuilder:
    """Two Deployments behind one Service; ``template`` is what the metadata of the canary's templates is changed to."""
    built = cluster(NAMESPACE).nodes(3).service("web", BASE).deployment("web", 9, BASE)
    built.deployment("next", fresh, {**BASE, "v": "2"})
    return built.change("Deployment", "next", spec={"template": {"metadata": template}}) if template else built


def course(progress: Progress | None, builder: ClusterBuilder | None = None, **policy: Any) -> Course:
    """Where the run goes from where it stands."""
    return desired_course(question(progress, builder, **policy))


def question(progress: Progress | None, builder: ClusterBuilder | None = None, **policy: Any) -> Question:
    """Asked for a run of four steps, unless ``policy`` says otherwise."""
    wanted = run_gate(*(policy.pop("steps", (W10, PAUSE, W50, W100))), **policy)
    return Question(policy=wanted, bases=[BASE], snapshot=snapshot_of(builder or web(), NOW), progress=progress)


RUN = run_identity(question(None))


def test_another_spec_or_other_pods_are_another_run() -> None:
    assert run_identity(question(None)) == RUN
    assert run_identity(question(None, web(fresh=4))) == RUN
    assert run_identity(question(None, steps=(W10, PAUSE, W100))) != RUN
    assert run_identity(question(None, web(annotations={"restarted": "now"}))) != RUN


def test_the_gate_label_in_a_template_and_env_make_no_other_run() -> None:
    assert run_identity(question(None, web(labels={**BASE, "v": "2", "active": "yes"}))) == RUN


def test_of_a_deployment_the_hash_of_its_present_replica_set_counts() -> None:
    def at(revision: str) -> ClusterBuilder:
        annotations = {"deployment.kubernetes.io/revision": revision}
        return web().change("Deployment", "next", metadata={"annotations": annotations})

    assert run_identity(question(None, at("1"))) != RUN
    assert run_identity(question(None, at("2"))) == RUN  # its controller is behind: no such ReplicaSet yet


@pytest.mark.parametrize(
    ("progress", "weights", "after"),
    [
        (None, [10], ("Paused", 1)),
        (Progress(run="another", phase="Paused", step=3), [10], ("Paused", 1)),
        (Progress(run=RUN, phase="Paused", step=1), [10], ("Paused", 1)),
        (Progress(run=RUN, phase="Running", step=2), [50, 100], ("Done", 4)),
        (Progress(run=RUN, phase="Running", step=3), [100], ("Done", 4)),
        (Progress(run=RUN, phase="Done", step=4), [100], ("Done", 4)),
        (Progress(run=RUN, phase="Aborted", step=3, reason="why"), [0], ("Aborted", 3)),
        (Progress(run="another", phase="Aborted", step=3), [10], ("Paused", 1)),
    ],
)
def test_the_course_of_a_run(progress: Progress | None, weights: list[int], after: tuple[str, int]) -> None:
    found = course(progress)
    assert found.progress is not None
    assert (found.progress.phase, found.progress.step) == after
    shares = {0: 9, 10: 10, 50: 18, 100: 9}
    assert [len(leg.rotation.members) for leg in found.legs] == [shares[weight] for weight in weights]


def test_pods_that_are_picked_stay_on_the_way() -> None:
    found = course(Progress(run=RUN, phase="Running", step=0), steps=(W10, {"weight": 30}, W50))
    members = [leg.rotation.members for leg in found.legs]
    assert members[0] < members[1] < members[2]
