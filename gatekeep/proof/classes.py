"""Pods that behave alike while a plan runs form one class with a count: they differ in name only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gatekeep.model.objects import Pod, Service
from gatekeep.model.selectors import matches_map
from gatekeep.proof.labels import Labels, ServiceKey
from gatekeep.proof.simulate import PodWrites, Timeline

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
