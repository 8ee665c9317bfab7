"""URL paths of the API."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from gatekeep.cluster.resources import RESOURCES, Resource


def resource_of(kind: str) -> Resource:
    """Where a kind is served. Raises ValueError for a kind that gatekeep does not know."""
    if kind not in RESOURCES:
        raise ValueError(f"unknown kind {kind!r}")
    return RESOURCES[kind]


def collection(resource: Resource, namespace: str) -> str:
    """The path of a kind's objects, in ``namespace`` or, with none, in all."""
    base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    if resource.namespaced and namespace:
        return f"{base}/namespaces/{_segment(namespace)}/{resource.plural}"
    return f"{base}/{resource.plural}"


def member(resource: Resource, namespace: str, name: str) -> str:
    """The path of one object. Raises ValueError where that would be the path of something else."""
    if resource.namespaced and not namespace:
        raise ValueError(f"{resource.plural} {name!r} needs a namespace")
    return f"{collection(resource, namespace)}/{_segment(name)}"


def query(**parameters: str | int | None) -> str:
    """``?a=b&c=d`` of the parameters that are set, or nothing."""
    found = {key: value for key, value in parameters.items() if value not in (None, "")}
    return f"?{urlencode(found, quote_via=quote)}" if found else ""


def label_selector(labels: Mapping[str, str] | None) -> str:
    """Labels as the API's equality selector, sorted; empty for none."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items()))


def _segment(text: str) -> str:
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} is no object name")
    return quote(text, safe="")
