"""The embedded cluster can start from the cluster of examples/rng."""

from __future__ import annotations

from pathlib import Path

import yaml

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.objects import ObjectRef

EXAMPLE = Path(__file__).parents[2] / "examples" / "rng" / "cluster.yaml"


def test_the_embedded_cluster_starts_from_the_file() -> None:
    target = EmbeddedCluster.from_list(yaml.safe_load(EXAMPLE.read_text()))
    snapshot = target.snapshot(["dockercoins"])
    ready = target.history("dockercoins", "rng")[-1][1]
    pods = target.list_pods("dockercoins", {"app": "rng"})
    assert ready == {pod.uid for pod in pods}
    assert sorted(str(snapshot.top_owner(pod)) for pod in pods) == [
        *["DaemonSet dockercoins/rng"] * 3,
        *["Deployment dockercoins/rng"] * 3,
    ]
    assert sorted(pod.spec.node_name for pod in pods) == ["node1", "node1", "node2", "node2", "node3", "node3"]
    assert target.identity().uid == target.get(ObjectRef("Namespace", "", "kube-system"))["metadata"]["uid"]
