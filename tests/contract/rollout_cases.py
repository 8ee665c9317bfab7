"""How rollouts go, what histories hold, and what of a workload may not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gatekeep.model.endpoints import is_ready
from gatekeep.model.errors import PatchRejectedError, RefusedError
from gatekeep.model.objects import controller_of
from gatekeep.model.patches import Op
from tests.contract.fleet import ADD_LABEL, HASH, KEY, NODES, REMOVE_LABEL, Fleet, body, recorded, template
from tests.contract.site import RNG, Case, Object, Site

REVISION = "deployment.kubernetes.io/revision"
OTHER = {"app": "other"}


def a_rolling_update_keeps_enough_pods_ready(site: Site) -> None:
    """A quarter of three, rounded down, may be unavailable: none."""
    fleet = Fleet.start(site, "Deployment")
    before = fleet.uids()
    site.cluster.patch(fleet.ref, (ADD_LABEL,))
    least: list[int] = []

    def over() -> bool:
        pods = fleet.pods()
        least.append(sum(is_ready(pod) for pod in pods))
        return len(pods) == NODES and not {pod.uid for pod in pods} & before

    site.until(over, "all pods are new")
    assert min(least) >= NODES


def recreate_ends_all_old_pods_first(site: Site) -> None:
    """No old pod runs next to a new one."""
    fleet = Fleet.start(site, "Deployment", strategy={"type": "Recreate"})
    before = fleet.uids()
    site.cluster.patch(fleet.ref, (ADD_LABEL,))

    def over() -> bool:
        uids = fleet.uids()
        assert not (uids & before and uids - before)
        return len(uids) == NODES and not uids & before

    site.until(over, "all pods are new")
    fleet.rest()


def a_deployment_goes_back_to_its_old_replica_set(site: Site) -> None:
    """Undo is a patch of the template; the ReplicaSet that has it gets the next revision number."""
    fleet = Fleet.start(site, "Deployment")
    [first] = fleet.owned("ReplicaSet")
    fleet.patch(ADD_LABEL)
    fleet.rest()
    assert _numbers(fleet) == {"1", "2"}
    fleet.patch(REMOVE_LABEL)
    fleet.rest()
    owners = {owner.uid for pod in fleet.pods() if (owner := controller_of(pod.metadata))}
    assert owners == {first["metadata"]["uid"]}
    site.until(lambda: _numbers(fleet) == {"2", "3"}, "the old ReplicaSet is the newest revision")
    site.until(lambda: fleet.read()["metadata"]["annotations"][REVISION] == "3", "the Deployment says so")
    hashed = next(item for item in fleet.owned("ReplicaSet") if item["metadata"]["uid"] in owners)
    suffix = hashed["metadata"]["labels"]["pod-template-hash"]
    assert hashed["metadata"]["name"] == f"rng-{suffix}"
    assert hashed["spec"]["selector"]["matchLabels"] == {**RNG, "pod-template-hash": suffix}
    assert fleet.labels("pod-template-hash") == [suffix] * NODES


def _numbers(fleet: Fleet) -> set[str]:
    return {item["metadata"]["annotations"][REVISION] for item in fleet.owned("ReplicaSet")}


def _revisions_are_used_again(kind: str) -> Case:
    def case(site: Site) -> None:
        """One per template; going back gives the old one the next number, and its data never changes."""
        fleet = Fleet.start(site, kind)
        [first] = fleet.owned("ControllerRevision")
        name = first["metadata"]["name"]
        assert recorded(first) == fleet.read()["spec"]["template"]
        assert first["revision"] == 1
        assert fleet.labels(HASH) == [fleet.hash()] * NODES
        fleet.patch(ADD_LABEL)
        fleet.rest()
        new = fleet.revision()
        assert new["revision"] == 2
        assert fleet.labels(HASH) == [fleet.hash()] * NODES
        fleet.patch(REMOVE_LABEL)
        fleet.rest()
        back = {item["metadata"]["name"]: item for item in fleet.owned("ControllerRevision")}
        assert back.keys() == {name, new["metadata"]["name"]}
        assert back[name]["revision"] == 3
        assert back[name]["data"] == first["data"]
        assert set(fleet.labels(HASH)) == {fleet.hash()}
        labels = (Op("add", f"/data/spec/template/metadata/labels/{KEY}", "yes"),)
        with pytest.raises(PatchRejectedError):
            site.cluster.patch(site.ref("ControllerRevision", name), labels)

    return case


def a_daemon_sets_revision_is_named_by_its_hash(site: Site) -> None:
    """Name and label of the revision, and the labels of the pods."""
    fleet = Fleet.start(site, "DaemonSet")
    [revision] = fleet.owned("ControllerRevision")
    found = revision["metadata"]["labels"][HASH]
    assert revision["metadata"]["name"] == f"rng-{found}"
    assert revision["metadata"]["labels"] == {**RNG, HASH: found}
    assert fleet.labels("pod-template-generation") == ["1"] * NODES
    assert fleet.status("updatedNumberScheduled") == NODES


def a_stateful_set_says_which_revisions_it_is_between(site: Site) -> None:
    """A partition holds the lower ordinals back; a pod that dies there comes back as it was."""
    held = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    fleet = Fleet.start(site, "StatefulSet", updateStrategy=held)
    first = fleet.hash()
    assert (fleet.status("currentRevision"), fleet.status("updateRevision")) == (first, first)
    before = {pod.name: pod.uid for pod in fleet.pods()}
    fleet.patch(ADD_LABEL)
    site.until(lambda: fleet.status("updatedReplicas") == 1 and fleet.status("readyReplicas") == NODES, "one is new")
    after = {pod.name: pod.uid for pod in fleet.pods()}
    assert [name for name in before if before[name] == after[name]] == ["rng-0", "rng-1"]
    assert (fleet.status("currentRevision"), fleet.status("updateRevision")) == (first, fleet.hash())
    assert fleet.status("currentReplicas") == 2
    pod = site.listed(("rng-0",))[0]
    site.cluster.delete(pod.ref, pod.uid)
    site.until(lambda: fleet.uids() - set(after.values()) != set(), "it comes back")
    assert KEY not in site.listed(("rng-0",))[0].labels
    fleet.patch(Op("replace", "/spec/updateStrategy/rollingUpdate/partition", 0))
    fleet.rest()
    site.until(lambda: bool(fleet.status("currentRevision") == fleet.hash()), "the rollout is over")


def _selector_is_immutable(kind: str) -> Case:
    def case(site: Site) -> None:
        """422, and so is a template that the selector does not match."""
        fleet = Fleet.start(site, kind)
        both = (
            Op("replace", "/spec/selector/matchLabels", OTHER),
            Op("replace", "/spec/template/metadata/labels", OTHER),
        )
        for ops in (both, both[1:]):
            with pytest.raises(PatchRejectedError):
                site.cluster.patch(fleet.ref, ops)
        with pytest.raises(RefusedError):
            site.cluster.create(kind, site.namespace, body(kind, "wrong", template=template(OTHER)))

    return case


def most_of_a_stateful_set_is_immutable(site: Site) -> None:
    """422 for the name of its Service; the number of revisions to keep may change."""
    fleet = Fleet.start(site, "StatefulSet")
    with pytest.raises(PatchRejectedError):
        site.cluster.patch(fleet.ref, (Op("replace", "/spec/serviceName", "other"),))
    fleet.patch(Op("add", "/spec/revisionHistoryLimit", 5))


def the_template_of_a_job_is_immutable(site: Site) -> None:
    """422: its later pods can only be labelled by admission."""
    found: Object = template()
    found["spec"]["restartPolicy"] = "Never"
    spec: dict[str, Any] = {
        "template": {"metadata": {"labels": {"job": "rng"}}, "spec": found["spec"]},
    }
    site.cluster.create("Job", site.namespace, {"metadata": {"name": "rng"}, "spec": spec})
    with pytest.raises(PatchRejectedError):
        site.cluster.patch(site.ref("Job", "rng"), (ADD_LABEL,))
    labelled = site.cluster.patch(site.ref("Job", "rng"), (Op("add", "/metadata/labels", dict(RNG)),))
    assert labelled["metadata"]["labels"] == dict(RNG)


def _each(make: Callable[[str], Case], *kinds: str) -> dict[str, Case]:
    return {f"{make.__name__.lstrip('_')}: {kind}": make(kind) for kind in kinds}


CASES: dict[str, Case] = {
    **_each(_revisions_are_used_again, "DaemonSet", "StatefulSet"),
    **_each(_selector_is_immutable, "Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"),
    **{
        case.__name__: case
        for case in (
            a_rolling_update_keeps_enough_pods_ready,
            recreate_ends_all_old_pods_first,
            a_deployment_goes_back_to_its_old_replica_set,
            a_daemon_sets_revision_is_named_by_its_hash,
            a_stateful_set_says_which_revisions_it_is_between,
            most_of_a_stateful_set_is_immutable,
            the_template_of_a_job_is_immutable,
        )
    },
}
