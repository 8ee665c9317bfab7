"""What one run carries along: the cluster, the plan, who listens, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from gatekeep.cluster.protocol import Cluster
from gatekeep.execute.lease import Lock
from gatekeep.execute.resend import resending
from gatekeep.execute.values import Value
from gatekeep.metrics.measurement import Measure
from gatekeep.model.errors import GatekeepError, NotFoundError
from gatekeep.model.events import Listener, Note, ReadyEndpoints
from gatekeep.model.objects import ObjectRef, Pod, Service, controller_of
from gatekeep.model.plan import Change, Plan, Step

REVISION = "controller-revision-hash"
"""The label by which the controller of a DaemonSet or StatefulSet knows a pod's template."""

Stop = Callable[[], int | None]
"""A signal's number once one has come, else None."""

T = TypeVar("T")


class StoppedError(GatekeepError):
    """A signal came; the run stops between two writes."""

    def __init__(self, signal_number: int) -> None:
        super().__init__("stopped by a signal")
        self.signal_number = signal_number


@dataclass
class Context:
    """One run.

    ``bound`` holds values that only the cluster could give, by name; ``helpers`` the uids of the helper Services that
    may stand ("" while their creation is unanswered); ``written`` the labels as this run left them, by pod uid;
    ``alike`` the revisions that are equal but for the gate label, and ``replaced`` those that pods carry and another
    writer is replacing, by the name that a revision is bound to; ``held`` the workloads that may be held still, and
    how; ``remarks`` what threads noticed, for the listener; ``measure`` asks the queries of checks.
    """

    cluster: Cluster
    plan: Plan
    listener: Listener
    stop: Stop
    workers: int
    locks: list[Lock] = field(default_factory=list)
    bound: dict[str, Value] = field(default_factory=dict)
    helpers: dict[tuple[str, str], str] = field(default_factory=dict)
    leaders: dict[tuple[str, str], str | None] = field(default_factory=dict)
    alike: dict[str, frozenset[str]] = field(default_factory=dict)
    replaced: dict[str, frozenset[str]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    written: dict[str, dict[str, str | None]] = field(default_factory=dict)
    held: dict[ObjectRef, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    wrote: bool = False
    ready: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    lineages: dict[str, frozenset[str]] = field(default_factory=dict)
    measure: Measure | None = None

    def check(self) -> None:
        """Between two writes: keeps the locks and notices signals. Raises :class:`StoppedError`."""
        number = self.stop()
        if number is not None:
            raise StoppedError(number)
        for lock in self.locks:
            lock.keep()

    def saw(self, namespace: str, service: str, ready: int) -> None:
        """Notes how many ready endpoints a Service of the plan was seen to have."""
        self.ready.setdefault((namespace, service), []).append(ready)
        self.listener(ReadyEndpoints(namespace=namespace, service=service, ready=ready))

    def tell(self) -> None:
        """Passes the remarks on, from the one thread that the listener is called in."""
        while self.remarks:
            self.listener(Note(message=self.remarks.pop(0)))

    def service(self, namespace: str, name: str) -> Service:
        """The Service as it is now."""
        return msgspec.convert(self.get(ObjectRef("Service", namespace, name)), Service)

    def get(self, ref: ObjectRef) -> dict[str, Any]:
        """The object as plain data. Raises :class:`NotFoundError`."""
        return resending(self.cluster.clock, lambda: self.cluster.get(ref))

    def list_pods(self, namespace: str, selector: Mapping[str, str] | None = None) -> tuple[Pod, ...]:
        """The pods of a namespace as they are now."""
        return resending(self.cluster.clock, lambda: self.cluster.list_pods(namespace, selector))

    def list_objects(self, kind: str, namespace: str) -> tuple[dict[str, Any], ...]:
        """The objects of a kind in a namespace as they are now."""
        return resending(self.cluster.clock, lambda: self.cluster.list_objects(kind, namespace, {}))

    def send(self, act: Callable[[], T]) -> T:
        """What a write answers. From then on the run counts as one that wrote, and also when no answer came."""
        answer = resending(self.cluster.clock, act, self._has_written)
        self._has_written()
        return answer

    def _has_written(self) -> None:
        self.wrote = True

    def owner_uids(self, pod: Pod) -> frozenset[str]:
        """The uids of every controller above a pod; each controller is read once."""
        owner = controller_of(pod.metadata)
        if owner is None:
            return frozenset()
        if owner.uid not in self.lineages:
            found = {owner.uid}
            if owner.kind == "ReplicaSet":
                try:
                    above = self.get(ObjectRef("ReplicaSet", pod.namespace, owner.name))
                except NotFoundError:
                    above = {"metadata": {}}
                found.update(
                    item["uid"] for item in above["metadata"].get("ownerReferences", ()) if item.get("controller")
                )
            self.lineages[owner.uid] = frozenset(found)
        return self.lineages[owner.uid]


def ref_of(change: Change) -> ObjectRef:
    """The object a change is for."""
    return ObjectRef(change.kind, change.namespace, change.name)


def last_label_step(plan: Plan, before: Step) -> Step | None:
    """The labelling step that ``before`` relies on: the last one of the same policy that lets pods in by a match."""
    earlier = [step for step in plan.steps if step.number < before.number and step.policy == before.policy]
    return next((step for step in reversed(earlier) if _lets_in(step)), None)


def _lets_in(step: Step) -> bool:
    """The step puts the gate's label on whoever matches; not on templates, and not the mark of a revision."""
    if step.match is None or any(change.kind != "Pod" for change in step.changes):
        return False
    gate = step.match.gate
    return gate is None or (gate.value is not None and gate.key != REVISION)
