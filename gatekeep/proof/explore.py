"""Explores every state one Service can reach while a plan runs, and finds the one that breaks an invariant.

Pods that behave alike form one class with a count (they differ in name only), so cost grows with classes and steps.
A Service's endpoints are a sum over classes, so of a class in a parallel step only "none" and "all" need a look: the
least sum lies at one of them. Additivity is also why a death (or a flap) costs at most the pod it hits, and the bound
falls by as many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gatekeep.model.endpoints import SLICE_CAPACITY
from gatekeep.model.objects import Pod, Service
from gatekeep.model.selectors import matches_map
from gatekeep.model.waits import EndpointsWait, ExistsWait, ServiceWait
from gatekeep.proof.simulate import Barrier, Labels, PodWrites, ServiceKey, ServiceWrites, Timeline, service_of
from gatekeep.proof.streams import MOST_MIXED_PARTS, Atom, Seen, View, least, reachable, refuse_many

Versions = Mapping[ServiceKey, Mapping[int, Service | None]]
"""The Services in play after each step that writes them; step 0 is the start, None means it does not exist."""


Ready = Mapping[ServiceKey, frozenset[str]]
"""The uids of the pods that count as ready behind each Service in play, whatever its selector."""

Trail = tuple[tuple[int, tuple[tuple[str, str], ...]], ...]


@dataclass(frozen=True)
class PodClass:
    """Pods that no selector in play and no step tells apart.

    ``versions`` are the relevant labels before and after each step that writes them; ``ready`` says for which Services
    in play its pods count as ready.
    """

    versions: Trail
    ready: frozenset[ServiceKey]
    names: tuple[str, ...]


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


@dataclass
class Exploration:
    """The state of one exploration: what is written, what is proved, what the slices may show."""

    service: ServiceKey
    classes: Sequence[PodClass]
    versions: Versions
    required: int
    many_slices: bool
    allowed: frozenset[int]
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
) -> Verdict:
    """Explores ``service`` while ``timeline`` runs over ``pods``.

    ``required`` is the least number of ready endpoints allowed, ``slices`` how many EndpointSlices the Service has now.
    ``newborn`` are pods the adversary may let be born: they must not be reachable where neither rotation reaches them.
    """
    key = (service.namespace, service.name)
    classes = classify(pods, newborn, timeline, versions, ready)
    run = Exploration(key, classes, versions, required, slices > 1, frozenset())
    run.allowed = _allowed(run, timeline)
    run.many_slices = slices > 1 or _spans_slices(run, timeline)
    awaited = _last_waits(timeline, versions)
    for moment in timeline.moments:
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


def _last_waits(timeline: Timeline, versions: Versions) -> dict[ServiceKey, int]:
    """The last step that waits for each Service in play; what becomes of a helper after that changes nothing."""
    waits = [moment for moment in timeline.moments if isinstance(moment, Barrier)]
    named = [(service_of(moment.wait), moment.step) for moment in waits]
    return {name: step for name, step in named if name is not None and name in versions}


def classify(
    pods: Sequence[Pod], newborn: Sequence[Pod], timeline: Timeline, versions: Versions, ready: Ready
) -> tuple[PodClass, ...]:
    """The pods that some version of a Service in play can match, grouped by behaviour."""
    selectors = [item.spec.selector or {} for steps in versions.values() for item in steps.values() if item]
    keys = sorted({key for selector in selectors for key in selector})
    writes = [(moment.step, moment.labels) for moment in timeline.moments if isinstance(moment, PodWrites)]
    asked = _by_answer(ready)
    groups: dict[tuple[Trail, frozenset[ServiceKey]], list[str]] = {}
    trails: dict[tuple[tuple[int, int], ...], Trail] = {}
    for pod in pods:
        uid = pod.metadata.uid
        course = [(0, pod.metadata.labels), *[(step, labels[uid]) for step, labels in writes if uid in labels]]
        same = tuple([(step, id(labels)) for step, labels in course])  # most pods share their labels objects
        if same not in trails:
            trails[same] = tuple([(step, _relevant(labels, keys)) for step, labels in course])
        answers = frozenset([name for uids, names in asked for name in names if uid in uids])
        groups.setdefault((trails[same], answers), []).append(pod.metadata.name)
    for pod in newborn:
        groups.setdefault((((0, _relevant(pod.labels, keys)),), frozenset()), []).append(pod.name)
    found = [PodClass(trail, answers, tuple(names)) for (trail, answers), names in groups.items()]
    return tuple(item for item in found if _ever_matched(item, selectors))


def _by_answer(ready: Ready) -> list[tuple[frozenset[str], list[ServiceKey]]]:
    """Services that count the very same pods as ready, asked about once."""
    grouped: dict[int, tuple[frozenset[str], list[ServiceKey]]] = {}
    for name, uids in ready.items():
        grouped.setdefault(id(uids), (uids, []))[1].append(name)
    return list(grouped.values())


def _relevant(labels: Labels, keys: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple([(key, labels[key]) for key in keys if key in labels])


def _ever_matched(item: PodClass, selectors: Sequence[Mapping[str, str]]) -> bool:
    return any(matches_map(selector, dict(labels)) for selector in selectors for _, labels in item.versions)


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


def _edge(run: Exploration, timeline: Timeline) -> tuple[View, View]:
    """The views before the plan and after it."""
    pods: Seen = frozenset()
    services: Seen = frozenset()
    for moment in timeline.moments:
        if isinstance(moment, PodWrites):
            pods |= _pod_atoms(run.classes, moment.step)
        if isinstance(moment, ServiceWrites):
            services |= frozenset((moment.step, key) for key in moment.services if key in run.versions)
    return View(frozenset(), frozenset()), View(pods, services)


def _allowed(run: Exploration, timeline: Timeline) -> frozenset[int]:
    """before ∪ after."""
    first, last = _edge(run, timeline)
    return run.members(run.service, first) | run.members(run.service, last)


def _spans_slices(run: Exploration, timeline: Timeline) -> bool:
    return any(
        sum(len(run.classes[number].names) for number in run.members(run.service, view)) > SLICE_CAPACITY
        for view in _edge(run, timeline)
    )


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
    strangers = members - run.allowed
    if run.verdict.violation is not None or (ready >= run.required and not strangers):
        return
    written = [atom for step in (*run.pod_steps, *run.service_steps) for atom in step]
    seen = view.pods | view.services
    run.verdict.violation = Violation(
        service=run.service,
        ready=ready,
        required=run.required,
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
