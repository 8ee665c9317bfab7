"""Where the contract is tried: a cluster, a namespace of its own, and a stand-in for the kubelet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gatekeep.cluster.protocol import Cluster
from gatekeep.model.endpoints import is_ready
from gatekeep.model.objects import EndpointSlice, ObjectRef, Pod

Object = dict[str, Any]
Labels = Mapping[str, str]

RNG: Labels = {"app": "rng"}
PATIENCE = 30.0
"""Seconds after which a controller is taken to have failed."""


@dataclass(frozen=True)
class Site:
    """One cluster to try. The namespace is empty and nobody else uses it.

    New pods must be scheduled and become Ready by themselves, as with kwok. ``write_status(name, status)`` merges into
    a pod's ``status``, conditions and all, as a kubelet does.
    """

    cluster: Cluster
    namespace: str
    write_status: Callable[[str, Mapping[str, Any]], None]

    def ref(self, kind: str, name: str) -> ObjectRef:
        """An object of this namespace."""
        return ObjectRef(kind, self.namespace, name)

    def get(self, kind: str, name: str) -> Object:
        """An object of this namespace as plain data."""
        return self.cluster.get(self.ref(kind, name))

    def config_map(self, name: str, labels: Labels | None = None) -> Object:
        """Creates a ConfigMap: no controller touches it, so it is what patches are tried on."""
        metadata: Object = {"name": name, **({"labels": dict(labels)} if labels else {})}
        return self.cluster.create("ConfigMap", self.namespace, {"metadata": metadata, "data": {"key": "value"}})

    def service(self, name: str, selector: Labels | None = None, **spec: Any) -> Object:
        """Creates a Service on port 80."""
        body: Object = {"ports": [{"port": 80}], **({} if selector is None else {"selector": dict(selector)}), **spec}
        return self.cluster.create("Service", self.namespace, {"metadata": {"name": name}, "spec": body})

    def pods(self, *names: str, labels: Labels = RNG, ports: Mapping[str, int] | None = None, **meta: Any) -> None:
        """Creates pods and waits until all are Ready."""
        found = [{"name": key, "containerPort": port} for key, port in (ports or {}).items()]
        container = {"name": "main", "image": "registry.invalid/rng", **({"ports": found} if found else {})}
        for name in names:
            metadata = {"name": name, "labels": dict(labels), **meta}
            self.cluster.create("Pod", self.namespace, {"metadata": metadata, "spec": {"containers": [container]}})
        self.until(lambda: all(is_ready(pod) for pod in self.listed(names)), "the pods become Ready")

    def listed(self, names: tuple[str, ...] = ()) -> list[Pod]:
        """The pods of the namespace, or those of ``names``."""
        return [pod for pod in self.cluster.list_pods(self.namespace) if not names or pod.name in names]

    def uids(self, *names: str) -> frozenset[str]:
        """The uids of pods."""
        return frozenset(pod.uid for pod in self.listed(names))

    def slices(self, service: str) -> tuple[EndpointSlice, ...]:
        """The EndpointSlices of a Service, as they are now."""
        with self.cluster.watch_slices(self.namespace, service) as watch:
            return watch.current()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Waits until ``holds`` says so, at most :data:`PATIENCE` seconds."""
        clock = self.cluster.clock
        deadline = clock.monotonic() + PATIENCE
        while not holds():
            assert clock.monotonic() < deadline, f"expected within {PATIENCE:.0f} s: {what}"
            clock.sleep(0.05)


Case = Callable[[Site], None]
