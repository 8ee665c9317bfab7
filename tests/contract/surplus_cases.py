"""Which pod of a ReplicaSet goes when there is one too many, and the annotations of a pod that say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gatekeep.model.endpoints import is_ready
from gatekeep.model.errors import PatchRejectedError
from gatekeep.model.objects import Pod, PodAnnotations
from gatekeep.model.patches import Op
from tests.contract.fleet import Fleet, body
from tests.contract.release_cases import TEMPLATE_HASH, gone, is_gone, owned, relabel, release
from tests.contract.site import RNG, Case, Object, Site

COST = "controller.kubernetes.io/pod-deletion-cost"
ISOLATED = "gatekeep.dev/isolated"
ANNOTATIONS = "/metadata/annotations"
LONGER = 9.0
"""Seconds, more than 2^33 ns: a pod that old is of another age than one of a few seconds."""


def of_a_returned_pod_and_a_much_newer_one_the_newer_one_goes(site: Site) -> None:
    """By how long they have been ready, in powers of two."""
    chosen, new = _returning(site, before=LONGER)
    relabel(site, chosen, TEMPLATE_HASH, None, new.labels[TEMPLATE_HASH])
    gone(site, new)
    assert [pod.uid for pod in owned(site, "ReplicaSet")] == [chosen.uid]


def of_a_returned_pod_and_one_of_about_its_age_the_lower_uid_goes(site: Site) -> None:
    """About 12 and 10 s: both between 2^33 and 2^34 ns."""
    chosen, new = _returning(site, before=2.0)
    site.cluster.clock.sleep(10.0)
    relabel(site, chosen, TEMPLATE_HASH, None, new.labels[TEMPLATE_HASH])
    site.until(lambda: is_gone(site, chosen) or is_gone(site, new), "one of the two goes")
    assert [pod.uid for pod in owned(site, "ReplicaSet")] == [max(chosen.uid, new.uid)]


def the_deletion_cost_comes_before_the_age(site: Site) -> None:
    """The returned pod was given a lower one together with its label."""
    chosen, new = _returning(site, before=LONGER)
    ops = (
        Op("test", "/metadata/uid", chosen.uid),
        Op("test", ANNOTATIONS, None),
        Op("add", ANNOTATIONS, {COST: "-1"}),
        Op("add", f"/metadata/labels/{TEMPLATE_HASH}", new.labels[TEMPLATE_HASH]),
    )
    site.cluster.patch(chosen.ref, ops)
    gone(site, chosen)
    assert [pod.uid for pod in owned(site, "ReplicaSet")] == [new.uid]


def of_pods_that_share_a_node_one_goes_before_a_newer_one(site: Site) -> None:
    """Where the ReplicaSet has a controller: any kind will do."""
    meta = site.config_map("owner")["metadata"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": meta["uid"], "controller": True}
    newest = _three_pods(site)
    _replica_set(site, 2, ownerReferences=[owner])
    site.until(lambda: len(owned(site, "ReplicaSet")) == 2, "one goes")
    assert not is_gone(site, newest)


def of_a_replica_set_without_a_controller_the_newest_goes(site: Site) -> None:
    """Its pods are not counted by node."""
    newest = _three_pods(site)
    _replica_set(site, 2)
    gone(site, newest)
    assert len(owned(site, "ReplicaSet")) == 2


def who_restarted_more_often_goes_before_a_newer_one(site: Site) -> None:
    """As they are not ready, nobody asks since when."""
    site.pods("p-1", "p-2")
    for name, restarts in (("p-1", 3), ("p-2", 0)):
        about = {"name": "main", "ready": False, "restartCount": restarts, "image": "", "imageID": ""}
        conditions = [{"type": "Ready", "status": "False"}]
        site.write_status(name, {"conditions": conditions, "containerStatuses": [about]})
    one, other = site.listed(("p-1", "p-2"))
    assert [status.restart_count for pod in (one, other) for status in pod.status.container_statuses] == [3, 0]
    _replica_set(site, 1)
    gone(site, one)
    assert [pod.uid for pod in owned(site, "ReplicaSet")] == [other.uid]


def a_pods_annotations_are_patched_and_listed(site: Site) -> None:
    """The whole map where there is none, then single keys; the last one leaves no map behind."""
    site.pods("p-1")
    assert _annotations(site) is None
    ref = site.ref("Pod", "p-1")
    isolated, cost = (f"{ANNOTATIONS}/{key.replace('/', '~1')}" for key in (ISOLATED, COST))
    with pytest.raises(PatchRejectedError):
        site.cluster.patch(ref, (Op("add", isolated, "{}"),))
    site.cluster.patch(ref, (Op("test", ANNOTATIONS, None), Op("add", ANNOTATIONS, {ISOLATED: "{}"})))
    site.cluster.patch(ref, (Op("test", isolated, "{}"), Op("test", cost, None), Op("add", cost, "-7")))
    assert _annotations(site) == PodAnnotations(isolated="{}", deletion_cost="-7")
    for value in ("text", "+1", "008", "1.5", "2147483648", ""):
        with pytest.raises(PatchRejectedError):
            site.cluster.patch(ref, (Op("replace", cost, value),))
    site.cluster.patch(ref, (Op("remove", isolated), Op("test", cost, "-7"), Op("remove", cost)))
    assert _annotations(site) is None


def _annotations(site: Site) -> PodAnnotations | None:
    [pod] = site.listed(("p-1",))
    return pod.metadata.annotations


def _returning(site: Site, before: float) -> tuple[Pod, Pod]:
    """The one pod of a Deployment, released after ``before`` seconds, and its successor."""
    fleet = Fleet.start(site, "Deployment", replicas=1)
    site.cluster.clock.sleep(before)
    [chosen] = fleet.pods()
    return chosen, release(site, chosen, TEMPLATE_HASH, "ReplicaSet")


def _three_pods(site: Site) -> Pod:
    """Two old pods on one node, and a new one, which is returned, on another."""
    one, other = sorted(item["metadata"]["name"] for item in site.cluster.list_objects("Node", "", {}))[:2]
    _pod(site, "p-1", one)
    _pod(site, "p-2", one)
    site.cluster.clock.sleep(LONGER)
    newest = _pod(site, "p-3", other)
    site.cluster.clock.sleep(1.0)  # until the controllers have seen its node: who has none goes first of all
    return newest


def _pod(site: Site, name: str, node: str) -> Pod:
    spec = {"nodeName": node, "containers": [{"name": "main", "image": "registry.invalid/rng"}]}
    site.cluster.create("Pod", site.namespace, {"metadata": {"name": name, "labels": dict(RNG)}, "spec": spec})
    site.until(lambda: is_ready(site.listed((name,))[0]), "the pod becomes Ready")
    return site.listed((name,))[0]


def _replica_set(site: Site, replicas: int, **meta: Any) -> None:
    made: Object = body("ReplicaSet", "rng", replicas=replicas)
    found: Mapping[str, Any] = {**made, "metadata": {**made["metadata"], **meta}}
    site.cluster.create("ReplicaSet", site.namespace, found)


_ALL: tuple[Callable[[Site], None], ...] = (
    of_a_returned_pod_and_a_much_newer_one_the_newer_one_goes,
    of_a_returned_pod_and_one_of_about_its_age_the_lower_uid_goes,
    the_deletion_cost_comes_before_the_age,
    of_pods_that_share_a_node_one_goes_before_a_newer_one,
    of_a_replica_set_without_a_controller_the_newest_goes,
    who_restarted_more_often_goes_before_a_newer_one,
    a_pods_annotations_are_patched_and_listed,
)
CASES: dict[str, Case] = {case.__name__: case for case in _ALL}
