"""The contract suite on the embedded cluster, with idle and with slow controllers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.objects import ObjectRef
from tests.builders import cluster
from tests.contract.suite import CASES, Site

NAMESPACE = "contract"


LAGS: Mapping[str, Mapping[str, float]] = {
    "idle": {},
    "slow-pods": {"pod_lag": 0.7},
    "slow-services": {"service_lag": 0.7},
    "slow-workloads": {"workload_lag": 0.7},
}


@pytest.fixture(params=LAGS)
def site(request: pytest.FixtureRequest) -> Site:
    """Three nodes, an empty namespace, and another one with pods that nobody may see in it."""
    builder = cluster("other").nodes(3, zones=("a", "b", "c")).service("rng", {"app": "rng"})
    builder.pods("other-1", labels={"app": "rng"})
    target = builder.namespace(NAMESPACE).embedded(**LAGS[request.param])
    return Site(target, NAMESPACE, lambda name, status: write_status(target, name, status))


def write_status(target: EmbeddedCluster, name: str, status: Mapping[str, Any]) -> None:
    """Merges into a pod's status, as a kubelet does."""

    def change(pod: dict[str, Any]) -> None:
        pod["status"] = {**pod["status"], **status}

    target.edit(ObjectRef("Pod", NAMESPACE, name), change, manager="kubelet")


@pytest.mark.parametrize("case", CASES)
def test_contract(case: str, site: Site) -> None:
    CASES[case](site)
