"""Groups of pods: what a policy writes, as a :class:`Match` that any pod can be held against."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Pod
from gatekeep.model.plan import Match
from gatekeep.model.policy import Group, Owner
from gatekeep.model.selectors import LabelSelector, conjunction
from gatekeep.model.snapshot import Snapshot

NOBODY = Match(any_of=())


def candidates(group: Group, bases: Sequence[Mapping[str, str]], namespace: str, snapshot: Snapshot) -> Match:
    """The pods of ``group`` behind Services whose selectors without the gate are ``bases``.

    Raises :class:`RefusedError` when an owner that the group names does not exist.
    """
    parts = [_behind(base, _part(group, namespace, snapshot)) for base in bases]
    if len(parts) == 1:
        return Match(
            namespace=namespace,
            selector=parts[0].selector,
            owner_uids=parts[0].owner_uids,
            any_of=parts[0].any_of,
            except_=parts[0].except_,
        )
    return Match(namespace=namespace, any_of=tuple(parts))


def _behind(base: Mapping[str, str], part: Match) -> Match:
    selector = conjunction([LabelSelector(match_labels=base), part.selector or LabelSelector()])
    if selector is None:
        return NOBODY
    return Match(selector=selector, owner_uids=part.owner_uids, any_of=part.any_of, except_=part.except_)


def _part(group: Group, namespace: str, snapshot: Snapshot) -> Match:
    return Match(
        selector=group.selector,
        owner_uids=None if group.owners is None else _uids(group.owners, namespace, snapshot),
        any_of=None if group.any_of is None else _parts(group.any_of, namespace, snapshot),
        except_=None if group.except_ is None else _parts(group.except_, namespace, snapshot),
    )


def _parts(groups: Iterable[Group], namespace: str, snapshot: Snapshot) -> tuple[Match, ...]:
    return tuple(_part(group, namespace, snapshot) for group in groups)


def _uids(owners: Iterable[Owner], namespace: str, snapshot: Snapshot) -> tuple[str, ...]:
    known = _known_owners(namespace, snapshot)
    found: list[str] = []
    for owner in owners:
        uid = known.get((owner.kind, owner.name))
        if uid is None:
            raise RefusedError(
                f"the policy names an owner that does not exist: {owner.kind} {namespace}/{owner.name}",
                hint=_nearest(owner, [name for kind, name in known if kind == owner.kind]),
            )
        found.append(uid)
    return tuple(sorted(found))


def _known_owners(namespace: str, snapshot: Snapshot) -> dict[tuple[str, str], str]:
    """Workloads, and controllers that only their pods' ownerReferences tell of (Jobs, for one)."""
    known: dict[tuple[str, str], str] = {}
    for pod in snapshot.pods_in(namespace):
        for ref, uid in _chain(pod, snapshot):
            known.setdefault(ref, uid)
    known.update({(item.kind, item.name): item.uid for item in snapshot.workloads_in(namespace)})
    return known


def _chain(pod: Pod, snapshot: Snapshot) -> list[tuple[tuple[str, str], str]]:
    return [((ref.kind, ref.name), uid) for ref, uid in snapshot.owner_chain(pod.metadata)]


def _nearest(owner: Owner, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(owner.name, names, n=1)
    if near:
        return f"did you mean {owner.kind} {near[0]}?"
    return f"correct spec.rotation, or create the {owner.kind} first"
