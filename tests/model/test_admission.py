"""Admission policies: the exact text that was tried on an API server, and what is read back from one."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gatekeep.model.admission import (
    LabelPolicy,
    PolicyBinding,
    applies,
    binding_body,
    policy_body,
    read_binding,
    read_policy,
)
from gatekeep.model.selectors import LabelSelector, Requirement

KEY = "gatekeep.dev/rng"
SELECTOR = LabelSelector(match_labels={"app": "rng"}, match_expressions=(Requirement("tier", "Exists"),))
POLICY = LabelPolicy(name="p", key=KEY, value="open", kind="Deployment", workload="rng", selector=SELECTOR, gate="rng")
BINDING = PolicyBinding(name="p", policy="p", namespace="shop", gate="rng")
TEMPLATE_HASH = "pod-template-hash"


def test_the_text_is_the_one_that_was_tried() -> None:
    spec = policy_body(POLICY)["spec"]
    assert [item["expression"] for item in spec["matchConditions"]] == [
        "has(object.metadata.labels) && !('gatekeep.dev/rng' in object.metadata.labels)",
        "object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false)"
        " && o.apiVersion == 'apps/v1' && o.kind == 'ReplicaSet' && o.name == 'rng-'"
        " + object.metadata.?labels[?'pod-template-hash'].orValue(''))",
    ]
    [mutation] = spec["mutations"]
    assert mutation["jsonPatch"]["expression"] == (
        '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("gatekeep.dev/rng"), value: "open"}]'
    )


@pytest.mark.parametrize("kind", ["", "Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job"])
def test_what_is_written_can_be_read(kind: str) -> None:
    policy = LabelPolicy(name="p", key=KEY, value="open", kind=kind, workload="rng" if kind else "", gate="rng")
    assert read_policy(policy_body(policy)) == policy
    assert read_policy(policy_body(POLICY)) == POLICY
    assert read_binding(binding_body(BINDING)) == BINDING


def test_what_the_server_fills_in_may_be_left_out() -> None:
    policy, binding = policy_body(POLICY), binding_body(BINDING)
    del policy["spec"]["matchConstraints"]["matchPolicy"]
    del policy["spec"]["matchConstraints"]["resourceRules"][0]["scope"]
    del binding["spec"]["matchResources"]["objectSelector"]
    assert read_policy(policy) == POLICY
    assert read_binding(binding) == BINDING


OTHERS: dict[str, Any] = {
    "failurePolicy": "Ignore",
    "reinvocationPolicy": "IfNeeded",
    "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
    "variables": [{"name": "a", "expression": "1"}],
    "matchConditions": [{"name": "key-not-set", "expression": "true"}],
    "mutations": [],
    "matchConstraints": {"resourceRules": []},
}


@pytest.mark.parametrize("field", OTHERS)
def test_another_shape_is_none(field: str) -> None:
    body = policy_body(POLICY)
    body["spec"][field] = OTHERS[field]
    assert read_policy(body) is None


def test_another_rule_condition_or_namespace_is_none() -> None:
    for path, value in ((("resourceRules", 0, "operations"), ["UPDATE"]), (("objectSelector",), {"matchLabels": 1})):
        body = policy_body(POLICY)
        place: Any = body["spec"]["matchConstraints"]
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert read_policy(body) is None
    body = policy_body(POLICY)
    body["spec"]["matchConditions"].append({"name": "more", "expression": "false"})
    assert read_policy(body) is None
    wide = copy.deepcopy(binding_body(BINDING))
    wide["spec"]["matchResources"]["namespaceSelector"]["matchLabels"]["team"] = "a"
    assert read_binding(wide) is None
    assert read_policy({}) is None
    assert read_binding({"spec": None}) is None


@pytest.mark.parametrize("policy", [
    LabelPolicy(name="p", key="a'b", value="open"),
    LabelPolicy(name="p", key=KEY, value='x"}]'),
    LabelPolicy(name="p", key=KEY, value="open", kind="DaemonSet", workload="a' || true || '"),
    LabelPolicy(name="p", key=KEY, value="open", kind="CronJob", workload="rng"),
])  # fmt: skip
def test_what_cannot_be_quoted_is_not_written(policy: LabelPolicy) -> None:
    with pytest.raises(ValueError, match="expected"):
        policy_body(policy)


def test_a_deployments_pods_are_known_by_their_hash() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rng-abc", "uid": "u", "controller": True}
    labels = {"app": "rng", "tier": "front", TEMPLATE_HASH: "abc"}
    assert applies(POLICY, {"labels": labels, "ownerReferences": [owner]})
    assert not applies(POLICY, {"labels": {**labels, KEY: "mine"}, "ownerReferences": [owner]})
    assert not applies(POLICY, {"labels": {**labels, TEMPLATE_HASH: "x"}, "ownerReferences": [owner]})
    assert not applies(POLICY, {"labels": labels, "ownerReferences": [{**owner, "controller": False}]})
    assert not applies(POLICY, {"labels": labels})
    assert not applies(POLICY, {})
