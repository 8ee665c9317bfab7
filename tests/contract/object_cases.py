"""Create, read, list and delete, tried through the ``Cluster`` protocol."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gatekeep.model.errors import AlreadyExistsError, NotFoundError, PatchRejectedError, RefusedError
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Op
from gatekeep.model.plan import Access
from gatekeep.model.selectors import LabelSelector
from tests.contract.site import PATIENCE, RNG, Case, Site

OTHER_UID = "00000000-0000-0000-0000-000000000000"
ZONE = "topology.kubernetes.io/zone"
MANAGED = {"app.kubernetes.io/managed-by": "gatekeep"}


def a_name_can_be_taken_once(site: Site) -> None:
    """409 on create."""
    site.config_map("record")
    with pytest.raises(AlreadyExistsError):
        site.config_map("record")


def what_is_created_is_what_is_read(site: Site) -> None:
    """The server adds metadata and keeps the rest."""
    created = site.config_map("record", RNG)
    assert created["metadata"]["uid"]
    assert created["metadata"]["namespace"] == site.namespace
    assert site.get("ConfigMap", "record") == created
    assert created["data"] == {"key": "value"}


def what_is_not_there_is_not_found(site: Site) -> None:
    """404 on get and delete."""
    with pytest.raises(NotFoundError):
        site.get("ConfigMap", "nowhere")
    with pytest.raises(NotFoundError):
        site.cluster.delete(site.ref("ConfigMap", "nowhere"))


def a_deletion_is_guarded_by_uid(site: Site) -> None:
    """409 when another object has the name now."""
    uid = site.config_map("record")["metadata"]["uid"]
    ref = site.ref("ConfigMap", "record")
    with pytest.raises(PatchRejectedError):
        site.cluster.delete(ref, OTHER_UID)
    site.cluster.delete(ref, uid)
    with pytest.raises(NotFoundError):
        site.cluster.get(ref)


def an_invalid_service_name_is_refused(site: Site) -> None:
    """422 on create: at most 63 characters."""
    with pytest.raises(RefusedError):
        site.service("x" * 64, RNG)


def a_lease_is_taken_by_one(site: Site) -> None:
    """The lock: create, then hand over with a guard on the holder."""
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 30, "renewTime": "2026-01-01T00:00:00.000000Z"}
    site.cluster.create("Lease", site.namespace, {"metadata": {"name": "gatekeep-rng"}, "spec": spec})
    ref = site.ref("Lease", "gatekeep-rng")
    with pytest.raises(PatchRejectedError):
        site.cluster.patch(ref, (Op("test", "/spec/holderIdentity", "b"), Op("replace", "/spec/holderIdentity", "c")))
    site.cluster.patch(ref, (Op("test", "/spec/holderIdentity", "a"), Op("replace", "/spec/holderIdentity", "b")))
    assert site.get("Lease", "gatekeep-rng")["spec"]["holderIdentity"] == "b"


def lists_know_labels(site: Site) -> None:
    """list_objects and list_pods select by equality."""
    site.config_map("one", {"app": "rng", "tier": "front"})
    site.config_map("two", {"app": "rng"})
    found = site.cluster.list_objects("ConfigMap", site.namespace, {"app": "rng", "tier": "front"})
    assert [item["metadata"]["name"] for item in found] == ["one"]
    assert found[0]["kind"] == "ConfigMap"
    site.pods("p-1", labels={"app": "rng", "active": "yes"})
    site.pods("p-2")
    assert [pod.name for pod in site.cluster.list_pods(site.namespace, {"active": "yes"})] == ["p-1"]
    assert [pod.name for pod in site.cluster.list_pods(site.namespace)] == ["p-1", "p-2"]


def a_snapshot_holds_what_was_asked_for(site: Site) -> None:
    """Namespaces, gatekeep's own ConfigMaps, nodes, and who the cluster is."""
    site.service("rng", RNG)
    site.pods("p-1")
    site.config_map("gatekeep-rng", MANAGED)
    site.config_map("other")
    budget = {"metadata": {"name": "rng"}, "spec": {"minAvailable": 1, "selector": {"matchLabels": dict(RNG)}}}
    site.cluster.create("PodDisruptionBudget", site.namespace, budget)
    site.until(lambda: bool(site.slices("rng")), "the Service has slices")
    snapshot = site.cluster.snapshot([site.namespace])
    assert [pod.name for pod in snapshot.pods] == ["p-1"]
    assert [service.name for service in snapshot.services] == ["rng"]
    assert len(snapshot.slices) == 1
    assert [item.metadata.name for item in snapshot.config_maps] == ["gatekeep-rng"]
    assert [item.spec.selector for item in snapshot.budgets] == [LabelSelector(match_labels=RNG)]
    assert snapshot.time is not None
    assert abs(snapshot.time - site.cluster.clock.now()) < timedelta(seconds=PATIENCE)
    assert snapshot.nodes
    assert snapshot.missing == snapshot.unserved
    assert snapshot.unserved <= {"mutatingadmissionpolicies", "mutatingadmissionpolicybindings"}
    assert snapshot.identity == site.cluster.identity()
    assert snapshot.identity.uid
    everything = site.cluster.snapshot([])
    assert everything.service(site.namespace, "rng") == snapshot.services[0]


def a_pod_takes_over_the_zone_of_its_node(site: Site) -> None:
    """As a label, from 1.35 on."""
    site.pods("p-1")
    [pod] = site.listed(("p-1",))
    node = site.cluster.get(ObjectRef("Node", "", pod.spec.node_name))
    zone = node["metadata"]["labels"][ZONE]
    old = site.cluster.identity().version.startswith("v1.33.")
    assert pod.labels == (RNG if old else {**RNG, ZONE: zone})


def permissions_can_be_asked_for(site: Site) -> None:
    """Whoever runs this suite may do what it does."""
    assert site.cluster.may(Access("patch", "", "pods", site.namespace))


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        a_name_can_be_taken_once,
        what_is_created_is_what_is_read,
        what_is_not_there_is_not_found,
        a_deletion_is_guarded_by_uid,
        an_invalid_service_name_is_refused,
        a_lease_is_taken_by_one,
        lists_know_labels,
        a_snapshot_holds_what_was_asked_for,
        a_pod_takes_over_the_zone_of_its_node,
        permissions_can_be_asked_for,
    )
}
