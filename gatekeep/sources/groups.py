"""Groups and label selectors: what the schema cannot say about them.

Label rules are the API server's own, so that a bad key is found in the pull request and not by a refused patch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from gatekeep.model.policy import Gate, Group
from gatekeep.model.selectors import LabelSelector, key_problems, selector_problems, value_problems
from gatekeep.sources.problems import Problem, shown
from gatekeep.sources.tree import MapNode, Node, at, position

_ESSAY = re.compile(r" \(e\.g\. [^()]*regex used for validation is '.*'\)")
_LABEL_HINT = "a label value has at most 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends"
_KEY_HINT = "write the key as NAME or DOMAIN/NAME"


def gate_problems(gate: Gate, node: Node | None, file: str) -> Iterator[Problem]:
    """What keeps ``gate`` from being a label."""
    if (key := at(node, "key")) is not None:
        for problem in key_problems(gate.key):
            yield Problem(position(key, file), f"gate key {shown(gate.key)}: {_brief(problem)}", _KEY_HINT)
    if (value := at(node, "value")) is None:
        return
    if not gate.value:
        message = "gate value: it is empty, which tools that write null for empty text take for a missing label"
        yield Problem(position(value, file), message, "write a word such as open")
    for problem in value_problems(gate.value):
        yield Problem(position(value, file), f"gate value {shown(gate.value)}: {_brief(problem)}", _LABEL_HINT)


def group_problems(group: Group, node: Node | None, file: str, name: str) -> Iterator[Problem]:
    """What is wrong with ``group``, which messages call ``name``, and with the groups in it."""
    if not isinstance(node, MapNode):
        return
    place = position(node, file)
    if (group.any_of is not None or group.except_ is not None) and (group.owners or group.selector is not None):
        message = f"{name}: a group is owners and selector, or anyOf and except, not both"
        yield Problem(place, message, "move owners and selector into a group below anyOf")
    for key, groups in (("owners", group.owners), ("anyOf", group.any_of), ("except", group.except_)):
        if groups == ():
            hint = f"leave {key} out, or name at least one"
            yield Problem(position(node.entries[key][1], file), f"{name}: {key} is an empty list", hint)
    if group.selector is not None:
        yield from label_selector_problems(group.selector, node.get("selector"), file)
    for key, groups in (("anyOf", group.any_of), ("except", group.except_)):
        for index, part in enumerate(groups or ()):
            yield from group_problems(part, at(node, key, index), file, f"{key}[{index}]")


def label_selector_problems(selector: LabelSelector, node: Node | None, file: str) -> Iterator[Problem]:
    """Why the API server would refuse ``selector``."""
    labels = at(node, "matchLabels")
    for key, (key_node, value) in labels.entries.items() if isinstance(labels, MapNode) else ():
        for problem in key_problems(key):
            yield Problem(position(key_node, file), f"matchLabels: key {shown(key)}: {_brief(problem)}", _KEY_HINT)
        text = selector.match_labels[key]
        for problem in value_problems(text):
            message = f"matchLabels: {shown(key)}: {shown(text)}: {_brief(problem)}"
            yield Problem(position(value, file), message, _LABEL_HINT)
    for index, term in enumerate(selector.match_expressions):
        place = position(at(node, "matchExpressions", index) or MapNode({}, 1, 1), file)
        for problem in selector_problems(LabelSelector(match_expressions=(term,))):
            yield Problem(place, _brief(problem), "write it as the selector of a Deployment is written")


def twins(groups: Mapping[str, Group]) -> Iterator[tuple[str, str]]:
    """Groups that are written alike, each with the first that is. Whether others overlap, only a cluster can say."""
    first: dict[bytes, str] = {}
    for name, group in groups.items():
        other = first.setdefault(msgspec.json.encode(group, order="sorted"), name)
        if other != name:
            yield other, name


def _brief(problem: str) -> str:
    """apimachinery's sentence without its examples and its regular expression."""
    return _ESSAY.sub("", problem)
