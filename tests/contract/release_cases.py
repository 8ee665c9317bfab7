"""What becomes of a pod that loses a label its controller selects by, and of one that gets it back."""

from __future__ import annotations

from collections.abc import Callable

from gatekeep.model.endpoints import is_ready
from gatekeep.model.errors import NotFoundError
from gatekeep.model.objects import Pod, controller_of
from gatekeep.model.patches import label_patch
from tests.contract.fleet import ADD_LABEL, NODES, QUIET, Fleet, body
from tests.contract.site import Case, Site

TEMPLATE_HASH = "pod-template-hash"
SECOND = 1.1
"""Long enough for another creationTimestamp: of a DaemonSet's pods on a node the oldest stays."""


def owned(site: Site, kind: str) -> list[Pod]:
    """The pods that a controller of a kind has, without those that are going."""
    found = [pod for pod in site.listed() if pod.metadata.deletion_timestamp is None]
    return [pod for pod in found if (owner := controller_of(pod.metadata)) and owner.kind == kind]


def relabel(site: Site, pod: Pod, key: str, before: str | None, after: str | None) -> None:
    """Takes a label of a pod away, or gives it back."""
    site.cluster.patch(pod.ref, label_patch(pod.uid, {key: (before, after)}))


def release(site: Site, pod: Pod, key: str, kind: str) -> Pod:
    """Takes a label away; waits until the pod is nobody's, and until its successor, which it returns, is ready."""
    known = {item.uid for item in owned(site, kind)}
    relabel(site, pod, key, pod.labels[key], None)
    site.until(lambda: controller_of(now(site, pod).metadata) is None, "the pod is released")

    def successors() -> list[Pod]:
        return [item for item in owned(site, kind) if item.uid not in known and is_ready(item)]

    site.until(lambda: bool(successors()), "the pod is replaced")
    return successors()[0]


def now(site: Site, pod: Pod) -> Pod:
    """The pod as it is."""
    return next(item for item in site.listed((pod.name,)) if item.uid == pod.uid)


def is_gone(site: Site, pod: Pod) -> bool:
    """No pod has its uid any more."""
    try:
        return bool(site.cluster.get(pod.ref)["metadata"]["uid"] != pod.uid)
    except NotFoundError:
        return True


def gone(site: Site, pod: Pod) -> None:
    """Waits for the end of a pod."""
    site.until(lambda: is_gone(site, pod), f"{pod.ref} is gone")


def without_its_template_hash_a_pod_is_replaced_and_keeps_its_other_labels(site: Site) -> None:
    """It belongs to nobody then, and a Service may still select it."""
    fleet = Fleet.start(site, "Deployment")
    before = fleet.uids()
    chosen = fleet.pods()[0]
    new = release(site, chosen, TEMPLATE_HASH, "ReplicaSet")
    found = now(site, chosen)
    assert found.metadata.owner_references == ()
    assert found.labels == {key: value for key, value in chosen.labels.items() if key != TEMPLATE_HASH}
    assert {pod.uid for pod in owned(site, "ReplicaSet")} == before - {chosen.uid} | {new.uid}
    assert fleet.uids() == before | {new.uid}


def a_daemon_sets_pod_is_replaced_on_its_node_and_comes_back_in_place_of_the_new_one(site: Site) -> None:
    """Two pods on one node meanwhile; the oldest stays."""
    fleet = Fleet.start(site, "DaemonSet")
    before = fleet.uids()
    chosen = fleet.pods()[0]
    site.cluster.clock.sleep(SECOND)
    new = release(site, chosen, "app", "DaemonSet")
    assert new.spec.node_name == chosen.spec.node_name
    relabel(site, chosen, "app", None, "rng")
    gone(site, new)
    fleet.quiet()
    assert fleet.uids() == before
    assert {pod.uid for pod in owned(site, "DaemonSet")} == before


def a_stateful_sets_pod_is_not_replaced_while_its_name_is_taken(site: Site) -> None:
    """One too few until it comes back; then it is the same pod as before."""
    fleet = Fleet.start(site, "StatefulSet")
    before = fleet.uids()
    chosen = fleet.pods()[1]
    relabel(site, chosen, "app", "rng", None)
    site.until(lambda: fleet.status("replicas") == NODES - 1, "the pod is released")
    site.cluster.clock.sleep(QUIET)
    assert controller_of(now(site, chosen).metadata) is None
    assert (fleet.uids(), fleet.status("replicas")) == (before - {chosen.uid}, NODES - 1)
    relabel(site, chosen, "app", None, "rng")
    site.until(lambda: {pod.uid for pod in owned(site, "StatefulSet")} == before, "the pod is adopted")
    fleet.rest()
    assert fleet.uids() == before


