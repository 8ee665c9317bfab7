"""The harness itself: it sees lost requests where there are some, and none where there are none.

The changes are made by plain kubectl. Lag is how late (seconds) the controllers see pods, Services or workloads.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import pytest

from tests.controlplane.paths import ControlPlaneError
from tests.controlplane.stack import ControlPlane
from tests.controlplane.traffic import Traffic, TrafficReport
from tests.e2e.workloads import PLURALS, create, is_observed, manifest

LAG = 3.0
WORKLOAD_LAG = 2.0
PODS = 6
PORTS = [{"port": 80, "targetPort": 80}]
GATED = {"app": "rng", "active": "yes"}
OPEN = {"app": "rng"}


def workload(kind: str) -> dict[str, object]:
    """A Deployment of 3, or a DaemonSet, whose pods have the label app=rng."""
    labels = {"app": "rng", "part": kind.lower()}
    spec: dict[str, object] = {"replicas": 3} if kind == "Deployment" else {}
    spec["selector"] = {"matchLabels": labels}
    containers = [{"name": "rng", "image": "rng"}]
    spec["template"] = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": f"rng-{kind.lower()}"}, "spec": spec}


def service(name: str, selector: dict[str, str], **spec: object) -> dict[str, object]:
    """A Service on port 80."""
    body = {"selector": selector, "ports": PORTS} | spec
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}


@dataclass(frozen=True)
class Rng:
    """Service `rng` over three pods of a Deployment and three of a DaemonSet."""

    stack: ControlPlane
    namespace: str

    def kubectl(self, *args: str) -> str:
        """kubectl in this namespace."""
        return self.stack.kubectl("-n", self.namespace, *args)

    def create(self, *manifests: dict[str, object]) -> None:
        """Create or change objects in this namespace."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        self.stack.kubectl("-n", self.namespace, "apply", "-f", "-", input=text)

    def select(self, selector: dict[str, str]) -> None:
        """Replace the Service's selector."""
        patch = [{"op": "replace", "path": "/spec/selector", "value": selector}]
        self.kubectl("patch", "service", "rng", "--type=json", "-p", json.dumps(patch))

    def label(self, change: str) -> None:
        """`active=yes` or `active-` on all pods."""
        self.kubectl("label", "pods", "-l", "app=rng", change)

    def barrier(self, name: str, selector: dict[str, str]) -> None:
        """Wait until the endpoint controller has published a new headless Service with all pods."""
        self.create(service(name, selector, clusterIP="None"))
        self.stack.wait_endpoints(self.namespace, name, PODS)

    def traffic(self) -> Traffic:
        """200 requests a second to the Service."""
        address = self.kubectl("get", "service", "rng", "-o", "jsonpath={.spec.clusterIP}")
        return Traffic(address, 80, rate=200, expect_app="rng")


@pytest.fixture
def rng(control_plane: ControlPlane, namespace: str) -> Rng:
    """The application, serving."""
    made = Rng(control_plane, namespace)
    made.create(workload("Deployment"), workload("DaemonSet"), service("rng", OPEN))
    control_plane.wait_pods(namespace, PODS, "app=rng")
    control_plane.wait_endpoints(namespace, "rng", PODS)
    time.sleep(1.2)  # kube-proxy may not have all endpoints before its next sync
    return made


def gate(rng: Rng) -> None:
    """Bring the Service behind the gate, with all the time it needs."""
    rng.label("active=yes")
    rng.barrier("before", GATED)
    rng.select(GATED)
    rng.barrier("after", GATED)


def settled(report: TrafficReport) -> bool:
    """Whether the client kept its rate and all pods had their part."""
    return report.sent > 1000 and len(report.by_pod) == PODS


def test_traffic_without_a_change_loses_nothing(rng: Rng) -> None:
    with rng.traffic() as traffic:
        traffic.run_for(6)
    report = traffic.report()
    assert report.lost == 0, report
    assert settled(report), report
    assert report.longest_gap < 0.5, report


@pytest.mark.parametrize("barrier", [False, True], ids=["at-once", "shadow"])
def test_adding_a_gate_under_pod_lag(rng: Rng, barrier: bool) -> None:
    rng.stack.lag(pods=LAG)
    with rng.traffic() as traffic:
        traffic.run_for(0.5)
        rng.label("active=yes")
        if barrier:
            rng.barrier("shadow", GATED)
        rng.select(GATED)
        traffic.run_for(6 - (LAG if barrier else 0))
    judge(traffic.report(), barrier)


@pytest.mark.parametrize("barrier", [False, True], ids=["at-once", "marker"])
def test_removing_a_gate_under_service_lag(rng: Rng, barrier: bool) -> None:
    gate(rng)
    rng.stack.lag(services=LAG)
    with rng.traffic() as traffic:
        traffic.run_for(0.5)
        rng.select(OPEN)
        if barrier:
            rng.barrier("marker", OPEN)
        rng.label("active-")
        traffic.run_for(6 - (LAG if barrier else 0))
    judge(traffic.report(), barrier)


