"""Which Nodes a DaemonSet wants a pod on: its node selector, and taints that it does not tolerate.

https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/daemon/daemon_controller.go
(NodeShouldRunDaemonPod). Node affinity is not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatekeep.cluster.embedded.store import Object
from gatekeep.model.selectors import matches_map

_ALWAYS_TOLERATED = frozenset(
    f"node.kubernetes.io/{name}"
    for name in ("not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
)


def runs_on(daemon_set: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """True when the DaemonSet should have a pod on the Node."""
    spec: Object = (daemon_set["spec"].get("template") or {}).get("spec") or {}
    labels = node["metadata"].get("labels") or {}
    if not matches_map(spec.get("nodeSelector") or {}, labels):
        return False
    return all(_tolerated(taint, spec.get("tolerations") or ()) for taint in repelling_taints(node))


def repelling_taints(node: Mapping[str, Any]) -> list[Object]:
    """The taints that keep pods off, ``PreferNoSchedule`` left out."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return [taint for taint in taints if taint.get("effect") in ("NoSchedule", "NoExecute")]


def _tolerated(taint: Mapping[str, Any], tolerations: Any) -> bool:
    return taint.get("key") in _ALWAYS_TOLERATED or any(_tolerates(item, taint) for item in tolerations)


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("key") not in (None, "", taint.get("key")):
        return False
    exists = toleration.get("operator") == "Exists"
    return exists or (toleration.get("value") or "") == (taint.get("value") or "")
