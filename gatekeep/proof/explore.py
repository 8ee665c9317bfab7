"""Explores every state one Service can reach while a plan runs, and finds the one that breaks an invariant.

Pods that behave alike form one class with a count (they differ in name only), so cost grows with classes and steps.
A Service's endpoints are a sum over classes, so of a class in a parallel step only "none" and "all" need a look: the
least sum lies at one of them. Additivity is also why a death (or a flap) costs at most the pod it hits, and the bound
falls by as many.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from gatekeep.model.endpoints import SLICE_CAPACITY
from gatekeep.model.objects import Pod, Service
from gatekeep.model.selectors import matches_map
from gatekeep.model.waits import EndpointsWait, ExistsWait, ServiceWait
from gatekeep.proof.classes import PodClass, Ready, Versions, classify
from gatekeep.proof.previews import is_exempt
from gatekeep.proof.simulate import Barrier, PodWrites, ServiceKey, ServiceWrites, Timeline, service_of
from gatekeep.proof.streams import MOST_MIXED_PARTS, Atom, Seen, View, least, reachable, refuse_many


@dataclass(frozen=True)
class Violation:
    """A reachable state that breaks an invariant."""

    service: ServiceKey
    ready: int
    required: int
    seen: tuple[Atom, ...]
    unseen: tuple[Atom, ...]
    stranger: str = ""
    mixture: bool = False
    unmet: int = 0
    node: str = ""


@dataclass
class Verdict:
    """What the exploration of one Service found. ``least`` is the smallest number of ready endpoints on the way."""

    states: int = 0
    least: int | None = None
    violation: Violation | None = None
    classes: Mapping[int, PodClass] = field(default_factory=dict)


class Stage(NamedTuple):
    """From one rotation to the next, up to a step: how many must stay ready meanwhile, and who may be reached."""

    through: float
    required: int
    allowed: frozenset[int]


@dataclass
class Exploration:
    """The state of one exploration: what is written, what is proved, what the slices may show."""

    service: ServiceKey
    classes: Sequence[PodClass]
    versions: Versions
    many_slices: bool
    preview: frozenset[str] = frozenset()
    stages: Sequence[Stage] = ()
    pod_steps: list[Seen] = field(default_factory=list)
    service_steps: list[Seen] = field(default_factory=list)
    proved: tuple[View, ...] = (View(frozenset(), frozenset()),)
    shown: dict[ServiceKey, dict[View, None]] = field(default_factory=dict)
    verdict: Verdict = field(default_factory=Verdict)
    _cache: dict[tuple[ServiceKey, View], frozenset[int]] = field(default_factory=dict)

    def selector(self, service: ServiceKey, view: View) -> Service | None:
        """The Service as a controller with ``view`` knows it; None when it does not exist for it."""
        versions = self.versions[service]
        seen = [step for step, part in view.services if part == service]
        return versions[max(seen, default=0)]

    def members(self, service: ServiceKey, view: View) -> frozenset[int]:
        """The classes that the Service's selector matches in ``view``, ready or not."""
        key = (service, view)
        if key not in self._cache:
            known = self.selector(service, view)
            selector = known.spec.selector if known else None
            self._cache[key] = frozenset(
                number
                for number, item in enumerate(self.classes)
                if matches_map(selector, dict(_labels(item, number, view)))
            )
        return self._cache[key]

    def required_in(self, view: View) -> int:
        """The least number of ready endpoints; a preview needs none as long as it is seen to be one."""
        exempt = bool(self.preview) and is_exempt(self.selector(self.service, view), self.preview)
        return 0 if exempt else self.stages[0].required

    def count(self, service: ServiceKey, classes: Iterable[int]) -> int:
        """Ready endpoints among ``classes``."""
        return sum(len(self.classes[number].names) for number in classes if service in self.classes[number].ready)


