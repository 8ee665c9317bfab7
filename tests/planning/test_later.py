"""What a plan says of later pods: who waits, what an undo brings, a spare label, and what Git has otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from gatekeep.model.plan import Plan
from gatekeep.model.policy import Position
from gatekeep.operations.plan import plan_gates
from tests.builders import ClusterBuilder, cluster
from tests.gates import NAMESPACE, gate, located, snapshot_of

LABELS = {"app": "rng"}


def rng(kind: str = "deployment") -> ClusterBuilder:
    """One workload of a kind behind Service rng."""
    built = cluster(NAMESPACE).nodes(2).service("rng", LABELS)
    if kind == "daemonset":
        return built.daemonset("rng", LABELS)
    return getattr(built, kind)("rng", 2, LABELS)  # type: ignore[no-any-return]


def found(builder: ClusterBuilder, manifests: Any = (), **policy: Any) -> Plan:
    """The plan for a gate that adopts by template unless told otherwise."""
    wanted = gate(**{"adopt": "Template", **policy})
    return plan_gates([located(wanted)], snapshot_of(builder), manifests=manifests)


def messages(plan: Plan, rule: str) -> list[str]:
    """What the findings of one rule say."""
    return [item.message for item in plan.findings if item.rule == rule]


@pytest.mark.parametrize("kind", ["deployment", "daemonset", "statefulset"])
def test_with_templates_nobody_waits(kind: str) -> None:
    assert messages(found(rng(kind)), "later-pods") == []


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ({"adopt": "Reconcile"}, "adopt: Reconcile: pods of Deployment rng that are born later wait"),
        ({"newPods": "Hold"}, "newPods: Hold: pods of Deployment rng that are born later wait"),
        ({"newPods": "Hold", "admit": "All"}, "admit: All lets all of them in"),
    ],
    ids=str,
)
def test_who_waits_is_the_first_finding(policy: dict[str, Any], text: str) -> None:
    plan = found(rng(), **policy)
    assert plan.findings[0].rule == "later-pods"
    assert text in plan.findings[0].message
    assert "A rolling update ends with no pod of it in rotation until then" in plan.findings[0].message


def test_pods_that_no_template_of_today_makes_wait() -> None:
    built = rng().pods("job-1", labels=LABELS, owner=None)
    assert messages(found(built), "later-pods") == []
    job = {"apiVersion": "batch/v1", "kind": "Job",
           "metadata": {"name": "batch", "namespace": NAMESPACE, "uid": "job"}, "spec": {}}  # fmt: skip
    built = rng().object(job).pods("batch-1", labels=LABELS, owner=("Job", "batch"))
    assert "Job batch" in messages(found(built), "later-pods")[0]


@pytest.mark.parametrize(("kind", "count"), [("deployment", 0), ("daemonset", 1), ("statefulset", 1)])
def test_history_that_cannot_be_rewritten_is_said(kind: str, count: int) -> None:
    assert len(messages(found(rng(kind)), "undo-loses-label")) == count


def test_a_spare_label_is_offered_and_one_that_is_taken_is_not() -> None:
    built = cluster(NAMESPACE).service("rng", LABELS).deployment("rng", 2, LABELS)
    assert messages(found(built), "spare-label") == []
    for item in built.document()["items"]:
        if item["kind"] in ("Deployment", "ReplicaSet"):
            labels = {"tier": "back", "team": "yes"}
            built.change(item["kind"], item["metadata"]["name"], spec={"template": {"metadata": {"labels": labels}}})
        if item["kind"] == "Pod":
            built.change("Pod", item["metadata"]["name"], metadata={"labels": {"tier": "back", "team": "yes"}})
    built.service("other", {"app": "other", "team": "yes"})
    (text,) = messages(found(built), "spare-label")
    assert 'gate: {key: "tier", value: "back"}' in text
    assert messages(found(built, label={"key": "tier", "value": "back"}), "spare-label") == []


def test_what_git_has_otherwise_is_said_with_the_patch_that_agrees() -> None:
    document = {"kind": "Deployment", "metadata": {"name": "rng"},
                "spec": {"template": {"metadata": {"labels": {"app": "rng"}}}}}  # fmt: skip
    plan = found(rng(), [(document, Position("k8s/rng.yaml", 7, 1))])
    (finding,) = [item for item in plan.findings if item.rule == "template-in-git"]
    assert (finding.file, finding.line) == ("k8s/rng.yaml", 7)
    assert 'spec: {template: {metadata: {labels: {"active": "yes"}}}}' in finding.message
    document["spec"] = {"template": {"metadata": {"labels": {"app": "rng", "active": "yes"}}}}
    assert messages(found(rng(), [(document, Position("k8s/rng.yaml", 7, 1))]), "template-in-git") == []


def test_marks_on_the_object_tell_of_git_where_no_manifest_lies_here() -> None:
    built = rng().change("Deployment", "rng", metadata={"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}})
    assert len(messages(found(built), "template-in-git")) == 1
    assert messages(found(rng()), "template-in-git") == []
