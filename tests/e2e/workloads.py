"""Workloads on the real control plane: made, changed as people change them, and looked at from outside.

Nothing here knows gatekeep. A workload of name N selects its pods by ``part=N``; all pods have ``app=rng``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.controlplane.stack import ControlPlane
from tests.e2e.story import GATE, Json, workload

PLURALS = {
    "Deployment": "deployments",
    "DaemonSet": "daemonsets",
    "StatefulSet": "statefulsets",
    "ReplicaSet": "replicasets",
}
NODES = 3
"""Nodes of the control plane, and so pods of a DaemonSet."""
ROUNDS = "GATEKEEP_ADOPTION_ROUNDS"


def rounds(usual: int) -> int:
    """How often a loop goes round: GATEKEEP_ADOPTION_ROUNDS (`make adoptions` sets it), else ``usual``."""
    return int(os.environ.get(ROUNDS, usual))


def manifest(kind: str, name: str, replicas: int = 3) -> Json:
    """Any of the four kinds, with pods of its own; ``replicas`` does not count for a DaemonSet."""
    made = workload(kind, name, replicas)
    labels = {"app": "rng", "part": name}
    made["spec"]["selector"] = {"matchLabels": labels}
    made["spec"]["template"]["metadata"]["labels"] = labels
    if kind != "DaemonSet":
        made["spec"]["replicas"] = replicas
    if kind == "StatefulSet":
        made["spec"] |= {"serviceName": "rng", "podManagementPolicy": "Parallel"}
    return made


def label_path(key: str = GATE[0]) -> str:
    """The JSON pointer of a label in a workload's template."""
    return f"/spec/template/metadata/labels/{key}"


@dataclass(frozen=True)
class Workload:
    """One workload in its namespace; every method asks the API server anew."""

    stack: ControlPlane
    namespace: str
    kind: str
    name: str

    @property
    def path(self) -> str:
        """Its API path."""
        return f"{self._all(PLURALS[self.kind])}/{self.name}"

    def _all(self, plural: str) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/{plural}"

    def get(self) -> Json:
        """The object."""
        return self.stack.api.get(self.path)

    def patch(self, *operations: Json) -> Json:
        """JSON Patch of the object; returns it as the API server answers."""
        return json_patch(self.stack, self.path, *operations)

    # Changes that people make

    def edit_template(self, key: str = GATE[0], value: str = GATE[1]) -> None:
        """The naive way: a label into the template, which restarts every pod."""
        self.patch({"op": "add", "path": label_path(key), "value": value})

    def set_image(self, image: str) -> None:
        """Another image, as ``kubectl set image``."""
        self.patch({"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image})

    def scale(self, replicas: int) -> None:
        """Write the ``scale`` subresource, as an autoscaler does."""
        body = {"spec": {"replicas": replicas}}
        self.stack.api.request("PATCH", f"{self.path}/scale", body, content_type="application/merge-patch+json")

    def restart(self) -> None:
        """``kubectl rollout restart``."""
        self._rollout("restart")

    def undo(self, revision: int = 0) -> None:
        """``kubectl rollout undo``; revision 0 is the one before."""
        self._rollout("undo", f"--to-revision={revision}")

    def _rollout(self, verb: str, *options: str) -> None:
        target = f"{self.kind.lower()}/{self.name}"
        self.stack.kubectl("-n", self.namespace, "rollout", verb, target, *options)

    def replace_a_pod(self) -> None:
        """Delete one pod; its controller makes another."""
        victim = self.pods()[0]["metadata"]["name"]
        self.stack.api.request("DELETE", f"/api/v1/namespaces/{self.namespace}/pods/{victim}")

    # What can be seen

    def pods(self) -> list[Json]:
        """Its pods that are not being deleted."""
        return self.stack.pods(self.namespace, f"part={self.name}")

    def uids(self) -> set[str]:
        """The uids of its pods: what stays the same when nothing restarts."""
        return {pod["metadata"]["uid"] for pod in self.pods()}

    def labelled(self, key: str = GATE[0], value: str = GATE[1]) -> int:
        """How many of its pods carry the label."""
        return sum(pod["metadata"]["labels"].get(key) == value for pod in self.pods())

    def replica_sets(self) -> list[Json]:
        """A Deployment's ReplicaSets, those without pods too, by name."""
        return self._owned("replicasets")

    def revisions(self) -> list[Json]:
        """The ControllerRevisions of a DaemonSet or a StatefulSet, the oldest first."""
        return sorted(self._owned("controllerrevisions"), key=lambda found: int(found["revision"]))

    def _owned(self, plural: str) -> list[Json]:
        uid = self.get()["metadata"]["uid"]
        items = self.stack.api.get(self._all(plural))["items"]
        mine = [item for item in items if uid in {ref["uid"] for ref in item["metadata"].get("ownerReferences", [])}]
        return sorted(mine, key=lambda item: str(item["metadata"]["name"]))

    def collisions(self) -> int:
        """``status.collisionCount``: above 0 after a shortcut."""
        return int(self.get()["status"].get("collisionCount", 0))

    # Waiting

    def wait_observed(self, seconds: float = 30) -> None:
        """Until the controller has seen the present generation."""
        self.stack.wait(lambda: is_observed(self.get()), seconds, f"{self.path} to be observed")

    def wait_rollout(self, seconds: float = 60) -> None:
        """Until status and pods agree that nothing is left to do."""
        self.stack.wait(self._complete, seconds, f"the rollout of {self.path}")

    def _complete(self) -> bool:
        found, pods = self.get(), self.pods()
        return is_complete(found) and len(pods) == wanted_pods(found)


def create(stack: ControlPlane, namespace: str, *manifests: Json) -> list[Workload]:
    """Apply manifests of workloads; returns when all their pods run."""
    items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
    stack.kubectl("-n", namespace, "apply", "-f", "-", input=json.dumps(items))
    made = [Workload(stack, namespace, item["kind"], item["metadata"]["name"]) for item in manifests]
    for each in made:
        each.wait_rollout()
    return made


def at_once(works: Iterable[Any]) -> list[Any]:
    """Calls functions in threads of their own; returns their results, or raises what the first one raised."""
    calls = list(works)
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def json_patch(stack: ControlPlane, path: str, *operations: Json) -> Json:
    """JSON Patch of any object; ApiError with 422 when a test in it fails."""
    return stack.api.request("PATCH", path, list(operations), content_type="application/json-patch+json")


def is_observed(found: Json) -> bool:
    """Whether ``status`` speaks of the present generation."""
    return int(found["status"].get("observedGeneration", 0)) >= int(found["metadata"]["generation"])


def wanted_pods(found: Json) -> int:
    """How many pods a workload should have."""
    if found["kind"] == "DaemonSet":
        return int(found["status"].get("desiredNumberScheduled", 0))
    return int(found["spec"]["replicas"])


def is_complete(found: Json) -> bool:
    """Whether a controller says that all pods are there, available and of the present template."""
    status, kind = found["status"], found["kind"]
    ready, updated = {
        "Deployment": ("availableReplicas", "updatedReplicas"),
        "DaemonSet": ("numberAvailable", "updatedNumberScheduled"),
        "StatefulSet": ("availableReplicas", "updatedReplicas"),
        "ReplicaSet": ("availableReplicas", "readyReplicas"),
    }[kind]
    wanted = wanted_pods(found)
    counts = [int(status.get(name, 0)) for name in (ready, updated)]
    if kind != "DaemonSet":
        counts.append(int(status.get("replicas", 0)))
    known = kind != "DaemonSet" or wanted > 0
    return is_observed(found) and known and counts == [wanted] * len(counts)
