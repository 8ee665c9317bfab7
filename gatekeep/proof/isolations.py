"""Pods that are isolated: what may be written on them, and when one may be released from its controller.

Two steps may write a label that a controller selects by. A *release* takes exactly those off that an isolation of mode
Detach says, when the pod is out of rotation and a wait has shown it. A *return* gives back those that the record
remembers. No other step may; so proof and execution know the two by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gatekeep.model import patches
from gatekeep.model.endpoints import is_terminal
from gatekeep.model.objects import OwnerReference, Pod, Workload, controller_of
from gatekeep.model.plan import Change, GateTarget, Plan, Step
from gatekeep.model.progress import Isolated, IsolatedPod
from gatekeep.model.selectors import keys_of, matches, matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait
from gatekeep.proof import gates
from gatekeep.proof.gates import recorded, reference
from gatekeep.proof.labels import Labels, ServiceKey
from gatekeep.proof.notes import COST, ISOLATED, note_of, without_notes
from gatekeep.proof.simulate import Barrier, PodWrites, ServiceWrites, Timeline

_RELEASES = ("ReplicaSet", "DaemonSet", "ReplicationController")
_ADOPTS = ("ReplicaSet", "DaemonSet", "StatefulSet")
_KEPT = {
    "StatefulSet": "the pod that takes its place needs its name",
    "Job": "another pod would do its work again",
}
Edits = Mapping[str, tuple[str | None, str | None]]
"""The labels that a patch writes: old value and new, None is absent."""


class Entry(NamedTuple):
    """A pod, and the isolation that holds it."""

    isolation: Isolated
    pod: IsolatedPod

    @property
    def detaches(self) -> bool:
        """The pod is released from its controller."""
        return self.isolation.mode == "Detach"


@dataclass(frozen=True)
class Isolations:
    """By gate and uid: ``held`` once the plan is done, ``known`` by the records as it begins."""

    snapshot: Snapshot
    gates: Mapping[str, GateTarget]
    held: Mapping[str, Mapping[str, Entry]]
    known: Mapping[str, Mapping[str, Entry]]

    def released(self, step: Step, change: Change) -> Entry | None:
        """The isolation for which ``change`` takes labels off, if it does."""
        entry = self.held.get(step.policy, {}).get(change.uid or "")
        if entry is None or not entry.detaches or change.kind != "Pod":
            return None
        gone = {key for key, (_, new) in edits_of(change).items() if new is None}
        return entry if gone & entry.pod.labels.keys() else None

    def returned(self, step: Step, change: Change) -> Entry | None:
        """The isolation that is over and whose labels ``change`` gives back, all of them, if it does."""
        entry = self.ending(step, change)
        if entry is None or not entry.detaches or not entry.pod.labels or change.kind != "Pod":
            return None
        added = {(key, new) for key, (old, new) in edits_of(change).items() if old is None}
        return entry if entry.pod.labels.items() <= added else None

    def ending(self, step: Step, change: Change) -> Entry | None:
        """The isolation of the pod as the record knows it, where the plan does not keep it detached."""
        uid = change.uid or ""
        held, known = self.held.get(step.policy, {}).get(uid), self.known.get(step.policy, {}).get(uid)
        return None if held is not None and held.detaches else known

    def key_problem(self, step: Step, change: Change, pod: Pod | None, owned: Mapping[str, str]) -> str | None:
        """Why the keys ``owned``, each by somebody, may not be written; None where it is a release or a return."""
        edits = edits_of(change)
        if entry := self.released(step, change):
            return self._release_problem(step, change, pod, entry)
        entry = self.returned(step, change)
        if entry and step.match is None and owned.keys() <= entry.pod.labels.keys():
            return self._return_problem(pod, entry)
        key, problem = next(iter(owned.items()))
        taken = edits.get(key, (None, ""))[1] is None
        hint = "; an isolation that releases the pod is not in the plan" if taken else ""
        hint = "; the record does not know that it was taken off that pod" if edits.get(key, ("",))[0] is None else hint
        return f"touches the label {key}, {problem}{hint}"

    def note_problem(self, step: Step, change: Change, pod: Pod | None) -> str | None:
        """Why the annotation of this very pod may not be written."""
        note, uid = note_of(change.patch), change.uid or ""
        if note is None:
            return None
        held = self.held.get(step.policy, {}).get(uid)
        if note.key == COST:
            return self._cost_problem(step, pod)
        if note.new is not None and held is None:
            return f"writes {ISOLATED}, and no isolation of its gate holds that pod"
        if note.new is None and held is not None:
            return f"takes {ISOLATED} off, and the isolation {held.isolation.name} holds that pod still"
        if note.new is None and uid not in self.known.get(step.policy, {}):
            return f"takes {ISOLATED} off, and the record knows no isolation of that pod"
        return None

    def _release_problem(self, step: Step, change: Change, pod: Pod | None, entry: Entry) -> str | None:
        labels, edits = entry.pod.labels, edits_of(change)
        if step.match is not None or any(self.released(step, item) is None for item in step.changes):
            return "releases it from its controller, which takes a step of its own"
        if edits != {key: (value, None) for key, value in labels.items()}:
            return f"takes other labels off than {_listed(labels)}, which the isolation {entry.isolation.name} says"
        if pod is None:
            return None  # it is gone: nothing is written
        return self._behind_problem(step, pod) or self._owner_problem(pod, entry.pod)

    def _behind_problem(self, step: Step, pod: Pod) -> str | None:
        """A gate releases its own pods only: those that are behind one of its Services but for the gate."""
        gate = self.gates[step.policy]
        keys = gates.keys_of(gate, self.snapshot)
        for name in gate.services:
            service = self.snapshot.service(gate.namespace, name)
            selector = (service.spec.selector or {}) if service is not None else {}
            base = {key: value for key, value in selector.items() if key not in keys}
            if base and matches_map(base, pod.labels):
                return None
        return "releases a pod that is behind no Service of its gate"

    def _return_problem(self, pod: Pod | None, entry: Entry) -> str | None:
        owner = self.snapshot.workload_index.get(entry.pod.owner)
        if pod is None or owner is None or matches(owner.spec.selector, {**pod.labels, **entry.pod.labels}):
            return None
        return f"gives {_listed(entry.pod.labels)} back, and {owner.ref}, whose pod it was, does not select it by that"

    def _owner_problem(self, pod: Pod, said: IsolatedPod) -> str | None:
        labels, owner = said.labels, controller_of(pod.metadata)
        if owner is None:
            return "releases it from its controller, and it has none"
        if owner.kind not in _RELEASES:
            why = _KEPT.get(owner.kind, f"no plan releases pods of a {owner.kind}")
            return f"releases it from {owner.kind} {owner.name}: {why}"
        if said.owner != owner.uid:
            return f"releases it from {owner.kind} {owner.name}, and its isolation says that another controls it"
        live = self.snapshot.workload_index.get(owner.uid)
        if live is None:
            return f"releases it from {owner.kind} {owner.name}, and the labels which that selects by are not known"
        if stray := sorted(labels.keys() - keys_of(live.spec.selector)):
            return f"takes off {stray[0]}, by which {live.ref} does not select its pods"
        return self._adopter_problem(pod, labels, owner)

    def _adopter_problem(self, pod: Pod, labels: Labels, owner: OwnerReference) -> str | None:
        """With what is left nobody may take it up: it is to be looked at, and to be deleted by no controller."""
        left = {key: value for key, value in pod.labels.items() if key not in labels}
        for item in self.snapshot.workloads_in(pod.namespace):
            if item.kind in _ADOPTS and matches(item.spec.selector, left):
                if item.uid == owner.uid:
                    return f"takes off {_listed(labels)}, and {item.ref} still selects it"
                return f"releases it from {owner.kind} {owner.name}, and {item.ref} would adopt it: it selects it then"
        return None

    def _cost_problem(self, step: Step, pod: Pod | None) -> str | None:
        """The surplus pod is marked where one of its ReplicaSet comes back, in a step that does nothing else."""
        alone = step.match is None and all(
            (note := note_of(item.patch)) is not None and note.key == COST and not edits_of(item)
            for item in step.changes
        )
        if not alone:
            return f"writes {COST}, which takes a step of its own"
        owner = controller_of(pod.metadata) if pod is not None else None
        live = self.snapshot.workload_index.get(owner.uid) if owner is not None else None
        if pod is None or (live is not None and live.kind == "ReplicaSet" and self._comes_back(step, live)):
            return None
        return f"writes {COST}, and no pod comes back to its ReplicaSet"

    def _comes_back(self, step: Step, owner: Workload) -> bool:
        held, pods = self.held.get(step.policy, {}), {pod.uid: pod for pod in self.snapshot.pods}
        for uid, entry in self.known.get(step.policy, {}).items():
            back = entry.detaches and uid in pods and not (uid in held and held[uid].detaches)
            if back and matches(owner.spec.selector, {**pods[uid].labels, **entry.pod.labels}):
                return True
        return False


def isolations_of(plan: Plan, snapshot: Snapshot) -> Isolations:
    """Who is isolated by ``plan``, and by what ``snapshot`` recorded of its gates."""
    held, known = {}, {}
    for gate in plan.gates:
        record = recorded(gate, snapshot)
        held[reference(gate)] = _entries(gate.isolations)
        known[reference(gate)] = _entries(record.isolations if record is not None else ())
    return Isolations(snapshot, {reference(gate): gate for gate in plan.gates}, held, known)


def edits_of(change: Change) -> Edits:
    """The labels that ``change`` of a pod writes."""
    ops = [op for op in without_notes(change.patch) if op.path.startswith("/metadata/labels/")]
    old = {op.path: op.value for op in ops if op.op == "test"}
    return {
        patches.tokens_of(op.path)[-1]: (old.get(op.path), None if op.op == "remove" else op.value)
        for op in ops if op.op != "test"
    }  # fmt: skip


def problem_of(plan: Plan, snapshot: Snapshot, timeline: Timeline, *, exact: bool) -> str | None:
    """A pod that is released while a Service may still reach it, or that is isolated and not out at the end."""
    apart = isolations_of(plan, snapshot)
    if not any(gate.isolations for gate in plan.gates):
        return None
    for gate in plan.gates:
        if problem := _holders_problem(gate, snapshot):
            return problem
    pods = {pod.uid: pod for pod in snapshot.pods}
    services = [(gate.namespace, name) for gate in plan.gates for name in (*gate.services, gate.preview) if name]
    for step in plan.steps:
        for change in step.changes:
            pod = pods.get(change.uid or "")
            if pod is None or apart.released(step, change) is None:
                continue
            for key in services:
                if _may_reach(key, pod, step.number, snapshot, timeline):
                    return (
                        f"step {step.number} releases {pod.ref} from its controller while Service {key[0]}/{key[1]} "
                        "may still reach it: it must be out before, and a wait must have shown it"
                    )
    written = {change.uid for step in plan.steps for change in step.changes if change.kind == "Pod"}
    asked = pods if exact else {uid: pod for uid, pod in pods.items() if uid in written}
    return next(filter(None, (_end_problem(gate, asked, apart, timeline) for gate in plan.gates)), None)


def _holders_problem(gate: GateTarget, snapshot: Snapshot) -> str | None:
    """What the record will say of isolations must make sense."""
    pods, seen = {pod.uid: pod for pod in snapshot.pods}, set()
    names = [item.name for item in gate.isolations]
    if twice := next((name for name in names if names.count(name) > 1), None):
        return f"{reference(gate)} has two isolations of the name {twice}"
    for item in gate.isolations:
        if item.ended and item.pods:
            return f"{reference(gate)} says that {item.name} has ended, and that it holds {item.pods[0].name}"
        for one in item.pods:
            live = pods.get(one.uid)
            if live is not None and (live.namespace, live.name) != (gate.namespace, one.name):
                return f"{reference(gate)} says that {item.name} isolates {one.name}, whose uid is that of {live.ref}"
            if one.uid in seen:
                return f"{reference(gate)} says twice that {one.name} is isolated"
            if one.labels and item.mode != "Detach":
                return f"{reference(gate)} says that {item.name}, of mode {item.mode}, takes labels off {one.name}"
            seen.add(one.uid)
    return None


def _end_problem(gate: GateTarget, pods: Mapping[str, Pod], apart: Isolations, timeline: Timeline) -> str | None:
    """Whom the record will call isolated is out of rotation, and released where it says so."""
    services = [timeline.services.get((gate.namespace, name)) for name in gate.services]
    for uid, entry in apart.held[reference(gate)].items():
        pod = pods.get(uid)
        if pod is None or is_terminal(pod) or pod.metadata.deletion_timestamp is not None:
            continue
        labels, name = timeline.labels[uid], entry.isolation.name
        if reached := next((item for item in services if item and matches_map(item.spec.selector, labels)), None):
            return f"{reference(gate)} says that {name} isolates {pod.ref}, and {reached.ref} selects it at the end"
        if entry.detaches and (left := sorted(entry.pod.labels.items() & labels.items())):
            return f"{reference(gate)} says that {name} detaches {pod.ref}, which still has {left[0][0]} at the end"
    return None


def _may_reach(key: ServiceKey, pod: Pod, before: int, snapshot: Snapshot, timeline: Timeline) -> bool:
    """The Service matched the pod at some time before that step, and no wait on it has shown since that it is out."""
    if key[0] != pod.namespace:
        return False
    labels, service = pod.labels, snapshot.service(*key)
    reached = False
    for moment in (PodWrites(0, {}), *timeline.moments):
        if moment.step >= before:
            break
        if isinstance(moment, PodWrites):
            labels = moment.labels.get(pod.uid, labels)
        if isinstance(moment, ServiceWrites):
            service = moment.services.get(key, service)
        inside = service is not None and matches_map(service.spec.selector, labels)
        if isinstance(moment, Barrier) and isinstance(moment.wait, EndpointsWait):
            reached = reached and (moment.wait.namespace, moment.wait.service) != key
        reached = reached or inside
    return reached


def _entries(isolations: Iterable[Isolated]) -> dict[str, Entry]:
    """By uid; one that has ended holds nobody."""
    return {pod.uid: Entry(item, pod) for item in isolations if not item.ended for pod in item.pods}


def _listed(labels: Labels) -> str:
    return " and ".join(f"{key}={value}" for key, value in sorted(labels.items()))
