"""Admission in the embedded cluster: when a policy is in force, what is refused, and dry runs without a trace."""

from __future__ import annotations

from typing import Any

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.admission import (
    BINDING,
    POLICY,
    LabelPolicy,
    PolicyBinding,
    binding_body,
    policy_body,
)
from gatekeep.model.errors import ForbiddenError, InvalidInputError, NotFoundError, PatchRejectedError, RefusedError
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Op
from gatekeep.model.plan import Access
from tests.builders import cluster

NAMESPACE = "dockercoins"
RNG = {"app": "rng"}
RULE = LabelPolicy(name="rng", key="active", value="yes", kind="Deployment", workload="rng", gate="rng")
POD: dict[str, Any] = {"metadata": {"generateName": "probe-", "labels": RNG}, "spec": {"containers": []}}


def made(**options: Any) -> EmbeddedCluster:
    return cluster(NAMESPACE).nodes(3).deployment("rng", 3, RNG).embedded(**options)


def bind(target: EmbeddedCluster) -> None:
    target.create(POLICY, "", policy_body(RULE))
    target.create(BINDING, "", binding_body(PolicyBinding(name="rng", policy="rng", namespace=NAMESPACE, gate="rng")))


def newborn(target: EmbeddedCluster) -> str | None:
    """The gate label of a pod that is born now."""
    before = {pod.uid for pod in target.list_pods(NAMESPACE)}
    target.kill(target.list_pods(NAMESPACE)[0].ref)
    target.clock.sleep(0.1)
    [new] = [pod for pod in target.list_pods(NAMESPACE) if pod.uid not in before]
    return new.labels.get("active")


def test_a_policy_takes_a_moment_to_come_and_to_go() -> None:
    target = made()
    bind(target)
    assert newborn(target) is None
    target.clock.sleep(0.7)
    assert newborn(target) == "yes"
    target.delete(ObjectRef(POLICY, "", "rng"))
    assert newborn(target) == "yes"
    target.clock.sleep(0.7)
    assert newborn(target) is None


def test_a_policy_that_is_loaded_is_in_force() -> None:
    first = made()
    bind(first)
    kinds = ("Namespace", "Node", "Deployment", "ReplicaSet", "Pod", POLICY, BINDING)
    again = EmbeddedCluster([item for kind in kinds for item in first.list_objects(kind, "", {})])
    assert newborn(again) == "yes"
    assert [(item.kind, item.name) for item in again.snapshot([]).admission] == [(POLICY, "rng"), (BINDING, "rng")]


def test_other_policies_are_refused() -> None:
    target = made()
    other = policy_body(RULE)
    other["spec"]["failurePolicy"] = "Ignore"
    with pytest.raises(RefusedError, match="only knows policies that put one label"):
        target.create(POLICY, "", other)
    with pytest.raises(InvalidInputError, match="only knows policies"):
        target.add(other)
    bind(target)
    with pytest.raises(PatchRejectedError, match="only knows policies"):
        target.patch(ObjectRef(POLICY, "", "rng"), (Op("replace", "/spec/failurePolicy", "Ignore"),))
    wide = {"metadata": {"name": "wide"}, "spec": {"policyName": "rng"}}
    with pytest.raises(RefusedError, match="only knows bindings to one namespace"):
        target.create(BINDING, "", wide)


def test_before_1_36_there_are_no_such_policies() -> None:
    target = made(mutating_admission=False)
    with pytest.raises(NotFoundError):
        target.create(POLICY, "", policy_body(RULE))
    with pytest.raises(NotFoundError):
        target.list_objects(BINDING, "", {})
    snapshot = target.snapshot([NAMESPACE])
    assert snapshot.unserved == {"mutatingadmissionpolicies", "mutatingadmissionpolicybindings"}
    assert snapshot.unserved <= snapshot.missing


def test_a_dry_run_needs_the_permission_and_leaves_no_trace() -> None:
    blind = made(forbidden=[Access("create", "", "pods", NAMESPACE)])
    with pytest.raises(ForbiddenError):
        blind.dry_run_create("Pod", NAMESPACE, POD)
    calls: list[str] = []
    one, other = made(), made()
    one.before_write(lambda verb, ref, count: calls.append(verb))
    shown = one.dry_run_create("Pod", NAMESPACE, POD)
    assert shown["metadata"]["name"].startswith("probe-")
    assert shown["metadata"]["uid"]
    assert calls == []
    assert one.clock.monotonic() == 0.0
    assert one.create("Pod", NAMESPACE, POD) == other.create("Pod", NAMESPACE, POD)
    assert "active" not in POD["metadata"]["labels"]
