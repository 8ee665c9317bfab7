"""Pod templates: when two are the same one, and the hash that names what was made of them.

https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/deployment/util/deployment_util.go (EqualIgnoreHash)
and https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/controller_utils.go (ComputeHash).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from gatekeep.cluster.embedded.store import GENERATED, Object, Stored

TEMPLATE_HASH = "pod-template-hash"
HASH_LENGTH = 10


def template_of(workload: Stored) -> Object:
    """The pod template of a workload; empty when it has none."""
    found: Object = workload.data["spec"].get("template") or {}
    return found


def template_labels(template: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels that the template puts on pods."""
    found: Mapping[str, str] = (template.get("metadata") or {}).get("labels") or {}
    return found


def with_label(template: Object, key: str, value: str) -> Object:
    """The template with one more label."""
    labels = {**template_labels(template), key: value}
    return {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}}


def same_template(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Equal but for the label ``pod-template-hash``."""
    return _bare(one) == _bare(other)


def template_hash(template: Mapping[str, Any], collisions: int | None) -> str:
    """Letters that depend on the template and on how many collisions there were; not the ones that Go computes."""
    seed = msgspec.json.encode([template, collisions], order="deterministic")
    return "".join(GENERATED[byte % len(GENERATED)] for byte in hashlib.sha256(seed).digest()[:HASH_LENGTH])


def replicas_of(workload: Stored) -> int:
    """``spec.replicas``; 1 where it is not set."""
    found = workload.data["spec"].get("replicas")
    return 1 if found is None else int(found)


def status_of(workload: Stored, field: str) -> int:
    """A number in the status; 0 where it is not set."""
    return int((workload.data.get("status") or {}).get(field) or 0)


def annotation(stored: Stored, key: str) -> str | None:
    """The value of an annotation, or None."""
    found: str | None = (stored.meta.get("annotations") or {}).get(key)
    return found


def annotated_number(stored: Stored, key: str) -> int | None:
    """The number in an annotation; None where there is none."""
    found = annotation(stored, key)
    return int(found) if found is not None and found.isdigit() else None


def share(value: object, total: int, *, up: bool) -> int:
    """An IntOrString of ``total``: ``3``, or ``"25%"`` rounded up or down."""
    if isinstance(value, str) and value.endswith("%"):
        part = int(value[:-1]) * total
        return -(-part // 100) if up else part // 100
    return int(str(value))


def _bare(template: Mapping[str, Any]) -> Object:
    labels = {key: value for key, value in template_labels(template).items() if key != TEMPLATE_HASH}
    metadata = {key: value for key, value in (template.get("metadata") or {}).items() if key != "labels" and value}
    return {**template, "metadata": {**metadata, "labels": labels}}
