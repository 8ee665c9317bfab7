"""The rng story: gate, edit, drift, change of key and value, retire; with counted traffic, and slow watch streams.

- a gate comes and goes without a lost request, whichever stream is 3 s late; without the barriers requests are lost
- pods are left out and let in again by owner and by a set-based selector; a second apply writes nothing
- drift is shown and mended; newborns are let in by the next apply
- the gate's key and value change; a pod that neither rotation holds never answers
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.controlplane.traffic import TrafficReport
from tests.e2e.story import GATE, PODS, Story, record

LAG = 3.0
LAGS = [({}, "none"), ({"pods": LAG}, "pods 3 s"), ({"services": LAG}, "Services 3 s")]
IDS = [name.replace(" ", "-") for _, name in LAGS]
DEPLOYMENT_ONLY = {"owners": [{"kind": "Deployment", "name": "rng"}]}
NOT_THE_DAEMONSET = {"selector": {"matchExpressions": [{"key": "part", "operator": "NotIn", "values": ["daemonset"]}]}}


def full(report: TrafficReport, pods: int = PODS) -> bool:
    """The client kept its rate, and every pod answered."""
    return report.sent > 400 and len(report.by_pod) == pods


@pytest.mark.parametrize(("lag", "name"), LAGS, ids=IDS)
def test_a_gate_comes_and_goes_without_a_lost_request(story: Story, lag: dict[str, float], name: str) -> None:
    story.stack.lag(**lag)
    with story.traffic() as traffic:
        traffic.run_for(1)
        applied = story.apply()
        traffic.run_for(LAG if lag else 1.5)
    assert applied.code == 0, applied.err
    assert story.selector() == {"app": "rng", GATE[0]: GATE[1]}
    assert len(story.labelled()) == PODS
    report = record("gatekeep apply: the gate comes", name, traffic.report())
    assert report.lost == 0, report
    assert full(report), report

    story.stack.lag(pods=0, services=0)
    story.settle()
    story.stack.lag(**lag)
    with story.traffic() as traffic:
        traffic.run_for(1)
        retired = story.retire()
        traffic.run_for(LAG if lag else 1.5)
    assert retired.code == 0, retired.err
    assert story.selector() == {"app": "rng"}
    assert not story.labelled()
    report = record("gatekeep retire: the gate goes", name, traffic.report())
    assert report.lost == 0, report
    assert full(report), report
    assert not story.helpers()
    assert not [item for item in story.get("configmaps,leases")["items"] if "gatekeep" in item["metadata"]["name"]]


def test_without_the_barrier_adding_the_gate_loses_requests(story: Story) -> None:
    story.policy(adopt="Reconcile")
    plan = story.plan(args=("-o", "json")).json
    story.stack.lag(pods=LAG)
    with story.traffic() as traffic:
        traffic.run_for(1)
        carry_out_without_waits(story, plan)
        traffic.run_for(LAG + 2)
    report = record("the same steps without the barrier", "pods 3 s", traffic.report())
    assert report.lost > 200, report


def test_without_the_barrier_removing_the_gate_loses_requests(story: Story) -> None:
    story.policy(adopt="Reconcile")
    assert story.apply().code == 0
    story.settle()
    plan = story.gatekeep("retire", f"{story.namespace}/rng", "--dry-run", "-o", "json").json
    story.stack.lag(services=LAG)
    with story.traffic() as traffic:
        traffic.run_for(1)
        carry_out_without_waits(story, plan)
        traffic.run_for(LAG + 2)
    report = record("the same steps back without the barrier", "Services 3 s", traffic.report())
    assert report.lost > 200, report


def carry_out_without_waits(story: Story, plan: dict[str, Any]) -> None:
    """The very patches of the plan, by kubectl, without what proves them."""
    for step in plan["steps"]:
        if step["action"] != "Patch":
            continue
        for change in step["changes"]:
            kind, name = change["kind"].lower(), change["name"]
            story.kubectl("patch", kind, name, "--type=json", "-p", json.dumps(change["patch"]))


@pytest.mark.parametrize("pool", [DEPLOYMENT_ONLY, NOT_THE_DAEMONSET], ids=["owners", "set-based"])
def test_pods_are_left_out_and_let_in_again(story: Story, pool: dict[str, Any]) -> None:
    assert story.apply().code == 0
    story.policy(pool, floor="50%")
    with story.traffic() as traffic:
        traffic.run_for(0.5)
        narrowed = story.apply()
        traffic.run_for(1)
    assert narrowed.code == 0, narrowed.err
    assert traffic.report().lost == 0, traffic.report()
    assert story.labelled() == story.of("deployment")
    story.settle()
    with story.traffic() as traffic:
        traffic.run_for(1)
    assert set(traffic.report().by_pod) == story.of("deployment")

    before = story.versions()
    again = story.apply()
    assert again.code == 0, again.err
    assert story.versions() == before, again.out

    story.policy({}, floor="50%")
    assert story.apply().code == 0
    story.settle()
    with story.traffic() as traffic:
        traffic.run_for(1)
    assert len(traffic.report().by_pod) == PODS


def test_a_floor_that_would_break_is_refused(story: Story) -> None:
    assert story.apply().code == 0
    before = story.versions()
    story.policy(DEPLOYMENT_ONLY, floor=4)
    refused = story.apply()
    assert refused.code == 4, refused
    assert "3 ready endpoints; at least 4 must stay" in " ".join((refused.out + refused.err).split())
    assert story.versions() == before


def test_drift_is_shown_and_mended(story: Story) -> None:
    assert story.apply().code == 0
    victim = min(story.labelled())
    time.sleep(1.1)
    story.kubectl("label", "pod", victim, f"{GATE[0]}-")
    planned = story.plan(args=("-o", "json")).json
    drift = [item["message"] for item in planned["findings"] if item["rule"] == "drift"]
    assert len(drift) == 1
    assert victim in drift[0]
    assert [change["name"] for step in planned["steps"] for change in step["changes"]] == [victim]
    assert story.apply().code == 0
    assert len(story.labelled()) == PODS


def test_pods_born_later_are_let_in_by_the_next_apply(story: Story) -> None:
    story.policy(adopt="Reconcile")
    assert story.apply().code == 0
    first = story.plan(args=("-o", "json")).json["findings"][0]
    assert first["rule"] == "later-pods"
    story.kubectl("scale", "deployment", "rng", "--replicas=5")
    story.stack.wait_pods(story.namespace, PODS + 2, "app=rng")
    assert len(story.labelled()) == PODS
    assert len(story.stack.endpoints(story.namespace, "rng")) == PODS
    assert story.apply().code == 0
    assert len(story.stack.wait_endpoints(story.namespace, "rng", PODS + 2)) == PODS + 2


@pytest.mark.parametrize(
    ("gate", "what"),
    [({"key": "live"}, "another key"), ({"value": "no"}, "another value")],
    ids=["key", "value"],
)
def test_the_gate_changes_and_a_stranger_is_never_reached(story: Story, gate: dict[str, str], what: str) -> None:
    story.policy(DEPLOYMENT_ONLY)
    assert story.apply().code == 0
    story.settle()
    story.policy(DEPLOYMENT_ONLY, **gate)
    story.stack.lag(pods=LAG / 2, services=LAG / 2)
    with story.traffic() as traffic:
        traffic.run_for(0.5)
        changed = story.apply()
        traffic.run_for(LAG)
    assert changed.code == 0, changed.err
    key, value = gate.get("key", GATE[0]), gate.get("value", GATE[1])
    assert story.selector() == {"app": "rng", key: value}
    assert story.labelled(key, value) == story.of("deployment")
    assert all(set(labels) - {"live"} <= {"app", "part", "active", "pod-template-hash", "controller-revision-hash",
                                          "pod-template-generation", "topology.kubernetes.io/zone"}
               for labels in story.labels().values())  # fmt: skip
    report = record(f"gatekeep apply: {what}", "both 1.5 s", traffic.report())
    assert report.lost == 0, report
    assert set(report.by_pod) == story.of("deployment"), report