def explore(
    service: Service,
    timeline: Timeline,
    pods: Sequence[Pod],
    versions: Versions,
    ready: Ready,
    *,
    required: int,
    slices: int,
    newborn: Sequence[Pod] = (),
    node: str = "",
    preview: frozenset[str] = frozenset(),
    stages: Sequence[int] = (),
) -> Verdict:
    """Explores ``service`` while ``timeline`` runs over ``pods``.

    ``required`` ready endpoints must stay, and but for a node the smaller of before and after. ``slices`` is how many
    EndpointSlices the Service has now. ``newborn`` are pods the adversary may let be born: they must not be reachable
    where no rotation reaches them. A Service that asks for the value ``preview`` of one of the keys in ``preview`` may
    be empty as long as it does. With ``stages``, steps that each end at a rotation of its own, before and after are
    those of the stage.
    """
    key = (service.namespace, service.name)
    classes = classify(pods, newborn, timeline, versions, ready)
    run = Exploration(key, classes, versions, slices > 1, preview)
    edges = [_written(run, timeline, through) for through in (0, *sorted(set(stages)), math.inf)]
    run.stages = _stages(run, edges, (*sorted(set(stages)), math.inf), required, rotates=not node)
    run.many_slices = slices > 1 or any(_spans_slices(run, view) for view in edges)
    awaited = _last_waits(timeline, versions)
    for moment in timeline.moments:
        if not _enter(run, moment.step, node):
            break
        match moment:
            case PodWrites():
                run.pod_steps.append(_pod_atoms(classes, moment.step))
            case ServiceWrites():
                matters = {name for name, last in awaited.items() if last > moment.step} | {key}
                run.service_steps.append(frozenset((moment.step, name) for name in moment.services.keys() & matters))
            case Barrier(step, EndpointsWait() | ExistsWait() as wait) if service_of(wait) in versions:
                _look(run, node)
                if run.verdict.violation is None:
                    _pass_barrier(run, wait, step)
            case _:
                pass  # says nothing of this Service; leaving it out only adds states
        if run.verdict.violation is not None:
            break
    if run.verdict.violation is None:
        _look(run, node)
    run.verdict.classes = dict(enumerate(classes))
    return run.verdict


def _enter(run: Exploration, step: int, node: str) -> bool:
    """Ends the stages before ``step``, each with a look at what it wrote; False when that broke an invariant."""
    while step > run.stages[0].through:
        _look(run, node)
        if run.verdict.violation is not None:
            return False
        run.stages = run.stages[1:]
    return True


def _last_waits(timeline: Timeline, versions: Versions) -> dict[ServiceKey, int]:
    """The last step that waits for each Service in play; what becomes of a helper after that changes nothing."""
    waits = [moment for moment in timeline.moments if isinstance(moment, Barrier)]
    named = [(service_of(moment.wait), moment.step) for moment in waits]
    return {name: step for name, step in named if name is not None and name in versions}


def _labels(item: PodClass, number: int, view: View) -> tuple[tuple[str, str], ...]:
    known = item.versions[0][1]
    for step, labels in item.versions[1:]:
        if (step, number) in view.pods:
            known = labels
    return known


def _pod_atoms(classes: Sequence[PodClass], step: int) -> Seen:
    return frozenset(
        (step, number) for number, item in enumerate(classes) if any(when == step for when, _ in item.versions[1:])
    )


def _written(run: Exploration, timeline: Timeline, through: float) -> View:
    """The view of a controller that has read every step up to that one."""
    pods: Seen = frozenset()
    services: Seen = frozenset()
    for moment in timeline.moments:
        if moment.step > through:
            break
        if isinstance(moment, PodWrites):
            pods |= _pod_atoms(run.classes, moment.step)
        if isinstance(moment, ServiceWrites):
            services |= frozenset((moment.step, key) for key in moment.services if key in run.versions)
    return View(pods, services)