def another_controller_adopts_a_released_pod_and_ends_it_as_its_surplus(site: Site) -> None:
    """A DaemonSet that selects by ``app`` takes what a ReplicaSet let go, and has an older pod on that node."""
    daemons = Fleet.start(site, "DaemonSet")
    before = daemons.uids()
    site.cluster.clock.sleep(SECOND)
    [chosen] = _deployed(site, 1)
    relabel(site, chosen, TEMPLATE_HASH, chosen.labels[TEMPLATE_HASH], None)
    gone(site, chosen)
    site.until(lambda: len(owned(site, "ReplicaSet")) == 1, "the pod is replaced")
    site.cluster.clock.sleep(QUIET)
    assert {pod.uid for pod in owned(site, "DaemonSet")} == before


def an_adopted_pod_that_is_older_costs_the_daemon_set_its_own(site: Site) -> None:
    """Then the adopted one goes too, as it is of no revision of the DaemonSet."""
    [chosen] = _deployed(site, 1)
    site.cluster.clock.sleep(SECOND)
    site.cluster.create("DaemonSet", site.namespace, body("DaemonSet", "rng"))
    site.until(lambda: _ready(site, "DaemonSet") == NODES, "the DaemonSet runs")
    before = {pod.spec.node_name: pod for pod in owned(site, "DaemonSet")}
    relabel(site, chosen, TEMPLATE_HASH, chosen.labels[TEMPLATE_HASH], None)
    gone(site, before[chosen.spec.node_name])
    gone(site, chosen)
    site.until(lambda: _ready(site, "DaemonSet") == NODES, "the DaemonSet runs on all nodes again")
    site.cluster.clock.sleep(QUIET)
    after = {pod.spec.node_name: pod.uid for pod in owned(site, "DaemonSet")}
    assert [node for node, pod in before.items() if after[node] != pod.uid] == [chosen.spec.node_name]


def a_pod_that_comes_back_after_a_rollout_is_ended(site: Site) -> None:
    """Its ReplicaSet has no replicas any more."""
    fleet = Fleet.start(site, "Deployment")
    chosen = fleet.pods()[0]
    release(site, chosen, "app", "ReplicaSet")
    fleet.patch(ADD_LABEL)
    fleet.rest()
    after = fleet.uids()
    relabel(site, chosen, "app", None, "rng")
    gone(site, chosen)
    fleet.quiet()
    assert fleet.uids() == after


def a_daemon_sets_pod_that_comes_back_after_a_rollout_costs_the_node_both(site: Site) -> None:
    """The new one goes as the younger one, then the old one as it is of an old revision."""
    fleet = Fleet.start(site, "DaemonSet")
    chosen = fleet.pods()[0]
    site.cluster.clock.sleep(SECOND)
    release(site, chosen, "app", "DaemonSet")
    fleet.patch(ADD_LABEL)
    fleet.rest()
    before = {pod.spec.node_name: pod for pod in fleet.pods()}
    relabel(site, chosen, "app", None, "rng")
    gone(site, before[chosen.spec.node_name])
    gone(site, chosen)
    fleet.quiet()
    after = {pod.spec.node_name: pod.uid for pod in fleet.pods()}
    assert [node for node, pod in before.items() if after[node] != pod.uid] == [chosen.spec.node_name]


def _deployed(site: Site, replicas: int) -> list[Pod]:
    """The pods of a Deployment next to which there may be others with the same labels."""
    site.cluster.create("Deployment", site.namespace, body("Deployment", "rng", replicas=replicas))
    site.until(lambda: _ready(site, "ReplicaSet") == replicas, "the Deployment runs")
    return owned(site, "ReplicaSet")


def _ready(site: Site, kind: str) -> int:
    return sum(is_ready(pod) for pod in owned(site, kind))


_ALL: tuple[Callable[[Site], None], ...] = (
    without_its_template_hash_a_pod_is_replaced_and_keeps_its_other_labels,
    a_daemon_sets_pod_is_replaced_on_its_node_and_comes_back_in_place_of_the_new_one,
    a_stateful_sets_pod_is_not_replaced_while_its_name_is_taken,
    another_controller_adopts_a_released_pod_and_ends_it_as_its_surplus,
    an_adopted_pod_that_is_older_costs_the_daemon_set_its_own,
    a_pod_that_comes_back_after_a_rollout_is_ended,
    a_daemon_sets_pod_that_comes_back_after_a_rollout_costs_the_node_both,
)
CASES: dict[str, Case] = {case.__name__: case for case in _ALL}
