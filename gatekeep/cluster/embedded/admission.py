"""Admission of new pods: MutatingAdmissionPolicies, in force a moment after they were written.

The API server reads its policies anew once a second:
https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/generic/policy_source.go
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatekeep.cluster.embedded.clock import VirtualClock
from gatekeep.cluster.embedded.informer import Informer
from gatekeep.cluster.embedded.store import Object, Store
from gatekeep.model.admission import BINDING, POLICY, applies, read_binding, read_policy

DELAY = 0.7
"""Virtual seconds until a policy or binding that was written or deleted makes a difference; measured: 0.4 to 1.0."""


class Admission:
    """What the API server does to a pod before it stores it."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self._policies = Informer(POLICY, store, clock, DELAY)
        self._bindings = Informer(BINDING, store, clock, DELAY)

    def admit(self, pod: Object) -> Object:
        """The pod with the labels of the policies in force; each sees what those before it, by name, have done."""
        for name in sorted(self._bound(pod["metadata"].get("namespace", ""))):
            stored = self._policies.find("", name)
            policy = read_policy(stored.data) if stored else None
            if policy is not None and applies(policy, pod["metadata"]):
                labels = {**pod["metadata"]["labels"], policy.key: policy.value}
                pod = {**pod, "metadata": {**pod["metadata"], "labels": labels}}
        return pod

    def _bound(self, namespace: str) -> set[str]:
        bindings = (read_binding(stored.data) for stored in self._bindings.list(""))
        return {binding.policy for binding in bindings if binding is not None and binding.namespace == namespace}


def admission_problem(kind: str, data: Mapping[str, Any]) -> str:
    """Why the embedded cluster cannot play this policy or binding; empty for one that it can, and for other kinds."""
    if kind == POLICY and read_policy(data) is None:
        return (
            "the embedded cluster only knows policies that put one label on the new pods of a workload, "
            "as gatekeep.model.admission writes them"
        )
    if kind == BINDING and read_binding(data) is None:
        return "the embedded cluster only knows bindings to one namespace, by the label kubernetes.io/metadata.name"
    return ""
