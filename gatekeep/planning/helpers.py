"""Helper Services: what a shadow or a marker is called and looks like."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from gatekeep.model.objects import Service
from gatekeep.model.record import managed_labels

_NAME_LIMIT = 63


def helper_name(service: str, suffix: str) -> str:
    """``rng-gatekeep-shadow``; long names are cut and told apart by a hash."""
    name = f"{service}-gatekeep-{suffix}"
    if len(name) <= _NAME_LIMIT:
        return name
    digest = hashlib.sha256(service.encode()).hexdigest()[:8]
    return f"{service[: _NAME_LIMIT - len(suffix) - 19]}-{digest}-gatekeep-{suffix}"


def helper_body(service: Service, name: str, selector: Mapping[str, str], gate: str) -> dict[str, Any]:
    """A headless Service that the same endpoint controller resolves exactly as it would resolve ``service``."""
    spec: dict[str, Any] = {"clusterIP": "None", "selector": dict(selector)}
    if service.spec.ports:
        spec["ports"] = [msgspec.to_builtins(port) for port in service.spec.ports]
    if service.spec.ip_families:
        spec["ipFamilies"] = list(service.spec.ip_families)
    if service.spec.ip_family_policy:
        spec["ipFamilyPolicy"] = service.spec.ip_family_policy
    if service.spec.publish_not_ready_addresses:
        spec["publishNotReadyAddresses"] = True
    metadata = {"name": name, "namespace": service.namespace, "labels": managed_labels(gate)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def binding(name: str) -> str:
    """The name under which the uid of a created Service is bound."""
    return f"{name}.uid"
