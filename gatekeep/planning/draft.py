"""A plan in the making: the steps so far, and the labels and selectors as they will be after them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gatekeep.model.objects import Pod, Service
from gatekeep.model.patches import Op, delete_guard, label_patch, selector_patch
from gatekeep.model.plan import Action, Change, Match, Step
from gatekeep.model.record import managed_labels
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait, ExistsWait, Wait

Edits = Mapping[str, tuple[str | None, str | None]]
_NAME_LIMIT = 63


@dataclass
class Draft:
    """Steps in order, with the state they lead to laid over the snapshot."""

    snapshot: Snapshot
    steps: list[Step] = field(default_factory=list)
    phase: int = 1
    _labels: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _selectors: dict[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    _matched: dict[tuple[str, frozenset[tuple[str, str]]], tuple[Pod, ...]] = field(default_factory=dict)

    def labels(self, pod: Pod) -> Mapping[str, str]:
        """The pod's labels after the steps so far."""
        return self._labels.get(pod.metadata.uid, pod.metadata.labels)

    def selector(self, service: Service) -> Mapping[str, str]:
        """The Service's selector after the steps so far."""
        return self._selectors.get((service.namespace, service.name), service.spec.selector or {})

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
    ) -> None:
        self.steps.append(
            Step(
                number=len(self.steps) + 1,
                phase=self.phase,
                action=action,
                reason=reason,
                policy=policy,
                match=match,
                changes=changes,
                wait=wait,
            )
        )


def helper_name(service: str, suffix: str) -> str:
    """``rng-gatekeep-shadow``; long names are cut and told apart by a hash."""
    name = f"{service}-gatekeep-{suffix}"
    if len(name) <= _NAME_LIMIT:
        return name
    digest = hashlib.sha256(service.encode()).hexdigest()[:8]
    return f"{service[: _NAME_LIMIT - len(suffix) - 19]}-{digest}-gatekeep-{suffix}"


def helper_body(service: Service, name: str, selector: Mapping[str, str], gate: str) -> dict[str, Any]:
    """A headless Service that the same endpoint controller resolves exactly as it would resolve ``service``."""
    spec: dict[str, Any] = {"clusterIP": "None", "selector": dict(selector)}
    if service.spec.ports:
        spec["ports"] = [msgspec.to_builtins(port) for port in service.spec.ports]
    if service.spec.ip_families:
        spec["ipFamilies"] = list(service.spec.ip_families)
    if service.spec.ip_family_policy:
        spec["ipFamilyPolicy"] = service.spec.ip_family_policy
    if service.spec.publish_not_ready_addresses:
        spec["publishNotReadyAddresses"] = True
    metadata = {"name": name, "namespace": service.namespace, "labels": managed_labels(gate)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def binding(name: str) -> str:
    """The name under which the uid of a created Service is bound."""
    return f"{name}.uid"


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
