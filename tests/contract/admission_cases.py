"""Labels that the API server puts on new pods: MutatingAdmissionPolicies, and the dry run that shows them.

They are served from Kubernetes 1.36 on; on an older server the cases state how it refuses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from gatekeep.model.admission import (
    BINDING,
    POLICY,
    LabelPolicy,
    PolicyBinding,
    binding_body,
    policy_body,
    read_binding,
    read_policy,
)
from gatekeep.model.errors import AlreadyExistsError, NotFoundError
from gatekeep.model.objects import ObjectRef
from gatekeep.model.selectors import LabelSelector, Requirement
from tests.contract.fleet import KINDS, NODES, Fleet, template
from tests.contract.site import RNG, Case, Labels, Object, Site

KEY = "gatekeep.dev/rng"
UID = "00000000-0000-0000-0000-000000000001"


def _policy(site: Site, kind: str = "", workload: str = "", **fields: Any) -> LabelPolicy:
    """A policy whose name is the namespace's: policies have none of their own."""
    name = f"gatekeep-{site.namespace}-rng"
    return LabelPolicy(name=name, key=KEY, value="open", kind=kind, workload=workload, gate="rng", **fields)


def _is_served(site: Site) -> bool:
    try:
        site.cluster.list_objects(POLICY, "", {})
    except NotFoundError:
        return False
    return True


@contextmanager
def _in_force(site: Site, policy: LabelPolicy, shown: Object | None = None) -> Iterator[None]:
    """The policy, bound to the namespace; with ``shown``, once a dry run of such a pod shows the label."""
    binding = PolicyBinding(name=policy.name, policy=policy.name, namespace=site.namespace, gate=policy.gate)
    try:
        site.cluster.create(POLICY, "", policy_body(policy))
        site.cluster.create(BINDING, "", binding_body(binding))
        if shown is not None:
            site.until(lambda: KEY in _dry(site, **shown), "the policy is in force")
        yield
    finally:
        for kind in (BINDING, POLICY):
            with suppress(NotFoundError):
                site.cluster.delete(ObjectRef(kind, "", policy.name))


def _dry(site: Site, labels: Labels | None = None, owners: tuple[Object, ...] = (), **meta: Any) -> Labels:
    """The labels that a new pod would have."""
    found: Object = {"generateName": "probe-", **meta}
    if labels is not None:
        found["labels"] = dict(labels)
    if owners:
        found["ownerReferences"] = list(owners)
    answer = site.cluster.dry_run_create("Pod", site.namespace, {"metadata": found, "spec": template()["spec"]})
    return dict(answer["metadata"].get("labels") or {})


def _owner(kind: str, name: str, *, controller: bool = True) -> Object:
    version = "batch/v1" if kind == "Job" else "apps/v1"
    found: Object = {"apiVersion": version, "kind": kind, "name": name, "uid": UID}
    return {**found, "controller": True} if controller else found


def _where_served(case: Case) -> Case:
    """The case, or on an older server how it refuses."""

    def either(site: Site) -> None:
        if _is_served(site):
            case(site)
            return
        with pytest.raises(NotFoundError):
            site.cluster.create(POLICY, "", policy_body(_policy(site)))

    either.__name__ = case.__name__
    return either


def a_dry_run_shows_a_pod_and_stores_nothing(site: Site) -> None:
    """Defaults and metadata are filled in; a name that is taken is taken."""
    pod = {"metadata": {"name": "p-1", "labels": dict(RNG)}, "spec": template()["spec"]}
    shown = site.cluster.dry_run_create("Pod", site.namespace, pod)
    assert shown["metadata"]["uid"]
    assert shown["metadata"]["namespace"] == site.namespace
    assert shown["metadata"]["labels"] == dict(RNG)
    assert shown["status"]["phase"] == "Pending"
    assert _dry(site, RNG) == dict(RNG)
    site.cluster.clock.sleep(1.0)
    assert site.listed() == []
    site.pods("p-1")
    with pytest.raises(AlreadyExistsError):
        site.cluster.dry_run_create("Pod", site.namespace, pod)


def policies_are_read_as_written(site: Site) -> None:
    """What the server fills in is written out; both kinds are listed, without a namespace, by their labels."""
    selector = LabelSelector(match_labels=RNG, match_expressions=(Requirement("tier", "NotIn", ("back",)),))
    policy = _policy(site, "Deployment", "rng", selector=selector)
    binding = PolicyBinding(name=policy.name, policy=policy.name, namespace=site.namespace, gate="rng")
    with _in_force(site, policy):
        for kind, body in ((POLICY, policy_body(policy)), (BINDING, binding_body(binding))):
            found = site.cluster.get(ObjectRef(kind, "", policy.name))
            assert found["spec"] == body["spec"]
            assert found["metadata"]["generation"] == 1
            listed = site.cluster.list_objects(kind, "", body["metadata"]["labels"])
            assert policy.name in [item["metadata"]["name"] for item in listed]
        assert read_policy(site.cluster.get(ObjectRef(POLICY, "", policy.name))) == policy
        assert read_binding(site.cluster.get(ObjectRef(BINDING, "", policy.name))) == binding