def _stages(
    run: Exploration, edges: Sequence[View], throughs: Sequence[float], required: int, *, rotates: bool
) -> Sequence[Stage]:
    """Between two rotations the smaller must stay; a controller that is late may still show an earlier one."""
    sets = [run.members(run.service, view) for view in edges]
    counts = [run.count(run.service, members) for members in sets]
    found = []
    for number, through in enumerate(throughs):
        least = max(required, min(counts[number : number + 2])) if rotates else required
        found.append(Stage(through, least, frozenset().union(*sets[: number + 2])))
    return found


def _spans_slices(run: Exploration, view: View) -> bool:
    return sum(len(run.classes[number].names) for number in run.members(run.service, view)) > SLICE_CAPACITY


def _look(run: Exploration, node: str) -> None:
    """Checks every state that the slices can show in this phase."""
    if run.many_slices:
        refuse_many((*run.pod_steps, *run.service_steps), MOST_MIXED_PARTS)
    views = reachable(run.pod_steps, run.service_steps, run.proved)
    for name in run.versions:
        shown = run.shown.setdefault(name, {})
        shown.update((view, None) for view in views if run.selector(name, view) is not None)
    run.verdict.states += len(views)
    for old in run.shown[run.service]:
        _check(run, run.members(run.service, old), old, old, node)
        if run.many_slices:
            _check_mixtures(run, old, views, node)
        if run.verdict.violation is not None:
            return


def _check_mixtures(run: Exploration, old: View, views: Sequence[View], node: str) -> None:
    """With several slices a sync from one set to another is several writes: in the worst order, all removals first."""
    before = run.members(run.service, old)
    for new in views:
        if old.pods <= new.pods and old.services <= new.services and old != new:
            run.verdict.states += 1
            _check(run, before & run.members(run.service, new), old, new, node)


def _check(run: Exploration, members: frozenset[int], old: View, view: View, node: str) -> None:
    ready = run.count(run.service, members)
    run.verdict.least = ready if run.verdict.least is None else min(run.verdict.least, ready)
    strangers, required = members - run.stages[0].allowed, run.required_in(view)
    if run.verdict.violation is not None or (ready >= required and not strangers):
        return
    written = [atom for step in (*run.pod_steps, *run.service_steps) for atom in step]
    seen = view.pods | view.services
    run.verdict.violation = Violation(
        service=run.service,
        ready=ready,
        required=required,
        seen=tuple(atom for atom in written if atom in seen),
        unseen=tuple(atom for atom in written if atom not in seen),
        stranger=run.classes[min(strangers)].names[0] if strangers else "",
        mixture=old != view,
        node=node,
    )


def _pass_barrier(run: Exploration, wait: ServiceWait, step: int) -> None:
    """Keeps the views in which the slices show what the wait asks for; the controller is there or further on."""
    name = (wait.namespace, wait.service)
    met = [view for view in run.shown[name] if _is_met(run, wait, view)]
    run.shown[name] = dict.fromkeys(met)
    views = reachable(run.pod_steps, run.service_steps, run.proved)
    still = [view for view in views if any(m.pods <= view.pods and m.services <= view.services for m in met)]
    if not still:
        run.verdict.violation = Violation(run.service, 0, 0, (), (), unmet=step)
        return
    run.proved = least(still)


def _is_met(run: Exploration, wait: ServiceWait, view: View) -> bool:
    name = (wait.namespace, wait.service)
    if isinstance(wait, ExistsWait):
        return run.selector(name, view) is not None
    return _ready(run, name, run.members(name, view)) == _expected(run, wait)


def _ready(run: Exploration, name: ServiceKey, classes: Iterable[int]) -> frozenset[int]:
    return frozenset(number for number in classes if name in run.classes[number].ready)


def _expected(run: Exploration, wait: EndpointsWait) -> frozenset[int]:
    """The ready pods that the wait's selector matches in a list made after the last write."""
    written = View(frozenset(atom for step in run.pod_steps for atom in step), frozenset())
    name = (wait.namespace, wait.service)
    return frozenset(
        number
        for number, item in enumerate(run.classes)
        if name in item.ready and matches_map(wait.selector, dict(_labels(item, number, written)))
    )
