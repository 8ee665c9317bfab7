"""Kinds and where the API server serves them."""

from __future__ import annotations

from typing import NamedTuple


class Resource(NamedTuple):
    """One kind's place in the API."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version


RESOURCES: dict[str, Resource] = {
    "Pod": Resource("", "v1", "pods"),
    "Service": Resource("", "v1", "services"),
    "ConfigMap": Resource("", "v1", "configmaps"),
    "Namespace": Resource("", "v1", "namespaces", namespaced=False),
    "Node": Resource("", "v1", "nodes", namespaced=False),
    "EndpointSlice": Resource("discovery.k8s.io", "v1", "endpointslices"),
    "Deployment": Resource("apps", "v1", "deployments"),
    "ReplicaSet": Resource("apps", "v1", "replicasets"),
    "DaemonSet": Resource("apps", "v1", "daemonsets"),
    "StatefulSet": Resource("apps", "v1", "statefulsets"),
    "Job": Resource("batch", "v1", "jobs"),
    "ControllerRevision": Resource("apps", "v1", "controllerrevisions"),
    "HorizontalPodAutoscaler": Resource("autoscaling", "v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": Resource("policy", "v1", "poddisruptionbudgets"),
    "NetworkPolicy": Resource("networking.k8s.io", "v1", "networkpolicies"),
    "Lease": Resource("coordination.k8s.io", "v1", "leases"),
    "MutatingAdmissionPolicy": Resource(
        "admissionregistration.k8s.io", "v1", "mutatingadmissionpolicies", namespaced=False
    ),
    "MutatingAdmissionPolicyBinding": Resource(
        "admissionregistration.k8s.io", "v1", "mutatingadmissionpolicybindings", namespaced=False
    ),
}
