"""A Service of 250 pods has three EndpointSlices, and they are not written atomically.

Its ready endpoints are watched slice by slice while the pool moves from one half to the other: they never fall below
the smaller set, because the plan widens to the union before it narrows.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.controlplane.stack import ControlPlane
from tests.e2e.story import Json, Story, service, watched, workload

HALF = 125


@pytest.fixture
def large(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Story:
    """Two Deployments of 125 pods behind one Service, gated to the first."""
    made = Story(control_plane, namespace, tmp_path, pods=2 * HALF)
    made.create(workload("Deployment", "first", HALF), workload("Deployment", "second", HALF), service())
    control_plane.wait_pods(namespace, 2 * HALF, "app=rng", seconds=120)
    control_plane.wait_endpoints(namespace, "rng", 2 * HALF, seconds=120)
    return made


def only(name: str) -> Json:
    """The pool that holds one Deployment's pods."""
    return {"owners": [{"kind": "Deployment", "name": name}]}


def test_a_pool_move_never_falls_below_the_smaller_set(large: Story) -> None:
    assert len(large.get("endpointslices", "-l", "kubernetes.io/service-name=rng")["items"]) == 3
    large.policy(only("first"), floor=HALF)
    assert large.apply().code == 0

    large.policy(only("second"), floor=HALF)
    with watched(large) as counts:
        moved = large.apply()
    assert moved.code == 0, moved.err
    assert min(counts) == HALF, sorted(set(counts))
    assert max(counts) == 2 * HALF, sorted(set(counts))
    pods = large.get("pods", "-l", "active=yes")["items"]
    owners = {pod["metadata"]["name"].split("-")[0] for pod in pods}
    assert (len(pods), owners) == (HALF, {"second"})


@pytest.mark.long
def test_a_disjoint_switch_falls_below_so_the_test_can_see_it(large: Story) -> None:
    """The control experiment: one selector patch between two disjoint sets of 125 pods."""
    names = [pod["metadata"]["name"] for pod in large.get("pods")["items"]]
    for half in ("first", "second"):
        large.kubectl("label", "pods", *[name for name in names if name.startswith(half)], f"half-{half}=x")
    large.kubectl("patch", "service", "rng", "--type=merge", "-p", '{"spec":{"selector":{"half-first":"x"}}}')
    large.stack.wait_endpoints(large.namespace, "rng", HALF)
    with watched(large) as counts:
        for turn in range(12):
            here, there = ("first", "second") if turn % 2 == 0 else ("second", "first")
            patch = f'{{"spec":{{"selector":{{"half-{here}":null,"half-{there}":"x"}}}}}}'
            large.kubectl("patch", "service", "rng", "--type=merge", "-p", patch)
            large.stack.wait(lambda there=there: settled(large, there), 30, "the switch to end")  # type: ignore[misc]
    assert min(counts) < HALF, counts


def settled(story: Story, name: str) -> bool:
    """The slices list the pods of one Deployment only."""
    pods = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in story.get("pods")["items"]}
    seen = story.stack.endpoints(story.namespace, "rng")
    return len(seen) == HALF and all(pods.get(uid, "").startswith(name) for uid in seen)
