"""Policies that contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatekeep.model.policy import Isolation, LocatedPolicy, Policy, Position, TrafficGate
from gatekeep.sources.problems import Problem, shown

_RULE = "duplicate-policy"
_First = dict[tuple[str, ...], tuple[str, Position]]


def conflicts(policies: Iterable[tuple[LocatedPolicy, Position]]) -> Iterator[Problem]:
    """Policies of one name; for one Service; with one gate key; that isolate one pod. Positions are for messages.

    An Isolation need not find its gate here: the record of the cluster may know it.
    """
    first: _First = {}
    for located, place in policies:
        policy = located.policy
        kind = type(policy).__name__
        if (other := _taken(first, ("name", kind, policy.namespace, policy.name), policy, place)) is not None:
            message = f"{kind} {policy.namespace}/{policy.name} stands already at {other[1]}"
            yield Problem(place, message, "keep one of the two, or rename one", _RULE)
        elif isinstance(policy, TrafficGate):
            yield from _services(first, policy, place)
            yield from _key(first, policy, place)
        else:
            yield from _pods(first, policy, place)


def _services(first: _First, policy: TrafficGate, place: Position) -> Iterator[Problem]:
    """A preview's Service counts too: its selector is the policy's as well."""
    blue_green = policy.spec.rotation.blue_green
    preview = (blue_green.preview.service,) if blue_green is not None and blue_green.preview is not None else ()
    for service in (*policy.spec.services, *preview):
        if (other := _taken(first, ("Service", policy.namespace, service), policy, place)) is not None:
            message = f"Service {policy.namespace}/{service} has a policy already: {other[0]} at {other[1]}"
            hint = "let one policy name the Service; a policy may name several Services"
            yield Problem(place, message, hint, _RULE)


def _key(first: _First, policy: TrafficGate, place: Position) -> Iterator[Problem]:
    if (other := _taken(first, ("key", policy.namespace, policy.gate.key), policy, place)) is not None:
        message = (
            f"gate key {shown(policy.gate.key)} in {policy.namespace} belongs to TrafficGate {other[0]} at {other[1]} "
            "already: the two could want opposite things of one pod"
        )
        hint = "give each gate a key of its own, or let one policy name all the Services"
        yield Problem(place, message, hint, _RULE)


def _pods(first: _First, policy: Isolation, place: Position) -> Iterator[Problem]:
    for pod in policy.spec.pods.names or ():
        if (other := _taken(first, ("pod", policy.namespace, policy.spec.gate, pod), policy, place)) is not None:
            message = f"pod {policy.namespace}/{shown(pod)} is isolated already: by {other[0]} at {other[1]}"
            yield Problem(place, message, "let one Isolation of a gate name the pod", _RULE)


def _taken(first: _First, what: tuple[str, ...], policy: Policy, place: Position) -> tuple[str, Position] | None:
    """The name and place of another policy that has ``what`` already; else it is this one's from now on."""
    other = first.setdefault(what, (policy.name, place))
    return other if other[1] is not place else None
