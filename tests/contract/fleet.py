"""A workload with pods, and the moves that a change of its template is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gatekeep.model.endpoints import is_ready
from gatekeep.model.objects import ObjectRef, Pod
from gatekeep.model.patches import Op, label_patch
from tests.contract.site import RNG, Object, Site

KINDS = ("Deployment", "DaemonSet", "StatefulSet")
NODES = 3
"""How many pods every fleet begins with: a DaemonSet has one on each Node."""
KEY = "active"
LABEL = f"/spec/template/metadata/labels/{KEY}"
ADD_LABEL = Op("add", LABEL, "yes")
REMOVE_LABEL = Op("remove", LABEL)
ON_DELETE = Op("replace", "/spec/updateStrategy", {"type": "OnDelete"})
HASH = "controller-revision-hash"
QUIET = 2.5
"""Seconds in which a rollout that is due would have begun."""


def template(labels: Mapping[str, str] = RNG, image: str = "registry.invalid/rng:1") -> Object:
    """A pod template."""
    return {"metadata": {"labels": dict(labels)}, "spec": {"containers": [{"name": "main", "image": image}]}}


def body(kind: str, name: str, **spec: Any) -> Object:
    """A workload of three pods that is about to be created."""
    count: Object = {} if kind == "DaemonSet" else {"replicas": NODES}
    service: Object = {"serviceName": name} if kind == "StatefulSet" else {}
    found = {"selector": {"matchLabels": dict(RNG)}, "template": template(), **count, **service, **spec}
    return {"metadata": {"name": name}, "spec": found}


@dataclass(frozen=True)
class Fleet:
    """One workload of the site's namespace."""

    site: Site
    kind: str
    name: str = "rng"

    @classmethod
    def start(cls, site: Site, kind: str, **spec: Any) -> Fleet:
        """Creates the workload and waits until it is at rest."""
        made = cls(site, kind)
        site.cluster.create(kind, site.namespace, body(kind, made.name, **spec))
        made.rest()
        return made

    @property
    def ref(self) -> ObjectRef:
        return self.site.ref(self.kind, self.name)

    def read(self) -> Object:
        """The workload as it is."""
        return self.site.cluster.get(self.ref)

    def status(self, field: str) -> Any:
        """A field of its status."""
        return (self.read().get("status") or {}).get(field)

    def pods(self) -> list[Pod]:
        """Its pods, without those that are going."""
        found = self.site.cluster.list_pods(self.site.namespace, RNG)
        return [pod for pod in found if pod.metadata.deletion_timestamp is None]

    def uids(self) -> frozenset[str]:
        """The uids of its pods."""
        return frozenset(pod.uid for pod in self.pods())

    def labels(self, key: str = KEY) -> list[str | None]:
        """The value of a label on each pod, sorted."""
        return sorted((pod.labels.get(key) for pod in self.pods()), key=str)

    def patch(self, *ops: Op) -> Object:
        """Patches the workload and waits until its controller has seen it."""
        found = self.site.cluster.patch(self.ref, ops)
        self.observed(self.ref)
        return found

    def observed(self, ref: ObjectRef) -> None:
        """Waits until the controller of an object has seen it as it is."""

        def holds() -> bool:
            found = self.site.cluster.get(ref)
            status = found.get("status") or {}
            return bool(status.get("observedGeneration", 0) >= found["metadata"]["generation"])

        self.site.until(holds, f"the controller of {ref} has seen it")

    def owned(self, kind: str) -> list[Object]:
        """The ReplicaSets or ControllerRevisions of the workload, by name."""
        uid = self.read()["metadata"]["uid"]
        found = self.site.cluster.list_objects(kind, self.site.namespace, {})
        return [item for item in found if _owner(item) == uid]

    def rest(self, count: int | None = None) -> None:
        """Waits until all pods are ready, of the template as it is, and everything is counted."""
        self.observed(self.ref)
        self.site.until(lambda: self._rests(count), f"{self.ref} is at rest")

    def _rests(self, count: int | None) -> bool:
        found = self.read()
        status = found["status"]
        wanted = NODES if self.kind == "DaemonSet" else found["spec"]["replicas"]
        fields = {
            "Deployment": ("replicas", "updatedReplicas", "readyReplicas"),
            "ReplicaSet": ("replicas", "readyReplicas"),
            "DaemonSet": ("currentNumberScheduled", "updatedNumberScheduled", "numberReady"),
            "StatefulSet": ("replicas", "updatedReplicas", "readyReplicas"),
        }[self.kind]
        counted = all(status.get(field, 0) == wanted for field in fields)
        pods = self.pods()
        return counted and len(pods) == (count or wanted) and all(is_ready(pod) for pod in pods)

    def quiet(self) -> None:
        """Waits as long as a rollout would need to begin, and then until everything is at rest."""
        self.site.cluster.clock.sleep(QUIET)
        self.rest()

    def relabel(self, edits: Mapping[str, tuple[str | None, str | None]]) -> None:
        """Changes labels of every pod."""
        for pod in self.pods():
            self.site.cluster.patch(pod.ref, label_patch(pod.uid, edits))

    def replica_sets(self, *ops: Op) -> None:
        """Patches every ReplicaSet of the workload and waits until all have been seen."""
        refs = [self.site.ref("ReplicaSet", item["metadata"]["name"]) for item in self.owned("ReplicaSet")]
        for ref in refs:
            self.site.cluster.patch(ref, ops)
        for ref in refs:
            self.observed(ref)

    def fully_labelled(self) -> None:
        """Waits until the ReplicaSets have seen all their pods with all labels of the template."""

        def holds() -> bool:
            found = [item.get("status") or {} for item in self.owned("ReplicaSet")]
            return all(item.get("fullyLabeledReplicas", 0) == item.get("replicas", 0) for item in found)

        self.site.until(holds, "all pods are seen with all labels")

    def revision(self) -> Object:
        """The ControllerRevision of the template as it is; waits for it."""
        wanted = self.read()["spec"]["template"]

        def current() -> list[Object]:
            return [item for item in self.owned("ControllerRevision") if recorded(item) == wanted]

        self.site.until(lambda: bool(current()), "there is a revision of the template")
        return current()[0]

    def hash(self) -> str:
        """What pods of the template as it is carry as ``controller-revision-hash``."""
        metadata = self.revision()["metadata"]
        return str(metadata["labels"][HASH] if self.kind == "DaemonSet" else metadata["name"])

    def updated(self) -> None:
        """Waits until the controller counts every pod as up to date."""
        one, other = ("updatedNumberScheduled", "desiredNumberScheduled")
        if self.kind == "StatefulSet":
            one, other = ("updatedReplicas", "replicas")
        self.site.until(lambda: bool(self.status(one) == self.status(other)), "all pods count as up to date")

    def kill(self) -> str:
        """Deletes one pod; waits for its successor and returns the uid of it."""
        before = self.pods()
        self.site.cluster.delete(before[-1].ref, before[-1].uid)
        known = {pod.uid for pod in before}
        self.site.until(
            lambda: len(self.pods()) == len(before) and all(is_ready(pod) for pod in self.pods()),
            "a pod that was deleted comes back",
        )
        [new] = self.uids() - known
        return new


def recorded(revision: Mapping[str, Any]) -> Object:
    """The template that a ControllerRevision holds."""
    found = revision["data"]["spec"]["template"]
    assert found["$patch"] == "replace"
    return {key: value for key, value in found.items() if key != "$patch"}


def collisions(found: Mapping[str, Any]) -> int:
    """How many names were taken."""
    return int((found.get("status") or {}).get("collisionCount") or 0)


def _owner(item: Mapping[str, Any]) -> str | None:
    owners: Iterable[Object] = item["metadata"].get("ownerReferences") or ()
    return next((owner["uid"] for owner in owners if owner.get("controller")), None)
