"""What is known of a workload while a plan runs: its pause, its strategy, the labels of its pod template.

Patches are applied to just these fields, in the API server's dialect. Pod templates never leave the snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gatekeep.model import patches
from gatekeep.model.errors import PatchRejectedError
from gatekeep.model.objects import Workload, controller_of
from gatekeep.model.patches import Patch
from gatekeep.model.plan import Match, Step, canonical

KINDS = ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet")
ON_DELETE: Mapping[str, Any] = {"type": "OnDelete"}
PAUSED = "/spec/paused"
STRATEGY = "/spec/updateStrategy"
LABELS = "/spec/template/metadata/labels/"
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def is_template_label(path: str) -> bool:
    """``path`` is one label of a pod template."""
    return path.startswith(LABELS) and path.count("/") == LABELS.count("/")


def label_in(path: str) -> str:
    """The key of the template label at ``path``."""
    return patches.tokens_of(path)[-1]


def labels_of(workload: Workload) -> Mapping[str, str]:
    """The labels of its pod template."""
    return workload.spec.template.metadata.labels


def document_of(workload: Workload) -> dict[str, Any]:
    """The fields that a plan may touch, as the API server holds them."""
    spec: dict[str, Any] = {"template": {"metadata": {"labels": dict(labels_of(workload))}}}
    if workload.spec.paused:
        spec["paused"] = True
    if workload.spec.update_strategy is not None:
        spec["updateStrategy"] = dict(workload.spec.update_strategy)
    return {"metadata": {"uid": workload.uid}, "spec": spec}


def value_at(workload: Workload, path: str) -> Any:
    """The field at ``path``, one of those a plan may touch; None when it is absent."""
    if path == PAUSED:
        return True if workload.spec.paused else None
    if path == STRATEGY:
        return None if workload.spec.update_strategy is None else dict(workload.spec.update_strategy)
    return labels_of(workload).get(label_in(path))


def same_strategy(one: object, other: object) -> bool:
    """Equal to the byte: 0 is not false."""
    try:
        return canonical(one) == canonical(other)
    except (OverflowError, RecursionError, TypeError):  # a value, or a depth, that no workload has
        return False


def patched(workload: Workload, patch: Patch) -> Workload:
    """The workload after ``patch``, its generation counted. Raises :class:`PatchRejectedError`."""
    spec = patches.apply(document_of(workload), patch)["spec"]
    found = with_fields(
        workload,
        labels=spec["template"]["metadata"]["labels"],
        paused=spec.get("paused", False),
        strategy=spec.get("updateStrategy"),
    )
    return _counted(found, edited=labels_of(found) != labels_of(workload))


def with_fields(workload: Workload, *, labels: Mapping[str, str], paused: Any, strategy: Any) -> Workload:
    """The workload with these fields. Raises :class:`PatchRejectedError` for values that no workload has."""
    if not isinstance(paused, bool) or not (strategy is None or isinstance(strategy, Mapping)):
        raise PatchRejectedError("a workload cannot have such values")
    meta = msgspec.structs.replace(workload.spec.template.metadata, labels=labels)
    template = msgspec.structs.replace(workload.spec.template, metadata=meta)
    spec = msgspec.structs.replace(workload.spec, template=template, paused=paused, update_strategy=strategy)
    return msgspec.structs.replace(workload, spec=spec)


def with_value(workload: Workload, path: str, value: Any) -> Workload:
    """The workload with another value at ``path``; as it is where that is no field, or value, a plan may touch."""
    labels, spec = labels_of(workload), workload.spec
    if path == PAUSED and value in (None, True):
        return with_fields(workload, labels=labels, paused=value is True, strategy=spec.update_strategy)
    if path == STRATEGY and isinstance(value, dict):
        return with_fields(workload, labels=labels, paused=spec.paused, strategy=value)
    if is_template_label(path) and (value is None or isinstance(value, str)):
        kept = {key: old for key, old in labels.items() if key != label_in(path)}
        wanted = kept if value is None else {**kept, label_in(path): value}
        return with_fields(workload, labels=wanted, paused=spec.paused, strategy=spec.update_strategy)
    return workload


def _counted(workload: Workload, *, edited: bool) -> Workload:
    """Every write of the spec counts the generation; one of a DaemonSet's template that of the template, too."""
    meta, status = workload.metadata, workload.status
    annotations = dict(meta.annotations)
    if edited and annotations.get(_TEMPLATE_GENERATION, "").isdigit():
        annotations[_TEMPLATE_GENERATION] = str(int(annotations[_TEMPLATE_GENERATION]) + 1)
    observed = status.observed_generation + (status.observed_generation >= meta.generation)
    return msgspec.structs.replace(
        workload,
        metadata=msgspec.structs.replace(meta, generation=meta.generation + 1, annotations=annotations),
        status=msgspec.structs.replace(status, observed_generation=observed),
    )


def is_set_step(step: Step) -> bool:
    """The step is for ReplicaSets, and so is its match."""
    return any(change.kind == "ReplicaSet" for change in step.changes)


def set_matches(match: Match, item: Workload) -> bool:
    """A step on ReplicaSets labels this one: it is of that Deployment, and its template differs in the label."""
    gate, owner = match.gate, controller_of(item.metadata)
    return (
        gate is not None
        and item.kind == "ReplicaSet"
        and owner is not None
        and owner.uid in (match.owner_uids or ())
        and item.uid not in match.except_uids
        and labels_of(item).get(gate.key) != gate.value
    )


def with_set_label(item: Workload, match: Match) -> Workload:
    """The ReplicaSet after a step with ``match`` has labelled it without naming it."""
    gate = match.gate
    if gate is None or not (gate.value is None or isinstance(gate.value, str)):
        raise PatchRejectedError("a match of ReplicaSets says which label to put on")
    path, old = patches.template_label(gate.key), labels_of(item).get(gate.key)
    op = patches.Op("remove", path) if gate.value is None else patches.Op("add", path, gate.value)
    return patched(item, (patches.Op("test", path, old), op))