def judge(report: TrafficReport, safe: bool) -> None:
    """A safe change loses nothing; an unsafe one leaves the Service without endpoints for seconds."""
    print(report)
    if safe:
        assert report.lost == 0, report
        assert settled(report), report
    else:
        assert report.lost > 100, report
        assert report.longest_gap > 0.5, report


@pytest.mark.parametrize("late", [["workloads"], *([kind] for kind in PLURALS.values())], ids="".join)
def test_a_late_workload_stream_is_late_alone(control_plane: ControlPlane, namespace: str, late: list[str]) -> None:
    made = create(control_plane, namespace, *[manifest(kind, f"late-{kind.lower()}", 1) for kind in PLURALS])
    control_plane.lag(**dict.fromkeys(late, WORKLOAD_LAG))
    changed = time.monotonic()
    for each in made:
        field = "minReadySeconds" if each.kind == "ReplicaSet" else "revisionHistoryLimit"  # both change no child
        each.patch({"op": "add", "path": f"/spec/{field}", "value": 1})
    took: dict[str, float] = {}
    while len(took) < len(made):
        fresh = [each for each in made if each.kind not in took and is_observed(each.get())]
        took |= {each.kind: time.monotonic() - changed for each in fresh}
        assert time.monotonic() - changed < 30, took
    for kind, seconds in took.items():
        if late == ["workloads"] or late == [PLURALS[kind]]:
            assert WORKLOAD_LAG <= seconds < WORKLOAD_LAG + 1.5, took
        else:
            assert seconds < WORKLOAD_LAG - 0.5, took


def test_controller_revisions_can_be_late(control_plane: ControlPlane, namespace: str) -> None:
    """A DaemonSet's deleted revision is missed, and made again, when the watch says that it is gone."""
    [made] = create(control_plane, namespace, manifest("DaemonSet", "late"))
    control_plane.lag(controllerrevisions=WORKLOAD_LAG)
    deleted = time.monotonic()
    made.stack.kubectl("-n", namespace, "delete", "controllerrevisions", "--all")
    control_plane.wait(lambda: bool(made.revisions()))
    assert WORKLOAD_LAG <= time.monotonic() - deleted < WORKLOAD_LAG + 2


def test_an_unknown_knob_is_refused(control_plane: ControlPlane) -> None:
    with pytest.raises(ControlPlaneError, match="no knob nodes"):
        control_plane.lag(nodes=1)
    control_plane.lag(pods=0)


def test_a_pod_that_is_gone_refuses(control_plane: ControlPlane, rng: Rng, namespace: str) -> None:
    """Without the endpoint controller a dead pod's address stays in the slices, and its callers see that."""
    control_plane.kill("kube-controller-manager")
    rng.kubectl("delete", "pods", "-l", "part=daemonset", "--wait=false")
    control_plane.wait_pods(namespace, 3)
    with rng.traffic() as traffic:
        traffic.run_for(2)
    report = traffic.report()
    assert report.sent * 0.2 < report.refused < report.sent * 0.8, report
    assert report.timed_out == 0, report


@pytest.mark.parametrize(
    "component",
    ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kube-proxy", "lagproxy"],
)
def test_restarting_a_component_loses_no_traffic(
    control_plane: ControlPlane, rng: Rng, namespace: str, component: str
) -> None:
    with rng.traffic() as traffic:
        control_plane.restart(component)
        rng.stack.wait(lambda: bool(rng.kubectl("scale", "deployment/rng-deployment", "--replicas=4")))
        control_plane.wait_endpoints(namespace, "rng", PODS + 1)
    assert traffic.report().lost == 0, traffic.report()


def test_a_killed_leader_is_followed_by_the_other(control_plane: ControlPlane, namespace: str) -> None:
    with control_plane.two_controller_managers():
        leader = control_plane.leader()
        assert leader is not None
        control_plane.kill(leader)
        control_plane.wait(lambda: control_plane.leader() not in (None, leader), 40, "a new leader")
        control_plane.kubectl("-n", namespace, "create", "deployment", "web", "--image=web")
        control_plane.wait_pods(namespace, 1, "app=web")


def test_a_weak_user_has_no_rights_until_given_some(control_plane: ControlPlane, namespace: str) -> None:
    arguments = ("-n", namespace, "get", "pods", "-o", "name")
    with pytest.raises(ControlPlaneError, match="forbidden"):
        control_plane.kubectl(*arguments, user="user-3")
    control_plane.kubectl("-n", namespace, "create", "rolebinding", "see", "--clusterrole=view", "--user=user-3")
    control_plane.wait(lambda: control_plane.kubectl(*arguments, user="user-3") == "")


def test_traffic_goes_nowhere_else() -> None:
    with pytest.raises(ControlPlaneError, match="closed network"):
        Traffic("192.0.2.1", 80)
