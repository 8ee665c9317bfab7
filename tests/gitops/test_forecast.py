"""Who will put a selector back: the table measured with real tools (facts 4, peers-measured 2).

Aspects: kubectl · server-side apply by anybody · Flux · Argo CD in both modes · Argo Rollouts · nobody, or only
gatekeep · where the forecast stands.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gatekeep.gitops.forecast import LAST_APPLIED, forecast
from gatekeep.model.objects import Service
from tests.builders import dockercoins
from tests.gates import gate, plan, rules, snapshot_of

TRACKING = "argocd.argoproj.io/tracking-id"


def service(manager: str = "", *, operation: str = "Apply", spec: dict[str, Any] | None = None,
            labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None) -> Service:  # fmt: skip
    """A Service that somebody manages."""
    fields = {"f:spec": {"f:selector": {}} if spec is None else spec}
    entry = {"manager": manager, "operation": operation, "fieldsV1": fields}
    meta = {"name": "rng", "namespace": "d", "labels": labels or {}, "annotations": annotations or {},
            "managedFields": [entry] if manager else []}  # fmt: skip
    return msgspec.convert({"metadata": meta, "spec": {"selector": {"app": "rng"}}}, Service)


@pytest.mark.parametrize(
    ("item", "severity", "text"),
    [
        (service(annotations={LAST_APPLIED: "{}"}), "info", "kubectl apply (client-side) keeps the gate key"),
        (service("kubectl"), "warning", "field manager kubectl will put the selector back at its next apply"),
        (service("kustomize-controller"), "warning", "Flux will put the selector back at its next reconcile"),
        (service(labels={"kustomize.toolkit.fluxcd.io/name": "x"}), "warning", "Flux will put the selector back"),
        (service(labels={"helm.toolkit.fluxcd.io/name": "x"}), "warning", "Flux will put the selector back"),
        (service("flux-client-side-apply"), "warning", "Flux will put the selector back"),
        (service("argocd-controller"), "warning", "Argo CD (server-side apply) will put the selector back"),
        (service("argocd-controller", annotations={TRACKING: "x"}), "warning", "RespectIgnoreDifferences=true"),
        (service(annotations={TRACKING: "x"}), "info", "Argo CD (client-side apply) keeps the gate key"),
        (service(annotations={TRACKING: "x", LAST_APPLIED: "{}"}), "info", "Argo CD (client-side apply)"),
        (
            service("kustomize-controller", annotations={"argo-rollouts.argoproj.io/managed-by-rollouts": "r"}),
            "warning",
            "Let one tool gate a Service, not two",
        ),
        (service("kubectl", spec={"f:ports": {}}), "warning", "field manager kubectl will put"),
    ],
)
def test_who_puts_it_back(item: Service, severity: str, text: str) -> None:
    (finding,) = forecast([item])
    assert text in finding.message
    rule = {"warning": "will-be-reverted", "info": "other-writer"}[severity]
    assert (finding.severity, finding.rule, finding.object) == (severity, rule, "Service d/rng")


@pytest.mark.parametrize(
    "item", [service("kubectl"), service(annotations={LAST_APPLIED: "{}"}), service("argocd-controller")]
)
def test_on_retiring_git_goes_first(item: Service) -> None:
    (finding,) = forecast([item], retiring=True)
    assert finding.severity == "warning"
    assert "carries the gate key, take it out first" in finding.message
    assert "Add the gate key" not in finding.message


@pytest.mark.parametrize(
    "item",
    [service(), service("gatekeep"), service("kubectl-edit", operation="Update"), service("kube-controller-manager",
     operation="Update")],
)  # fmt: skip
def test_nobody_does(item: Service) -> None:
    assert forecast([item]) == ()


def test_a_rollout_in_the_selector() -> None:
    item = service()
    spec = msgspec.structs.replace(item.spec, selector={"app": "rng", "rollouts-pod-template-hash": "x"})
    (finding,) = forecast([msgspec.structs.replace(item, spec=spec)])
    assert "Argo Rollouts writes this selector itself" in finding.message


def test_the_owner_of_the_selector_comes_before_other_appliers() -> None:
    mine, other = service("kubectl", spec={"f:ports": {}}), service("argocd-controller")
    meta = msgspec.structs.replace(
        mine.metadata, managed_fields=(*mine.metadata.managed_fields, *other.metadata.managed_fields)
    )
    (finding,) = forecast([msgspec.structs.replace(mine, metadata=meta)])
    assert "Argo CD (server-side apply)" in finding.message


def test_the_forecast_stands_in_a_plan_that_writes() -> None:
    builder = dockercoins().change("Service", "rng", metadata={"annotations": {LAST_APPLIED: "{}"}})
    assert "other-writer" in rules(plan(snapshot_of(builder), gate()))
