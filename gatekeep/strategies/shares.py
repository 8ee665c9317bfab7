"""Canary: a share of the rotation by number of pods, and which pods make it up."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gatekeep.model.objects import Pod


class Shares(NamedTuple):
    """How many pods of each group are in rotation."""

    stable: int
    canary: int


def shares(stable: int, canary: int, weight: int) -> Shares:
    """The numbers of pods for a weight in percent, of so many ready pods in each group.

    All stable pods, and as many canary pods as make up the weight; where there are too few of these, all of them, and
    as few stable pods. Each group has at least one, but at 0 and at 100 percent, where one of them has none.
    """
    if weight == 0 or not canary:
        return Shares(stable, 0)
    if weight == 100 or not stable:
        return Shares(0, canary)
    wanted = max(1, _rounded(weight * stable, 100 - weight))
    if wanted <= canary:
        return Shares(stable, wanted)
    return Shares(min(stable, max(1, _rounded(canary * (100 - weight), weight))), canary)


def remark(counts: Shares, weight: int) -> str:
    """The share that was asked for, the one that the pods make, and what an exact one needs."""
    total = counts.stable + counts.canary
    text = f"weight {weight}: {counts.canary} canary and {counts.stable} stable pods in rotation"
    if not total or counts.canary * 100 == weight * total:
        return f"{text}, {weight} % of them canary"
    divisor = math.gcd(weight, 100)
    ratio = f"{weight // divisor} canary to {(100 - weight) // divisor} stable pods, or a multiple"
    return f"{text}, {100 * counts.canary / total:.1f} % of them canary; exactly {weight} % needs {ratio}"


def _rounded(dividend: int, divisor: int) -> int:
    """The nearest whole number; a half is rounded up."""
    return (2 * dividend + divisor) // (2 * divisor)


def chosen(pods: Sequence[Pod], count: int, is_in: Callable[[Pod], bool], zones: dict[str, str]) -> list[Pod]:
    """``count`` of ``pods``: who is in already first, and spread over zones and nodes.

    The order in which pods are taken depends on nothing but the pods themselves: fewer are always the first of more,
    and the order of the input does not matter. ``zones`` are the zones of nodes, by node name.
    """
    ordered: list[Pod] = []
    taken: Counter[tuple[str, str]] = Counter()
    for group in (filter(is_in, pods), (pod for pod in pods if not is_in(pod))):
        ordered.extend(_spread(sorted(group, key=lambda pod: pod.name), taken, zones))
    return ordered[:count]


def _spread(pods: Sequence[Pod], taken: Counter[tuple[str, str]], zones: dict[str, str]) -> list[Pod]:
    """One after the other, each from the zone, then the node, that has the fewest so far."""
    queues: dict[tuple[str, str], list[Pod]] = {}
    for pod in reversed(pods):
        queues.setdefault((zones.get(pod.spec.node_name, ""), pod.spec.node_name), []).append(pod)
    ordered = []
    while queues:
        zone, node = min(queues, key=lambda place: (taken["zone", place[0]], taken["node", place[1]], place))
        ordered.append(queues[zone, node].pop())
        taken.update([("zone", zone), ("node", node)])
        if not queues[zone, node]:
            del queues[zone, node]
    return ordered
