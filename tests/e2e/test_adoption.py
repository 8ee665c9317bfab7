"""Later pods on a real control plane: the label comes to the templates of running workloads, and nobody restarts.

- the gate comes and goes over every kind under counted traffic, whichever stream is late: same pods, nothing lost
- what comes after: more pods, a dead one, another image, a restart and an undo, each with the endpoints it should have
- other people act between any two steps; gatekeep is killed between any two
- Reconcile, Hold and Admission do what they say; a deleted policy is pruned
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from gatekeep.model.events import Event, StepStarted
from gatekeep.operations.apply import apply_plan
from gatekeep.operations.verify import require_applicable
from tests.e2e.story import GATE, Story, record
from tests.e2e.test_bad_luck import VERBS, grant, planned
from tests.e2e.workloads import Workload, manifest

KINDS = ("Deployment", "DaemonSet", "StatefulSet", "ReplicaSet")
LAG = 3.0
LAGS = [
    ({}, "none"),
    ({"pods": LAG}, "pods 3 s"),
    ({"services": LAG}, "Services 3 s"),
    ({"workloads": 2.0}, "apps 2 s"),
]
IDS = [name.replace(" ", "-") for _, name in LAGS]


@pytest.fixture
def rng(story_of: Callable[..., Story]) -> Story:
    """One workload of each kind behind Service rng, running, not gated."""
    return story_of(*[manifest(kind, kind.lower()) for kind in KINDS])


def workloads(story: Story) -> list[Workload]:
    """One of each kind."""
    return [Workload(story.stack, story.namespace, kind, kind.lower()) for kind in KINDS]


def templates(story: Story) -> dict[str, dict[str, str]]:
    """Template labels of everything that has a template, by kind and name."""
    items = story.get("deployments,replicasets,daemonsets,statefulsets")["items"]
    return {
        f"{item['kind']}/{item['metadata']['name']}": item["spec"]["template"]["metadata"]["labels"] for item in items
    }


def held(story: Story) -> list[str]:
    """What is paused or OnDelete."""
    items = story.get("deployments,daemonsets,statefulsets")["items"]
    return [
        item["metadata"]["name"]
        for item in items
        if item["spec"].get("paused") or item["spec"].get("updateStrategy", {}).get("type") == "OnDelete"
    ]


def in_rotation(story: Story) -> int:
    """Pods that the EndpointSlices list as ready."""
    return len(story.stack.endpoints(story.namespace, "rng"))


@pytest.mark.parametrize(("lag", "name"), LAGS, ids=IDS)
def test_adoption_restarts_nobody_and_loses_nothing(rng: Story, lag: dict[str, float], name: str) -> None:
    pods = {uid for each in workloads(rng) for uid in each.uids()}
    before, sets = templates(rng), len(workloads(rng)[0].replica_sets())
    rng.stack.lag(**lag)
    with rng.traffic() as traffic:
        traffic.run_for(1)
        applied = rng.apply()
        traffic.run_for(LAG if lag else 1.5)
    assert applied.code == 0, applied.err
    report = record("gatekeep apply: templates adopted, the gate comes", name, traffic.report())
    assert report.lost == 0, report
    assert {uid for each in workloads(rng) for uid in each.uids()} == pods
    assert [each.labelled() for each in workloads(rng)] == [len(each.uids()) for each in workloads(rng)]
    assert all(labels.get(GATE[0]) == GATE[1] for labels in templates(rng).values())
    assert (held(rng), workloads(rng)[0].collisions(), len(workloads(rng)[0].replica_sets())) == ([], 0, sets)
    versions = rng.versions()
    assert rng.apply().code == 0
    assert rng.versions() == versions

    rng.stack.lag(pods=0, services=0, workloads=0)
    rng.settle()
    rng.stack.lag(**lag)
    with rng.traffic() as traffic:
        traffic.run_for(1)
        retired = rng.retire()
        traffic.run_for(LAG if lag else 1.5)
    assert retired.code == 0, retired.err
    report = record("gatekeep retire: the gate goes, templates too", name, traffic.report())
    assert report.lost == 0, report
    assert {uid for each in workloads(rng) for uid in each.uids()} == pods
    assert templates(rng) == before
    assert (held(rng), workloads(rng)[0].collisions(), rng.labelled()) == ([], 0, set())


def test_what_is_born_later_is_in_rotation(rng: Story) -> None:
    """More pods, a dead one, another image, a restart, an undo: after each, all pods and only they are endpoints."""
    assert rng.apply().code == 0
    deployment, daemonset, statefulset, replicaset = workloads(rng)

    def all_in(what: str) -> None:
        for each in (deployment, daemonset, statefulset):
            each.wait_rollout()
        count = sum(len(each.uids()) for each in workloads(rng))
        rng.stack.wait(lambda: in_rotation(rng) == count, 30, f"{count} endpoints after {what}")

    for each in (deployment, statefulset, replicaset):
        each.scale(4)
    all_in("a scale-up")
    for each in workloads(rng):
        each.replace_a_pod()
    all_in("a pod's death")
    for each in (deployment, daemonset, statefulset):
        each.set_image("rng:2")
    all_in("another image")
    deployment.undo()
    all_in("an undo of the Deployment")
    for each in (daemonset, statefulset):
        each.undo()
    all_in("an undo to a revision that was adopted")
    for each in (deployment, daemonset, statefulset):
        each.restart()
    all_in("a restart")


def test_an_undo_of_a_daemonset_to_before_the_gate_is_said_and_mended(rng: Story) -> None:
    found = rng.plan(args=("-o", "json")).json
    hazards = {item["object"] for item in found["findings"] if item["rule"] == "undo-loses-label"}
    assert hazards == {f"{kind} {rng.namespace}/{kind.lower()}" for kind in ("DaemonSet", "StatefulSet")}
    assert rng.apply().code == 0
    daemonset = workloads(rng)[1]
    daemonset.undo()
    daemonset.wait_rollout()
    assert daemonset.labelled() == 0
    assert rng.apply().code == 0
    assert daemonset.labelled() == len(daemonset.uids())
    daemonset.replace_a_pod()
    daemonset.wait_rollout()
    assert daemonset.labelled() == len(daemonset.uids())


def applying(story: Story, act: Callable[[int], None]) -> None:
    """Applies in this process; ``act`` is called with the number of each step right before it."""

    def listen(event: Event) -> None:
        if isinstance(event, StepStarted):
            act(event.step.number)

    with story.cluster() as cluster:
        plan = planned(story)
        verified = require_applicable(plan, cluster.snapshot([story.namespace]), now=cluster.clock.now())
        apply_plan(cluster, verified, identity="test", run_id="run-1", listener=listen)


def steps_of(story: Story) -> Iterator[int]:
    """The numbers of the plan's steps."""
    return (step.number for step in planned(story).steps)


