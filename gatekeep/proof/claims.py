"""A plan must say truly whom it labels, where it starts, what its waits will see, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping

from gatekeep.model.objects import Service
from gatekeep.model.plan import EndpointsWait, Plan
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.proof.scope import touched
from gatekeep.proof.simulate import Barrier, Labels, PodWrites, ServiceWrites, Timeline


def problem_of(plan: Plan, snapshot: Snapshot, timeline: Timeline, *, exact: bool) -> str | None:
    """The first claim of ``plan`` that is not so; None when all hold.

    Without ``exact``, pods that the plan does not know and pods that are gone or not ready by now do not count.
    """
    if exact and (problem := _unnamed_problem(plan, snapshot, timeline)):
        return problem
    for claim in plan.services:
        service = snapshot.service(claim.namespace, claim.name)
        final = timeline.services.get((claim.namespace, claim.name))
        if service is None or final is None:
            return f"Service {claim.namespace}/{claim.name} does not exist"
        ready = snapshot.ready_uids(service)
        alive = frozenset(pod.name for pod in snapshot.pods_in(claim.namespace) if pod.uid in ready)
        known = frozenset(claim.before) | frozenset(claim.after)
        before = _ready_names(service, snapshot, {})
        after = _ready_names(final, snapshot, timeline.labels)
        for word, said, found in (("starts", claim.before, before), ("ends", claim.after, after)):
            if not _agrees(frozenset(said), found, known, alive, exact=exact):
                return (
                    f"the plan says that Service {claim.namespace}/{claim.name} {word} with {len(said)} ready pods, "
                    f"but it {word} with {len(found)}"
                )
    return _silence_problem(plan, snapshot, timeline)


def waits_problem(plan: Plan, snapshot: Snapshot, timeline: Timeline, *, exact: bool) -> str | None:
    """What each wait predicts by name is what the labels written so far lead to."""
    known = frozenset(name for item in plan.services for name in (*item.before, *item.after))
    services: dict[tuple[str, str], Service | None] = dict(snapshot.service_index)
    labels: dict[str, Labels] = {}
    for moment in timeline.moments:
        if isinstance(moment, PodWrites):
            labels.update(moment.labels)
        if isinstance(moment, ServiceWrites):
            services.update(moment.services)
        if not isinstance(moment, Barrier) or not isinstance(moment.wait, EndpointsWait):
            continue
        wait = moment.wait
        service = services.get((wait.namespace, wait.service))
        if service is None:
            return f"step {moment.step} waits for Service {wait.namespace}/{wait.service}, which does not exist then"
        ready = snapshot.ready_uids(service)
        alive = frozenset([pod.metadata.name for pod in snapshot.pods_in(wait.namespace) if pod.metadata.uid in ready])
        found = _matching(service, wait.selector, snapshot, labels)
        if not _agrees(frozenset(wait.pods), found, known, alive, exact=exact):
            return (
                f"step {moment.step} predicts {len(wait.pods)} ready pods for Service {wait.namespace}/{wait.service}, "
                f"but {len(found)} will match"
            )
    return None


def _unnamed_problem(plan: Plan, snapshot: Snapshot, timeline: Timeline) -> str | None:
    named = {step.number: {change.uid for change in step.changes} for step in plan.steps if step.match}
    for moment in timeline.moments:
        if isinstance(moment, PodWrites) and moment.step in named:
            others = moment.labels.keys() - named[moment.step]
            if others:
                pods = sorted(str(pod.ref) for pod in snapshot.pods if pod.uid in others)
                return f"step {moment.step} does not name {pods[0]}, which its match would label"
    return None


def _silence_problem(plan: Plan, snapshot: Snapshot, timeline: Timeline) -> str | None:
    """A Service whose rotation the plan changes must be named in it."""
    named = {(claim.namespace, claim.name) for claim in plan.services}
    for service in touched(snapshot, timeline):
        key = (service.namespace, service.name)
        final = timeline.services.get(key)
        if key in named or final is None:
            continue
        before, after = (_ready_names(service, snapshot, {}), _ready_names(final, snapshot, timeline.labels))
        if before != after:
            return (
                f"the plan changes the ready pods of Service {key[0]}/{key[1]} from {len(before)} to {len(after)} "
                "and does not say so"
            )
    return None


def _agrees(
    said: frozenset[str], found: frozenset[str], known: frozenset[str], alive: frozenset[str], *, exact: bool
) -> bool:
    if exact:
        return said == found
    return said & alive <= found and found & known <= said


def _ready_names(service: Service, snapshot: Snapshot, labels: Mapping[str, Labels]) -> frozenset[str]:
    return _matching(service, service.spec.selector, snapshot, labels)


def _matching(
    service: Service, selector: Mapping[str, str] | None, snapshot: Snapshot, labels: Mapping[str, Labels]
) -> frozenset[str]:
    ready = snapshot.ready_uids(service)
    found: list[str] = []
    answers: dict[int, bool] = {}
    for pod in snapshot.pods_in(service.namespace):
        meta = pod.metadata
        if meta.uid not in ready:
            continue
        live = labels.get(meta.uid, meta.labels)
        if id(live) not in answers:  # most pods share their labels object with others
            answers[id(live)] = matches_map(selector, live)
        if answers[id(live)]:
            found.append(meta.name)
    return frozenset(found)
