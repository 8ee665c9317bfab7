"""Texts in manifests that stand without quotes and are something else to Kubernetes: ``active: yes``."""

from __future__ import annotations

from collections.abc import Iterator

from gatekeep.rules.manifests import known_kind
from gatekeep.sources.problems import Problem, quoted, shown
from gatekeep.sources.repository import LocatedNode
from gatekeep.sources.scalars import readings
from gatekeep.sources.tree import ListNode, MapNode, Node, Scalar, position

_RULE = "unquoted-scalar"
_MAPS = frozenset({"labels", "annotations", "matchLabels", "nodeSelector"})
_LISTS = frozenset({"args", "command", "values"})
_FIELDS = frozenset({"name", "namespace", "value", "key", "image", "serviceName"})
_NUMERIC = frozenset({"HorizontalPodAutoscaler", "ScaledObject"})  # there a value is a quantity


def unquoted(document: LocatedNode) -> Iterator[Problem]:
    """Every scalar in a text position that Kubernetes reads as a boolean or a number; null is read as no text."""
    kind, node = known_kind(document.node), document.node
    whole = kind and kind not in _NUMERIC
    root = node if whole else node.get("metadata")
    for name, scalar, is_key in _texts(root) if root is not None else ():
        yield from _problem(name, scalar, document.file, is_key=is_key)
    selector = node.get("spec")
    if kind in ("Service", "ReplicationController") and isinstance(selector, MapNode):
        for name, scalar, is_key in _map(selector.get("selector")):
            yield from _problem(name, scalar, document.file, is_key=is_key)


def _problem(name: str, scalar: Scalar, file: str, *, is_key: bool) -> Iterator[Problem]:
    """A number as a key becomes the same text; a boolean becomes ``"true"``."""
    if not scalar.plain or not scalar.text:
        return
    reading = readings(scalar.text).kubernetes
    if reading == "boolean" or (reading == "number" and not is_key):
        what = "key" if is_key else shown(name)
        message = f"{what}: {shown(scalar.text)} is a {reading} to Kubernetes"
        message += ", and another key" if is_key else ", and the API server refuses it here"
        yield Problem(position(scalar, file), message, f"write {quoted(scalar.text)}", _RULE)


def _texts(root: Node) -> Iterator[tuple[str, Scalar, bool]]:
    """The scalars that must be texts, each with what it is called and whether it is a key."""
    waiting: list[Node] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ListNode):
            waiting.extend(reversed(node.items))
        elif isinstance(node, MapNode):
            for key, (_, value) in node.entries.items():
                if key in _MAPS:
                    yield from _map(value)
                elif key in _FIELDS and isinstance(value, Scalar):
                    yield key, value, False
                elif key in _LISTS and isinstance(value, ListNode):
                    yield from ((key, item, False) for item in value.items if isinstance(item, Scalar))
                elif not isinstance(value, Scalar):
                    waiting.append(value)


def _map(node: Node | None) -> Iterator[tuple[str, Scalar, bool]]:
    for key, (key_node, value) in node.entries.items() if isinstance(node, MapNode) else ():
        yield key, key_node, True
        if isinstance(value, Scalar):
            yield key, value, False