ROLLING = ("Deployment", "DaemonSet", "StatefulSet")
DEEDS: dict[str, tuple[Callable[[Workload], None], tuple[str, ...]]] = {
    "scale": (lambda each: each.scale(5), ("Deployment", "StatefulSet", "ReplicaSet")),
    "image": (lambda each: each.set_image("rng:2"), ROLLING),
    "death": (lambda each: each.replace_a_pod(), KINDS),
    "restart": (lambda each: each.restart(), ("DaemonSet", "StatefulSet")),  # kubectl restarts nothing that is paused
}


@pytest.mark.parametrize("deed", DEEDS)
def test_others_act_in_the_middle(rng: Story, deed: str) -> None:
    """Right before the labels, while all is held still: theirs is kept, and every pod ends in rotation."""
    middle = next(step.number for step in planned(rng).steps if step.changes and step.changes[0].kind == "Pod")
    act_on, targets = DEEDS[deed]

    def act(number: int) -> None:
        if number == middle:
            for each in workloads(rng):
                if each.kind in targets:
                    act_on(each)

    applying(rng, act)
    assert held(rng) == []
    for each in workloads(rng):
        each.wait_rollout()
    assert rng.apply().code == 0
    count = sum(len(each.uids()) for each in workloads(rng))
    assert [each.labelled() for each in workloads(rng)] == [len(each.uids()) for each in workloads(rng)]
    rng.stack.wait(lambda: in_rotation(rng) == count, 30, f"{count} endpoints")
    if deed == "image":
        images = {pod["spec"]["containers"][0]["image"] for each in workloads(rng)[:3] for pod in each.pods()}
        assert images == {"rng:2"}


class Killed(BaseException):
    """Stands for SIGKILL: nothing of gatekeep handles it."""


@pytest.mark.long
def test_a_run_killed_at_any_step_is_gone_on_from_without_a_restart(rng: Story) -> None:
    pods = {uid for each in workloads(rng) for uid in each.uids()}
    for doomed in list(steps_of(rng)):

        def kill(number: int, doomed: int = doomed) -> None:
            if number == doomed:
                raise Killed

        with pytest.raises(Killed):
            applying(rng, kill)
        forget_the_lock(rng)
        again = rng.apply()
        assert again.code == 0, (doomed, again.err)
        assert {uid for each in workloads(rng) for uid in each.uids()} == pods, doomed
        assert held(rng) == [], doomed
        retired = rng.retire()
        assert retired.code == 0, (doomed, retired.err)
        assert {uid for each in workloads(rng) for uid in each.uids()} == pods, doomed
        assert not rng.labelled(), doomed


