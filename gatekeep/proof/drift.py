"""Whether a plan is still fresh: has any field it relies on changed, and what exactly?

Status, unrelated labels and resourceVersions never make a plan stale, nor does a named pod that is gone: its step skips
it. See the contract in ``docs/plan-document.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from gatekeep.model import patches
from gatekeep.model.objects import Pod
from gatekeep.model.plan import Change, GateTarget, Plan, ServiceForecast, Step
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait
from gatekeep.proof import admissions, drift_workloads, gates, notes, weights
from gatekeep.proof.bindings import name_in
from gatekeep.proof.isolations import Isolations, edits_of, isolations_of
from gatekeep.proof.remembered import forgotten
from gatekeep.proof.runs import is_recorded

_SHOWN = 10


def stale(plan: Plan, snapshot: Snapshot, now: datetime) -> tuple[str, ...]:
    """One sentence for each thing that changed; empty when the plan is fresh. The first step to rely on it counts."""
    found = [*_expired(plan, now), *_other_cluster(plan, snapshot), *_overtaken(plan, snapshot)]
    apart = isolations_of(plan, snapshot)
    found.extend(f"{pod.ref} was isolated by {item.by} since the plan was made" for pod, item in forgotten(plan, apart))
    found.extend(weights.thinned(plan, snapshot))
    pods = {pod.metadata.uid: pod for pod in snapshot.pods}
    seen: set[tuple[str, str]] = set()
    for step in plan.steps:
        found.extend(_awaited(step, snapshot, seen))
        found.extend(drift_workloads.stale(step, snapshot, seen))
        for change in step.changes:
            found.extend(_changed(step, change, pods, apart, seen))
    if len(found) > _SHOWN:
        return (*found[:_SHOWN], f"and {len(found) - _SHOWN} more")
    return tuple(found)


def _awaited(step: Step, snapshot: Snapshot, seen: set[tuple[str, str]]) -> Iterable[str]:
    """A wait on a Service whose selector the plan has not touched yet relies on that selector."""
    wait = step.wait
    if not isinstance(wait, EndpointsWait) or (wait.namespace, wait.service) in seen:
        return
    seen.add((wait.namespace, wait.service))
    service = snapshot.service(wait.namespace, wait.service)
    live = dict(service.spec.selector or {}) if service else {}
    if service is not None and live != wait.selector:
        yield f"{service.ref}: the selector changed since the plan was made: {explain(dict(wait.selector), live)}"


def fulfilled(plan: Plan, snapshot: Snapshot) -> bool:
    """Everything is as the plan would leave it: its labels, its selectors, its rotations, and no leftover."""
    deleted = {change.uid for step in plan.steps if step.action == "Delete" for change in step.changes}
    if any(service.metadata.uid in deleted for service in snapshot.services):
        return False
    labels: dict[tuple[str, str], str | None] = {}
    noted: dict[tuple[str, str], str | None] = {}
    for step in plan.steps:
        for change in step.changes:
            if change.kind == "Pod" and change.uid is not None:
                labels.update(((change.uid, key), value) for key, value in _written(change))
                if note := notes.note_of(change.patch):
                    noted[change.uid, note.key] = note.new or None
    pods = {pod.uid: pod for pod in snapshot.pods}
    if any(uid in pods and pods[uid].labels.get(key) != value for (uid, key), value in labels.items()):
        return False
    if any(uid in pods and notes.live_note(pods[uid], key) != value for (uid, key), value in noted.items()):
        return False
    if not drift_workloads.fulfilled(plan, snapshot) or admissions.differ(plan, snapshot):
        return False
    return all(_as_planned(item, snapshot) for item in plan.services) and not _selectors_differ(plan, snapshot)


def _written(change: Change) -> Iterable[tuple[str, str | None]]:
    for op in change.patch:
        if op.op != "test" and op.path.startswith("/metadata/labels/") and name_in(op.value) is None:
            yield patches.tokens_of(op.path)[2], None if op.op == "remove" else op.value


def _as_planned(item: ServiceForecast, snapshot: Snapshot) -> bool:
    service = snapshot.service(item.namespace, item.name)
    if service is None:
        return False
    ready = snapshot.ready_uids(service)
    alive = [pod for pod in snapshot.pods_in(item.namespace) if pod.uid in ready]
    now = {pod.name for pod in alive if matches_map(service.spec.selector, pod.labels)}
    return now == {pod.name for pod in alive} & set(item.after)


def _selectors_differ(plan: Plan, snapshot: Snapshot) -> bool:
    """The undo of the last patch of a Service starts from the selector that the plan leaves."""
    final: dict[tuple[str, str], object] = {}
    for step in plan.steps:
        for change in step.changes:
            if step.action == "Patch" and change.kind == "Service":
                tested = [op.value for op in change.undo if op.op == "test" and op.path == "/spec/selector"]
                final[change.namespace, change.name] = tested[0] if tested else None
    return any(
        (service := snapshot.service(*key)) is None or dict(service.spec.selector or {}) != wanted
        for key, wanted in final.items()
    )


def moved(plan: Plan, snapshot: Snapshot) -> tuple[str, ...]:
    """Services whose rotation is another than the plan starts from, by pods that live: one sentence for each."""
    found = []
    for item in plan.services:
        service = snapshot.service(item.namespace, item.name)
        if service is None:
            continue
        ready = snapshot.ready_uids(service)
        pods = [pod for pod in snapshot.pods_in(item.namespace) if pod.uid in ready]
        out = [pod.name for pod in pods if not matches_map(service.spec.selector, pod.labels)]
        gone = sorted(set(out) & set(item.before))
        if gone:
            more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
            found.append(
                f"{service.ref}: {gone[0]}{more} left the rotation since the plan was made, by another hand or run"
            )
    return tuple(found)


def _expired(plan: Plan, now: datetime) -> Iterable[str]:
    if plan.expires_at and datetime.fromisoformat(plan.expires_at) <= now:
        yield f"the plan expired at {plan.expires_at}"


def _other_cluster(plan: Plan, snapshot: Snapshot) -> Iterable[str]:
    planned, live = plan.cluster.uid, snapshot.identity.uid
    if planned and live and planned != live:
        yield f"the plan is for the cluster {planned} ({plan.cluster.server or 'a snapshot'}), this one is {live}"


def _changed(
    step: Step, change: Change, pods: Mapping[str, Pod], apart: Isolations, seen: set[tuple[str, str]]
) -> Iterable[str]:
    where = f"{change.kind} {change.namespace}/{change.name}"
    if change.kind == "Pod":
        pod = pods.get(change.uid or "")
        if pod is not None:
            yield from _labels_changed(where, change, pod, seen)
            yield from _note_changed(where, change, pod, seen)
        else:
            yield from _missed(where, step, change, apart)
        return
    if change.kind != "Service":
        return
    key = (change.namespace, change.name)
    if step.action != "Patch" or key in seen:
        seen.add(key)
        return
    seen.add(key)
    service = apart.snapshot.service(*key)
    if service is None:
        yield f"{where} is gone"
    elif service.metadata.uid != change.uid:
        yield f"{where} was deleted and created again (uid {service.metadata.uid}, planned {change.uid})"
    else:
        yield from _selector_changed(where, change, dict(service.spec.selector or {}))


def _missed(where: str, step: Step, change: Change, apart: Isolations) -> Iterable[str]:
    """A pod that is gone is missed where it was chosen: nobody else may take its place."""
    if apart.released(step, change):
        yield f"{where} was to be released from its controller, and is gone"
    elif step.picks and apart.ending(step, change) is None and _joins(apart.gates.get(step.policy), change):
        yield f"{where} was picked to join, and is gone"


def _joins(gate: GateTarget | None, change: Change) -> bool:
    own = set(gates.labels_of(gate)) if gate is not None else set()
    return any(old is None and (gate is None or (key, new) in own) for key, (old, new) in edits_of(change).items())


def _overtaken(plan: Plan, snapshot: Snapshot) -> Iterable[str]:
    """The run has come further than the plan leads. One that was aborted may begin anew, and an undo leads back."""
    for gate in plan.gates:
        record = gates.recorded(gate, snapshot)
        now, then = record.progress if record is not None else None, gate.progress
        if now is None or then is None or now.run != then.run or now.phase == "Aborted" or is_recorded(gate, record):
            continue
        if now.step > then.step:
            name = gates.reference(gate)
            yield f"{name}: its run has done {now.step} steps by now, and the plan leads to step {then.step}"


def _note_changed(where: str, change: Change, pod: Pod, seen: set[tuple[str, str]]) -> Iterable[str]:
    note = notes.note_of(change.patch)
    if note is None or (pod.metadata.uid, note.key) in seen:
        return
    seen.add((pod.metadata.uid, note.key))
    live = notes.live_note(pod, note.key)
    if live != (note.old or None):
        yield f"{where}: the annotation {note.key} changed since the plan was made"
    elif notes.makes_the_map(change.patch) and pod.metadata.annotations is not None:
        yield f"{where} had no annotation when the plan was made, and has one now"


def _labels_changed(where: str, change: Change, pod: Pod, seen: set[tuple[str, str]]) -> Iterable[str]:
    for op in change.patch:
        if op.op != "test" or not op.path.startswith("/metadata/labels/") or (pod.metadata.uid, op.path) in seen:
            continue
        seen.add((pod.metadata.uid, op.path))
        key = patches.tokens_of(op.path)[2]
        live = pod.metadata.labels.get(key)
        if live != op.value and name_in(op.value) is None:
            yield f"{where}: the label {key} was {_quoted(op.value)} when the plan was made, now it is {_quoted(live)}"


def _selector_changed(where: str, change: Change, live: dict[str, str]) -> Iterable[str]:
    for op in change.patch:
        if op.op == "test" and op.path == "/spec/selector" and op.value != live:
            yield f"{where}: the selector changed since the plan was made: {explain(op.value, live)}"


def explain(planned: Any, live: Any) -> str:
    """The difference between two selectors in plain words."""
    # Imported here: it takes as long to load as a whole small plan takes to make.
    from deepdiff import DeepDiff

    diff = DeepDiff({"selector": planned}, {"selector": live}, view="tree")
    words = []
    for kind, verb in (("dictionary_item_added", "gained"), ("dictionary_item_removed", "lost")):
        for item in diff.get(kind, ()):
            value = item.t2 if verb == "gained" else item.t1
            words.append(f"{verb} {item.path(output_format='list')[-1]}={value}")
    words.extend(
        f"{item.path(output_format='list')[-1]} was {item.t1!r}, now {item.t2!r}"
        for item in diff.get("values_changed", ())
    )
    return ", ".join(sorted(words)) or "its type changed"


def _quoted(value: object) -> str:
    return "absent" if value is None else f"{value!r}"
