"""The endpoint controller's two watch streams, as sets of views.

Pods and Services reach the controller on two independent, ordered streams
(https://github.com/kubernetes/kubernetes/blob/master/pkg/controller/endpointslice/endpointslice_controller.go). A
*view* is what it has seen of each: the atoms (one class of pods of a step, or one Service of a step) of a prefix of
each stream. Steps are parallel inside, so of the step at the edge of the prefix any subset may have been seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Atom = tuple[int, object]
"""The number of the step, and which part of it."""

Seen = frozenset[Atom]
MOST_PARTS = 12
MOST_MIXED_PARTS = 8
"""With several slices each view is also mixed with each later one, so the cost is the square of the views."""


class TooManyPartsError(Exception):
    """A step has more different parts than can be explored."""


class View(NamedTuple):
    """How much of the pod stream and of the service stream the controller has seen."""

    pods: Seen
    services: Seen


def prefixes(steps: Sequence[Seen]) -> tuple[Seen, ...]:
    """Every prefix of a stream whose parallel steps are ``steps``."""
    found: dict[Seen, None] = {frozenset(): None}
    done: Seen = frozenset()
    refuse_many(steps, MOST_PARTS)
    for step in steps:
        for subset in _subsets(sorted(step, key=repr)):
            found[done | subset] = None
        done |= step
    return tuple(found)


def refuse_many(steps: Iterable[Seen], most: int) -> None:
    """Raises :class:`TooManyPartsError` when one of ``steps`` has more than ``most`` parts."""
    if any(len(step) > most for step in steps):
        raise TooManyPartsError


def _subsets(atoms: Sequence[Atom]) -> Iterable[Seen]:
    for size in range(len(atoms) + 1):
        yield from map(frozenset, itertools.combinations(atoms, size))


def reachable(pods: Sequence[Seen], services: Sequence[Seen], proved: Sequence[View]) -> tuple[View, ...]:
    """Every view possible once the steps are written and the controller is at one of ``proved`` or later."""
    return tuple(
        View(seen_pods, seen_services)
        for seen_pods in prefixes(pods)
        for seen_services in prefixes(services)
        if any(least.pods <= seen_pods and least.services <= seen_services for least in proved)
    )


def least(views: Iterable[View]) -> tuple[View, ...]:
    """The minimal ones: whoever is at one of ``views`` is at or beyond one of these."""
    found = tuple(dict.fromkeys(views))
    return tuple(
        view
        for view in found
        if not any(other != view and other.pods <= view.pods and other.services <= view.services for other in found)
    )
