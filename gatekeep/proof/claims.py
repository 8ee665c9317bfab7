"""A plan must say truly whom it labels, where it starts, what its waits will see, and where it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from gatekeep.model.objects import Service
from gatekeep.model.plan import Plan
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait, ExistsWait
from gatekeep.proof.scope import touched
from gatekeep.proof.simulate import Barrier, Labels, PodWrites, ServiceWrites, Timeline, WorkloadWrites


def problem_of(plan: Plan, snapshot: Snapshot, timeline: Timeline, *, exact: bool) -> str | None:
    """The first claim of ``plan`` that is not so; None when all hold.

    Without ``exact``, pods that the plan does not know and pods that are gone or not ready by now do not count, nor do
    named pods that became ready since. To predict nobody where named pods are ready goes beyond that.
    """
    if exact and (problem := _unnamed_problem(plan, snapshot, timeline)):
        return problem
    named = _named(plan, snapshot)
    for claim in plan.services:
        service = snapshot.service(claim.namespace, claim.name)
        final = timeline.services.get((claim.namespace, claim.name))
        if service is None or final is None:
            return f"Service {claim.namespace}/{claim.name} does not exist"
        ready = snapshot.ready_uids(service)
        alive = frozenset(pod.name for pod in snapshot.pods_in(claim.namespace) if pod.uid in ready)
        known = frozenset(claim.before) | frozenset(claim.after) | _awaited(plan, claim.namespace, claim.name)
        sides = _Sides(known, alive, named.get(claim.namespace, frozenset()), exact)
        before = _ready_names(service, snapshot, {})
        after = _ready_names(final, snapshot, timeline.labels)
        for word, said, found in (("starts", claim.before, before), ("ends", claim.after, after)):
            if not sides.agree(frozenset(said), found):
                return (
                    f"the plan says that Service {claim.namespace}/{claim.name} {word} with {len(said)} ready pods, "
                    f"but it {word} with {len(found)}"
                )
    return _silence_problem(plan, snapshot, timeline)


def waits_problem(plan: Plan, snapshot: Snapshot, timeline: Timeline, *, exact: bool) -> str | None:
    """What each wait predicts by name is what the labels written so far lead to."""
    known = frozenset(name for item in plan.services for name in (*item.before, *item.after))
    named = _named(plan, snapshot)
    services: dict[tuple[str, str], Service | None] = dict(snapshot.service_index)
    labels: dict[str, Labels] = {}
    for moment in timeline.moments:
        if isinstance(moment, PodWrites):
            labels.update(moment.labels)
        if isinstance(moment, ServiceWrites):
            services.update(moment.services)
        if not isinstance(moment, Barrier):
            continue
        wait = moment.wait
        if not isinstance(wait, EndpointsWait | ExistsWait):
            continue
        service = services.get((wait.namespace, wait.service))
        if service is None:
            return f"step {moment.step} waits for Service {wait.namespace}/{wait.service}, which does not exist then"
        if not isinstance(wait, EndpointsWait):
            continue
        if dict(service.spec.selector or {}) != dict(wait.selector):
            return f"step {moment.step} asks for another selector than Service {wait.namespace}/{wait.service} has then"
        ready = snapshot.ready_uids(service)
        alive = frozenset([pod.metadata.name for pod in snapshot.pods_in(wait.namespace) if pod.metadata.uid in ready])
        found = _matching(service, wait.selector, snapshot, labels)
        if not _Sides(known, alive, named.get(wait.namespace, frozenset()), exact).agree(frozenset(wait.pods), found):
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
        if isinstance(moment, WorkloadWrites) and moment.step in named:
            sets = sorted(str(moment.workloads[uid].ref) for uid in moment.workloads.keys() - named[moment.step])
            if sets:
                return f"step {moment.step} does not name {sets[0]}, which its match would label"
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


class _Sides(NamedTuple):
    """What a prediction is held against: who is known to the plan, ready now, or named in its changes."""

    known: frozenset[str]
    alive: frozenset[str]
    named: frozenset[str]
    exact: bool

    def agree(self, said: frozenset[str], found: frozenset[str]) -> bool:
        """Whether ``said`` is true of ``found``, apart from what happened since."""
        if self.exact:
            return said == found
        if not said and found & self.named:
            return False
        return said & self.alive <= found and found & self.known <= said


def _named(plan: Plan, snapshot: Snapshot) -> dict[str, frozenset[str]]:
    """Names of the pods that some change is for and that still live, by namespace."""
    uids = {change.uid for step in plan.steps for change in step.changes if change.kind == "Pod"}
    return {
        namespace: frozenset([pod.metadata.name for pod in pods if pod.metadata.uid in uids])
        for namespace, pods in snapshot.pods_by_namespace.items()
    }


def _awaited(plan: Plan, namespace: str, name: str) -> frozenset[str]:
    """Names of the pods that some wait expects behind the Service itself."""
    waits = [step.wait for step in plan.steps if isinstance(step.wait, EndpointsWait)]
    return frozenset(pod for wait in waits if (wait.namespace, wait.service) == (namespace, name) for pod in wait.pods)


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
