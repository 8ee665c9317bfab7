"""What Git, and who applies it, does to a pod template that gatekeep changes; and the change in Git that agrees.

A label in a template is a field of its own: whoever applies a manifest without it leaves it alone, client-side or
server-side. A replace writes the whole object, and a manager that owns the key writes it again. What each tool does:
``docs/design/0004-other-writers.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from gatekeep.gitops.forecast import writer_of
from gatekeep.model.objects import Workload
from gatekeep.model.plan import Finding
from gatekeep.model.policy import Position


class TemplateChange(NamedTuple):
    """A workload whose pod template the plan brings to ``key`` = ``value``; None takes the label off."""

    workload: Workload
    key: str
    value: str | None


class GitTemplate(NamedTuple):
    """The labels that a manifest gives to a workload's pods, and where it stands."""

    labels: Mapping[str, Any]
    position: Position


Manifests = Iterable[tuple[Mapping[str, Any], Position]]
"""Plain manifests as Git has them; only their kind is known to be right."""


def forecast_templates(changes: Iterable[TemplateChange], manifests: Manifests) -> tuple[Finding, ...]:
    """One finding for each template that Git has otherwise, as far as a manifest or a mark on the object tells."""
    known = _git_templates(manifests)
    found = []
    for change in changes:
        meta = change.workload.metadata
        places = ((change.workload.kind, namespace, meta.name) for namespace in (meta.namespace, ""))
        manifest = next((known[place] for place in places if place in known), None)
        finding = _taking_off(change, manifest) if change.value is None else _putting_on(change, manifest)
        found.extend([finding] if finding is not None else [])
    return tuple(found)


def _git_templates(manifests: Manifests) -> dict[tuple[str, str, str], GitTemplate]:
    """By kind, namespace (empty where the manifest leaves it to kustomize) and name."""
    found = {}
    for document, position in manifests:
        meta = _map(document, "metadata")
        labels = _map(document, "spec", "template", "metadata", "labels")
        place = (str(document.get("kind")), str(meta.get("namespace") or ""), str(meta.get("name")))
        if _map(document, "spec", "template"):
            found[place] = GitTemplate(labels, position)
    return found


def _map(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    found: Any = document
    for part in path:
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _putting_on(change: TemplateChange, manifest: GitTemplate | None) -> Finding | None:
    if manifest is not None and manifest.labels.get(change.key) == change.value:
        return None
    writer = writer_of(change.workload.metadata)
    if manifest is None and not writer:
        return None
    where = "the manifest in Git" if manifest is None else "this manifest"
    message = (
        f"{where} has no {change.key}={change.value} in the template of {change.workload.ref}. An apply, client-side "
        "or server-side, leaves the label alone; a replace (kubectl replace, Argo CD with Replace=true) takes it out, "
        f"and restarts every pod without it. Agree in Git after this apply: {_git_patch(change)}"
    )
    return Finding(
        severity="info", rule="template-in-git", message=message, object=str(change.workload.ref),
        file=manifest.position.file if manifest else "", line=manifest.position.line if manifest else 0,
    )  # fmt: skip


def _taking_off(change: TemplateChange, manifest: GitTemplate | None) -> Finding | None:
    """Whoever gives the label too puts it back, and that restarts every pod."""
    owner = _owner_of_label(change)
    if owner is None and (manifest is None or change.key not in manifest.labels):
        return None
    who = f"field manager {owner}" if owner else "the manifest in Git"
    message = (
        f"{who} gives the label {change.key} to the template of {change.workload.ref} too, and its next apply would "
        "put it back and restart every pod. Take it out of Git first"
    )
    return Finding(
        severity="warning", rule="will-be-reverted", message=message, object=str(change.workload.ref),
        file=manifest.position.file if manifest else "", line=manifest.position.line if manifest else 0,
    )  # fmt: skip


def _owner_of_label(change: TemplateChange) -> str | None:
    for entry in change.workload.metadata.managed_fields:
        fields = _map(entry.fields_v1, "f:spec", "f:template", "f:metadata", "f:labels")
        if f"f:{change.key}" in fields and entry.manager != "gatekeep":
            return entry.manager
    return None


def _git_patch(change: TemplateChange) -> str:
    """Flow-style YAML, every string quoted: a bare ``yes`` is a boolean."""
    label = {change.key: change.value}
    return f"spec: {{template: {{metadata: {{labels: {json.dumps(label)}}}}}}}"
