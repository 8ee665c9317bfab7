"""Manifests as Git has them, leniently: what is of a shape that nobody expects is taken for absent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from gatekeep.model.policy import Position
from gatekeep.model.selectors import LabelSelector
from gatekeep.sources.tree import ListNode, MapNode, Node, Scalar, at, place, plain_data, position

Path = tuple[str | int, ...]

_GROUPS = {
    "": ("Service", "Pod", "ReplicationController"),
    "apps": ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"),
    "batch": ("Job", "CronJob"),
    "networking.k8s.io": ("NetworkPolicy",),
    "policy": ("PodDisruptionBudget",),
    "autoscaling": ("HorizontalPodAutoscaler",),
    "monitoring.coreos.com": ("PodMonitor", "ServiceMonitor"),
    "keda.sh": ("ScaledObject",),
}
_KNOWN = frozenset((group, kind) for group, kinds in _GROUPS.items() for kind in kinds)
SELECTING = frozenset(_GROUPS["apps"])
WORKLOADS = frozenset({"ReplicationController", *_GROUPS["apps"], *_GROUPS["batch"]})


class Scope(NamedTuple):
    """Where names and selectors meet: a namespace, or, for objects without one, the folder they lie in."""

    namespace: str
    folder: str = ""


class Manifest(NamedTuple):
    """An object of a kind that the rules know."""

    kind: str
    name: str
    scope: Scope
    node: MapNode
    file: str

    @property
    def ref(self) -> str:
        """``Kind namespace/name``, without a namespace where the manifest has none."""
        return f"{self.kind} {self.scope.namespace}/{self.name}" if self.scope.namespace else f"{self.kind} {self.name}"

    @property
    def where(self) -> Position:
        """Where it begins."""
        return position(self.node, self.file)

    def at(self, *path: str | int) -> Node | None:
        """The node at ``path``, or None."""
        return at(self.node, *path)

    def place(self, *path: str | int) -> Position:
        """Where the node at ``path`` begins, or what would hold it."""
        return place(self.node, self.file, *path)


class Template(NamedTuple):
    """What a manifest's pods are born with; ``path`` leads to the template, which for a Pod is the object itself."""

    manifest: Manifest
    path: Path
    labels: Mapping[str, str]

    @property
    def own_labels(self) -> Mapping[str, str]:
        """The labels of the object itself, which its pods do not get."""
        return labels_of(self.manifest.at("metadata", "labels"))

    @property
    def shown_path(self) -> str:
        """``spec.template.metadata.labels``, as people write it."""
        return ".".join(str(part) for part in (*self.path, "metadata", "labels"))


def known_kind(node: MapNode) -> str:
    """The kind, when it is one that the rules know; else empty."""
    kind = text(node.get("kind"))
    group, slash, _ = text(node.get("apiVersion")).rpartition("/")
    return kind if (group if slash else "", kind) in _KNOWN else ""


def template_of(manifest: Manifest) -> Template | None:
    """Its pod template; None where it has none, or is a patch that names only a part of one."""
    if manifest.kind == "Pod":
        path: Path = ()
    elif manifest.kind == "CronJob":
        path = ("spec", "jobTemplate", "spec", "template")
    elif manifest.kind in WORKLOADS:
        path = ("spec", "template")
    else:
        return None
    labels = labels_of(manifest.at(*path, "metadata", "labels"))
    if not labels or (manifest.kind in SELECTING and manifest.at("spec", "selector") is None):
        return None
    return Template(manifest, path, labels)


def labels_of(node: Node | None) -> dict[str, str]:
    """A map of texts; a value of another kind counts as it is written, and nothing as empty."""
    if not isinstance(node, MapNode):
        return {}
    return {key: text(value) for key, (_, value) in node.entries.items()}


def selector_of(node: Node | None) -> LabelSelector | None:
    """The label selector that ``node`` is; None where it is none."""
    if not isinstance(node, MapNode):
        return None
    try:
        return msgspec.convert(plain_data(node), LabelSelector)
    except msgspec.ValidationError:
        return None


def selector_keys(node: Node | None) -> Iterator[tuple[str, Node]]:
    """The label keys that a selector looks at, each with its node."""
    labels = at(node, "matchLabels")
    yield from map_keys(labels)
    for term in items(at(node, "matchExpressions")):
        key = at(term, "key")
        if key is not None:
            yield text(key), key


def map_keys(node: Node | None) -> Iterator[tuple[str, Node]]:
    """The keys of a map, each with its node."""
    for key, (key_node, _) in node.entries.items() if isinstance(node, MapNode) else ():
        yield key, key_node


def items(node: Node | None) -> Iterable[Node]:
    """The items of a list; nothing of what is none."""
    return node.items if isinstance(node, ListNode) else ()


def text(node: Node | None) -> str:
    """A scalar as it is written; empty for all else."""
    return node.text if isinstance(node, Scalar) else ""
