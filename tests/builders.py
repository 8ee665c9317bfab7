"""Clusters for tests, built in words: ``cluster().nodes(3).service("rng", {"app": "rng"}).daemonset("rng", ...)``.

Names, uids and addresses depend on nothing but the words, so that two runs and two machines give the same bytes.
``make examples`` writes the clusters in ``examples/`` with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.cluster.embedded.kubelet import conditions
from tests.manifests import (
    Labels,
    Object,
    container_spec,
    count_ready,
    letters,
    merge,
    replica_status,
    selection,
    target_name,
    uid_of,
)

CREATED = "2025-12-01T00:00:00Z"
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "ReplicaSet")
KINDS = (
    *("Namespace", "Node", "Service", *WORKLOADS, "ControllerRevision", "Pod", "EndpointSlice"),
    "PodDisruptionBudget",
)
ZONE = "topology.kubernetes.io/zone"


def cluster(namespace: str = "dockercoins") -> ClusterBuilder:
    """A builder that holds the Namespaces kube-system and ``namespace``, where everything else goes."""
    return ClusterBuilder(namespace)


class ClusterBuilder:
    """Collects objects as a healthy cluster would hold them; every method returns the builder.

    Pods are spread over the nodes in turn. Say ``nodes`` before what runs on them; else there is one, ``node1``.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._nodes: list[str] = []
        self._objects: list[Object] = []
        self._pods = 0
        self._namespace_object("kube-system")
        self._namespace_object(namespace)

    def namespace(self, name: str) -> ClusterBuilder:
        """Puts what follows into another namespace."""
        self._namespace = name
        self._namespace_object(name)
        return self

    def nodes(self, count: int, *, zones: tuple[str, ...] = ()) -> ClusterBuilder:
        """node1, node2, …; with ``zones`` each gets one, in turn."""
        for number in range(len(self._nodes), count):
            self.node(f"node{number + 1}", zones[number % len(zones)] if zones else "")
        return self

    def node(self, name: str, zone: str = "") -> ClusterBuilder:
        """One node of that name."""
        labels = {"kubernetes.io/hostname": name, **({ZONE: zone} if zone else {})}
        self._nodes.append(name)
        return self._add("Node", "v1", name, {"spec": {}}, labels=labels, namespace="")

    def service(
        self, name: str, selector: Labels | None = None, *, port: int = 80, labels: Labels | None = None, **spec: Any
    ) -> ClusterBuilder:
        """A Service on TCP ``port``. ``spec`` adds fields or replaces them, as ``clusterIP="None"``."""
        body: Object = {"type": "ClusterIP", "ports": [{"port": port, "protocol": "TCP", "targetPort": port}]}
        if selector is not None:
            body["selector"] = dict(selector)
        return self._add("Service", "v1", name, {"spec": {**body, **spec}}, labels=labels)

    def deployment(
        self,
        name: str,
        replicas: int,
        labels: Labels,
        *,
        pod_labels: Labels | None = None,
        ready: bool | int = True,
        ports: Mapping[str, int] | None = None,
    ) -> ClusterBuilder:
        """A Deployment, its ReplicaSet and its pods.

        ``labels`` are the selector and the template; ``pod_labels`` only the living pods have, as after a patch. A
        number for ``ready`` is how many pods are; ``ports`` are named container ports.
        """
        template_hash = letters(f"{self._namespace}/{name}", 10)
        hashed = {**labels, "pod-template-hash": template_hash}
        status = replica_status(replicas, ready)
        spec: Object = {"replicas": replicas, **selection(labels, name, ports), "strategy": {"type": "RollingUpdate"}}
        deployed = self._add("Deployment", "apps/v1", name, {"spec": spec, "status": status}, labels=labels)
        owner = deployed._owner("Deployment", name)
        set_name = f"{name}-{template_hash}"
        set_spec = {"replicas": replicas, **selection(hashed, name, ports)}
        set_status = {**status, "fullyLabeledReplicas": replicas}
        del set_status["updatedReplicas"]
        self._add(
            "ReplicaSet",
            "apps/v1",
            set_name,
            {"spec": set_spec, "status": set_status},
            labels=hashed,
            owner=owner,
            annotations={"deployment.kubernetes.io/revision": "1"},
        )
        owner = self._owner("ReplicaSet", set_name)
        names = [f"{set_name}-{letters(f'{self._namespace}/{set_name}/{number}', 5)}" for number in range(replicas)]
        return self._run(names, {**hashed, **(pod_labels or {})}, owner, name, ports, ready)

    def daemonset(
        self,
        name: str,
        labels: Labels,
        *,
        pod_labels: Labels | None = None,
        ready: bool | int = True,
        ports: Mapping[str, int] | None = None,
    ) -> ClusterBuilder:
        """A DaemonSet with a pod on each node; arguments as for :meth:`deployment`."""
        self._need_node()
        revision = letters(f"DaemonSet/{self._namespace}/{name}", 10)
        count = len(self._nodes)
        scheduled = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled")
        status: Object = dict.fromkeys(scheduled, count)
        status |= dict.fromkeys(("numberReady", "numberAvailable"), count_ready(count, ready))
        status |= {"numberMisscheduled": 0, "observedGeneration": 1}
        spec = {**selection(labels, name, ports), "updateStrategy": {"type": "RollingUpdate"}}
        annotations = {"deprecated.daemonset.template.generation": "1"}
        body = {"spec": spec, "status": status}
        self._add("DaemonSet", "apps/v1", name, body, labels=labels, annotations=annotations)
        owner = self._owner("DaemonSet", name)
        marks = {"controller-revision-hash": revision, "pod-template-generation": "1"}
        self._revision(f"{name}-{revision}", {**labels, "controller-revision-hash": revision}, owner, spec["template"])
        names = [f"{name}-{letters(f'{self._namespace}/{name}/{node}', 5)}" for node in self._nodes]
        return self._run(names, {**labels, **marks, **(pod_labels or {})}, owner, name, ports, ready, self._nodes)

    def statefulset(
        self,
        name: str,
        replicas: int,
        labels: Labels,
        *,
        pod_labels: Labels | None = None,
        ready: bool | int = True,
        ports: Mapping[str, int] | None = None,
    ) -> ClusterBuilder:
        """A StatefulSet and its pods NAME-0, NAME-1, …; arguments as for :meth:`deployment`."""
        revision = f"{name}-{letters(f'StatefulSet/{self._namespace}/{name}', 10)}"
        status = {**replica_status(replicas, ready), "currentRevision": revision, "updateRevision": revision}
        status |= {"currentReplicas": replicas, "collisionCount": 0}
        spec = {"replicas": replicas, "serviceName": name, **selection(labels, name, ports)}
        self._add("StatefulSet", "apps/v1", name, {"spec": spec, "status": status}, labels=labels)
        owner = self._owner("StatefulSet", name)
        self._revision(revision, {**labels, "controller.kubernetes.io/hash": revision}, owner, spec["template"])
        for number in range(replicas):
            pod = f"{name}-{number}"
            marks = {"statefulset.kubernetes.io/pod-name": pod, "apps.kubernetes.io/pod-index": str(number)}
            found = {**labels, "controller-revision-hash": revision, **marks, **(pod_labels or {})}
            self._run([pod], found, owner, name, ports, count_ready(replicas, ready) > number)
        return self

    def pods(
        self,
        *names: str,
        labels: Labels | None = None,
        ready: bool | int = True,
        owner: tuple[str, str] | None = None,
        node: str = "",
        ports: Mapping[str, int] | None = None,
    ) -> ClusterBuilder:
        """Single pods; ``owner`` is kind and name of something that was built before.

        One without owner is adopted by a workload whose selector it matches, as soon as time passes in the cluster.
        """
        found = self._owner(*owner) if owner else None
        return self._run(list(names), labels or {}, found, "main", ports, ready, [node] * len(names) if node else None)

    def about(
        self, *pods: str, annotations: Labels | None = None, restarts: int | None = None, created: str | None = None
    ) -> ClusterBuilder:
        """What else is known of pods built before, whoever owns them; each has one container."""
        for name in pods:
            if annotations is not None:
                self.change("Pod", name, metadata={"annotations": dict(annotations)})
            if restarts is not None:
                self.change("Pod", name, status={"containerStatuses": [{"name": "main", "restartCount": restarts}]})
            if created is not None:
                self.change("Pod", name, metadata={"creationTimestamp": created})
        return self

    def budget(self, name: str, selector: Labels, **spec: Any) -> ClusterBuilder:
        """A PodDisruptionBudget; one pod must stay unless ``spec`` says otherwise."""
        body = {"minAvailable": 1, "selector": {"matchLabels": dict(selector)}, **spec}
        return self._add("PodDisruptionBudget", "policy/v1", name, {"spec": body})

    def change(self, kind: str, name: str, **fields: Any) -> ClusterBuilder:
        """Merges ``fields`` into an object built before: ``change("Pod", "rng-1", status={"phase": "Failed"})``."""
        merge(self._find(kind, name), fields)
        return self

    def object(self, data: Mapping[str, Any]) -> ClusterBuilder:
        """Any other object, as it stands."""
        self._objects.append(dict(data))
        return self

    def embedded(self, **options: Any) -> EmbeddedCluster:
        """An embedded cluster that starts with these objects."""
        return EmbeddedCluster(self._objects, **options)

    def document(self) -> Object:
        """The ``kind: List`` that ``kubectl get -A -o json`` would print, EndpointSlices included."""
        source = self.embedded()
        items = [item for kind in KINDS for item in source.list_objects(kind, "", {})]
        for item in items:
            if item["kind"] == "EndpointSlice":
                item["endpoints"] = sorted(item["endpoints"] or (), key=target_name) or None
        return {"apiVersion": "v1", "kind": "List", "items": items}

    def _run(
        self,
        names: list[str],
        labels: Labels,
        owner: Object | None,
        container: str,
        ports: Mapping[str, int] | None,
        ready: bool | int,
        nodes: list[str] | None = None,
    ) -> ClusterBuilder:
        self._need_node()
        limit = count_ready(len(names), ready)
        for number, name in enumerate(names):
            self._pods += 1
            node = nodes[number] if nodes else self._nodes[(self._pods - 1) % len(self._nodes)]
            address = f"10.244.{self._pods // 250}.{self._pods % 250 + 2}"
            body = {
                "spec": {"nodeName": node, "containers": [container_spec(container, ports)]},
                "status": {
                    "phase": "Running",
                    "podIP": address,
                    "podIPs": [{"ip": address}],
                    "conditions": conditions(number < limit, CREATED),
                },
            }
            self._add("Pod", "v1", name, body, labels=labels, owner=owner)
        return self

    def _revision(self, name: str, labels: Labels, owner: Object, template: Object) -> None:
        body = {"revision": 1, "data": {"spec": {"template": {**template, "$patch": "replace"}}}}
        self._add("ControllerRevision", "apps/v1", name, body, labels=labels, owner=owner)

    def _need_node(self) -> None:
        if not self._nodes:
            self.nodes(1)

    def _namespace_object(self, name: str) -> None:
        known = any(item["kind"] == "Namespace" and item["metadata"]["name"] == name for item in self._objects)
        if not known:
            labels = {"kubernetes.io/metadata.name": name}
            self._add("Namespace", "v1", name, {"spec": {"finalizers": ["kubernetes"]}}, labels=labels, namespace="")

    def _add(
        self,
        kind: str,
        version: str,
        name: str,
        body: Object,
        *,
        labels: Labels | None = None,
        annotations: Labels | None = None,
        owner: Object | None = None,
        namespace: str | None = None,
    ) -> ClusterBuilder:
        where = self._namespace if namespace is None else namespace
        metadata: Object = {"name": name, "uid": uid_of(kind, where, name), "creationTimestamp": CREATED}
        optional: Object = {
            "namespace": where,
            "labels": dict(labels or {}),
            "annotations": dict(annotations or {}),
            "ownerReferences": [owner] if owner else [],
        }
        metadata |= {key: value for key, value in optional.items() if value}
        self._objects.append({"apiVersion": version, "kind": kind, "metadata": metadata, **body})
        return self

    def _owner(self, kind: str, name: str) -> Object:
        found = self._find(kind, name)
        reference = {"apiVersion": found["apiVersion"], "kind": kind, "name": name, "uid": found["metadata"]["uid"]}
        return {**reference, "controller": True, "blockOwnerDeletion": True}

    def _find(self, kind: str, name: str) -> Object:
        for item in self._objects:
            meta = item["metadata"]
            if (item["kind"], meta["name"]) == (kind, name) and meta.get("namespace") in (None, self._namespace):
                return item
        raise LookupError(f"{kind} {self._namespace}/{name} was not built")


def dockercoins() -> ClusterBuilder:
    """The miner that many a Kubernetes course runs: ``rng`` as a Deployment and, on every node, as a DaemonSet."""
    builder = cluster("dockercoins").nodes(3, zones=("a", "b", "c"))
    for name, port in (("hasher", 80), ("redis", 6379), ("webui", 80)):
        labels = {"app": name}
        builder.service(name, labels, port=port, labels=labels).deployment(name, 2 if name == "hasher" else 1, labels)
    builder.deployment("worker", 1, {"app": "worker"})
    labels = {"app": "rng"}
    return builder.service("rng", labels, labels=labels).deployment("rng", 3, labels).daemonset("rng", labels)
