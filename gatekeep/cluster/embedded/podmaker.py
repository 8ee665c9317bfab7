"""Pods as workload controllers make them: the template's labels, an owner, and the labels each kind adds."""

from __future__ import annotations

from gatekeep.cluster.embedded.claims import owner_reference
from gatekeep.cluster.embedded.store import Object, Store, Stored, clone

REVISION_HASH = "controller-revision-hash"
TEMPLATE_GENERATION = "pod-template-generation"
GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"


def pod_of(store: Store, workload: Stored, *, name: str = "", node: str = "") -> Object:
    """A new pod of ``workload``; without ``name`` one is generated, without ``node`` the scheduler chooses."""
    template = clone(workload.data["spec"].get("template") or {})
    found = template.get("metadata") or {}
    labels = {**(found.get("labels") or {}), **_added_labels(store, workload, name)}
    metadata: Object = {
        **({"name": name} if name else {"generateName": f"{workload.ref.name}-"}),
        "namespace": workload.ref.namespace,
        "ownerReferences": [owner_reference(workload)],
        **({"labels": labels} if labels else {}),
        **({"annotations": found["annotations"]} if found.get("annotations") else {}),
    }
    spec: Object = {"containers": [], **(template.get("spec") or {})}
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def _added_labels(store: Store, workload: Stored, name: str) -> dict[str, str]:
    if workload.kind == "DaemonSet":
        generation = (workload.meta.get("annotations") or {}).get(GENERATION_ANNOTATION)
        return {**_revision(store, workload), **({TEMPLATE_GENERATION: generation} if generation else {})}
    if workload.kind == "StatefulSet":
        ordinal = name.rpartition("-")[2]
        return {
            **_revision(store, workload),
            "statefulset.kubernetes.io/pod-name": name,
            "apps.kubernetes.io/pod-index": ordinal,
        }
    return {}


def _revision(store: Store, workload: Stored) -> dict[str, str]:
    """The current revision's hash: of the newest ControllerRevision, or as a sibling pod has it."""
    namespace = workload.ref.namespace
    revisions = [item for item in store.list("ControllerRevision", namespace) if item.controller_uid == workload.uid]
    if revisions:
        newest = max(revisions, key=lambda item: int(item.data.get("revision", 0)))
        value = newest.ref.name if workload.kind == "StatefulSet" else newest.labels.get(REVISION_HASH)
    else:
        value = (workload.data.get("status") or {}).get("updateRevision")
    if value is None:
        siblings = (pod for pod in store.list("Pod", namespace) if pod.controller_uid == workload.uid)
        value = next((pod.labels[REVISION_HASH] for pod in siblings if REVISION_HASH in pod.labels), None)
    return {REVISION_HASH: str(value)} if value else {}
