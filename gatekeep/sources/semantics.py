"""What the schema cannot say about a policy on its own: the rules of a gate, and those of an isolation."""

from __future__ import annotations

from collections.abc import Iterator

from gatekeep.model.policy import Isolation, Policy, TrafficGate
from gatekeep.model.selectors import EVERYTHING
from gatekeep.sources.groups import gate_problems, label_selector_problems
from gatekeep.sources.problems import Problem, shown
from gatekeep.sources.rollouts import rotation_problems
from gatekeep.sources.tree import Node, at, place


def policy_problems(policy: Policy, node: Node, file: str) -> Iterator[Problem]:
    """Every rule that ``policy``, decoded from ``node``, breaks on its own."""
    if isinstance(policy, Isolation):
        yield from _isolation(policy, node, file)
    else:
        yield from _traffic_gate(policy, node, file)


def _traffic_gate(policy: TrafficGate, node: Node, file: str) -> Iterator[Problem]:
    spec = policy.spec
    if spec.gate is not None:
        yield from gate_problems(spec.gate, at(node, "spec", "gate"), file)
    seen: set[str] = set()
    for index, service in enumerate(spec.services):
        if service in seen:
            where = place(node, file, "spec", "services", index)
            yield Problem(where, f"services: {service} is named twice", "name it once")
        seen.add(service)
    yield from _new_pods(policy, node, file)
    yield from rotation_problems(spec, at(node, "spec") or node, file)


def _new_pods(policy: TrafficGate, node: Node, file: str) -> Iterator[Problem]:
    spec = policy.spec
    if spec.new_pods == "Hold" and spec.adopt != "Template":
        message = f"adopt: {spec.adopt}: with newPods: Hold nothing gives later pods the label"
        yield Problem(place(node, file, "spec", "adopt"), message, "leave adopt out")
    if spec.new_pods == "Join" and at(node, "spec", "admit") is not None:
        message = "admit: it says who of the held pods is let in, and newPods: Join holds none"
        yield Problem(place(node, file, "spec", "admit"), message, "write newPods: Hold, or leave admit out")


def _isolation(policy: Isolation, node: Node, file: str) -> Iterator[Problem]:
    pods, path = policy.spec.pods, ("spec", "pods")
    if pods.order is not None and pods.count is None:
        message = "order: it says which pods count takes, and there is no count"
        yield Problem(place(node, file, *path, "order"), message, "leave order out, or write count")
    if pods.selector == EVERYTHING:
        message = "pods: the empty selector matches every pod of the gate: nothing would be left in rotation"
        yield Problem(place(node, file, *path, "selector"), message, "name what the pods have in common")
    elif pods.selector is not None:
        yield from label_selector_problems(pods.selector, at(node, *path, "selector"), file)
    seen: set[str] = set()
    for index, name in enumerate(pods.names or ()):
        where = place(node, file, *path, "names", index)
        if "/" in name:
            yield Problem(where, f"names: {shown(name)} is no name of a pod", f"write {shown(name.rpartition('/')[2])}")
        if name in seen:
            yield Problem(where, f"names: {shown(name)} is named twice", "name it once")
        seen.add(name)
