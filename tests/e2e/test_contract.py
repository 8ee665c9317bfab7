"""The contract suite on a real API server: where the embedded cluster and this one disagree, this one is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gatekeep.cluster.kube import KubeOptions, connect
from tests.contract.suite import CASES, Site
from tests.controlplane.stack import ControlPlane


@pytest.fixture
def site(control_plane: ControlPlane, namespace: str) -> Iterator[Site]:
    """A namespace of its own; statuses are written as a kubelet writes them."""

    def write_status(name: str, status: Mapping[str, Any]) -> None:
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
        body = {"status": dict(status)}
        control_plane.api.request("PATCH", path, body, content_type="application/strategic-merge-patch+json")

    with connect(KubeOptions(kubeconfig=str(control_plane.kubeconfig()))) as cluster:
        yield Site(cluster, namespace, write_status)


@pytest.mark.parametrize("case", CASES)
def test_contract(case: str, site: Site) -> None:
    CASES[case](site)
