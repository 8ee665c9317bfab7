"""Isolation: which pods are out of rotation, by policies and by what is recorded, and how each isolation ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from gatekeep.model.durations import Moment, parse_time, timestamp
from gatekeep.model.endpoints import is_terminal
from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Pod
from gatekeep.model.plan import Finding
from gatekeep.model.policy import Isolation
from gatekeep.model.progress import Isolated, IsolatedPod
from gatekeep.model.selectors import matches
from gatekeep.strategies.question import serves

BY_POLICY = "Isolation "
MOST_PODS = 500
_NOBODY = "its pods are gone"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be isolated: by policies, and what stands already.

    With ``complete`` the policies are all there are, and what a policy isolated that is not among them is over. Of a
    count the pods that are ``inside`` the rotation, by uid, come first. With ``undoes`` no policies were asked.
    """

    policies: Sequence[Isolation] = ()
    recorded: Sequence[Isolated] = ()
    complete: bool = False
    now: Moment | None = None
    inside: frozenset[str] = frozenset()
    undoes: bool = False


@dataclass(frozen=True, kw_only=True)
class Apart:
    """Who is isolated: ``standing`` as the record will say it, ``returning`` the pods that come back, and what to know.

    A pod of ``standing`` whose isolation is to take labels off it has none in its entry yet.
    """

    standing: tuple[Isolated, ...] = ()
    returning: tuple[tuple[Isolated, IsolatedPod], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def uids(self) -> frozenset[str]:
        """Uids of the isolated pods."""
        return frozenset(pod.uid for item in self.standing for pod in item.pods)


def resolve(asked: Asked, candidates: Sequence[Pod], alive: Mapping[str, Pod]) -> Apart:
    """Who is out of rotation.

    ``candidates`` are the pods behind the gate's Services without the gate, ``alive`` all pods of the namespace by uid.
    Raises :class:`RefusedError` for an isolation that had expired before it began, for a pod that is not behind the
    gate's Services, and for two isolations that hold one pod.
    """
    found: list[Isolated] = []
    findings: list[Finding] = []
    old = {item.name: item for item in asked.recorded if item.by.startswith(BY_POLICY)}
    for policy in sorted(asked.policies, key=lambda item: item.name):
        item = _of_policy(policy, old.get(policy.name), asked, candidates, alive)
        found.append(item)
        findings.extend(_notes(policy, item, alive))
    named = {item.name for item in found}
    for item in asked.recorded:
        by_policy = item.by.startswith(BY_POLICY)
        pods = tuple(pod for pod in item.pods if pod.uid in alive)
        if not pods or (by_policy and (item.name in named or asked.complete)):
            continue
        if _is_over(item.expires, asked.now):
            findings.append(_expired(item))
            continue
        found.append(msgspec.structs.replace(item, pods=pods))
        if by_policy and not asked.undoes:
            findings.append(_lost(item))
    _refuse_two(found)
    held = {pod.uid for item in found for pod in item.pods}
    returning = tuple(
        (item, pod) for item in asked.recorded for pod in item.pods if pod.uid in alive and pod.uid not in held
    )
    return Apart(standing=tuple(found), returning=returning, findings=tuple(findings))


def _of_policy(
    policy: Isolation, old: Isolated | None, asked: Asked, candidates: Sequence[Pod], alive: Mapping[str, Pod]
) -> Isolated:
    spec = policy.spec
    expires = timestamp(spec.expires) if spec.expires is not None else None
    entry = Isolated(
        name=policy.name,
        mode=spec.mode,
        reason=spec.reason,
        by=f"{BY_POLICY}{policy.namespace}/{policy.name}",
        expires=expires,
    )
    if _is_over(expires, asked.now):
        if old is None:
            raise RefusedError(
                f"it expired at {expires}, before it began",
                where=entry.by,
                hint="correct spec.expires, or delete the document",
            )
        return msgspec.structs.replace(entry, ended=f"expired at {expires}")
    if old is not None and old.mode != spec.mode and any(pod.labels for pod in old.pods):
        raise RefusedError(
            "its pods are detached already, and mode: Gate does not give them back to their controller",
            where=entry.by,
            hint="delete the document and apply, which returns them; then isolate anew",
        )
    pods = _picked(policy, old, asked, candidates, alive)
    _refuse_many(entry, len(pods))
    return msgspec.structs.replace(entry, pods=pods, gone=_gone(policy, old, alive), ended="" if pods else _NOBODY)


def _gone(policy: Isolation, old: Isolated | None, alive: Mapping[str, Pod]) -> tuple[str, ...]:
    """Names of the policy whose pods were held and are gone."""
    if old is None or policy.spec.pods.names is None:
        return ()
    names = {*old.gone, *(pod.name for pod in old.pods if pod.uid not in alive)}
    return tuple(sorted(names & set(policy.spec.pods.names)))


def _refuse_many(entry: Isolated, count: int) -> None:
    """The record, which remembers every one of them, is one ConfigMap."""
    if count > MOST_PODS:
        raise RefusedError(
            f"it would isolate {count} pods, and at most {MOST_PODS} can be remembered",
            where=entry.by,
            hint="narrow its selector; to take many pods out of rotation, narrow the pool of their gate",
        )


def _picked(
    policy: Isolation, old: Isolated | None, asked: Asked, candidates: Sequence[Pod], alive: Mapping[str, Pod]
) -> tuple[IsolatedPod, ...]:
    """Who is held: whoever it holds and still lives, then whom the policy says besides; of a count nobody is added."""
    choice = policy.spec.pods
    kept = {pod.uid: pod for pod in (old.pods if old is not None else ()) if pod.uid in alive}
    began = old is not None and not old.ended.startswith("expired")
    if choice.count is not None:
        fresh = [] if began else _first(candidates, choice.count, choice.order or "Newest", asked.inside)
    elif choice.names is not None:
        known = {pod.name for pod in old.pods} | set(old.gone) if old is not None and began else set()
        fresh = [pod for pod in candidates if pod.name in choice.names and pod.name not in known]
        kept = {uid: pod for uid, pod in kept.items() if pod.name in choice.names}
        _refuse_elsewhere(policy, {pod.name for pod in candidates} | {pod.name for pod in kept.values()}, alive)
    else:
        fresh = [pod for pod in candidates if matches(choice.selector, pod.labels)]
        kept = {uid: pod for uid, pod in kept.items() if pod.labels or matches(choice.selector, alive[uid].labels)}
    for pod in fresh:
        kept.setdefault(pod.uid, IsolatedPod(name=pod.name, uid=pod.uid))
    return tuple(sorted(kept.values(), key=lambda pod: pod.name))


def _first(pods: Sequence[Pod], count: int, order: str, inside: frozenset[str]) -> list[Pod]:
    """Members before others; ties by name, so that equal clusters give equal plans.

    Of the newest those that serve come first: a pod that is on its way up is not what was meant.
    """
    there = sorted((pod for pod in pods if not is_terminal(pod)), key=lambda pod: pod.name)
    there.sort(key=lambda pod: pod.metadata.creation_timestamp or "", reverse=True)
    if order == "MostRestarts":
        there.sort(key=_restarts, reverse=True)
    else:
        there.sort(key=lambda pod: not serves(pod))
    there.sort(key=lambda pod: pod.uid not in inside)
    return there[:count]


def _restarts(pod: Pod) -> int:
    return sum(item.restart_count for item in pod.status.container_statuses)


def _refuse_elsewhere(policy: Isolation, known: set[str], alive: Mapping[str, Pod]) -> None:
    others = {pod.name for pod in alive.values()} - known
    for name in policy.spec.pods.names or ():
        if name in others:
            raise RefusedError(
                f"the pod {name} is not behind a Service of gate {policy.spec.gate}",
                where=f"{BY_POLICY}{policy.namespace}/{policy.name}",
                hint="name a pod of that gate, or correct spec.gate",
            )


def _refuse_two(found: Sequence[Isolated]) -> None:
    holder: dict[str, Isolated] = {}
    for item in found:
        for pod in item.pods:
            other = holder.setdefault(pod.uid, item)
            if other is not item:
                raise RefusedError(
                    f"the pod {pod.name} is isolated twice, by {other.by} and by {item.by}",
                    where=item.by,
                    hint="leave the pod in one of them",
                )


def _is_over(expires: str | None, now: Moment | None) -> bool:
    end = parse_time(expires) if expires else None
    return end is not None and now is not None and now >= end


def _notes(policy: Isolation, item: Isolated, alive: Mapping[str, Pod]) -> list[Finding]:
    where = f"{BY_POLICY}{policy.namespace}/{policy.name}"
    names = {pod.name for pod in alive.values()}
    gone = [name for name in policy.spec.pods.names or () if name not in names]
    found = []
    if item.ended.startswith("expired"):
        message = f"it {item.ended}: its pods are back in rotation with this plan. Delete its document"
        found.append(Finding(severity="warning", rule="isolation-over", object=where, message=message))
    elif item.ended:
        message = f"it holds nobody: {'no such pod: ' + ', '.join(gone) if gone else item.ended}. Delete its document"
        found.append(Finding(severity="warning", rule="isolation-over", object=where, message=message))
    elif gone:
        message = f"gone, or never there: {', '.join(gone)}"
        found.append(Finding(severity="warning", rule="isolation-over", object=where, message=message))
    if policy.spec.expires is None and not item.ended:
        message = "it never expires: nobody is reminded of it. Write expires"
        found.append(Finding(severity="warning", rule="isolation-without-end", object=where, message=message))
    return found


def _expired(item: Isolated) -> Finding:
    message = f"it expired at {item.expires}: its pods are in rotation with this plan"
    return Finding(severity="warning", rule="isolation-over", object=item.by, message=message)


def _lost(item: Isolated) -> Finding:
    message = "its document is not among the policies, and stays as it is: only a folder that also holds the policy of "
    message += "its gate shows that it was deleted"
    return Finding(severity="warning", rule="isolation-without-policy", object=item.by, message=message)
