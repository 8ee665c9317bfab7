"""The gate key in places where it does something else besides: whoever leaves the rotation leaves that, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from gatekeep.model.selectors import matches
from gatekeep.rules.ground import Ground, LocatedGate
from gatekeep.rules.manifests import (
    SELECTING,
    Manifest,
    Scope,
    Template,
    items,
    labels_of,
    map_keys,
    selector_keys,
    selector_of,
    text,
)
from gatekeep.sources.problems import Problem, shown
from gatekeep.sources.tree import Node, at, position

_OTHER_KEY = "choose a key that nothing else selects by, such as gatekeep.dev/NAME (the default)"
_Keys = Iterable[tuple[str, Node]]


class _Use(NamedTuple):
    """A rule, and what follows from the key in that place."""

    rule: str
    effect: str
    hint: str = _OTHER_KEY


_WORKLOAD = _Use("gate-key-in-workload-selector", "a pod pulled out of rotation would be released and replaced")
_SERVICE = _Use(
    "gate-key-in-other-service",
    "the gate would move its pods too",
    "choose another key, or add the Service to spec.services if it is to share the gate",
)
_NETWORK = _Use(
    "gate-key-in-network-policy", "what a pod may reach and who may reach it changes as it leaves the rotation"
)
_BUDGET = _Use("gate-key-in-disruption-budget", "pods out of rotation are not counted, so any of them may be evicted")
_SCHEDULING = _Use("gate-key-in-scheduling", "the scheduler places new pods by those in rotation alone")
_MONITOR = _Use("gate-key-in-pod-monitor", "a pod that leaves the rotation is not measured any more")


def key_problems(grounds: Sequence[Ground]) -> Iterator[Problem]:
    """Every other use of a gate key in the namespace of its gate."""
    for ground in grounds:
        if ground.keys:
            for item in ground.manifests:
                yield from _in_manifest(item, ground)
            for template in ground.templates:
                yield from _used(_scheduling(template), template.manifest, _SCHEDULING, ground.keys)
    yield from _monitors(grounds)


def _in_manifest(item: Manifest, ground: Ground) -> Iterator[Problem]:
    match item.kind:
        case "Service":
            yield from _used(_foreign(item, ground.keys), item, _SERVICE, ground.keys)
        case "ReplicationController":
            yield from _used(map_keys(item.at("spec", "selector")), item, _WORKLOAD, ground.keys)
        case kind if kind in SELECTING:
            yield from _used(selector_keys(item.at("spec", "selector")), item, _WORKLOAD, ground.keys)
        case "NetworkPolicy":
            yield from _used(_network(item), item, _NETWORK, ground.keys)
        case "PodDisruptionBudget":
            yield from _used(selector_keys(item.at("spec", "selector")), item, _BUDGET, ground.keys)


def _used(keys: _Keys, item: Manifest, use: _Use, gates: Mapping[str, LocatedGate]) -> Iterator[Problem]:
    for key, node in keys:
        if (gate := gates.get(key)) is not None:
            owner = f"{gate.ref} at {gate.place('spec', 'gate', 'key')}"
            message = f"{item.ref} selects by {shown(key)}, the key of {owner}: {use.effect}"
            yield Problem(position(node, item.file), message, use.hint, use.rule)


def _foreign(item: Manifest, gates: Mapping[str, LocatedGate]) -> _Keys:
    """What a Service selects by, without the keys of gates that name it."""
    for key, node in map_keys(item.at("spec", "selector")):
        if key in gates and item.name not in gates[key].services:
            yield key, node


def _network(item: Manifest) -> _Keys:
    """Whom it is for, and which pods of its namespace may talk to them."""
    yield from selector_keys(item.at("spec", "podSelector"))
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for rule in items(item.at("spec", direction)):
            for peer in items(at(rule, peers)):
                if at(peer, "namespaceSelector") is None:
                    yield from selector_keys(at(peer, "podSelector"))


def _scheduling(template: Template) -> _Keys:
    spec = template.manifest.at(*template.path, "spec")
    for term in (*items(at(spec, "topologySpreadConstraints")), *_affinity_terms(spec)):
        yield from selector_keys(at(term, "labelSelector"))
        for field in ("matchLabelKeys", "mismatchLabelKeys"):
            yield from ((text(key), key) for key in items(at(term, field)))


def _affinity_terms(spec: Node | None) -> Iterator[Node]:
    for kind in ("podAffinity", "podAntiAffinity"):
        yield from items(at(spec, "affinity", kind, "requiredDuringSchedulingIgnoredDuringExecution"))
        for weighted in items(at(spec, "affinity", kind, "preferredDuringSchedulingIgnoredDuringExecution")):
            term = at(weighted, "podAffinityTerm")
            yield from [term] if term is not None else []


def _monitors(grounds: Sequence[Ground]) -> Iterator[Problem]:
    """Monitors may look into other namespaces than their own."""
    gated = {ground.scope: ground for ground in grounds if ground.gates}
    for ground in grounds:
        for item in ground.by_kind.get("PodMonitor", ()):
            for seen in _seen(item, gated):
                yield from _used(selector_keys(item.at("spec", "selector")), item, _MONITOR, seen.keys)
        for item in ground.by_kind.get("ServiceMonitor", ()):
            for seen in _seen(item, gated):
                yield from _scraped(item, seen)


def _seen(item: Manifest, gated: Mapping[Scope, Ground]) -> Iterable[Ground]:
    chosen = item.at("spec", "namespaceSelector")
    if text(at(chosen, "any")) == "true":
        return gated.values()
    names = [Scope(text(name)) for name in items(at(chosen, "matchNames"))] or [item.scope]
    return [gated[scope] for scope in names if scope in gated]


def _scraped(item: Manifest, ground: Ground) -> Iterator[Problem]:
    selector = selector_of(item.at("spec", "selector"))
    for service in ground.services:
        labels = labels_of(service.manifest.at("metadata", "labels"))
        if service.gate is not None and matches(selector, labels):
            message = f"{item.ref} scrapes {service.manifest.ref}, which {service.gate.ref} gates: pods out of "
            message += "rotation are no endpoints of it, and so are not measured"
            hint = "scrape the pods with a PodMonitor, or an ungated headless Service"
            yield Problem(item.place("spec", "selector"), message, hint, "service-monitor-of-gate")
