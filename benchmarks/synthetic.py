"""An API server in memory: pages of JSON as a real one writes them, for snapshots of any size."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPMessage
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.stage import PER_DEPLOYMENT
from gatekeep.cluster.kube.calls import JSON, Caller
from gatekeep.cluster.kube.failures import Request
from gatekeep.cluster.kube.observe import snapshot
from gatekeep.cluster.kube.transport import Answer
from gatekeep.model.snapshot import ClusterIdentity, Snapshot

NAMESPACE, APP = "bench", "web"
PER_SLICE = 100
NODES = 100
_TIME = "2026-01-01T00:00:00Z"


class Pages(Caller):
    """Answers lists. ``spent`` is the processor time that writing them took, which a real server would spend."""

    def __init__(self, pods: int) -> None:
        self.pods = pods
        self.spent = 0.0
        self._pod = json.dumps(_pod()).encode()
        self._endpoint = json.dumps(_endpoint()).encode()

    def call(
        self,
        method: str,
        path: str,
        request: Request,
        *,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Answer:
        """One page."""
        start = time.thread_time()
        query = parse_qs(urlsplit(path).query)
        first, limit = int(query.get("continue", ["0"])[0]), int(query.get("limit", ["0"])[0])
        total = self._count(request.resource)
        last = min(total, first + limit) if limit else total
        meta = {"resourceVersion": "1", **({"continue": str(last)} if last < total else {})}
        items = b",".join(self._item(request.resource, number) for number in range(first, last))
        page = (
            b'{"kind":"List","apiVersion":"v1","metadata":' + json.dumps(meta).encode() + b',"items":[' + items + b"]}"
        )
        self.spent += time.thread_time() - start
        return Answer(200, page, HTTPMessage())

    def _count(self, resource: str) -> int:
        deployments = -(-self.pods // PER_DEPLOYMENT)
        slices = -(-self.pods // PER_SLICE)
        counts = {"pods": self.pods, "endpointslices": slices, "services": 1, "nodes": NODES}
        return counts.get(resource, deployments if resource in ("deployments", "replicasets") else 0)

    def _item(self, resource: str, number: int) -> bytes:
        match resource:
            case "pods":
                return _filled(self._pod, number)
            case "endpointslices":
                return self._slice(number)
            case "services":
                spec = {"type": "ClusterIP", "selector": {"app": APP}, "ports": [{"port": 80, "protocol": "TCP"}]}
                return json.dumps({"metadata": _meta(APP, "service"), "spec": spec}).encode()
            case "nodes":
                return json.dumps({"metadata": {"name": f"node-{number}", "uid": f"node-{number}"}}).encode()
            case _:
                return json.dumps(_workload(resource, number)).encode()

    def _slice(self, number: int) -> bytes:
        pods = range(number * PER_SLICE, min(self.pods, (number + 1) * PER_SLICE))
        labels = {
            "kubernetes.io/service-name": APP,
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        owner = {"apiVersion": "v1", "kind": "Service", "name": APP, "uid": "service", "controller": True}
        meta = {**_meta(f"{APP}-{number:05d}", f"slice-{number}"), "labels": labels, "ownerReferences": [owner]}
        head = json.dumps(
            {"metadata": meta, "addressType": "IPv4", "ports": [{"port": 80, "protocol": "TCP"}]}
        ).encode()
        return head[:-1] + b',"endpoints":[' + b",".join(_filled(self._endpoint, pod) for pod in pods) + b"]}"


def listed(pods: int) -> tuple[Snapshot, float]:
    """The snapshot as the real door decodes it, and the processor seconds that this took."""
    server = Pages(pods)
    start = time.process_time()
    found = snapshot(server, [NAMESPACE], lambda: (ClusterIdentity(uid="cluster"), frozenset()))
    return found, time.process_time() - start - server.spent


def policies() -> Iterator[dict[str, Any]]:
    """The one policy, as a document."""
    spec = {"services": [APP], "gate": {"key": "active", "value": "yes"}, "rotation": {"pool": {}}}
    metadata = {"name": APP, "namespace": NAMESPACE}
    yield {"apiVersion": "gatekeep.dev/v1alpha1", "kind": "TrafficGate", "metadata": metadata, "spec": spec}


def _filled(template: bytes, number: int) -> bytes:
    """The template with everything that differs from pod to pod."""
    deployment = b"%04d" % (number // PER_DEPLOYMENT)
    address = b"10.%d.%d.%d" % (number >> 16, number >> 8 & 255, number & 255)
    text = template.replace(b"@NUMBER@", b"%06d" % number).replace(b"@PART@", deployment)
    return text.replace(b"@ADDRESS@", address).replace(b"@NODE@", b"node-%d" % (number % NODES))


def _meta(name: str, uid: str) -> dict[str, Any]:
    return {"name": name, "namespace": NAMESPACE, "uid": uid, "resourceVersion": "1", "creationTimestamp": _TIME}


def _pod() -> dict[str, Any]:
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"{APP}-@PART@", "uid": "replicasets-@PART@"}
    labels = {"app": APP, "part": "p@PART@", "pod-template-hash": "6d4cf56db6"}
    meta = _meta(f"{APP}-@PART@-@NUMBER@", "0000aaaa-1111-2222-3333-000000@NUMBER@")
    fields: dict[str, Any] = {
        "f:metadata": {"f:labels": {f"f:{key}": {} for key in labels}},
        "f:spec": {"f:containers": {"k:{}": {}}},
    }
    managed = {"manager": "kube-controller-manager", "operation": "Update", "time": _TIME, "fieldsV1": fields}
    meta |= {"labels": labels, "ownerReferences": [{**owner, "controller": True}], "managedFields": [managed, managed]}
    mount = {"name": "kube-api-access", "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    container = {
        "name": "main", "image": "registry.example/app:1.0", "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "env": [{"name": f"VARIABLE_{number}", "value": "x" * 40} for number in range(8)],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}, "volumeMounts": [mount],
    }  # fmt: skip
    conditions = [
        {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": _TIME}
        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    status = {"phase": "Running", "conditions": conditions, "podIP": "@ADDRESS@", "podIPs": [{"ip": "@ADDRESS@"}]}
    return {"metadata": meta, "spec": {"nodeName": "@NODE@", "containers": [container]}, "status": status}


def _endpoint() -> dict[str, Any]:
    name, uid = f"{APP}-@PART@-@NUMBER@", "0000aaaa-1111-2222-3333-000000@NUMBER@"
    target = {"kind": "Pod", "namespace": NAMESPACE, "name": name, "uid": uid}
    conditions = {"ready": True, "serving": True, "terminating": False}
    return {"addresses": ["@ADDRESS@"], "conditions": conditions, "targetRef": target, "nodeName": "@NODE@"}


def _workload(resource: str, number: int) -> dict[str, Any]:
    labels = {"app": APP, "part": f"p{number:04d}"}
    meta = _meta(f"{APP}-{number:04d}", f"{resource}-{number:04d}")
    if resource == "replicasets":
        owner = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": meta["name"],
            "uid": f"deployments-{number:04d}",
        }
        meta["ownerReferences"] = [{**owner, "controller": True}]
        labels["pod-template-hash"] = "6d4cf56db6"
    template = {"metadata": {"labels": labels}}
    return {"metadata": meta, "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}}
