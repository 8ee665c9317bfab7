"""Who will put a selector back, and how soon: the forecast that is made before the first write.

After gatekeep's own write the previous manager no longer lists ``f:selector`` (the map is atomic), so then the mere
presence of an applying manager counts. The measured behaviour of each tool is in ``docs/design/0004-other-writers.md``.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatekeep.model.objects import ManagedFieldsEntry, OwnedMeta, Service
from gatekeep.model.plan import Finding

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_FLUX_LABELS = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")
_FLUX_MANAGERS = ("kustomize-controller", "helm-controller", "flux-client-side-apply")
_ARGO_TRACKING = "argocd.argoproj.io/tracking-id"
_ARGO_MANAGERS = ("argocd-controller", "argocd-application-controller")
_ROLLOUTS = "argo-rollouts.argoproj.io/managed-by-rollouts"


def forecast(services: Iterable[Service], *, retiring: bool = False) -> tuple[Finding, ...]:
    """One finding for each writer who would put a selector back, or who works on the same field.

    ``retiring`` says that the gate is taken off: then it is Git that may bring it back, on pods without the label.
    """
    return tuple(finding for service in services for finding in _forecast(service, retiring=retiring))


def _forecast(service: Service, *, retiring: bool) -> Iterable[Finding]:
    meta = service.metadata
    if _ROLLOUTS in meta.annotations or "rollouts-pod-template-hash" in (service.spec.selector or {}):
        yield _finding(
            service,
            "Argo Rollouts writes this selector itself, at every promotion. Let one tool gate a Service, not two",
        )
        return
    applier = _applier(meta.managed_fields)
    writer, soon, certain = _writer_of(meta, applier)
    if not writer:
        return
    if retiring:
        yield _finding(
            service,
            f"if the manifest in Git carries the gate key, take it out first: {writer} would put it back {soon}, when "
            "no pod carries the label any more, and the Service would have no endpoint",
        )
    elif certain:
        yield _finding(service, f"{writer} will put the selector back {soon}. {_remedy(service, writer)}")
    else:
        yield Finding(
            severity="info",
            rule="other-writer",
            object=str(service.ref),
            message=f"{writer} keeps the gate key as it is; a forced server-side apply or a replace takes it out at "
            f"once. {_IN_GIT}",
        )


def writer_of(meta: OwnedMeta) -> str:
    """Who applies the object, by the marks on it; empty where none tells."""
    return _writer_of(meta, _applier(meta.managed_fields))[0]


_IN_GIT = "Add the gate key to the Service in Git after this apply"


def _writer_of(meta: OwnedMeta, applier: str) -> tuple[str, str, bool]:
    """Who applies the object, how soon its next write is, and whether it is certain to wipe a selector's key."""
    if any(label in meta.labels for label in _FLUX_LABELS) or applier in _FLUX_MANAGERS:
        return "Flux", "at its next reconcile, up to spec.interval from now, or at once when Git changes", True
    if applier in _ARGO_MANAGERS:
        return "Argo CD (server-side apply)", "at its next sync, with selfHeal within seconds", True
    if _ARGO_TRACKING in meta.annotations:
        return "Argo CD (client-side apply)", "at its next sync", False
    if applier:
        return f"field manager {applier}", "at its next apply with --force-conflicts (without, that apply fails)", True
    if LAST_APPLIED in meta.annotations:
        return "kubectl apply (client-side)", "at the next kubectl apply", False
    return "", "", False


def _remedy(service: Service, writer: str) -> str:
    if writer == "Flux":
        ignore = f'spec.ignore: [{{paths: ["/spec/selector"], target: {{kind: Service, name: {service.name}}}}}]'
        return f"{_IN_GIT}, or add to the Kustomization (later selector changes in Git are ignored then too): {ignore}"
    if writer.startswith("Argo CD"):
        rules = "ignoreDifferences with jqPathExpressions on the key, and syncOptions RespectIgnoreDifferences=true"
        return f"{_IN_GIT}, or to the Application: {rules}"
    return _IN_GIT


def _applier(entries: Iterable[ManagedFieldsEntry]) -> str:
    """Who applies the Service server-side: the owner of the selector first, else any applier of its spec."""
    appliers = [item for item in entries if item.operation == "Apply" and item.manager != "gatekeep"]
    for item in appliers:
        if "f:selector" in item.fields_v1.get("f:spec", {}):
            return item.manager
    return next((item.manager for item in appliers if "f:spec" in item.fields_v1), "")


def _finding(service: Service, message: str) -> Finding:
    return Finding(severity="warning", rule="will-be-reverted", message=message, object=str(service.ref))
