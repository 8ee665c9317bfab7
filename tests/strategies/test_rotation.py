"""Who is in a canary's rotation, who of the newborn joins it, and what the cluster must have for it."""

from __future__ import annotations

from typing import Any

import pytest

from gatekeep.model.errors import RefusedError
from gatekeep.model.policy import Gate
from gatekeep.strategies.question import DesiredRotation, Question
from gatekeep.strategies.rotation import desired_rotation
from tests.builders import ClusterBuilder, cluster
from tests.gates import NAMESPACE, canary_gate, snapshot_of

BASE = {"app": "web"}
STANDING = (Gate(key="active", value="yes"),)


def web(stable: int = 9, fresh: int = 3, **options: Any) -> ClusterBuilder:
    """Two Deployments behind one Service."""
    built = cluster(NAMESPACE).nodes(3, zones=("a", "b", "c")).service("web", BASE)
    return built.deployment("web", stable, BASE, **options).deployment("next", fresh, {**BASE, "v": "2"})


def rotation(builder: ClusterBuilder, weight: int, **groups: Any) -> DesiredRotation:
    """The rotation at a weight, with the gate standing."""
    policy = canary_gate(weight, **groups)
    return desired_rotation(Question(policy=policy, bases=[BASE], snapshot=snapshot_of(builder), standing=STANDING))


def counted(builder: ClusterBuilder, found: DesiredRotation) -> tuple[int, int]:
    """Stable and canary pods among the members."""
    names = [pod.name for pod in snapshot_of(builder).pods if pod.uid in found.members]
    fresh = sum(name.startswith("next-") for name in names)
    return len(names) - fresh, fresh


@pytest.mark.parametrize(
    ("weight", "numbers", "joins"),
    [(0, (9, 0), "web"), (10, (9, 1), "web"), (25, (9, 3), "web"), (50, (3, 3), ""), (100, (0, 3), "next")],
)
def test_numbers_and_who_of_the_newborn_joins(weight: int, numbers: tuple[int, int], joins: str) -> None:
    found = rotation(web(), weight)
    assert counted(web(), found) == numbers
    uids = {item.name: item.uid for item in snapshot_of(web()).workloads if item.kind == "Deployment"}
    assert found.match.owner_uids == ((uids[joins],) if joins else None)
    assert (found.match.any_of == ()) == (not joins)


def test_who_is_in_stays_in() -> None:
    first = rotation(web(fresh=5), 25)
    names = sorted(pod.name for pod in snapshot_of(web(fresh=5)).pods if pod.name.startswith("next-"))
    inside = web(fresh=5)
    for name in names[-2:]:
        inside.change("Pod", name, metadata={"labels": {"active": "yes"}})
    again = rotation(inside, 25)
    picked = {pod.name for pod in snapshot_of(inside).pods if pod.uid in again.members}
    assert set(names[-2:]) <= picked
    assert counted(inside, again) == counted(web(fresh=5), first)


def test_pods_that_are_not_ready_are_made_up_for() -> None:
    names = sorted(pod.name for pod in snapshot_of(web()).pods if pod.name.startswith("next-"))
    built = web().change("Pod", names[0], status={"conditions": [{"type": "Ready", "status": "False"}]})
    found = rotation(built, 20)
    assert counted(built, found) == (9, 2)
    assert names[0] not in {pod.name for pod in snapshot_of(built).pods if pod.uid in found.members}


@pytest.mark.parametrize(
    ("builder", "groups", "text"),
    [
        (web(fresh=0), {}, "the canary group has no ready pod"),
        (web(stable=0), {}, "the stable group has no ready pod"),
        (web(ready=False), {}, "the stable group has no ready pod"),
        (web(), {"stable": {}}, "belong to both groups"),
        (web(), {"canary": {"owners": [{"kind": "Deployment", "name": "nxt"}]}}, "does not exist"),
    ],
)
def test_what_the_cluster_must_have(builder: ClusterBuilder, groups: Any, text: str) -> None:
    with pytest.raises(RefusedError, match=text) as caught:
        rotation(builder, 50, **groups)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("weight", "text"), [(25, ", 25 % of them canary"), (20, "exactly 20 % needs 1 canary to 4 stable")]
)
def test_the_share_is_said(weight: int, text: str) -> None:
    assert text in rotation(web(), weight).remark
