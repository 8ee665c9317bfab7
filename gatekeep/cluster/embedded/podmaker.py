"""Pods as workload controllers make them: the template's labels, an owner, and the labels each kind adds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatekeep.cluster.embedded.claims import owner_reference
from gatekeep.cluster.embedded.store import Object, Stored, clone
from gatekeep.cluster.embedded.templates import template_labels

REVISION_HASH = "controller-revision-hash"
TEMPLATE_GENERATION = "pod-template-generation"
GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"
POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"


def pod_of(
    workload: Stored, template: Mapping[str, Any], added: Mapping[str, str], *, name: str = "", node: str = ""
) -> Object:
    """A new pod of ``workload``; without ``name`` one is generated, without ``node`` the scheduler chooses."""
    found = clone(template)
    labels = {**template_labels(found), **added}
    annotations = (found.get("metadata") or {}).get("annotations")
    metadata: Object = {
        **({"name": name} if name else {"generateName": f"{workload.ref.name}-"}),
        "namespace": workload.ref.namespace,
        "ownerReferences": [owner_reference(workload)],
        **({"labels": labels} if labels else {}),
        **({"annotations": annotations} if annotations else {}),
    }
    spec: Object = {"containers": [], **(found.get("spec") or {})}
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def daemon_labels(daemon_set: Stored, revision: str) -> dict[str, str]:
    """What a DaemonSet adds to its pods' labels."""
    generation = (daemon_set.meta.get("annotations") or {}).get(GENERATION_ANNOTATION)
    return {REVISION_HASH: revision, **({TEMPLATE_GENERATION: generation} if generation else {})}


def ordinal_labels(name: str, revision: str) -> dict[str, str]:
    """What a StatefulSet adds to the labels of its pod ``name``."""
    return {REVISION_HASH: revision, POD_NAME: name, POD_INDEX: name.rpartition("-")[2]}
