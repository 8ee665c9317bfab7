"""Adoption in a loop: the gate comes and goes, again and again, over up to 20 pods of a kind and under counted traffic.

A sample runs with the other end-to-end tests; `make adoptions` runs each loop 50 times round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.controlplane.stack import ControlPlane
from tests.controlplane.views import node_manifest
from tests.e2e.story import GATE, Story
from tests.e2e.workloads import NODES, Workload, manifest, rounds

MOST = 20


@pytest.fixture
def many_nodes(control_plane: ControlPlane) -> Iterator[None]:
    """As many nodes as a DaemonSet should have pods."""
    extra = range(NODES, MOST)
    for number in extra:
        control_plane.api.request("POST", "/api/v1/nodes", node_manifest(number, NODES))
    yield
    for number in extra:
        control_plane.api.request("DELETE", f"/api/v1/nodes/{node_manifest(number, NODES)['metadata']['name']}")


@pytest.mark.usefixtures("many_nodes")
@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"])
def test_adoptions_in_a_loop_restart_nobody_and_lose_nothing(story_of: Callable[..., Story], kind: str) -> None:
    story = story_of(manifest(kind, "loop", MOST))
    target = Workload(story.stack, story.namespace, kind, "loop")
    lost = [one_round(story, target, number) for number in range(rounds(3))]
    assert sum(lost) == 0, lost


def one_round(story: Story, target: Workload, number: int) -> int:
    """Another number of pods; then the gate comes and goes. Returns the requests that were lost to that."""
    if target.kind != "DaemonSet":
        target.scale(1 + (number * 7 + 19) % MOST)
        target.wait_rollout()
    pods, sets = target.uids(), names(target)
    story.stack.wait_endpoints(story.namespace, "rng", len(pods))
    story.settle()  # what a scale-down loses is not adoption's
    with story.traffic() as traffic:
        applied = story.apply()
        assert applied.code == 0, (number, applied.err)
        assert (target.uids(), target.labelled(), names(target)) == (pods, len(pods), sets), number
        retired = story.retire()
        assert retired.code == 0, (number, retired.err)
        traffic.run_for(0.5)
    target.wait_rollout()
    assert (target.uids(), target.labelled(), names(target)) == (pods, 0, sets), number
    assert GATE[0] not in target.get()["spec"]["template"]["metadata"]["labels"]
    return traffic.report().lost


def names(target: Workload) -> list[str]:
    """A Deployment's ReplicaSets."""
    return [item["metadata"]["name"] for item in target.replica_sets()] if target.kind == "Deployment" else []
