"""The scheduler and the kubelets in one: a new pod gets a Node, an address, and becomes Ready."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from gatekeep.cluster.embedded.clock import VirtualClock, timestamp
from gatekeep.cluster.embedded.store import Event, Object, Store, Stored
from gatekeep.cluster.embedded.tolerations import repelling_taints
from gatekeep.model.objects import ObjectRef

SCHEDULING_DELAY = 0.010
TOPOLOGY = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class Kubelet:
    """Runs pods; ``start_seconds`` lie between scheduling and Ready."""

    def __init__(self, store: Store, clock: VirtualClock, start_seconds: float) -> None:
        self._start_seconds = start_seconds
        self._store = store
        self._clock = clock
        self._addresses = _addresses()
        store.subscribe(self._on_write)

    def _on_write(self, event: Event) -> None:
        pod = event.new
        if pod is not None and event.old is None and pod.kind == "Pod" and not pod.typed.status.pod_ip:
            self._clock.after(SCHEDULING_DELAY, lambda: self._schedule(pod))

    def _schedule(self, pod: Stored) -> None:
        current = self._current(pod)
        if current is None:
            return
        node = current.typed.spec.node_name or self._emptiest_node()
        if not node:
            return
        spec = {**current.data["spec"], "nodeName": node}
        labels = {**current.labels, **self._topology(node)}
        metadata = {**current.meta, **({"labels": labels} if labels else {})}
        self._store.update(current, {**current.data, "metadata": metadata, "spec": spec})
        self._clock.after(self._start_seconds, lambda: self._run(pod))

    def _run(self, pod: Stored) -> None:
        current = self._current(pod)
        if current is None or "deletionTimestamp" in current.meta:
            return
        taken = {address.ip for other in self._store.list("Pod") for address in other.typed.status.pod_ips}
        four, six = next(pair for pair in self._addresses if not taken.intersection(pair))
        addresses = [{"ip": four}, {"ip": six}] if any(":" in ip for ip in taken) else [{"ip": four}]
        status = {
            **(current.data.get("status") or {}),
            "phase": "Running",
            "podIP": four,
            "podIPs": addresses,
            "conditions": conditions(True, timestamp(self._clock.now())),
        }
        self._store.update(current, {**current.data, "status": status})

    def _topology(self, node: str) -> Mapping[str, str]:
        """What a pod takes over from its Node's labels, by default since 1.35.

        https://github.com/kubernetes/kubernetes/blob/v1.36.3/plugin/pkg/admission/podtopologylabels/admission.go
        """
        found = self._store.find(ObjectRef("Node", "", node))
        return {key: found.labels[key] for key in TOPOLOGY if key in found.labels} if found is not None else {}

    def _emptiest_node(self) -> str:
        """The schedulable Node with the fewest pods; empty when there is none."""
        load = Counter(pod.typed.spec.node_name for pod in self._store.list("Pod"))
        nodes = [node for node in self._store.list("Node") if not repelling_taints(node.data)]
        return min((node.ref.name for node in nodes), key=lambda name: (load[name], name), default="")

    def _current(self, pod: Stored) -> Stored | None:
        current = self._store.find(pod.ref)
        return current if current is not None and current.uid == pod.uid else None


def conditions(ready: bool, time: str) -> list[Object]:
    """The conditions of a running pod. ``time`` is RFC 3339."""
    values = {"PodScheduled": True, "Initialized": True, "ContainersReady": ready, "Ready": ready}
    return [{"type": kind, "status": str(value), "lastTransitionTime": time} for kind, value in values.items()]


def _addresses() -> Iterator[tuple[str, str]]:
    """One IPv4 and one IPv6 address for each pod to come."""
    number = 256
    while True:
        number += 1
        if number % 256 not in (0, 255):
            yield f"10.244.{number // 256}.{number % 256}", f"fd00:10:244::{number:x}"
