"""Isolations on a real control plane: pods go out of rotation and come back, and no request is lost.

An application dies at once when its pod's object is deleted, so that a pod that goes while it is in rotation shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.e2e.story import Story
from tests.e2e.strategies import (
    LAG,
    answering,
    counted,
    end_isolation,
    isolate,
    names_behind,
    nothing_lost,
    of,
    pods_of,
    select,
    stays,
)
from tests.e2e.workloads import manifest

PODS = 4
LATE = pytest.mark.parametrize("late", [0.0, LAG], ids=["idle", "pods-3-s"])
MARK = "gatekeep.dev/isolated"


@pytest.fixture
def web(story_of: Callable[..., Story]) -> Story:
    """Four pods of a Deployment, gated."""
    story = story_of(manifest("Deployment", "web", PODS))
    assert story.apply().code == 0
    return story


def mark_of(story: Story, pod: str) -> dict[str, object]:
    """What the annotation says of a pod's isolation."""
    found = story.get("pod", pod)["metadata"].get("annotations", {}).get(MARK)
    return dict(json.loads(found)) if found else {}


def owner_of(story: Story, pod: str) -> str:
    """The name of a pod's controller."""
    return "".join(item["name"] for item in story.get("pod", pod)["metadata"].get("ownerReferences", ()))


def apply(story: Story, what: str, late: float) -> str:
    """An apply under traffic; returns what it printed."""
    with nothing_lost(story, f"apply: {what}", pods=late):
        applied = story.apply()
    assert applied.code == 0, applied.err
    return " ".join((applied.out + applied.err).split())


@LATE
def test_a_pod_goes_out_of_rotation_and_comes_back(web: Story, late: float) -> None:
    everybody = pods_of(web, "web")
    pod = min(everybody)
    owner = owner_of(web, pod)
    isolate(web, pod, mode="Gate")
    apply(web, "isolation, mode Gate", late)
    assert pods_of(web, "web") == everybody
    assert owner_of(web, pod) == owner
    assert mark_of(web, pod)["reason"] == "a look inside"
    assert answering(web) == everybody - {pod}
    stays(web)
    end_isolation(web)
    apply(web, "isolation, mode Gate, ends", late)
    assert pods_of(web, "web") == everybody
    assert mark_of(web, pod) == {}
    assert answering(web) == everybody
    stays(web)


@LATE
def test_a_detached_pod_is_replaced_and_comes_back(web: Story, late: float) -> None:
    everybody = pods_of(web, "web")
    pod = min(everybody)
    owner = owner_of(web, pod)
    isolate(web, pod, mode="Detach")
    apply(web, "isolation, mode Detach", late)
    assert owner_of(web, pod) == ""
    web.stack.wait_endpoints(web.namespace, "rng", PODS)
    (replacement,) = names_behind(web, "rng") - everybody
    assert answering(web) == everybody - {pod} | {replacement}
    stays(web)
    end_isolation(web)
    text = apply(web, "isolation, mode Detach, ends", late)
    assert f"which deletes {replacement} for it" in text
    of(web, "web").wait_rollout()
    assert pods_of(web, "web") == everybody
    assert (owner_of(web, pod), mark_of(web, pod)) == (owner, {})
    assert answering(web) == everybody
    stays(web)


def test_a_detached_pod_of_a_daemon_set(story_of: Callable[..., Story]) -> None:
    """Its controller selects by a label that the Service does not."""
    web = story_of(manifest("DaemonSet", "agent"))
    assert web.apply().code == 0
    everybody = pods_of(web, "agent", "DaemonSet")
    pod = min(everybody)
    isolate(web, pod, mode="Detach")
    apply(web, "isolation, mode Detach, of a DaemonSet", 0)
    of(web, "agent", "DaemonSet").wait_rollout()
    (replacement,) = pods_of(web, "agent", "DaemonSet") - everybody
    assert answering(web) == everybody - {pod} | {replacement}
    stays(web)
    end_isolation(web)
    text = apply(web, "isolation, mode Detach, of a DaemonSet, ends", 0)
    assert f"which deletes {replacement} for it" in text
    web.stack.wait(lambda: pods_of(web, "agent", "DaemonSet") == everybody, 20, "the replacement to go")
    assert answering(web) == everybody
    stays(web)


@pytest.mark.long
@LATE
def test_a_detached_pod_of_a_daemon_set_that_shares_its_only_label_with_the_service(
    story_of: Callable[..., Story], late: float
) -> None:
    """Its label brings it back to its controller and into rotation at once, and the replacement dies in rotation.

    That costs its share of the requests, a third, for as long as the controllers are late and kube-proxy takes to sync.
    """
    agent = manifest("DaemonSet", "agent")
    agent["spec"]["template"]["metadata"]["labels"]["tier"] = "edge"
    agent["spec"]["selector"] = {"matchLabels": {"tier": "edge"}}
    web = story_of(agent)
    select(web, {"tier": "edge"})
    assert web.apply().code == 0
    everybody = pods_of(web, "agent", "DaemonSet")
    pod = min(everybody)
    isolate(web, pod, mode="Detach")
    apply(web, "isolation, mode Detach, of a DaemonSet, shared label", late)
    web.stack.wait_endpoints(web.namespace, "rng", 3)
    (replacement,) = names_behind(web, "rng") - everybody
    assert answering(web) == everybody - {pod} | {replacement}
    stays(web)
    end_isolation(web)
    with counted(web, "apply: isolation, mode Detach, of a DaemonSet, shared label, ends", pods=late) as traffic:
        applied = web.apply()
    assert applied.code == 0, applied.err
    assert f"which deletes {replacement} for it" in " ".join((applied.out + applied.err).split())
    report = traffic.report()
    assert report.lost <= 200 * (late + 2) / 3, report
    web.stack.wait(lambda: pods_of(web, "agent", "DaemonSet") == everybody, 20, "the replacement to go")
    assert answering(web) == everybody
    stays(web)
