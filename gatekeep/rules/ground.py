"""Policies and manifests, sorted by the namespace in which they meet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from gatekeep.model.policy import Isolation, Position, TrafficGate
from gatekeep.model.selectors import matches_map
from gatekeep.rules.manifests import (
    WORKLOADS,
    Manifest,
    Scope,
    Template,
    known_kind,
    labels_of,
    template_of,
    text,
)
from gatekeep.sources.repository import LocatedNode, Repository
from gatekeep.sources.tree import MapNode, Node, at, place


class LocatedGate(NamedTuple):
    """A TrafficGate, and where each of its fields stands."""

    policy: TrafficGate
    node: MapNode
    file: str

    def place(self, *path: str | int) -> Position:
        """Where the node at ``path`` begins, or what would hold it."""
        return place(self.node, self.file, *path)

    @property
    def services(self) -> frozenset[str]:
        """Names of the Services whose selector is the policy's: those it gates, and that of a preview."""
        blue_green = self.policy.spec.rotation.blue_green
        preview = [blue_green.preview.service] if blue_green is not None and blue_green.preview is not None else []
        return frozenset([*self.policy.spec.services, *preview])

    @property
    def ref(self) -> str:
        """As messages name it."""
        return f"TrafficGate {self.policy.namespace}/{self.policy.name}"


class LocatedIsolation(NamedTuple):
    """An Isolation, and where each of its fields stands."""

    policy: Isolation
    node: MapNode
    file: str

    def place(self, *path: str | int) -> Position:
        """Where the node at ``path`` begins, or what would hold it."""
        return place(self.node, self.file, *path)


