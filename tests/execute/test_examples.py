"""Every example is carried out: its plan is applied to its cluster, loses nothing, and then there is nothing to do."""

from __future__ import annotations

import pytest
import yaml

from examples.make import CLUSTERS, HERE, OWN_POLICIES
from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.plan import Plan
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.plan import plan_gates
from gatekeep.sources.policies import load_policies
from tests.execute.world import ALWAYS, carry_out, proved

LAGS: tuple[dict[str, float], ...] = ({}, {"pod_lag": 3.0}, {"service_lag": 3.0})


@pytest.mark.parametrize("lag", LAGS)
@pytest.mark.parametrize("example", CLUSTERS)
def test_an_example_is_carried_out(example: str, lag: dict[str, float]) -> None:
    target = EmbeddedCluster.from_list(yaml.safe_load((HERE / example / "cluster.yaml").read_text()), **lag)
    target.clock.sleep(ALWAYS)
    folder = HERE / example / "policies"
    policies = load_policies([folder if folder.exists() else OWN_POLICIES]).policies

    def planner(snapshot: Snapshot) -> Plan:
        return plan_gates(policies, snapshot, complete=True)

    snapshot = target.snapshot([])
    found = planner(snapshot)
    carry_out(target, proved(found, snapshot))
    target.clock.sleep(ALWAYS)
    for service in found.services:
        if not any(gate.preview == service.name for gate in found.gates):
            sizes = [len(ready) for _, ready in target.history(service.namespace, service.name)]
            assert min(sizes) >= service.least_ready
            assert sizes[-1] >= len(service.after)  # a pod that was released has been replaced
    assert not planner(target.snapshot([])).writes
