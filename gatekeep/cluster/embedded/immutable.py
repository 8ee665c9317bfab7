"""What an update may not change.

https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/apps/validation/validation.go (ValidateStatefulSetUpdate,
ValidateControllerRevisionUpdate and their siblings) and
https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/batch/validation/validation.go (ValidateJobSpecUpdate).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatekeep.cluster.embedded.store import WORKLOADS

IMMUTABLE = "field is immutable"

_STATEFUL_SET_MAY_CHANGE = frozenset({
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
})  # fmt: skip

Problem = tuple[str, str]
"""The field, and what is wrong with it."""


def immutable_problem(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Problem | None:
    """The first field that changed and must not; None where there is none."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if kind in (*WORKLOADS, "Job") and before.get("selector") != after.get("selector"):
        return "spec.selector", IMMUTABLE
    if kind == "Job" and before.get("template") != after.get("template"):
        return "spec.template", IMMUTABLE
    if kind == "ControllerRevision" and old.get("data") != new.get("data"):
        return "data", IMMUTABLE
    if kind == "StatefulSet" and _fixed_part(before) != _fixed_part(after):
        allowed = ", ".join(sorted(_STATEFUL_SET_MAY_CHANGE))
        return "spec", f"Forbidden: updates to statefulset spec for fields other than {allowed} are forbidden"
    if kind == "Pod" and _without_images(before) != _without_images(after):
        return "spec", "Forbidden: pod updates may not change fields other than the containers' images"
    return None


def _fixed_part(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if key not in _STATEFUL_SET_MAY_CHANGE}


def _without_images(spec: Mapping[str, Any]) -> dict[str, Any]:
    containers = [{**item, "image": ""} for item in spec.get("containers") or ()]
    return {**spec, "containers": containers}