class GitService(NamedTuple):
    """A Service with a selector; ``base`` is that without the label of the ``gate`` that names it."""

    manifest: Manifest
    selector: Mapping[str, str]
    base: Mapping[str, str]
    gate: LocatedGate | None


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What Git says of one namespace."""

    scope: Scope
    gates: Sequence[LocatedGate] = ()
    manifests: Sequence[Manifest] = ()
    by_kind: Mapping[str, Sequence[Manifest]] = field(default_factory=dict)

    @cached_property
    def keys(self) -> Mapping[str, LocatedGate]:
        """The gate keys of the namespace; one key belongs to one gate."""
        return {gate.policy.gate.key: gate for gate in reversed(self.gates)}

    @cached_property
    def workloads(self) -> Sequence[Manifest]:
        """All workloads, patches of them included."""
        return [item for kind in sorted(WORKLOADS) for item in self.by_kind.get(kind, ())]

    @cached_property
    def templates(self) -> Sequence[Template]:
        """Every whole pod template."""
        found = (template_of(item) for item in (*self.workloads, *self.by_kind.get("Pod", ())))
        return [item for item in found if item is not None]

    @cached_property
    def known(self) -> frozenset[tuple[str, str]]:
        """Kind and name of every workload, patches included."""
        return frozenset((item.kind, item.name) for item in self.workloads)

    @cached_property
    def patched(self) -> frozenset[tuple[str, str]]:
        """Those of which there are only patches."""
        return self.known - {(item.manifest.kind, item.manifest.name) for item in self.templates}

    @cached_property
    def by_name(self) -> Mapping[str, Sequence[GitService]]:
        """The Services by their name."""
        found: dict[str, list[GitService]] = {}
        for service in self.services:
            found.setdefault(service.manifest.name, []).append(service)
        return found

    @cached_property
    def services(self) -> Sequence[GitService]:
        """Every Service with a selector."""
        owner = {name: gate for gate in reversed(self.gates) for name in gate.services}
        found = []
        for manifest in self.by_kind.get("Service", ()):
            selector = labels_of(manifest.at("spec", "selector"))
            gate = owner.get(manifest.name)
            key = gate.policy.gate.key if gate is not None else None
            if selector and text(manifest.at("spec", "type")) != "ExternalName":
                base = {name: value for name, value in selector.items() if name != key}
                found.append(GitService(manifest, selector, base, gate))
        return found

    @cached_property
    def behind(self) -> Mapping[str, Sequence[Template]]:
        """By the name of a Service, the templates whose pods it reaches when no gate stands in the way."""
        found: dict[str, list[Template]] = {item.manifest.name: [] for item in self.services}
        for service, template in reached(self.services, [(item, item.labels) for item in self.templates]):
            found[service.manifest.name].append(template)
        return found

    @cached_property
    def replicas(self) -> Mapping[tuple[str, str], int]:
        """How many pods the manifests give a workload at most, by kind and name; only where they say so."""
        found: dict[tuple[str, str], int] = {}
        for item in self.workloads:
            count = number(item.at("spec", "replicas"))
            if count and item.kind not in ("DaemonSet", "Job", "CronJob"):
                found[item.kind, item.name] = max(count, found.get((item.kind, item.name), 0))
        for scaler in (*self.by_kind.get("HorizontalPodAutoscaler", ()), *self.by_kind.get("ScaledObject", ())):
            target = scaler.at("spec", "scaleTargetRef")
            kind = text(at(target, "kind")) or "Deployment"
            most = number(scaler.at("spec", "maxReplicas")) or number(scaler.at("spec", "maxReplicaCount"))
            if most is None:
                found.pop((kind, text(at(target, "name"))), None)
            else:
                found[kind, text(at(target, "name"))] = most
        return found


def number(node: Node | None) -> int | None:
    """A whole number, or None."""
    written = text(node)
    return int(written) if written.isascii() and written.isdigit() and len(written) < 10 else None


def reached(
    services: Iterable[GitService], labelled: Sequence[tuple[Template, Mapping[str, str]]]
) -> Iterable[tuple[GitService, Template]]:
    """Which Service's base matches which labels, in time that grows with the answer and not with the product.

    Each Service is looked for under the one of its labels that the fewest templates have.
    """
    common = Counter(pair for _, labels in labelled for pair in labels.items())
    waiting: dict[tuple[str, str], list[GitService]] = {}
    for service in services:
        if service.base:
            waiting.setdefault(min(service.base.items(), key=lambda pair: (common[pair], pair)), []).append(service)
    for template, labels in labelled:
        for pair in labels.items():
            for service in waiting.get(pair, ()):
                if matches_map(service.base, labels):
                    yield service, template


def survey(repository: Repository) -> Sequence[Ground]:
    """One ground for each namespace, and for each folder of objects without one.

    Objects without a namespace count for that of the policies in their folder, where these are of one alone.
    """
    gates: dict[Scope, list[LocatedGate]] = {}
    nearby: dict[str, set[str]] = {}
    for located, node in zip(repository.policies, repository.nodes, strict=True):
        nearby.setdefault(node.folder, set()).add(located.policy.namespace)
        if isinstance(located.policy, TrafficGate):
            gate = LocatedGate(located.policy, node.node, node.file)
            gates.setdefault(Scope(located.policy.namespace), []).append(gate)
    manifests: dict[Scope, list[Manifest]] = {}
    for other in repository.others:
        if kind := known_kind(other.node):
            item = _manifest(other, kind, nearby.get(other.folder, set()))
            manifests.setdefault(item.scope, []).append(item)
    return [
        Ground(scope=scope, gates=gates.get(scope, ()), manifests=found, by_kind=_by_kind(found))
        for scope in sorted(gates.keys() | manifests.keys())
        for found in [manifests.get(scope, [])]
    ]


def _manifest(other: LocatedNode, kind: str, nearby: set[str]) -> Manifest:
    namespace = text(at(other.node, "metadata", "namespace")) or ("".join(nearby) if len(nearby) == 1 else "")
    scope = Scope(namespace, "" if namespace else other.folder)
    return Manifest(kind, text(at(other.node, "metadata", "name")), scope, other.node, other.file)


def _by_kind(manifests: Iterable[Manifest]) -> Mapping[str, Sequence[Manifest]]:
    found: dict[str, list[Manifest]] = {}
    for item in manifests:
        found.setdefault(item.kind, []).append(item)
    return found


def isolations(repository: Repository) -> Iterable[LocatedIsolation]:
    """The Isolations among the policies."""
    for located, node in zip(repository.policies, repository.nodes, strict=True):
        if isinstance(located.policy, Isolation):
            yield LocatedIsolation(located.policy, node.node, node.file)