def forget_the_lock(story: Story) -> None:
    """A killed run's Lease is free after 30 s; a test need not wait for that."""
    story.kubectl("delete", "lease", "gatekeep-rng", "--ignore-not-found")


def test_reconcile_leaves_a_rolling_update_without_a_pod_until_the_next_apply(rng: Story) -> None:
    rng.policy(adopt="Reconcile")
    first = rng.plan(args=("-o", "json")).json["findings"][0]
    assert first["rule"] == "later-pods"
    assert "ends with no pod of it in rotation" in first["message"]
    assert rng.apply().code == 0
    assert not any(GATE[0] in labels for labels in templates(rng).values())
    for each in workloads(rng)[:3]:
        each.restart()
    rng.kubectl("delete", "pod", "-l", "part=replicaset")
    for each in workloads(rng):
        each.wait_rollout()
    rng.stack.wait(lambda: in_rotation(rng) == 0, 30, "an empty Service")
    assert rng.apply().code == 0
    assert len(rng.stack.wait_endpoints(rng.namespace, "rng", len(rng.labelled()))) > 0


def test_held_pods_wait_and_are_admitted(rng: Story) -> None:
    rng.policy(newPods="Hold")
    assert rng.apply().code == 0
    count = len(rng.labelled())
    workloads(rng)[0].scale(6)
    workloads(rng)[0].wait_rollout()
    assert (len(rng.labelled()), in_rotation(rng)) == (count, count)
    assert rng.apply().code == 0
    assert in_rotation(rng) == count
    rng.policy(newPods="Hold", admit=count + 1)
    assert rng.apply().code == 0
    assert len(rng.stack.wait_endpoints(rng.namespace, "rng", count + 1)) == count + 1
    rng.policy(newPods="Hold", admit="All")
    assert rng.apply().code == 0
    assert len(rng.stack.wait_endpoints(rng.namespace, "rng", count + 3)) == count + 3


def test_hold_takes_the_label_out_of_adopted_templates(rng: Story) -> None:
    assert rng.apply().code == 0
    pods = {uid for each in workloads(rng) for uid in each.uids()}
    rng.policy(newPods="Hold")
    applied = rng.apply()
    assert applied.code == 0, applied.err
    assert not any(GATE[0] in labels for labels in templates(rng).values())
    assert {uid for each in workloads(rng) for uid in each.uids()} == pods
    assert in_rotation(rng) == len(pods)


def test_a_label_that_a_template_had_before_the_gate_stays(rng: Story) -> None:
    daemonset = workloads(rng)[1]
    daemonset.edit_template()
    daemonset.wait_rollout()
    assert rng.apply().code == 0
    assert rng.retire().code == 0
    assert templates(rng)["DaemonSet/daemonset"][GATE[0]] == GATE[1]
    assert daemonset.labelled() == len(daemonset.uids()) == len(rng.labelled())


def test_retiring_leaves_everything_as_it_was(rng: Story) -> None:
    """Service and workloads, but for managedFields, resourceVersion, generation and the revision history."""
    before = [stripped(item) for item in everything(rng)]
    assert rng.apply().code == 0
    assert rng.retire().code == 0
    for each in workloads(rng):
        each.wait_rollout()
    assert [stripped(item) for item in everything(rng)] == before
    names = [item["metadata"]["name"] for item in rng.get("configmaps,leases,services")["items"]]
    assert not [name for name in names if "gatekeep" in name]


def everything(story: Story) -> list[dict[str, object]]:
    """Service and workloads."""
    return list(story.get("services,deployments,replicasets,daemonsets,statefulsets")["items"])


def stripped(item: dict[str, object]) -> str:
    """Without what a write changes even when it is taken back."""
    copy = json.loads(json.dumps(item))
    for name in ("managedFields", "resourceVersion", "generation"):
        copy["metadata"].pop(name, None)
    annotations = copy["metadata"].get("annotations", {})
    annotations.pop("deprecated.daemonset.template.generation", None)
    copy.pop("status", None)
    return json.dumps(copy, sort_keys=True)


def test_a_deleted_policy_is_pruned(rng: Story) -> None:
    source = ("--repository", "https://git.example.com/shop")
    assert rng.apply(*source).code == 0
    policy = rng.folder / "policies" / "rng.yaml"
    policy.unlink()
    other = rng.apply("--prune", "--repository", "https://git.example.com/other", "-n", rng.namespace)
    assert other.code == 0, other.err
    assert rng.selector() == {"app": "rng", GATE[0]: GATE[1]}
    pruned = rng.apply("--prune", *source, "-n", rng.namespace)
    assert pruned.code == 0, pruned.err
    assert rng.selector() == {"app": "rng"}
    assert not any(GATE[0] in labels for labels in templates(rng).values())


