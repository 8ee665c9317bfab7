"""The cluster that is measured: a real control plane with thousands of pods, and how it is put back between rounds."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import BenchmarkError
from tests.controlplane.api import ApiError
from tests.controlplane.stack import ControlPlane

PER_DEPLOYMENT = 500
UNUSED = ("backend", "kube-proxy")
"""Nobody sends traffic here, and both would spend processor time on every pod that changes."""
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Door:
    """How to reach the API server without any client library."""

    server: str
    token: str
    authority: Path


@dataclass(frozen=True)
class App:
    """Pods with one label ``app``, a Service over them, and a gate of the same name."""

    stack: ControlPlane
    folder: Path
    namespace: str
    name: str
    pods: int

    def create(self) -> None:
        """Creates everything and waits until all pods are ready and serve."""
        self.stack.apply(*self._deployments(), self._service())
        self._wait(self._ready, f"{self.pods} ready pods")
        self._wait(self._serving, f"{self.pods} endpoints")

    def policy(self, key: str) -> Path:
        """A policy file that gates the Service by ``key``."""
        path = self.folder / f"{self.name}.yaml"
        document = {
            "apiVersion": "gatekeep.dev/v1alpha1",
            "kind": "TrafficGate",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"services": [self.name], "gate": {"key": key, "value": "yes"}, "rotation": {"pool": {}}},
        }
        path.write_text(json.dumps(document, indent=1))
        return path

    def ungate(self, key: str) -> None:
        """Forgets the gate: selector and record as before. The label stays on the pods; the next round uses another."""
        selector = {"spec": {"selector": {key: None}}}
        base = f"/api/v1/namespaces/{self.namespace}"
        leases = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"
        merge = "application/merge-patch+json"
        self.stack.api.request("PATCH", f"{base}/services/{self.name}", selector, merge)
        for path in (f"{base}/configmaps/gatekeep-{self.name}", f"{leases}/gatekeep-{self.name}"):
            with contextlib.suppress(ApiError):
                self.stack.api.request("DELETE", path)
        self._wait(self._serving, f"{self.pods} endpoints again")

    def _deployments(self) -> Iterator[dict[str, Any]]:
        for number, start in enumerate(range(0, self.pods, PER_DEPLOYMENT)):
            labels = {"app": self.name, "part": f"p{number}"}
            container = {"name": "main", "image": "registry.example/app:1.0", "ports": [{"containerPort": 80}]}
            spec = {
                "replicas": min(PER_DEPLOYMENT, self.pods - start),
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            }
            metadata = {"name": f"{self.name}-{number}", "namespace": self.namespace}
            yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}

    def _service(self) -> dict[str, Any]:
        spec = {"selector": {"app": self.name}, "ports": [{"port": 80}]}
        metadata = {"name": self.name, "namespace": self.namespace}
        return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}

    def _ready(self) -> bool:
        found = self.stack.api.get(f"/apis/apps/v1/namespaces/{self.namespace}/deployments")["items"]
        ready: int = sum(item.get("status", {}).get("readyReplicas", 0) for item in found)
        return ready == self.pods

    def _serving(self) -> bool:
        return len(self.stack.endpoints(self.namespace, self.name)) == self.pods

    @staticmethod
    def _wait(true: Callable[[], bool], what: str, seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise BenchmarkError(f"waited {seconds:g} s in vain for {what}")
            time.sleep(_POLL_SECONDS)


def door(stack: ControlPlane, folder: Path) -> Door:
    """What the control plane's kubeconfig says, for curl and the bare loop."""
    config = json.loads(stack.kubeconfig().read_text())
    authority = folder / "authority.crt"
    authority.write_bytes(base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]))
    return Door(config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"], authority)


def calm(stack: ControlPlane) -> None:
    """Stops what only makes noise."""
    for name in UNUSED:
        stack.kill(name)