def a_policy_tells_pods_by_their_owner(site: Site) -> None:
    """A pod without labels or owners is let through, and so is everybody else's."""
    ours: Object = {"labels": RNG, "owners": (_owner("DaemonSet", "rng"),)}
    with _in_force(site, _policy(site, "DaemonSet", "rng"), ours):
        assert _dry(site, **ours) == {**RNG, KEY: "open"}
        both = (_owner("ReplicaSet", "x", controller=False), _owner("DaemonSet", "rng"))
        assert _dry(site, RNG, both) == {**RNG, KEY: "open"}
        assert _dry(site, {**RNG, KEY: "mine"}, ours["owners"]) == {**RNG, KEY: "mine"}
        assert _dry(site) == {}
        assert _dry(site, owners=ours["owners"]) == {}
        others = (
            (),
            (_owner("DaemonSet", "rng-2"),),
            (_owner("StatefulSet", "rng"),),
            (_owner("DaemonSet", "rng", controller=False),),
        )
        for owners in others:
            assert _dry(site, RNG, owners) == dict(RNG)


def a_policy_knows_a_deployments_pods_by_their_hash(site: Site) -> None:
    """The ReplicaSet's name is the Deployment's and the hash; ``rng-canary`` is another one."""
    hashed = {**RNG, "pod-template-hash": "abc"}
    ours: Object = {"labels": hashed, "owners": (_owner("ReplicaSet", "rng-abc"),)}
    with _in_force(site, _policy(site, "Deployment", "rng"), ours):
        assert _dry(site, hashed, (_owner("ReplicaSet", "rng-canary-abc"),)) == hashed
        assert _dry(site, RNG, ours["owners"]) == dict(RNG)
        assert _dry(site, owners=ours["owners"]) == {}


def a_policy_knows_a_jobs_pods(site: Site) -> None:
    """Their template cannot be changed."""
    ours: Object = {"labels": RNG, "owners": (_owner("Job", "rng"),)}
    with _in_force(site, _policy(site, "Job", "rng"), ours):
        assert _dry(site, RNG, (_owner("Job", "other"),)) == dict(RNG)


def a_policy_can_go_by_labels_alone(site: Site) -> None:
    """Set-based selectors, and a pod without labels is let through though the selector matches it."""
    terms = (Requirement("tier", "NotIn", ("back",)), Requirement("debug", "DoesNotExist"))
    with _in_force(site, _policy(site, selector=LabelSelector(match_expressions=terms)), {"labels": RNG}):
        assert _dry(site, {**RNG, "tier": "back"}) == {**RNG, "tier": "back"}
        assert _dry(site, {**RNG, "debug": ""}) == {**RNG, "debug": ""}
        assert _dry(site, {**RNG, "tier": "front"}) == {**RNG, "tier": "front", KEY: "open"}
        assert _dry(site) == {}


def a_policy_holds_in_its_namespace_only(site: Site) -> None:
    """Another namespace's pods are not labelled."""
    with _in_force(site, _policy(site), {"labels": RNG}):
        found = {"metadata": {"generateName": "probe-", "labels": dict(RNG)}, "spec": template()["spec"]}
        answer = site.cluster.dry_run_create("Pod", "kube-system", found)
        assert answer["metadata"]["labels"] == dict(RNG)


def a_policy_ends_when_its_binding_goes(site: Site) -> None:
    """And takes a moment for it."""
    policy = _policy(site)
    with _in_force(site, policy, {"labels": RNG}):
        site.cluster.delete(ObjectRef(BINDING, "", policy.name))
        site.until(lambda: KEY not in _dry(site, RNG), "the policy is out of force")
        assert policy.name in [item["metadata"]["name"] for item in site.cluster.list_objects(POLICY, "", {})]


def _labels_new_pods(kind: str) -> Case:
    def case(site: Site) -> None:
        """Nothing restarts; a pod that dies comes back with the label."""
        fleet = Fleet.start(site, kind)
        before = fleet.uids()
        pod = fleet.pods()[0]
        meta = {"labels": pod.labels, "owners": tuple(site.get("Pod", pod.name)["metadata"]["ownerReferences"])}
        with _in_force(site, _policy(site, kind, fleet.name), meta):
            new = fleet.kill()
            labelled = [pod.uid for pod in fleet.pods() if pod.labels.get(KEY) == "open"]
            fleet.quiet()
        assert labelled == [new]
        assert fleet.uids() == (before | {new}) & fleet.uids()
        assert len(fleet.uids()) == NODES

    return case


def _each(make: Callable[[str], Case]) -> dict[str, Case]:
    return {f"{make.__name__.lstrip('_')}: {kind}": _where_served(make(kind)) for kind in (*KINDS, "ReplicaSet")}


CASES: dict[str, Case] = {
    a_dry_run_shows_a_pod_and_stores_nothing.__name__: a_dry_run_shows_a_pod_and_stores_nothing,
    **_each(_labels_new_pods),
    **{
        case.__name__: _where_served(case)
        for case in (
            policies_are_read_as_written,
            a_policy_tells_pods_by_their_owner,
            a_policy_knows_a_deployments_pods_by_their_hash,
            a_policy_knows_a_jobs_pods,
            a_policy_can_go_by_labels_alone,
            a_policy_holds_in_its_namespace_only,
            a_policy_ends_when_its_binding_goes,
        )
    },
}
