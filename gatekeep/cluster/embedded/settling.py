"""What a list of objects leaves out: histories and ReplicaSets, without which a controller would start a rollout.

Dumps hold what could be read, and tests build no more than they need. A pod whose revision nobody explains is taken to
be up to date, so that a cluster that is loaded is at rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gatekeep.cluster.embedded.claims import owner_reference
from gatekeep.cluster.embedded.podmaker import REVISION_HASH
from gatekeep.cluster.embedded.revisions import equal_revision, hash_of, make_revision, new_revision, number_of
from gatekeep.cluster.embedded.store import Object, Store, Stored, clone
from gatekeep.cluster.embedded.templates import (
    TEMPLATE_HASH,
    annotated_number,
    same_template,
    template_of,
    with_label,
)
from gatekeep.model.selectors import matches


def settle(store: Store) -> dict[str, str]:
    """Fills the gaps; returns, by uid, the revision that pods without a known one are taken to have."""
    for deployment in store.list("Deployment"):
        _settle_deployment(store, deployment)
    assumed: dict[str, str] = {}
    for kind in ("DaemonSet", "StatefulSet"):
        for workload in store.list(kind):
            assumed.update(_settle_revisions(store, workload))
    return assumed


def _settle_revisions(store: Store, workload: Stored) -> dict[str, str]:
    known = _owned(store, "ControllerRevision", workload)
    explained = {hash_of(item) for item in known}
    pods = _owned(store, "Pod", workload)
    unexplained = [pod for pod in pods if pod.labels.get(REVISION_HASH) not in explained]
    if not unexplained:
        return {}
    current = equal_revision(workload, known) or _explanation(store, workload, known, unexplained)
    return {pod.uid: hash_of(current) for pod in unexplained if pod.labels.get(REVISION_HASH) != hash_of(current)}


def _explanation(store: Store, workload: Stored, known: Iterable[Stored], pods: Iterable[Stored]) -> Stored:
    """A revision of today's template under the hash that most pods carry, or under a fresh one."""
    number = max(map(number_of, known), default=0) + 1
    found = Counter(pod.labels[REVISION_HASH] for pod in pods if REVISION_HASH in pod.labels).most_common(1)
    if not found:
        return make_revision(store, workload, number, None).revision
    [(value, _)] = found
    name = f"{workload.ref.name}-{value}" if workload.kind == "DaemonSet" else value
    return store.create("ControllerRevision", new_revision(workload, name, number))


def _settle_deployment(store: Store, deployment: Stored) -> None:
    sets = _owned(store, "ReplicaSet", deployment) or _implied(store, deployment)
    settled = (deployment.data.get("status") or {}).get("observedGeneration") == deployment.meta.get("generation")
    if not sets or not settled or deployment.data["spec"].get("paused"):
        return
    template = template_of(deployment)
    if not any(same_template(template_of(item), template) for item in sets):
        newest = max(sets, key=lambda item: annotated_number(item, "deployment.kubernetes.io/revision") or 0)
        suffix = newest.labels.get(TEMPLATE_HASH)
        copied = with_label(clone(template), TEMPLATE_HASH, suffix) if suffix else clone(template)
        store.update(newest, {**newest.data, "spec": {**newest.data["spec"], "template": copied}})


def _implied(store: Store, deployment: Stored) -> list[Stored]:
    """The ReplicaSets that the Deployment's pods name as their owners."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for pod in store.list("Pod", deployment.ref.namespace):
        owner = next((item for item in pod.meta.get("ownerReferences") or () if item.get("controller")), None)
        if owner is None or owner["kind"] != "ReplicaSet" or not matches(deployment.typed.spec.selector, pod.labels):
            continue
        suffix = pod.labels.get(TEMPLATE_HASH, "")
        if owner["name"] == f"{deployment.ref.name}-{suffix}":
            counts[owner["name"], owner["uid"], suffix] += 1
    return [_replica_set(store, deployment, *key, count) for key, count in counts.items()]


def _replica_set(store: Store, deployment: Stored, name: str, uid: str, suffix: str, count: int) -> Stored:
    template = with_label(clone(template_of(deployment)), TEMPLATE_HASH, suffix)
    selector = clone(deployment.data["spec"]["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), TEMPLATE_HASH: suffix}
    body: Object = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": deployment.ref.namespace,
            "uid": uid,
            "labels": dict(template["metadata"]["labels"]),
            "annotations": {"deployment.kubernetes.io/revision": "1"},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {"replicas": count, "selector": selector, "template": template},
    }
    return store.create("ReplicaSet", body)


def _owned(store: Store, kind: str, owner: Stored) -> list[Stored]:
    return [item for item in store.list(kind, owner.ref.namespace) if item.controller_uid == owner.uid]
