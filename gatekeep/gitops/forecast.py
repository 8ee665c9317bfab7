"""Who will put a selector back, and how soon: the forecast that is made before the first write.

After gatekeep's own write the previous manager no longer lists ``f:selector`` (the map is atomic), so then the mere
presence of an applying manager counts. The measured behaviour of each tool is in ``docs/design/0004-other-writers.md``.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatekeep.model.objects import ManagedFieldsEntry, Service
from gatekeep.model.plan import Finding

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_FLUX_LABELS = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")
_FLUX_MANAGERS = ("kustomize-controller", "helm-controller", "flux-client-side-apply")
_ARGO_TRACKING = "argocd.argoproj.io/tracking-id"
_ARGO_MANAGERS = ("argocd-controller", "argocd-application-controller")
_ROLLOUTS = "argo-rollouts.argoproj.io/managed-by-rollouts"


def forecast(services: Iterable[Service]) -> tuple[Finding, ...]:
    """One finding for each writer who would put a selector back, or who works on the same field."""
    return tuple(finding for service in services for finding in _forecast(service))


def _forecast(service: Service) -> Iterable[Finding]:
    meta = service.metadata
    if _ROLLOUTS in meta.annotations or "rollouts-pod-template-hash" in (service.spec.selector or {}):
        yield _finding(
            service,
            "Argo Rollouts writes this selector itself, at every promotion. Let one tool gate a Service, not two",
        )
        return
    applier = _applier(meta.managed_fields)
    if any(label in meta.labels for label in _FLUX_LABELS) or applier in _FLUX_MANAGERS:
        yield _finding(
            service,
            "Flux will put the selector back at its next reconcile, up to spec.interval from now, or at once when Git "
            "changes. Add the gate key to the Service in Git after this apply, or add to the Kustomization: "
            f'spec.ignore: [{{paths: ["/spec/selector"], target: {{kind: Service, name: {service.name}}}}}]',
        )
    elif _ARGO_TRACKING in meta.annotations or applier in _ARGO_MANAGERS:
        yield _argo(service, applier)
    elif applier:
        yield _finding(
            service,
            f"field manager {applier} applies this Service server-side: its next apply fails with a conflict, or "
            "with --force-conflicts puts the selector back at once. Add the gate key to the manifest in Git after "
            "this apply",
        )
    elif LAST_APPLIED in meta.annotations:
        yield _finding(
            service,
            "kubectl apply (client-side) keeps the gate key, kubectl replace and apply --server-side "
            "--force-conflicts take it out at once. Add the gate key to the manifest in Git after this apply",
            severity="info",
        )


def _argo(service: Service, applier: str) -> Finding:
    if applier in _ARGO_MANAGERS:
        return _finding(
            service,
            "Argo CD applies this Service server-side: it will put the selector back at its next sync, with selfHeal "
            "within seconds. Add the gate key to the Service in Git after this apply, or to the Application: "
            "ignoreDifferences with jqPathExpressions on the key, and syncOptions RespectIgnoreDifferences=true",
        )
    return _finding(
        service,
        "Argo CD (client-side apply) keeps the gate key and does not show it; a sync with Replace=true or "
        "ServerSideApply=true takes it out. Add the gate key to the Service in Git after this apply",
        severity="info",
    )


def _applier(entries: Iterable[ManagedFieldsEntry]) -> str:
    """Who applies the Service server-side: the owner of the selector first, else any applier of its spec."""
    appliers = [item for item in entries if item.operation == "Apply" and item.manager != "gatekeep"]
    for item in appliers:
        if "f:selector" in item.fields_v1.get("f:spec", {}):
            return item.manager
    return next((item.manager for item in appliers if "f:spec" in item.fields_v1), "")


def _finding(service: Service, message: str, severity: str = "warning") -> Finding:
    return Finding(
        severity="warning" if severity == "warning" else "info",
        rule="will-be-reverted",
        message=message,
        object=str(service.ref),
    )
