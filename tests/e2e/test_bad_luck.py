"""Bad input and bad luck on the real control plane: the documented exit code, a message that helps, nothing half done.

- the leader of kube-controller-manager is killed between the barrier and the switch
- the API server goes away in the middle, and comes back
- a permission is missing; somebody else writes; pods die or are born between plan and apply
- SIGINT, SIGTERM and SIGKILL in the middle: what is left is safe, and the next run goes on
- Services that cannot be gated
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from gatekeep.model.errors import GatekeepError, IncompleteError
from gatekeep.model.events import Event, StepStarted
from gatekeep.model.plan import Plan, from_json
from gatekeep.operations.apply import apply_plan
from gatekeep.operations.verify import require_applicable
from tests.e2e.story import GATE, PODS, Finished, Json, Story, record, service, watched, workload

LAG = 3.0


def planned(story: Story) -> Plan:
    """The plan of the story's policy."""
    return from_json(story.plan(args=("-o", "json")).out.encode(), "plan")


def apply_with(story: Story, act: Callable[[StepStarted], None]) -> None:
    """Applies in this process, so that ``act`` can do harm right before any step."""

    def listen(event: Event) -> None:
        if isinstance(event, StepStarted):
            act(event)

    with story.cluster() as cluster:
        plan = planned(story)
        verified = require_applicable(plan, cluster.snapshot([story.namespace]), now=cluster.clock.now())
        apply_plan(cluster, verified, identity="test", run_id="run-1", listener=listen)


def is_switch(event: StepStarted) -> bool:
    """The step that patches the selector."""
    return event.step.action == "Patch" and event.step.changes[0].kind == "Service"


def test_the_leader_dies_between_barrier_and_switch(story: Story) -> None:
    killed: list[str] = []

    def kill_leader(event: StepStarted) -> None:
        leader = story.stack.leader()
        if is_switch(event) and leader and not killed:
            story.stack.kill(leader)
            killed.append(leader)

    with story.stack.two_controller_managers():
        story.stack.lag(pods=LAG)
        with story.traffic() as traffic:
            traffic.run_for(1)
            apply_with(story, kill_leader)
            story.stack.wait(lambda: story.stack.leader() not in (None, *killed), 60, "a new leader")
            traffic.run_for(LAG + 1)
    assert killed
    report = record("gatekeep apply: leader killed before the switch", "pods 3 s", traffic.report())
    assert report.lost == 0, report
    assert story.selector() == {"app": "rng", GATE[0]: GATE[1]}
    assert not story.helpers()


def test_the_api_server_goes_away_and_comes_back(story: Story) -> None:
    def crash(event: StepStarted) -> None:
        if is_switch(event):
            story.stack.kill("kube-apiserver")

    with pytest.raises(IncompleteError, match="steps are left") as failure:
        apply_with(story, crash)
    assert "run the same command again" in failure.value.hint
    story.stack.start("kube-apiserver")
    story.stack.wait(lambda: bool(story.selector()), 30, "the API server")
    assert story.selector() == {"app": "rng"}
    again = story.apply()
    assert again.code == 0, again.err
    assert story.selector() == {"app": "rng", GATE[0]: GATE[1]}
    assert not story.helpers()


VERBS = {
    "pods": ["get", "list", "watch", "patch"],
    "services": ["get", "list", "patch", "create", "delete"],
    "configmaps": ["get", "list", "create", "patch", "delete"],
}
READ = ["get", "list", "watch"]


