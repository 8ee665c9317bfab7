"""What a proof has to look at: the Services that move, who helps to observe them, and who else may appear."""

from __future__ import annotations

from collections.abc import Iterable

from gatekeep.model.endpoints import MANAGED_BY_LABEL, SERVICE_NAME_LABEL, is_gateable
from gatekeep.model.objects import Pod, PodMeta, Service
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait
from gatekeep.proof.classes import Versions
from gatekeep.proof.helpers import are_helper_labels
from gatekeep.proof.simulate import (
    Barrier,
    Labels,
    PodWrites,
    ServiceKey,
    ServiceWrites,
    Timeline,
    WorkloadWrites,
    service_of,
)
from gatekeep.proof.templates import labels_of


def touched(snapshot: Snapshot, timeline: Timeline) -> Iterable[Service]:
    """Every Service that an edited label or selector can move, named by the plan or not."""
    edited: set[str] = set()
    patched: set[ServiceKey] = set()
    original = {pod.metadata.uid: pod.metadata.labels for pod in snapshot.pods}
    for moment in timeline.moments:
        if isinstance(moment, PodWrites):
            pairs = {(id(after), id(original[uid])): (after, original[uid]) for uid, after in moment.labels.items()}
            for after, before in pairs.values():
                edited.update(key for key, _ in after.items() ^ before.items())
        if isinstance(moment, ServiceWrites):
            patched.update(moment.services)
    for service in sorted(snapshot.services, key=lambda item: (item.namespace, item.name)):
        key = (service.namespace, service.name)
        selectors = set(service.spec.selector or {})
        helper = are_helper_labels(service.metadata.labels)  # serves nobody, whichever gate it is of
        if is_gateable(service) and not helper and (key in patched or selectors & edited):
            yield service


def in_play(service: Service, snapshot: Snapshot, timeline: Timeline) -> Versions:
    """The Service, its helpers (whoever is asked about one of its selectors) and the markers, after each step."""
    key = (service.namespace, service.name)
    found: dict[ServiceKey, dict[int, Service | None]] = {key: {0: service}}
    _record(found[key], key, timeline)
    selectors = [item.spec.selector for item in found[key].values() if item]
    for moment in timeline.moments:
        if not isinstance(moment, Barrier):
            continue
        wait, name = moment.wait, service_of(moment.wait)
        helpful = not isinstance(wait, EndpointsWait) or dict(wait.selector) in selectors
        if name is None or name in found or not helpful:
            continue
        found[name] = {0: snapshot.service(*name)}
        _record(found[name], name, timeline)
    return found


def _record(steps: dict[int, Service | None], key: ServiceKey, timeline: Timeline) -> None:
    for moment in timeline.moments:
        if isinstance(moment, ServiceWrites) and key in moment.services:
            steps[moment.step] = moment.services[key]


def slices_of(service: Service, snapshot: Snapshot) -> int:
    """How many EndpointSlices with endpoints the Service has."""
    return sum(
        1
        for item in snapshot.slices
        if item.metadata.namespace == service.namespace
        and item.metadata.labels.get(SERVICE_NAME_LABEL) == service.name
        and MANAGED_BY_LABEL in item.metadata.labels
        and item.endpoints
    )


def newborn(snapshot: Snapshot, namespace: str, timeline: Timeline) -> Iterable[Pod]:
    """What the adversary may let be born at any time: one pod of each template, with the template's labels only.

    Of a template that the plan edits, one from before and one from after each edit.
    """
    edited: dict[str, list[Labels]] = {}
    for moment in timeline.moments:
        if isinstance(moment, WorkloadWrites):
            for uid, after in moment.workloads.items():
                edited.setdefault(uid, []).append(labels_of(after))
    for workload in snapshot.workloads_in(namespace):
        found: list[Labels] = []
        for labels in (labels_of(workload), *edited.get(workload.uid, ())):
            if labels and labels not in found:
                found.append(labels)
                yield Pod(metadata=PodMeta(name=f"newborn of {workload.ref}", namespace=namespace, labels=labels))
