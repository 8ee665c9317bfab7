"""How many canary pods may be in rotation at a weight: a plan may not go ahead of what its run says.

The number is worked out here anew, from the policy's groups and the pods as the plan leaves them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from gatekeep.model.endpoints import is_ready, is_terminal
from gatekeep.model.objects import Pod, controller_of
from gatekeep.model.plan import GateTarget, Plan
from gatekeep.model.policy import Canary, Group
from gatekeep.model.progress import Progress
from gatekeep.model.selectors import matches, matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait
from gatekeep.proof.gates import keys_of, policy_of, reference
from gatekeep.proof.isolations import isolations_of
from gatekeep.proof.labels import Labels
from gatekeep.proof.simulate import PodWrites, Timeline

Owners = frozenset[tuple[str, str]]
"""The controllers above a pod, by kind and name."""


class _Moment(NamedTuple):
    """Once that step is done, pods have these labels (others: their own), and the weight is in effect."""

    step: int
    weight: int
    labels: Mapping[str, Labels]


class _Counted(NamedTuple):
    """Pods of both groups in rotation."""

    stable: int
    canary: int


def problem_of(plan: Plan, snapshot: Snapshot, timeline: Timeline, *, exact: bool) -> str | None:
    """A gate that has more canary pods in rotation than the weight of its run, once a stage or the plan is done.

    Without ``exact``, pods that the plan counts on and that are gone may have been stable ones; ``thinned`` says how
    many may be. Canary pods that the plan does not know are not its fault.
    """
    for gate in plan.gates:
        canary = _canary_of(gate)
        if canary is None:
            continue
        people = _People(gate, canary, plan, snapshot)
        gone, known = 0, None
        if not exact:
            gone, known = len(_gone(plan, gate, snapshot)), _known(plan, gate, snapshot, timeline)
        selectors = [item.spec.selector for name in gate.services
                     if (item := timeline.services.get((gate.namespace, name))) is not None]  # fmt: skip
        for moment in _moments(plan, gate, canary, timeline):
            found = people.in_rotation(moment.labels, selectors, known)
            bound = most_canary(found.stable + gone, moment.weight)
            if bound is not None and found.canary > bound:
                where = f"after step {moment.step}" if moment.step else "as it is"
                return (
                    f"{reference(gate)} has {found.canary} canary and {found.stable} stable pods in rotation {where}; "
                    f"at weight {moment.weight}, where its run is then, there may be at most {bound} canary pods"
                )
    return None


def most_canary(stable: int, weight: int) -> int | None:
    """The most canary pods beside so many stable ones; None where there may be any number.

    Either all stable pods are in, and the canary pods are rounded; or all canary pods, and the stable ones are rounded
    and at least one. Then the stable pods may be half a pod short, and the canary's share is larger by that.
    """
    if weight <= 0:
        return 0
    if weight >= 100:
        return None
    rest = 100 - weight
    by_stable = (2 * weight * stable + rest) // (2 * rest)
    by_canary = ((2 * stable + 1) * weight - 1) // (2 * rest)
    return max(1, by_stable, by_canary)


def weight_at(canary: Canary, progress: Progress | None) -> int:
    """The weight in effect where the run is, in percent."""
    if progress is not None and progress.phase == "Aborted":
        return 0
    if canary.steps is None:
        return canary.weight or 0
    done = canary.steps[: progress.step] if progress is not None else ()
    return next((step.weight for step in reversed(done) if step.weight is not None), 0)


def thinned(plan: Plan, snapshot: Snapshot) -> Iterable[str]:
    """Canaries whose weight was reckoned with more pods that are gone by now than stable ones are left."""
    for gate in plan.gates:
        canary = _canary_of(gate)
        gone = _gone(plan, gate, snapshot) if canary is not None else ()
        if canary is None or not gone:
            continue
        people, keys = _People(gate, canary, plan, snapshot), keys_of(gate, snapshot)
        found = (snapshot.service(gate.namespace, name) for name in gate.services)
        bases = [{key: value for key, value in (item.spec.selector or {}).items() if key not in keys}
                 for item in found if item is not None]  # fmt: skip
        left = people.stable_behind(bases)
        if len(gone) > left:
            yield (
                f"{reference(gate)}: {gone[0]} and {len(gone) - 1} more that the plan counts on are gone, and {left} "
                "stable pods are left: its weight would be another"
            )


class _People:
    """Who is of which group. Pods that have their labels and controller in common are looked at once."""

    def __init__(self, gate: GateTarget, canary: Canary, plan: Plan, snapshot: Snapshot) -> None:
        self.snapshot, self.canary = snapshot, canary
        self.pods = snapshot.pods_in(gate.namespace)
        apart = isolations_of(plan, snapshot)
        held = apart.held[reference(gate)]
        self._back = {uid: entry.pod.owner for uid, entry in apart.known[reference(gate)].items()
                      if uid not in held and entry.pod.owner}  # fmt: skip
        self._answers: dict[tuple[bool, int, str, str], bool] = {}

    def in_rotation(
        self, labels: Mapping[str, Labels], selectors: Iterable[Labels | None], known: frozenset[str] | None
    ) -> _Counted:
        """Of stable pods, with ``known``, those too that are not ready by now; of canary pods only these, by uid."""
        wanted, stable, canary = list(selectors), 0, 0
        for pod in self.pods:
            live = labels.get(pod.uid, pod.labels)
            serving = _serves(pod)
            if (known is None and not serving) or not any(matches_map(one, live) for one in wanted):
                continue
            if self._is_of(pod, live, fresh=False) or self._is_of(pod, pod.labels, fresh=False):
                stable += 1
            if serving and (known is None or pod.uid in known):
                canary += self._is_of(pod, live, fresh=True)
        return _Counted(stable, canary)

    def stable_behind(self, bases: Iterable[Labels]) -> int:
        """Living stable pods, in rotation or not."""
        wanted = list(bases)
        return sum(
            any(matches_map(one, pod.labels) for one in wanted) and self._is_of(pod, pod.labels, fresh=False)
            for pod in self.pods
            if not is_terminal(pod)
        )

    def _is_of(self, pod: Pod, labels: Labels, *, fresh: bool) -> bool:
        owner, back = controller_of(pod.metadata), self._back.get(pod.uid, "")
        key = (fresh, id(labels), owner.uid if owner is not None else "", back)
        if key not in self._answers:
            group = self.canary.canary if fresh else self.canary.stable
            self._answers[key] = belongs(group, labels, self._owners(pod, back))
        return self._answers[key]

    def _owners(self, pod: Pod, back: str) -> Owners:
        """Of a pod that comes back, those too that it comes back to."""
        chain = [ref for ref, _ in self.snapshot.owner_chain(pod.metadata)]
        workload = self.snapshot.workload_index.get(back)
        if workload is not None:
            chain += [workload.ref, *(ref for ref, _ in self.snapshot.owner_chain(workload.metadata))]
        return frozenset((ref.kind, ref.name) for ref in chain)


def belongs(group: Group, labels: Labels, owners: Owners) -> bool:
    """The pod is of the group, by its controllers and its labels."""
    if group.owners is not None and owners.isdisjoint((item.kind, item.name) for item in group.owners):
        return False
    if group.selector is not None and not matches(group.selector, labels):
        return False
    if group.any_of is not None and not any(belongs(part, labels, owners) for part in group.any_of):
        return False
    return not any(belongs(part, labels, owners) for part in group.except_ or ())


def _canary_of(gate: GateTarget) -> Canary | None:
    policy = policy_of(gate)
    return policy.spec.rotation.canary if policy is not None else None


def _moments(plan: Plan, gate: GateTarget, canary: Canary, timeline: Timeline) -> Iterator[_Moment]:
    """The end of each stage, and of the plan."""
    ends = [(stage.through, weight_at(canary, stage.progress)) for stage in gate.stages]
    ends.append((len(plan.steps), weight_at(canary, gate.progress)))
    writes = [moment for moment in timeline.moments if isinstance(moment, PodWrites)]
    labels: dict[str, Labels] = {}
    for step, weight in ends:
        while writes and writes[0].step <= step:
            labels.update(writes.pop(0).labels)
        yield _Moment(step, weight, labels)


def _serves(pod: Pod) -> bool:
    return is_ready(pod) and not is_terminal(pod) and pod.metadata.deletion_timestamp is None


def _names(plan: Plan, gate: GateTarget) -> frozenset[str]:
    """The pods that the plan says are ready behind a Service of the gate, some time."""
    found: set[str] = set()
    for claim in plan.services:
        if claim.namespace == gate.namespace and claim.name in gate.services:
            found.update(claim.before, claim.after)
    for step in plan.steps:
        if isinstance(step.wait, EndpointsWait) and step.policy == reference(gate):
            found.update(step.wait.pods)
    return frozenset(found)


def _gone(plan: Plan, gate: GateTarget, snapshot: Snapshot) -> tuple[str, ...]:
    alive = {pod.name for pod in snapshot.pods_in(gate.namespace)}
    return tuple(sorted(_names(plan, gate) - alive))


def _known(plan: Plan, gate: GateTarget, snapshot: Snapshot, timeline: Timeline) -> frozenset[str]:
    """Uids of the pods that the plan names or writes."""
    names = _names(plan, gate)
    named = (pod.uid for pod in snapshot.pods_in(gate.namespace) if pod.name in names)
    written = (uid for moment in timeline.moments if isinstance(moment, PodWrites) for uid in moment.labels)
    return frozenset((*named, *written))
