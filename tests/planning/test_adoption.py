"""The steps that make later pods carry the label, or lose it, for each kind and from wherever a killed run left off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from gatekeep.model.plan import Adopted, Hold, Step
from gatekeep.model.record import GateName, Record
from gatekeep.planning.courses import gate_course, retire_course
from gatekeep.planning.planner import draft_plan
from gatekeep.planning.task import Wanted
from tests.builders import ClusterBuilder, cluster
from tests.gates import NAMESPACE, gate, record, snapshot_of
from tests.manifests import uid_of

LABELS = {"app": "rng"}
ACTIVE = {"active": "yes"}


def built(kind: str) -> ClusterBuilder:
    """One workload of a kind behind Service rng."""
    made = cluster(NAMESPACE).nodes(2).service("rng", LABELS)
    if kind == "DaemonSet":
        return made.daemonset("rng", LABELS)
    return made.deployment("rng", 2, LABELS) if kind == "Deployment" else made.statefulset("rng", 2, LABELS)


def word(step: Step) -> str:
    """``Patch Deployment +paused``, ``Wait Field observedGeneration``."""
    if step.wait is not None:
        wait: Mapping[str, Any] = msgspec.to_builtins(step.wait)
        return f"Wait {wait['type']} {wait.get('path', '').rpartition('/')[2]}".rstrip()
    kinds = {change.kind for change in step.changes} or {"Pod"}
    signs = {"add": "+", "replace": "=", "remove": "-"}
    edits = {
        signs[op.op] + op.path.rpartition("/")[2] for change in step.changes for op in change.patch if op.op != "test"
    }
    return " ".join([step.action, *sorted(kinds), *sorted(edits)])


def steps(builder: ClusterBuilder, known: Record | None = None, **policy: Any) -> list[str]:
    """The plan in words, up to the shadow."""
    snapshot = snapshot_of(builder)
    task = gate_course(Wanted(policy=gate(**{"adopt": "Template", **policy})), known, snapshot, 300)
    found = [word(step) for step in draft_plan([(task, known)], snapshot).steps]
    return found[: found.index("Create Service")] if "Create Service" in found else found


DEPLOYMENT = [
    "Patch Deployment +paused",
    "Wait Field observedGeneration",
    "Patch ReplicaSet +active",
    "Wait Field observedGeneration",
    "Patch Pod +active",
    "Wait Field fullyLabeledReplicas",
    "Patch Deployment +active -paused",
    "Wait Field observedGeneration",
]
DAEMONSET = [
    "Patch DaemonSet +active =updateStrategy",
    "Wait Revision",
    "Patch Pod +active",
    "Patch Pod =controller-revision-hash",
    "Wait Field updatedNumberScheduled",
    "Patch DaemonSet =updateStrategy",
]
STATEFULSET = [item.replace("DaemonSet", "StatefulSet").replace("NumberScheduled", "Replicas") for item in DAEMONSET]
WANTED = {"Deployment": DEPLOYMENT, "DaemonSet": DAEMONSET, "StatefulSet": STATEFULSET}


@pytest.mark.parametrize("kind", WANTED)
def test_each_kind_has_its_sequence(kind: str) -> None:
    assert steps(built(kind)) == WANTED[kind]


def test_a_strategy_that_is_on_delete_by_choice_is_neither_held_nor_given_back() -> None:
    made = built("DaemonSet").change("DaemonSet", "rng", spec={"updateStrategy": {"type": "OnDelete"}})
    assert steps(made) == [
        "Patch DaemonSet +active",
        "Wait Revision",
        "Patch Pod +active",
        "Patch Pod =controller-revision-hash",
    ]


def test_what_needs_nothing_gets_nothing() -> None:
    made = built("Deployment")
    for item in made.document()["items"]:
        if item["kind"] in ("Deployment", "ReplicaSet"):
            made.change(item["kind"], item["metadata"]["name"], spec={"template": {"metadata": {"labels": ACTIVE}}})
    assert steps(made) == ["Patch Pod +active"]


def killed(kind: str, strategy: Mapping[str, Any] | None = None) -> Record:
    """The record of a run that was killed while the workload was held still."""
    policy = gate(adopt="Template")
    uid = uid_of(kind, NAMESPACE, "rng")
    adopted = Adopted(kind=kind, name="rng", uid=uid, key="active", value="yes")
    hold = Hold(kind=kind, name="rng", uid=uid, strategy=strategy)
    return msgspec.structs.replace(record(policy, outcome="running"), adopted=(adopted,), holds=(hold,))


def test_a_killed_run_is_gone_on_from_where_a_deployment_stands() -> None:
    paused = built("Deployment").change("Deployment", "rng", spec={"paused": True})
    found = whole_plan(paused, killed("Deployment"))
    assert [item for item in found if "Deployment" in item] == ["Patch Deployment +active -paused"]
    assert "Patch ReplicaSet +active" in found


def test_a_killed_run_is_gone_on_from_where_a_daemonset_stands() -> None:
    original = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}}
    held = built("DaemonSet").change(
        "DaemonSet", "rng", spec={"updateStrategy": {"type": "OnDelete"}, "template": {"metadata": {"labels": ACTIVE}}}
    )
    snapshot = snapshot_of(held)
    known = killed("DaemonSet", original)
    task = gate_course(Wanted(policy=gate(adopt="Template")), known, snapshot, 300)
    plan = draft_plan([(task, known)], snapshot)
    patches = [change for step in plan.steps for change in step.changes if change.kind == "DaemonSet"]
    assert [op.value for op in patches[-1].patch if op.op == "replace"] == [original]
    assert len(patches) == 1
    assert plan.gates[0].holds[0].strategy == original


def whole_plan(builder: ClusterBuilder, known: Record) -> list[str]:
    """The whole plan in words."""
    snapshot = snapshot_of(builder)
    task = gate_course(Wanted(policy=gate(adopt="Template")), known, snapshot, 300)
    return [word(step) for step in draft_plan([(task, known)], snapshot).steps]


@pytest.mark.parametrize("kind", WANTED)
def test_retiring_takes_the_label_off_templates_before_pods(kind: str) -> None:
    labelled = {"template": {"metadata": {"labels": ACTIVE}}}
    made = built(kind)
    for item in made.document()["items"]:
        if item["kind"] in (kind, "ReplicaSet"):
            made.change(item["kind"], item["metadata"]["name"], spec=labelled)
        if item["kind"] == "Pod":
            made.change("Pod", item["metadata"]["name"], metadata={"labels": ACTIVE})
    made.change("Service", "rng", spec={"selector": ACTIVE})
    policy = gate(adopt="Template")
    adopted = Adopted(kind=kind, name="rng", uid=uid_of(kind, NAMESPACE, "rng"), key="active", value="yes")
    known = msgspec.structs.replace(record(policy), adopted=(adopted,))
    snapshot = snapshot_of(made)
    task = retire_course(GateName(NAMESPACE, "rng"), known, snapshot, 300)
    found = [word(step) for step in draft_plan([(task, known)], snapshot).steps]
    off = found.index("Patch Pod -active")
    assert found.index("Patch Service -active") < min(
        number for number, item in enumerate(found) if item.startswith(f"Patch {kind}")
    )
    assert max(number for number, item in enumerate(found) if item.startswith(f"Patch {kind}")) < off


def test_a_label_that_templates_gave_before_the_gate_stays_on_retiring() -> None:
    labelled = {"template": {"metadata": {"labels": ACTIVE}}}
    made = (
        built("DaemonSet").change("DaemonSet", "rng", spec=labelled).change("Service", "rng", spec={"selector": ACTIVE})
    )
    for item in made.document()["items"]:
        if item["kind"] == "Pod":
            made.change("Pod", item["metadata"]["name"], metadata={"labels": ACTIVE})
    known = record(gate(adopt="Template"))
    snapshot = snapshot_of(made)
    task = retire_course(GateName(NAMESPACE, "rng"), known, snapshot, 300)
    found = [word(step) for step in draft_plan([(task, known)], snapshot).steps]
    assert not [item for item in found if "DaemonSet" in item or "Pod" in item]


def test_no_template_and_no_env_stands_in_a_plan() -> None:
    made = built("Deployment")
    for item in made.document()["items"]:
        if item["kind"] in ("Deployment", "ReplicaSet"):
            secret = {"containers": [{"name": "rng", "env": [{"name": "TOKEN", "value": "hush"}]}]}
            made.change(item["kind"], item["metadata"]["name"], spec={"template": {"spec": secret}})
    snapshot = snapshot_of(made)
    task = gate_course(Wanted(policy=gate(adopt="Template")), None, snapshot, 300)
    assert b"hush" not in msgspec.json.encode(draft_plan([(task, None)], snapshot).steps)


def test_admission_brings_policies_and_retiring_takes_them_away() -> None:
    made = built("Deployment")
    found = steps(made, adopt="Admission")
    assert found == [
        "Create MutatingAdmissionPolicy",
        "Create MutatingAdmissionPolicyBinding",
        "Wait Admission",
        "Wait Duration",
        "Patch Pod +active",
    ]