def grant(story: Story, user: str, verbs: dict[str, list[str]], *, templates: bool = True) -> None:
    """A Role with exactly these verbs, and what reading, the lock and (where wanted) pod templates need."""
    rules: list[Json] = [{"apiGroups": [""], "resources": [kind], "verbs": allowed} for kind, allowed in verbs.items()]
    rules.append({"apiGroups": ["apps"], "resources": ["*"], "verbs": [*READ, *(["patch"] if templates else [])]})
    rules.append({"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ})
    lease = ["get", "create", "patch", "delete"]
    rules.append({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": lease})
    group = "rbac.authorization.k8s.io"
    story.create(
        {"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": user}, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": user},
            "subjects": [{"kind": "User", "name": user, "apiGroup": group}],
            "roleRef": {"kind": "Role", "name": user, "apiGroup": group},
        },
    )


def test_these_permissions_suffice(story: Story) -> None:
    grant(story, "user-0", VERBS)
    applied = story.apply(user="user-0")
    assert applied.code == 0, applied.err
    assert len(story.labelled()) == PODS


@pytest.mark.parametrize(
    ("resource", "verb"),
    [("pods", "patch"), ("services", "create"), ("services", "patch"), ("pods", "list"), ("configmaps", "create")],
)
def test_a_missing_permission_is_named_and_nothing_is_written(story: Story, resource: str, verb: str) -> None:
    less = {kind: [item for item in verbs if (kind, item) != (resource, verb)] for kind, verbs in VERBS.items()}
    grant(story, "user-1", less)
    before = story.versions()
    refused = story.apply(user="user-1")
    assert refused.code == 77, refused
    assert f"{verb} {resource}" in refused.err
    assert story.versions() == before
    if (resource, verb) == ("services", "create"):
        assert "steady selector" in refused.err


def test_somebody_else_labels_a_pod_between_plan_and_apply(story: Story) -> None:
    file = story.folder / "plan.json"
    assert story.plan(args=("-o", "json", "--out", str(file))).code == 0
    victim = min(story.labels())
    story.kubectl("label", "pod", victim, f"{GATE[0]}=maybe")
    refused = story.gatekeep("apply", str(file))
    assert refused.code == 3, refused
    assert victim in refused.err
    assert "was absent when the plan was made, now it is 'maybe'" in refused.err
    assert story.selector() == {"app": "rng"}
    assert not story.labelled()


def test_pods_that_die_and_are_born_between_plan_and_apply(story: Story) -> None:
    file = story.folder / "plan.json"
    assert story.plan(args=("-o", "json", "--out", str(file))).code == 0
    victim = min(story.of("deployment"))
    story.kubectl("delete", "pod", victim)
    story.stack.wait_pods(story.namespace, PODS, "app=rng")
    applied = story.gatekeep("apply", str(file))
    assert applied.code == 0, applied.err
    assert len(story.labelled()) == PODS
    assert victim in applied.out + applied.err


def test_a_rollout_between_the_labels_and_the_switch(story: Story) -> None:
    """Every pod of the Deployment is replaced by one without the label, right before the switch."""

    def roll(event: StepStarted) -> None:
        if is_switch(event):
            story.kubectl("rollout", "restart", "deployment/rng")
            story.kubectl("rollout", "status", "deployment/rng", "--timeout=60s")

    apply_with(story, roll)
    assert len(story.labelled()) == PODS
    assert len(story.stack.wait_endpoints(story.namespace, "rng", PODS)) == PODS
    assert not story.helpers()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_safe_state_and_no_helper(story: Story, number: signal.Signals) -> None:
    story.policy(adopt="Reconcile")
    story.stack.lag(pods=20)
    run = start(story, "apply", "-f", str(story.folder / "policies"), "-y")
    story.stack.wait(lambda: bool(story.helpers()), 20, "the shadow Service")
    run.send_signal(number)
    _, err = run.communicate(timeout=30)
    assert run.returncode == 6, err
    assert "steps are left" in err
    assert not story.helpers()
    assert story.selector() == {"app": "rng"}
    story.stack.lag(pods=0)
    assert story.apply().code == 0


def test_a_kill_leaves_a_safe_state_and_the_next_run_goes_on(story: Story) -> None:
    story.policy(adopt="Reconcile")
    story.stack.lag(pods=20)
    run = start(story, "apply", "-f", str(story.folder / "policies"), "-y")
    story.stack.wait(lambda: bool(story.helpers()), 20, "the shadow Service")
    run.kill()
    run.communicate(timeout=10)
    assert story.helpers()
    story.stack.lag(pods=0)
    blocked = story.apply("--lock-timeout", "1s")
    assert blocked.code == 75, blocked
    assert "is held by" in blocked.err
    with story.traffic() as traffic:
        went_on = story.apply("--lock-timeout", "60s")
    assert went_on.code == 0, went_on.err
    assert traffic.report().lost == 0, traffic.report()
    assert not story.helpers()
    assert story.selector() == {"app": "rng", GATE[0]: GATE[1]}


def start(story: Story, *args: str) -> subprocess.Popen[str]:
    """gatekeep, running on while the test does something to it."""
    return subprocess.Popen(
        story.command(*args),
        env=story.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_controller_that_stands_still_is_waited_for_and_then_left_alone(story: Story) -> None:
    story.stack.kill("kube-controller-manager")
    late = story.apply("--timeout", "2s")
    assert late.code == 6, late
    assert "kube-controller-manager" in late.err
    assert story.selector() == {"app": "rng"}
    assert not story.helpers()


def refused(story: Story, *words: str) -> Finished:
    """An apply that is refused, says why, and writes nothing."""
    before = story.versions()
    answer = story.apply()
    assert answer.code == 3, answer
    for word in words:
        assert word in answer.err, answer.err
    assert story.versions() == before
    return answer


def test_two_runs_at_once_never_work_on_one_stale_proof(story: Story) -> None:
    """One leaves the DaemonSet out, the other the Deployment: whoever comes second plans anew, or is stale (3)."""
    assert story.apply().code == 0
    runs = []
    with watched(story) as counts:
        for kind in ("Deployment", "DaemonSet"):
            policy = story.policy({"owners": [{"kind": kind, "name": "rng"}]}, floor=3) / "rng.yaml"
            copy = story.folder / f"{kind.lower()}.yaml"
            copy.write_text(policy.read_text())
            runs.append(start(story, "apply", "-f", str(copy), "-y"))
        outcomes = [(run.communicate(timeout=120)[1], run.returncode) for run in runs]
    assert all(code in (0, 3) for _, code in outcomes), outcomes
    assert any(code == 0 for _, code in outcomes), outcomes
    assert min(counts) >= 3, counts
    assert story.labelled() in (story.of("deployment"), story.of("daemonset"))
    assert not story.helpers()


def test_services_that_cannot_be_gated(story: Story) -> None:
    story.kubectl("delete", "service", "rng")
    refused(story, "does not exist")
    story.create(service("ring"))
    refused(story, "did you mean ring?")
    story.kubectl("create", "service", "externalname", "rng", "--external-name", "example.com")
    refused(story, "ExternalName")
    story.kubectl("delete", "service", "rng")
    bare = service()
    del bare["spec"]["selector"]
    story.create(bare)
    refused(story, "no selector")


def test_a_headless_service_that_names_the_pods_of_a_stateful_set(story: Story) -> None:
    story.kubectl("delete", "service", "rng")
    stateful = workload("Deployment", "db")
    stateful["kind"], stateful["spec"]["serviceName"] = "StatefulSet", "rng"
    story.create(service(clusterIP="None"), stateful)
    refused(story, "StatefulSet", "DNS names")


def test_a_key_that_is_in_use(story: Story) -> None:
    story.policy(key="part")
    refused(story, "part", "released and replaced")
    story.create(service("other", {"live": "yes"}))
    story.policy(key="live")
    refused(story, "another Service selects by the gate key live")


def test_zero_ready_pods_is_healed_not_refused(story: Story) -> None:
    story.kubectl("scale", "deployment", "rng", "--replicas=0")
    story.kubectl("delete", "daemonset", "rng")
    story.stack.wait_pods(story.namespace, 0, "app=rng")
    found = story.plan(args=("-o", "json")).json
    assert "no-ready-endpoint" in [item["rule"] for item in found["findings"]]
    assert story.apply().code == 0
    assert story.selector() == {"app": "rng", GATE[0]: GATE[1]}


def test_an_apply_that_fails_names_the_pod_that_somebody_changed_meanwhile(story: Story) -> None:
    victim = max(story.labels())

    def meddle(event: StepStarted) -> None:
        if event.step.number == 1:
            story.kubectl("label", "pod", victim, f"{GATE[0]}=maybe")

    with pytest.raises(GatekeepError) as failure:
        apply_with(story, meddle)
    assert failure.value.exit_code in (3, 6)
    assert victim in str(failure.value)
    assert story.selector() == {"app": "rng"}
    assert not story.helpers()


def test_status_and_snapshot_speak_of_what_stands(story: Story) -> None:
    assert story.apply().code == 0
    status = json.loads(story.gatekeep("status", "-n", story.namespace, "-o", "json").out)
    found = [item for item in status["items"] if item["namespace"] == story.namespace]
    assert [(item["name"], item["gate"]) for item in found] == [("rng", "active=yes")]
    file = story.folder / "cluster.json"
    assert story.gatekeep("snapshot", "-n", story.namespace, "--out", str(file)).code == 0
    time.sleep(1.1)
    offline = story.gatekeep("plan", "-f", str(story.folder / "policies"), "--snapshot", str(file), "-o", "json")
    assert offline.json["steps"] == []
