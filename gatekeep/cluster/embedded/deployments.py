"""The Deployment controller: which ReplicaSet is the template's, a new one where there is none, and how many pods each.

https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/deployment/deployment_controller.go (syncDeployment)
and https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/deployment/sync.go (getNewReplicaSet, scale).
Old ReplicaSets are kept for ever.
"""

from __future__ import annotations

from gatekeep.cluster.embedded.claims import is_active, owner_reference
from gatekeep.cluster.embedded.controls import ConflictError, Controls
from gatekeep.cluster.embedded.scaling import (
    DESIRED,
    MAX_REPLICAS,
    proportional,
    reduced,
    sum_of,
    surge_of,
    up_to,
)
from gatekeep.cluster.embedded.store import Object, Stored, clone
from gatekeep.cluster.embedded.templates import (
    TEMPLATE_HASH,
    annotated_number,
    annotation,
    replicas_of,
    same_template,
    status_of,
    template_hash,
    template_of,
    with_label,
)
from gatekeep.model.objects import ObjectRef

REVISION = "deployment.kubernetes.io/revision"


class DeploymentController:
    """Syncs one Deployment at a time."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def sync(self, deployment: Stored) -> None:
        """Makes and scales ReplicaSets, then writes the status. Raises ConflictError."""
        sets = _Sets(self._controls, deployment)
        if deployment.data["spec"].get("paused") or sets.is_scaling():
            sets.find(create=False)
            sets.scale()
        elif (deployment.data["spec"].get("strategy") or {}).get("type") == "Recreate":
            self._recreate(sets)
        else:
            sets.find(create=True)
            if not sets.grow():
                sets.scale_all(reduced(deployment, sets.new, sets.old))
        sets.write_status()

    def _recreate(self, sets: _Sets) -> None:
        """All old pods go before the first new one comes."""
        sets.find(create=False)
        if sets.scale_all({item.ref: 0 for item in sets.old}) or self._runs_old_pods(sets):
            return
        sets.find(create=True)
        sets.grow()

    def _runs_old_pods(self, sets: _Sets) -> bool:
        old = {item.uid for item in sets.old}
        pods = self._controls.pods.list(sets.deployment.ref.namespace)
        return any(pod.controller_uid in old for pod in pods if is_active(pod) or "deletionTimestamp" in pod.meta)


class _Sets:
    """The ReplicaSets of one Deployment during one sync: the template's own, and the others."""

    def __init__(self, controls: Controls, deployment: Stored) -> None:
        self._controls = controls
        self._known = controls.owned("ReplicaSet", deployment)
        self._renumbered = False
        self.deployment = deployment
        self.new: Stored | None = None
        self.old: list[Stored] = []

    @property
    def all(self) -> list[Stored]:
        return [*self.old, *([self.new] if self.new else [])]

    def is_scaling(self) -> bool:
        """Somebody changed ``spec.replicas`` since the controller last scaled."""
        wanted = replicas_of(self.deployment)
        return any(annotated_number(item, DESIRED) not in (None, wanted) for item in self._known if replicas_of(item))

    def find(self, *, create: bool) -> None:
        """Finds the oldest ReplicaSet whose template is the Deployment's, and makes one where it may."""
        template = template_of(self.deployment)
        self.new = next((item for item in self._known if same_template(template_of(item), template)), None)
        self.old = [item for item in self._known if item is not self.new]
        number = max((annotated_number(item, REVISION) or 0 for item in self.old), default=0) + 1
        if self.new is None and create:
            self.new = self._make(number)
        elif self.new is not None and (annotated_number(self.new, REVISION) or 0) < number:
            self.new = self._controls.update(self.new, _annotated(self.new, {REVISION: str(number)}))
            self._renumbered = True

    def scale(self) -> None:
        """What is done outside of a rollout: the one that has pods gets all of them, several share them."""
        active = [item for item in self.all if replicas_of(item)]
        if len(active) > 1:
            done = self.new is not None and _is_saturated(self.deployment, self.new)
            sizes = {item.ref: 0 for item in self.old} if done else proportional(self.deployment, self.new, self.old)
            self.scale_all(sizes, note=not done)
            return
        target = active[0] if active else self.new or (self.old[-1] if self.old else None)
        if target is not None:
            self.scale_all({target.ref: replicas_of(self.deployment)})

    def grow(self) -> bool:
        """Brings the new ReplicaSet as far as the surge lets it; True when that was a change."""
        if self.new is None:
            return False
        return self.scale_all({self.new.ref: up_to(self.deployment, self.new, self.all)})

    def scale_all(self, wanted: dict[ObjectRef, int], *, note: bool = False) -> bool:
        """Gives ReplicaSets their number of pods; True when one was written. ``note`` writes down for how many."""
        before = self.all
        self.new = self._scaled(self.new, wanted, note) if self.new else None
        self.old = [self._scaled(item, wanted, note) for item in self.old]
        return any(one is not other for one, other in zip(self.all, before, strict=True))

    def write_status(self) -> None:
        """Status and revision in one write. Raises ConflictError."""
        deployment = self.deployment
        data = deployment.data
        if self.new is not None and (self._renumbered or annotation(deployment, REVISION) is not None):
            data = _annotated(deployment, {REVISION: annotation(self.new, REVISION) or "1"})
        status: Object = {
            **(data.get("status") or {}),
            "observedGeneration": deployment.meta.get("generation", 0),
            "replicas": sum_of(self.all, "replicas"),
            "updatedReplicas": status_of(self.new, "replicas") if self.new else 0,
            "readyReplicas": sum_of(self.all, "readyReplicas"),
            "availableReplicas": sum_of(self.all, "availableReplicas"),
        }
        self._controls.update(deployment, {**data, "status": status})

    def _scaled(self, item: Stored, wanted: dict[ObjectRef, int], note: bool) -> Stored:
        count = wanted.get(item.ref, replicas_of(item))
        if count == replicas_of(item) and not (note and item.ref in wanted):
            return item
        data = _annotated(item, _sizes(self.deployment))
        return self._controls.update(item, {**data, "spec": {**item.data["spec"], "replicas": count}})

    def _make(self, number: int) -> Stored:
        """A new ReplicaSet. Its name may be that of one with another template: then the collision is counted."""
        controls, deployment = self._controls, self.deployment
        collisions = (deployment.data.get("status") or {}).get("collisionCount")
        suffix = template_hash(template_of(deployment), collisions)
        ref = ObjectRef("ReplicaSet", deployment.ref.namespace, f"{deployment.ref.name}-{suffix}")
        if controls.store.find(ref) is not None:
            if controls.find(ref) is not None:
                controls.write_status(deployment, {"collisionCount": (collisions or 0) + 1})
            raise ConflictError
        self._renumbered = True
        body = _replica_set(deployment, ref, suffix, number)
        body["spec"]["replicas"] = up_to(deployment, None, self.old)
        return controls.store.create("ReplicaSet", body)


def _replica_set(deployment: Stored, ref: ObjectRef, suffix: str, number: int) -> Object:
    template = with_label(clone(template_of(deployment)), TEMPLATE_HASH, suffix)
    selector = clone(deployment.data["spec"]["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), TEMPLATE_HASH: suffix}
    metadata = {
        "name": ref.name,
        "namespace": ref.namespace,
        "labels": dict(template["metadata"]["labels"]),
        "annotations": {REVISION: str(number), **_sizes(deployment)},
        "ownerReferences": [owner_reference(deployment)],
    }
    spec: Object = {"selector": selector, "template": template}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec}


def _sizes(deployment: Stored) -> dict[str, str]:
    wanted = replicas_of(deployment)
    return {DESIRED: str(wanted), MAX_REPLICAS: str(wanted + surge_of(deployment))}


def _annotated(stored: Stored, annotations: dict[str, str]) -> Object:
    found = {**(stored.meta.get("annotations") or {}), **annotations}
    return {**stored.data, "metadata": {**stored.meta, "annotations": found}}


def _is_saturated(deployment: Stored, new: Stored) -> bool:
    wanted = replicas_of(deployment)
    return wanted == replicas_of(new) == annotated_number(new, DESIRED) == status_of(new, "availableReplicas")
