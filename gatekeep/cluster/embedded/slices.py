"""What the endpoint controller writes: a pure twin of ``k8s.io/endpointslice``'s reconciler.

https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/endpointslice/reconciler.go. Where the original
walks a Go map, and so in no particular order, this one asks a seeded random.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import msgspec

from gatekeep.cluster.embedded.entries import (
    EndpointKey,
    PortKey,
    address_types,
    endpoint_key,
    endpoint_of,
    new_slice,
    owned_by,
    port_key,
    ports_of,
    slice_labels,
    with_null,
)
from gatekeep.cluster.embedded.store import Object
from gatekeep.model.endpoints import SLICE_CAPACITY, published
from gatekeep.model.objects import Pod, Service


class SliceWrite(NamedTuple):
    """One write of one EndpointSlice. A slice to create has no name yet."""

    verb: Literal["create", "update", "delete"]
    slice: Object


class Backends(NamedTuple):
    """Who may stand behind a Service: its pods, and for each known Node its zone (maybe empty)."""

    pods: Sequence[Pod]
    zones: Mapping[str, str]


@dataclass
class _Writes:
    create: list[Object] = field(default_factory=list)
    update: list[Object] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)


def reconcile(
    service: Service, backends: Backends, existing: Iterable[Object], rng: random.Random
) -> tuple[SliceWrite, ...]:
    """The writes, in order, that make the ``existing`` slices of ``service`` list its ``backends``."""
    families = address_types(service)
    by_family: dict[str, list[Object]] = {family: [] for family in families}
    stale: list[SliceWrite] = []
    for item in existing:
        if item["addressType"] in by_family:
            by_family[item["addressType"]].append(item)
        else:
            stale.append(SliceWrite("delete", item))
    writes: list[SliceWrite] = []
    for family in _shuffled(families, rng):
        writes += _reconcile_family(service, backends, by_family[family], family, rng)
    return (*writes, *stale)


def _reconcile_family(
    service: Service, backends: Backends, existing: list[Object], family: str, rng: random.Random
) -> list[SliceWrite]:
    writes = _Writes()
    by_ports: dict[PortKey, list[Object]] = {}
    for item in existing:
        if owned_by(item, service):
            by_ports.setdefault(port_key(item["ports"]), []).append(item)
        else:
            writes.delete.append(item)
    wanted, ports = _desired(service, backends, family)
    for key in _shuffled(wanted, rng):
        blank = new_slice(service, family, ports[key])
        _reconcile_ports(service, by_ports.get(key, []), wanted[key], blank, writes, rng)
    for key, items in by_ports.items():
        if key not in wanted:
            writes.delete += items
    _keep_placeholder(service, family, existing, writes)
    return _finalized(service, writes)


def _desired(
    service: Service, backends: Backends, family: str
) -> tuple[dict[PortKey, dict[EndpointKey, Object]], dict[PortKey, list[Object]]]:
    """The endpoints that should be listed, and the ports of their slices, both grouped by those ports."""
    wanted: dict[PortKey, dict[EndpointKey, Object]] = {}
    ports: dict[PortKey, list[Object]] = {}
    one_family = msgspec.structs.replace(service, spec=msgspec.structs.replace(service.spec, ip_families=()))
    named = any(isinstance(port.target_port, str) for port in service.spec.ports)
    found: list[Object] | None = None
    for pod in backends.pods:
        conditions = published(pod, one_family)
        if conditions is None:
            continue
        if found is None or named:
            found = ports_of(service, pod)
            key = port_key(found)
        group = wanted.setdefault(key, {})
        ports[key] = found
        if pod.spec.node_name in backends.zones or service.spec.publish_not_ready_addresses:
            endpoint = endpoint_of(pod, conditions, family, backends.zones.get(pod.spec.node_name, ""))
            if endpoint["addresses"]:
                group[endpoint_key(endpoint)] = endpoint
    return wanted, ports


def _reconcile_ports(
    service: Service,
    existing: Iterable[Object],
    wanted: Mapping[EndpointKey, Object],
    blank: Object,
    writes: _Writes,
    rng: random.Random,
) -> None:
    """``reconcileByPortMapping``: keep what is listed, fill slices that change anyway, then others, then new ones."""
    left = dict(wanted)
    unchanged: list[Object] = []
    changed: list[Object] = []
    for item in existing:
        verdict, new = _kept(service, item, left)
        {"keep": unchanged, "update": changed, "delete": writes.delete}[verdict].append(new)
    added = _shuffled(left.values(), rng)
    for item in sorted(changed, key=lambda item: -len(item["endpoints"])):
        _fill(item, added)
    while added:
        target = _slice_to_fill(unchanged, len(added))
        if target is None:
            item = {**blank, "endpoints": []}
            writes.create.append(item)
        else:
            unchanged.remove(target)
            item = {**target, "endpoints": list(target["endpoints"] or ())}
            changed.append(item)
        _fill(item, added)
    writes.update += _shuffled(changed, rng)
    rng.shuffle(writes.delete)


def _kept(service: Service, item: Object, left: dict[EndpointKey, Object]) -> tuple[str, Object]:
    """What becomes of a slice, and the slice with the endpoints that stay; those are taken out of ``left``."""
    listed = item["endpoints"] or []
    kept = [left.pop(key) for key in map(endpoint_key, listed) if key in left]
    labels = slice_labels(service)
    same = kept == [_without_hints(endpoint) for endpoint in listed]
    if same and labels == (item["metadata"].get("labels") or {}):
        return "keep", item
    if not kept and listed:
        return "delete", item
    return "update", {**item, "metadata": {**item["metadata"], "labels": labels}, "endpoints": kept}


def _without_hints(endpoint: Object) -> Object:
    return {key: value for key, value in endpoint.items() if key != "hints"} if "hints" in endpoint else endpoint


def _slice_to_fill(slices: Iterable[Object], count: int) -> Object | None:
    """The slice that is closest to full once it holds ``count`` more endpoints; None when none can (getSliceToFill)."""
    if count >= SLICE_CAPACITY:
        return None
    room = [(SLICE_CAPACITY - count - len(item["endpoints"] or ()), item) for item in slices]
    fitting = [(left, item) for left, item in room if 0 <= left < SLICE_CAPACITY]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _fill(item: Object, added: list[Object]) -> None:
    while added and len(item["endpoints"]) < SLICE_CAPACITY:
        item["endpoints"].append(added.pop())


def _keep_placeholder(service: Service, family: str, existing: Sequence[Object], writes: _Writes) -> None:
    """A Service that nothing stands behind has one empty slice."""
    if len(existing) != len(writes.delete) or writes.create:
        return
    placeholder = new_slice(service, family, [])
    if len(writes.delete) == 1:
        only = writes.delete[0]
        same = not only["endpoints"] and not only["ports"] and owned_by(only, service)
        if same and only["metadata"].get("labels") == placeholder["metadata"]["labels"]:
            writes.delete.clear()
            return
    writes.create.append(placeholder)


def _finalized(service: Service, writes: _Writes) -> list[SliceWrite]:
    """Creates, updates, deletes, in that order; a slice to delete is reused for one to create (``finalize``)."""
    deletes: list[Object] = []
    for item in writes.delete:
        if writes.create and owned_by(item, service):
            new = writes.create.pop()
            writes.update.append({**new, "metadata": {**item["metadata"], "labels": new["metadata"]["labels"]}})
        else:
            deletes.append(item)
    return [
        *(SliceWrite("create", with_null(item)) for item in writes.create),
        *(SliceWrite("update", with_null(item)) for item in writes.update),
        *(SliceWrite("delete", item) for item in deletes),
    ]


def _shuffled(items: Iterable[Any], rng: random.Random) -> list[Any]:
    found = list(items)
    rng.shuffle(found)
    return found
