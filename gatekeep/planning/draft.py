"""A plan in the making: the steps so far, and the labels and selectors as they will be after them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gatekeep.model.admission import API_VERSION as ADMISSION_VERSION
from gatekeep.model.objects import AdmissionObject, Pod, Service, Workload
from gatekeep.model.patches import (
    FieldEdit,
    Op,
    delete_guard,
    field_patch,
    is_label,
    label_patch,
    pointer,
    selector_patch,
    tokens_of,
    undo_field_patch,
)
from gatekeep.model.plan import Action, Change, Match, Step
from gatekeep.model.progress import Progress, Stage
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import Bound, EndpointsWait, ExistsWait, GateLabel, Wait
from gatekeep.planning.edits import edited_workload, placeholder
from gatekeep.planning.helpers import binding

Edits = Mapping[str, tuple[str | None, str | None]]


@dataclass
class Draft:
    """Steps in order, with the state they lead to laid over the snapshot."""

    snapshot: Snapshot
    steps: list[Step] = field(default_factory=list)
    phase: int = 1
    stages: list[Stage] = field(default_factory=list)
    _labels: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _selectors: dict[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    _workloads: dict[str, Workload] = field(default_factory=dict)
    _matched: dict[tuple[str, frozenset[tuple[str, str]]], tuple[Pod, ...]] = field(default_factory=dict)

    def labels(self, pod: Pod) -> Mapping[str, str]:
        """The pod's labels after the steps so far."""
        return self._labels.get(pod.metadata.uid, pod.metadata.labels)

    def selector(self, service: Service) -> Mapping[str, str]:
        """The Service's selector after the steps so far."""
        return self._selectors.get((service.namespace, service.name), service.spec.selector or {})

    def workload(self, item: Workload) -> Workload:
        """The workload after the steps so far."""
        return self._workloads.get(item.uid, item)

    def matched(self, namespace: str, selector: Mapping[str, str]) -> tuple[Pod, ...]:
        """The pods that ``selector`` matches after the steps so far, ready or not."""
        key = (namespace, frozenset(selector.items()))
        if key not in self._matched:
            pods = self.snapshot.pods_in(namespace)
            labels = self._labels
            self._matched[key] = tuple(
                [pod for pod in pods if matches_map(selector, labels.get(pod.metadata.uid, pod.metadata.labels))]
            )
        return self._matched[key]

    def ready(self, service: Service, selector: Mapping[str, str]) -> tuple[str, ...]:
        """Names of the ready endpoints that ``service`` would have with ``selector`` after the steps so far."""
        ready = self.snapshot.ready_uids(service)
        pods = self.matched(service.namespace, selector)
        return tuple([pod.metadata.name for pod in pods if pod.metadata.uid in ready])

    def label(
        self, edits: Mapping[str, Edits], pods: Iterable[Pod], *, reason: str, policy: str, match: Match | None = None
    ) -> None:
        """One parallel step that moves labels; ``edits`` by pod uid. Nothing is added when there is nothing to do.

        With a ``match`` there always is: it stands for pods that are born until the step is taken.
        """
        changes = []
        shared: dict[tuple[int, int], Mapping[str, str]] = {}
        for pod in pods:
            meta = pod.metadata
            wanted = edits[meta.uid]
            live = self._labels.get(meta.uid, meta.labels)
            # Pods of one template mostly share one labels object, and those that move alike share one edit.
            if (id(live), id(wanted)) not in shared:
                shared[id(live), id(wanted)] = _edited(live, wanted)
            self._labels[meta.uid] = shared[id(live), id(wanted)]
            patch, undo = label_patch(meta.uid, wanted), label_patch(meta.uid, _reversed(wanted))
            changes.append(_change("Pod", meta.namespace, meta.name, meta.uid, patch, undo))
        self._forget({key for wanted in edits.values() for key in wanted})
        if changes or match is not None:
            self._add("Patch", reason, policy, tuple(changes), match=match)

    def _forget(self, keys: set[str]) -> None:
        """What was matched by selectors that use one of ``keys`` is no longer so."""
        stale = [item for item in self._matched if any(key in keys for key, _ in item[1])]
        for item in stale:
            del self._matched[item]

    def select(
        self, wanted: Mapping[str, Mapping[str, str]], services: Iterable[Service], *, reason: str, policy: str
    ) -> None:
        """One step that rewrites selectors; ``wanted`` by Service name."""
        changes = []
        for service in services:
            live, target = self.selector(service), wanted[service.name]
            uid = service.metadata.uid
            changes.append(
                _change(
                    "Service",
                    service.namespace,
                    service.name,
                    uid,
                    selector_patch(uid, live, target),
                    selector_patch(uid, target, live),
                )
            )
            self._selectors[service.namespace, service.name] = target
        self._add("Patch", reason, policy, tuple(changes))

    def edit_workloads(
        self,
        edits: Iterable[tuple[Workload, Sequence[FieldEdit], Mapping[str, str]]],
        *,
        reason: str,
        policy: str,
        match: Match | None = None,
    ) -> None:
        """One step that edits workloads of one kind; each with its edits and what to bind of the answer.

        With a ``match`` the step stands even for nobody: the cluster may have ReplicaSets by then that it has not now.
        """
        changes = []
        for item, wanted, bind in edits:
            patch, undo = field_patch(item.uid, wanted), undo_field_patch(item.uid, wanted)
            change = _change(item.kind, item.metadata.namespace, item.name, item.uid, patch, undo)
            changes.append(msgspec.structs.replace(change, api_version=item.api_version, bind=dict(bind) or None))
            self._workloads[item.uid] = edited_workload(self.workload(item), patch)
        if changes or match is not None:
            self._add("Patch", reason, policy, tuple(changes), match=match)

    def mark_pods(self, owner: Workload, key: str, old: str | Bound, new: Bound, *, reason: str, policy: str) -> None:
        """One step that brings the label ``key`` of ``owner``'s pods from ``old`` to a value bound by then."""
        meta = owner.metadata
        match = Match(namespace=meta.namespace, owner_uids=(meta.uid,), gate=GateLabel(key=key, value=new, old=old))
        edit = [FieldEdit(pointer("metadata", "labels", key), msgspec.to_builtins(old), msgspec.to_builtins(new))]
        changes = []
        for pod in self.snapshot.pods_of(owner):
            if self.labels(pod).get(key) != placeholder(old):
                continue
            patch, undo = field_patch(pod.uid, edit), undo_field_patch(pod.uid, edit)
            changes.append(_change("Pod", meta.namespace, pod.name, pod.uid, patch, undo))
            self._labels[pod.uid] = {**self.labels(pod), key: placeholder(new)}
        self._forget({key})
        self._add("Patch", reason, policy, tuple(changes), match=match, requires=(new.name,))

    def edit_pods(self, edits: Iterable[tuple[Pod, Sequence[FieldEdit]]], *, reason: str, policy: str) -> None:
        """One step that edits labels and annotations of pods by name. Nothing is added when there is nothing to do."""
        changes = []
        for pod, wanted in edits:
            patch, undo = field_patch(pod.uid, wanted), undo_field_patch(pod.uid, wanted)
            changes.append(_change("Pod", pod.namespace, pod.name, pod.uid, patch, undo))
            labels = {tokens_of(edit.path)[2]: (edit.old, edit.new) for edit in wanted if is_label(edit.path)}
            self._labels[pod.uid] = _edited(self.labels(pod), labels)
            self._forget(set(labels))
        if changes:
            self._add("Patch", reason, policy, tuple(changes))

    def create_helpers(self, bodies: Iterable[Mapping[str, Any]], *, reason: str, policy: str) -> None:
        """One step that creates headless helper Services, each bound so that only these are deleted again."""
        changes = []
        for body in bodies:
            meta = body["metadata"]
            change = _change("Service", meta["namespace"], meta["name"], None, (), ())
            bind = {binding(meta["name"]): "/metadata/uid"}
            changes.append(msgspec.structs.replace(change, object=body, bind=bind))
        self._add("Create", reason, policy, tuple(changes))

    def delete_helpers(self, helpers: Iterable[tuple[str, str]], *, reason: str, policy: str) -> None:
        """One step that deletes helper Services this plan created, by namespace and name."""
        changes = [
            _change("Service", namespace, name, None, delete_guard({"$bound": binding(name)}), ())
            for namespace, name in helpers
        ]
        if changes:
            self._add("Delete", reason, policy, tuple(changes))

    def delete_leftovers(self, services: Iterable[Service], *, reason: str, policy: str) -> None:
        """One step that deletes helper Services a killed run left."""
        changes = [
            _change("Service", item.namespace, item.name, item.metadata.uid, delete_guard(item.metadata.uid), ())
            for item in services
        ]
        if changes:
            self._add("Delete", reason, policy, tuple(changes))

    def create_kept(self, bodies: Iterable[Mapping[str, Any]], *, reason: str, policy: str) -> None:
        """One step that creates cluster-scoped objects which outlive the plan."""
        changes = []
        for body in bodies:
            kind, name = body["kind"], body["metadata"]["name"]
            change = _change(kind, "", name, None, (), ())
            bind = {f"{kind}/{name}.uid": "/metadata/uid"}
            changes.append(msgspec.structs.replace(change, api_version=body["apiVersion"], object=body, bind=bind))
        if changes:
            self._add("Create", reason, policy, tuple(changes))

    def delete_kept(self, objects: Iterable[AdmissionObject], *, reason: str, policy: str) -> None:
        """One step that deletes cluster-scoped objects of gatekeep's own."""
        changes = []
        for item in objects:
            uid = item.metadata.uid
            change = _change(item.kind, "", item.name, uid, delete_guard(uid), ())
            changes.append(msgspec.structs.replace(change, api_version=ADMISSION_VERSION))
        if changes:
            self._add("Delete", reason, policy, tuple(changes))

    def await_endpoints(
        self,
        service: Service,
        selector: Mapping[str, str],
        *,
        name: str,
        reason: str,
        policy: str,
        timeout_seconds: int,
    ) -> None:
        """Waits until the slices of ``name`` (the Service or its shadow) hold what ``selector`` predicts."""
        wait = EndpointsWait(
            namespace=service.namespace,
            service=name,
            selector=dict(selector),
            pods=self.ready(service, selector),
            timeout_seconds=timeout_seconds,
        )
        self._add("Wait", reason, policy, (), wait=wait)

    def await_exists(self, namespace: str, name: str, *, reason: str, policy: str, timeout_seconds: int) -> None:
        """Waits until the marker Service has any slice."""
        wait = ExistsWait(namespace=namespace, service=name, timeout_seconds=timeout_seconds)
        self._add("Wait", reason, policy, (), wait=wait)

    def await_(self, wait: Wait, *, reason: str, policy: str, requires: tuple[str, ...] = ()) -> None:
        """Waits for what the controllers of workloads, or admission, answer."""
        self._add("Wait", reason, policy, (), wait=wait, requires=requires)

    def reach(self, progress: Progress) -> None:
        """Once the steps so far are done, the run has come to ``progress``."""
        if self.steps:
            self.stages.append(Stage(through=self.steps[-1].number, progress=progress))

    def next_phase(self) -> None:
        """What follows stands behind the barriers so far."""
        if self.steps and self.steps[-1].phase == self.phase:
            self.phase += 1

    def _add(
        self,
        action: Action,
        reason: str,
        policy: str,
        changes: tuple[Change, ...],
        *,
        match: Match | None = None,
        wait: Wait | None = None,
        requires: tuple[str, ...] = (),
    ) -> None:
        self.steps.append(
            Step(
                number=len(self.steps) + 1,
                phase=self.phase,
                action=action,
                reason=reason,
                policy=policy,
                requires=requires,
                match=match,
                changes=changes,
                wait=wait,
            )
        )


def _reversed(edits: Edits) -> Edits:
    return {key: (new, old) for key, (old, new) in edits.items()}


def _edited(labels: Mapping[str, str], edits: Edits) -> dict[str, str]:
    result = dict(labels)
    for key, (_, new) in edits.items():
        if new is None:
            result.pop(key, None)
        else:
            result[key] = new
    return result


def _change(
    kind: str, namespace: str, name: str, uid: str | None, patch: tuple[Op, ...], undo: tuple[Op, ...]
) -> Change:
    return Change(api_version="v1", kind=kind, namespace=namespace, name=name, uid=uid, patch=patch, undo=undo)
