"""Labels for pods to come, put on by the API server: MutatingAdmissionPolicies of one shape, written and read back.

A policy puts one label on the new pods of one workload (or on all that a selector matches) when they do not carry its
key yet. The expressions are written so that they never fail: a pod without labels or owners is left alone, since a
failing expression would refuse the pod. Fields that the API server fills in are written out, so that what is read is
what was written: https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gatekeep.model.record import GATE_LABEL, managed_labels
from gatekeep.model.selectors import EVERYTHING, LabelSelector, matches
from gatekeep.model.waits import AdmissionWait

POLICY = "MutatingAdmissionPolicy"
BINDING = "MutatingAdmissionPolicyBinding"
API_VERSION = "admissionregistration.k8s.io/v1"
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
OWNER_VERSIONS: Mapping[str, str] = {
    "Deployment": "apps/v1",
    "ReplicaSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "Job": "batch/v1",
}
"""Kinds of workloads whose pods a policy can tell from others, and the version that their pods name."""

_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
"""What the strictest Pod Security Standard asks for: a probe that it refuses would tell nothing."""

_TEMPLATE_HASH = "pod-template-hash"
_LITERAL = re.compile(r"[-A-Za-z0-9_./]*")
_HAS_NOT = "has(object.metadata.labels) && !('{key}' in object.metadata.labels)"
_ADD = '[JSONPatch{{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("{key}"), value: "{value}"}}]'
_OWNED = (
    "object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false)"
    " && o.apiVersion == '{version}' && o.kind == '{kind}' && o.name == {name})"
)
_BY_HASH = f" + object.metadata.?labels[?'{_TEMPLATE_HASH}'].orValue('')"
_READ_ADD = re.compile(r'.*escapeKey\("(?P<key>[^"]*)"\), value: "(?P<value>[^"]*)"\}\]')
_READ_OWNED = re.compile(
    rf".*o\.kind == '(?P<kind>\w*)' && o\.name == '(?P<name>[^']*)'(?P<hash>{re.escape(_BY_HASH)})?\)"
)


class LabelPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """One label for new pods: of the workload ``kind`` ``workload`` (both empty: of any), matched by ``selector``.

    ``gate`` is the gate that it belongs to, as its labels say.
    """

    name: str
    key: str
    value: str
    kind: str = ""
    workload: str = ""
    selector: LabelSelector = EVERYTHING
    gate: str = ""


class PolicyBinding(msgspec.Struct, frozen=True, kw_only=True):
    """Puts a policy into force in one namespace."""

    name: str
    policy: str
    namespace: str
    gate: str = ""


def policy_body(policy: LabelPolicy) -> dict[str, Any]:
    """The policy as the API server takes and gives it. Raises ValueError for names that cannot be quoted."""
    conditions = [{"name": "key-not-set", "expression": _HAS_NOT.format(key=_literal(policy.key))}]
    if policy.kind or policy.workload:
        conditions.append({"name": "owner", "expression": _owned_by(policy.kind, policy.workload)})
    rule = {
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "*",
    }  # fmt: skip
    mutation = {"expression": _ADD.format(key=_literal(policy.key), value=_literal(policy.value))}
    return {
        "apiVersion": API_VERSION,
        "kind": POLICY,
        "metadata": _metadata(policy.name, policy.gate),
        "spec": {
            "failurePolicy": "Fail",
            "matchConditions": conditions,
            "matchConstraints": {
                "matchPolicy": "Equivalent",
                "namespaceSelector": {},
                "objectSelector": msgspec.json.decode(msgspec.json.encode(policy.selector)),
                "resourceRules": [rule],
            },
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": mutation}],
            "reinvocationPolicy": "Never",
        },
    }


def binding_body(binding: PolicyBinding) -> dict[str, Any]:
    """The binding as the API server takes and gives it."""
    return {
        "apiVersion": API_VERSION,
        "kind": BINDING,
        "metadata": _metadata(binding.name, binding.gate),
        "spec": {
            "policyName": binding.policy,
            "matchResources": {
                "matchPolicy": "Equivalent",
                "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: binding.namespace}},
                "objectSelector": {},
            },
        },
    }


def read_policy(body: Mapping[str, Any]) -> LabelPolicy | None:
    """The policy that ``body`` is; None for one of another shape. Metadata but name and gate are not looked at."""
    try:
        spec = body["spec"]
        added = _READ_ADD.fullmatch(spec["mutations"][0]["jsonPatch"]["expression"])
        owned = [match for item in spec["matchConditions"][1:] if (match := _READ_OWNED.fullmatch(item["expression"]))]
        selector = msgspec.convert((spec.get("matchConstraints") or {}).get("objectSelector") or {}, LabelSelector)
        kind, workload = _owner(owned[0]) if owned else ("", "")
        name, gate = _name_and_gate(body)
        assert added is not None
        found = LabelPolicy(**added.groupdict(), name=name, kind=kind, workload=workload, selector=selector, gate=gate)
        return found if policy_body(found)["spec"] == _with_defaults(spec, "matchConstraints") else None
    except (AssertionError, LookupError, TypeError, AttributeError, ValueError, msgspec.ValidationError):
        return None


def read_binding(body: Mapping[str, Any]) -> PolicyBinding | None:
    """The binding that ``body`` is; None for one of another shape."""
    try:
        spec = body["spec"]
        namespace = spec["matchResources"]["namespaceSelector"]["matchLabels"][NAMESPACE_LABEL]
        name, gate = _name_and_gate(body)
        found = PolicyBinding(name=name, policy=spec["policyName"], namespace=namespace, gate=gate)
        return found if binding_body(found)["spec"] == _with_defaults(spec, "matchResources") else None
    except (LookupError, TypeError, AttributeError):
        return None


def applies(policy: LabelPolicy, metadata: Mapping[str, Any]) -> bool:
    """Whether the policy labels a new pod with this metadata, in a namespace where it is in force."""
    labels: Mapping[str, str] = metadata.get("labels") or {}
    if not labels or policy.key in labels or not matches(policy.selector, labels):
        return False
    if not policy.kind:
        return True
    name, kind = policy.workload, policy.kind
    if kind == "Deployment":
        name, kind = f"{name}-{labels.get(_TEMPLATE_HASH, '')}", "ReplicaSet"
    wanted = (True, OWNER_VERSIONS[kind], kind, name)
    owners = metadata.get("ownerReferences") or ()
    return any((item.get("controller"), item["apiVersion"], item["kind"], item["name"]) == wanted for item in owners)


def _owned_by(kind: str, workload: str) -> str:
    if kind not in OWNER_VERSIONS:
        raise ValueError(f"expected one of {', '.join(sorted(OWNER_VERSIONS))}; found {kind!r}")
    if kind == "Deployment":
        quoted, kind = f"'{_literal(workload)}-'{_BY_HASH}", "ReplicaSet"
    else:
        quoted = f"'{_literal(workload)}'"
    return _OWNED.format(version=OWNER_VERSIONS[kind], kind=kind, name=quoted)


def _owner(match: re.Match[str]) -> tuple[str, str]:
    if match["hash"]:
        return "Deployment", match["name"].removesuffix("-")
    return match["kind"], match["name"]


def _literal(text: str) -> str:
    if not _LITERAL.fullmatch(text):
        raise ValueError(f"expected a name or a label, found {text!r}")
    return text


def _metadata(name: str, gate: str) -> dict[str, Any]:
    return {"name": name, **({"labels": managed_labels(gate)} if gate else {})}


def _name_and_gate(body: Mapping[str, Any]) -> tuple[str, str]:
    metadata = body["metadata"]
    return metadata["name"], (metadata.get("labels") or {}).get(GATE_LABEL, "")


def _with_defaults(spec: Mapping[str, Any], matching: str) -> dict[str, Any]:
    """``spec`` as the API server would complete it."""
    found = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}, **spec[matching]}
    if "resourceRules" in found:
        found["resourceRules"] = [{"scope": "*", **rule} for rule in found["resourceRules"]]
        return {"failurePolicy": "Fail", **spec, matching: found}
    return {**spec, matching: found}


def probe(wait: AdmissionWait) -> dict[str, Any]:
    """A pod as the owner's controller would create it, as far as policies can tell; it is never created for real."""
    labels = dict(wait.labels)
    kind, name = wait.owner.kind, wait.owner.name
    if kind == "Deployment":
        kind, name = "ReplicaSet", f"{name}-probe"
        labels[_TEMPLATE_HASH] = "probe"
    owner = {
        "apiVersion": wait.owner.api_version, "kind": kind, "name": name, "uid": wait.owner.uid, "controller": True
    }  # fmt: skip
    metadata = {"generateName": "gatekeep-probe-", "namespace": wait.owner.namespace, "labels": labels}
    container = {"name": "probe", "image": "registry.invalid/probe", "securityContext": dict(_RESTRICTED)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**metadata, "ownerReferences": [owner]},
        "spec": {"automountServiceAccountToken": False, "containers": [container]},
    }
