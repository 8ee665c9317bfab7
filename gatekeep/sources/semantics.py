"""What the schema cannot say about a policy: label rules, the shape of groups, and policies that contradict each other.

Label rules are the API server's own, so that a bad key is found in the pull request and not by a refused patch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from gatekeep.model.policy import Gate, Group, LocatedPolicy, Policy, Position
from gatekeep.model.selectors import LabelSelector, key_problems, selector_problems, value_problems
from gatekeep.sources.check import not_built
from gatekeep.sources.problems import Problem, shown
from gatekeep.sources.tree import ListNode, MapNode, Node, position

_ESSAY = re.compile(r" \(e\.g\. [^()]*regex used for validation is '.*'\)")
_STRATEGIES = ("pool", "canary", "blueGreen")
_LABEL_HINT = "a label value has at most 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends"
_KEY_HINT = "write the key as NAME or DOMAIN/NAME"


def shape_problems(node: Node, built: Sequence[str], file: str) -> Iterator[Problem]:
    """``rotation`` holds exactly one strategy; ``built`` are those of this version."""
    rotation = at(node, "spec", "rotation")
    if not isinstance(rotation, MapNode):
        return
    named = [key for key in rotation.entries if key in _STRATEGIES]
    choice = f"write one of: {', '.join(built)}"
    if not rotation.entries:
        yield Problem(position(rotation, file), "rotation: expected exactly one strategy, found none", choice)
    elif len(named) > 1:
        message = f"rotation: expected exactly one strategy, found {' and '.join(named)}"
        yield Problem(position(rotation.entries[named[1]][0], file), message, choice)


def policy_problems(policy: Policy, node: Node, file: str) -> Iterator[Problem]:
    """Every rule that ``policy``, decoded from ``node``, breaks on its own."""
    if policy.spec.gate is not None:
        yield from _gate(policy.spec.gate, at(node, "spec", "gate"), file)
    services = at(node, "spec", "services")
    seen: set[str] = set()
    for index, service in enumerate(policy.spec.services):
        if service in seen:
            place = position(services.items[index] if isinstance(services, ListNode) else node, file)
            yield Problem(place, f"services: {service} is named twice", "name it once")
        seen.add(service)
    if policy.spec.new_pods == "Hold" and policy.spec.adopt != "Template":
        message = f"adopt: {policy.spec.adopt}: with newPods: Hold nothing gives later pods the label"
        yield Problem(position(at(node, "spec", "adopt") or node, file), message, "leave adopt out")
    if policy.spec.new_pods == "Join" and (admit := at(node, "spec", "admit")) is not None:
        message = "admit: it says who of the held pods is let in, and newPods: Join holds none"
        yield Problem(position(admit, file), message, "write newPods: Hold, or leave admit out")
    rotation = policy.spec.rotation
    groups = {"pool": rotation.pool}
    if rotation.canary is not None:
        groups = {"canary.stable": rotation.canary.stable, "canary.canary": rotation.canary.canary}
        if policy.spec.new_pods == "Hold":
            message = "newPods: Hold: a canary picks its pods by number, and takes newborn ones of a whole group along"
            yield Problem(position(at(node, "spec", "newPods") or node, file), message, "write newPods: Join")
    for name, group in groups.items():
        if group is not None:
            yield from _group(group, at(node, "spec", "rotation", *name.split(".")), file, name)


def conflicts(policies: Iterable[tuple[LocatedPolicy, Position]]) -> Iterator[Problem]:
    """Policies of the same name, and policies that name the same Service. Positions are for messages."""
    names: dict[tuple[str, str, str], Position] = {}
    services: dict[tuple[str, str], tuple[str, Position]] = {}
    for located, place in policies:
        policy = located.policy
        key = (type(policy).__name__, policy.namespace, policy.name)
        if (first := names.setdefault(key, place)) is not place:
            message = f"{key[0]} {policy.namespace}/{policy.name} stands already at {first}"
            yield Problem(place, message, "keep one of the two, or rename one")
            continue
        for service in policy.spec.services:
            name, first = services.setdefault((policy.namespace, service), (policy.name, place))
            if first is not place:
                message = f"Service {policy.namespace}/{service} has a policy already: {name} at {first}"
                yield Problem(place, message, "let one policy name the Service; a policy may name several Services")


def at(node: Node | None, *path: str | int) -> Node | None:
    """The node below ``node`` at ``path``, or None."""
    for part in path:
        if isinstance(node, MapNode) and isinstance(part, str):
            node = node.get(part)
        elif isinstance(node, ListNode) and isinstance(part, int) and part < len(node.items):
            node = node.items[part]
        else:
            return None
    return node


def _gate(gate: Gate, node: Node | None, file: str) -> Iterator[Problem]:
    if (key := at(node, "key")) is not None:
        for problem in key_problems(gate.key):
            yield Problem(position(key, file), f"gate key {shown(gate.key)}: {brief(problem)}", _KEY_HINT)
    if (value := at(node, "value")) is None:
        return
    if not gate.value:
        message = "gate value: it is empty, which tools that write null for empty text take for a missing label"
        yield Problem(position(value, file), message, "write a word such as open")
    for problem in value_problems(gate.value):
        yield Problem(position(value, file), f"gate value {shown(gate.value)}: {brief(problem)}", _LABEL_HINT)


def _group(group: Group, node: Node | None, file: str, name: str) -> Iterator[Problem]:
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
        yield from _selector(group.selector, node.get("selector"), file)
    for key, groups in (("anyOf", group.any_of), ("except", group.except_)):
        for index, part in enumerate(groups or ()):
            yield from _group(part, at(node, key, index), file, f"{key}[{index}]")


def _selector(selector: LabelSelector, node: Node | None, file: str) -> Iterator[Problem]:
    labels = at(node, "matchLabels")
    for key, (key_node, value) in labels.entries.items() if isinstance(labels, MapNode) else ():
        for problem in key_problems(key):
            yield Problem(position(key_node, file), f"matchLabels: key {shown(key)}: {brief(problem)}", _KEY_HINT)
        text = selector.match_labels[key]
        for problem in value_problems(text):
            message = f"matchLabels: {shown(key)}: {shown(text)}: {brief(problem)}"
            yield Problem(position(value, file), message, _LABEL_HINT)
    for index, term in enumerate(selector.match_expressions):
        place = position(at(node, "matchExpressions", index) or MapNode({}, 1, 1), file)
        for problem in selector_problems(LabelSelector(match_expressions=(term,))):
            yield Problem(place, brief(problem), "write it as the selector of a Deployment is written")


def brief(problem: str) -> str:
    """apimachinery's sentence without its examples and its regular expression."""
    return _ESSAY.sub("", problem)


def unbuilt_kind(kind: str, built: Sequence[str]) -> str | None:
    """The message for a kind that the design has and this version has not; None for any other."""
    return not_built(f"kind {kind}", ", ".join(built)) if kind in ("Isolation",) and kind not in built else None
