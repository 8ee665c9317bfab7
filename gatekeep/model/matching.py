"""Whether a pod belongs to a :class:`Match`: the question that planning, proof and apply all ask."""

from __future__ import annotations

from collections.abc import Mapping

from gatekeep.model.plan import Match
from gatekeep.model.selectors import matches


def in_match(match: Match, labels: Mapping[str, str], owner_uids: frozenset[str]) -> bool:
    """True when a pod of the match's namespace with these labels and this chain of controllers belongs to it.

    Parts that are absent (None) do not restrict; an empty ``anyOf`` or ``ownerUids`` matches nothing.
    """
    if match.selector is not None and not matches(match.selector, labels):
        return False
    if match.owner_uids is not None and owner_uids.isdisjoint(match.owner_uids):
        return False
    if match.any_of is not None and not any(in_match(part, labels, owner_uids) for part in match.any_of):
        return False
    return not any(in_match(part, labels, owner_uids) for part in match.except_ or ())