def is_served(story: Story) -> bool:
    """Whether this API server has MutatingAdmissionPolicy v1."""
    return "mutatingadmissionpolicies" in story.stack.kubectl("api-resources", "-o", "name")


def test_admission_labels_later_pods_whatever_the_template(rng: Story) -> None:
    rng.policy(adopt="Admission")
    if not is_served(rng):
        refused = rng.apply()
        assert refused.code == 3, refused
        assert "Kubernetes 1.36" in refused.err
        return
    pods = {uid for each in workloads(rng) for uid in each.uids()}
    with rng.traffic() as traffic:
        applied = rng.apply()
        traffic.run_for(1)
    assert applied.code == 0, applied.err
    assert traffic.report().lost == 0
    assert {uid for each in workloads(rng) for uid in each.uids()} == pods
    assert not any(GATE[0] in labels for labels in templates(rng).values())
    for each in workloads(rng)[:3]:
        each.restart()
        each.wait_rollout()
        each.undo()
        each.wait_rollout()
        assert each.labelled() == len(each.uids())
    versions = rng.versions()
    assert rng.apply().code == 0
    assert rng.versions() == versions
    assert rng.retire().code == 0
    left = rng.stack.kubectl("get", "mutatingadmissionpolicies,mutatingadmissionpolicybindings", "-o", "name")
    assert rng.namespace not in left
    workloads(rng)[0].replace_a_pod()
    workloads(rng)[0].wait_rollout()
    assert not rng.labelled()


def test_no_replicas_at_all(story_of: Callable[..., Story]) -> None:
    story = story_of(manifest("Deployment", "deployment", 0), manifest("StatefulSet", "statefulset", 0))
    assert story.apply().code == 0
    for kind in ("Deployment", "StatefulSet"):
        each = Workload(story.stack, story.namespace, kind, kind.lower())
        each.scale(2)
        each.wait_rollout()
        assert each.labelled() == 2
    assert len(story.stack.wait_endpoints(story.namespace, "rng", 4)) == 4


BAD: dict[str, tuple[Callable[[Story], object], str]] = {
    "paused": (lambda story: story.kubectl("rollout", "pause", "deployment/deployment"), "gatekeep paused it"),
    "another value": (lambda story: workloads(story)[3].edit_template(value="maybe"), "already has active=maybe"),
    "an operator's": (
        lambda story: workloads(story)[1].patch(
            {"op": "add", "path": "/metadata/ownerReferences", "value": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "app", "uid": owner(story), "controller": True}]}
        ),
        "is controlled by ConfigMap app",
    ),
}  # fmt: skip


def owner(story: Story) -> str:
    """The uid of an object that plays the operator's custom resource."""
    story.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app"}})
    return str(story.get("configmap", "app")["metadata"]["uid"])


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_adopted_is_refused_and_nothing_is_written(rng: Story, case: str) -> None:
    spoil, text = BAD[case]
    spoil(rng)
    time.sleep(1)
    before = rng.versions()
    refused = rng.apply()
    assert refused.code == 3, refused
    assert text in " ".join(refused.err.split())
    assert rng.versions() == before


def test_a_rollout_in_progress_is_refused(rng: Story) -> None:
    rng.stack.lag(pods=20)
    workloads(rng)[0].set_image("rng:2")
    rng.stack.wait(lambda: len(workloads(rng)[0].replica_sets()) > 1, 30, "a second ReplicaSet")
    refused = rng.apply()
    assert refused.code == 3, refused
    assert "a rollout is in progress" in refused.err


def test_a_twin_is_refused_and_the_command_it_names_helps(rng: Story) -> None:
    """A naive edit and its reversal by hand leave an old ReplicaSet that already has the label, but is not older."""
    deployment = workloads(rng)[0]
    deployment.edit_template()
    deployment.wait_rollout()
    deployment.patch({"op": "add", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 31})
    deployment.wait_rollout()
    deployment.patch(
        {"op": "remove", "path": f"/spec/template/metadata/labels/{GATE[0]}"},
        {"op": "replace", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 32},
    )
    deployment.wait_rollout()
    deployment.patch({"op": "replace", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 31})
    deployment.wait_rollout()
    refused = rng.apply()
    assert refused.code == 3, refused
    words = " ".join(refused.err.split())
    assert "would move all pods to the older one" in words
    name = words.partition("delete replicaset ")[2].split()[0]
    rng.kubectl("delete", "replicaset", name)
    pods = deployment.uids()
    assert rng.apply().code == 0
    assert deployment.uids() == pods


def test_templates_need_their_permissions_and_one_less_is_named(rng: Story) -> None:
    grant(rng, "user-2", VERBS, templates=False)
    before = rng.versions()
    refused = rng.apply(user="user-2")
    assert refused.code == 77, refused
    assert "patch replicasets" in refused.err
    assert rng.versions() == before
