"""Isolated pods: the marks they carry, the label whose loss releases one from its controller, and how it comes back.

The rules of the controllers that this rests on are in ``docs/design/0010-strategies.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import msgspec

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Pod, Workload, controller_of
from gatekeep.model.patches import FieldEdit, pointer
from gatekeep.model.plan import Finding
from gatekeep.model.progress import Isolated, IsolatedPod
from gatekeep.model.selectors import LabelSelector, keys_of, matches
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning.draft import Draft
from gatekeep.planning.preflight import is_helper
from gatekeep.planning.task import GateCourse, Release
from gatekeep.strategies.isolation import Apart

ISOLATED = "gatekeep.dev/isolated"
_ANNOTATIONS = "/metadata/annotations"
_RELEASABLE = ("ReplicaSet", "DaemonSet", "ReplicationController")
_HASH = "pod-template-hash"


def releases(apart: Apart, namespace: str, snapshot: Snapshot) -> tuple[tuple[Isolated, ...], tuple[Release, ...]]:
    """The isolations with what is taken off their pods, and the pods that are not marked yet.

    Raises :class:`RefusedError` for a pod that cannot be detached, with the reason.
    """
    alive = {pod.uid: pod for pod in snapshot.pods_in(namespace)}
    standing, found = [], []
    for item in apart.standing:
        pods = []
        for entry in item.pods:
            pod = alive[entry.uid]
            if item.mode == "Detach" and not entry.labels:
                entry = _detached(entry, pod, item, snapshot)
            pods.append(entry)
            mark = _mark(item, entry)
            if marked(pod) != mark:
                taken = {key: value for key, value in entry.labels.items() if pod.labels.get(key) == value}
                found.append(Release(pod, mark, taken))
        standing.append(msgspec.structs.replace(item, pods=tuple(pods)))
    return tuple(standing), tuple(found)


def _mark(item: Isolated, entry: IsolatedPod) -> str:
    """Who, why, until when, and what to give back: for whoever finds the pod."""
    mark: dict[str, object] = {"by": item.by, "reason": item.reason}
    if item.expires:
        mark["until"] = item.expires
    if entry.labels:
        mark["labels"] = dict(entry.labels)
    return json.dumps(mark, ensure_ascii=False, sort_keys=True)


def marked(pod: Pod) -> str:
    """What the annotation of the pod says of its isolation."""
    return pod.metadata.annotations.isolated if pod.metadata.annotations else ""


def _detached(entry: IsolatedPod, pod: Pod, item: Isolated, snapshot: Snapshot) -> IsolatedPod:
    """The entry with the label that is to be taken off. Raises :class:`RefusedError` where none will do."""
    owner = controller_of(pod.metadata)
    if owner is None:
        raise _refusal(pod, item, "no controller owns it, so none can let it go")
    if owner.kind == "StatefulSet":
        raise _refusal(
            pod,
            item,
            f"StatefulSet {owner.name} cannot replace it: the new pod would need the same name, which is taken",
        )
    workload = snapshot.workload_index.get(owner.uid)
    if owner.kind not in _RELEASABLE or workload is None:
        raise _refusal(pod, item, f"{owner.kind} {owner.name} does not replace a pod that it lets go")
    adopters: dict[str, str] = {}
    for key in _candidates(workload, pod, snapshot):
        labels = {name: value for name, value in pod.labels.items() if name != key}
        adopter = _adopter(labels, pod, snapshot)
        if adopter is None:
            return msgspec.structs.replace(entry, owner=owner.uid, labels={key: pod.labels[key]})
        adopters[key] = str(adopter.ref)
    words = "; ".join(f"without {key} it would be taken by {name}" for key, name in sorted(adopters.items()))
    raise _refusal(pod, item, words or f"{owner.kind} {owner.name} selects by no label that the pod has")


def _candidates(workload: Workload, pod: Pod, snapshot: Snapshot) -> list[str]:
    """Keys that the controller selects by; first the hash, then those that no Service selects by."""
    used = {key for item in snapshot.services_in(pod.namespace) if not is_helper(item)
            for key in item.spec.selector or {}}  # fmt: skip
    keys = [key for key in keys_of(workload.spec.selector) if key in pod.labels]
    return sorted(keys, key=lambda key: (key != _HASH, key in used, key))


def _adopter(labels: Mapping[str, str], pod: Pod, snapshot: Snapshot) -> Workload | None:
    """Who would take a pod with these labels. A Deployment takes ReplicaSets, never pods."""
    for item in snapshot.workloads_in(pod.namespace):
        if item.kind != "Deployment" and item.spec.selector is not None and matches(item.spec.selector, labels):
            return item
    return None


def _refusal(pod: Pod, item: Isolated, why: str) -> RefusedError:
    return RefusedError(
        f"{item.by}: the pod cannot be detached: {why}",
        where=str(pod.ref),
        hint="mode: Gate takes it out of rotation and leaves it to its controller",
    )


def set_apart(draft: Draft, course: GateCourse) -> None:
    """Marks who is isolated now, and lets go whom a controller is to replace: they are out of rotation by then."""
    policy = course.task.reference
    marked = [(item.pod, annotated(item.pod, item.mark)) for item in course.releases if not item.labels]
    draft.edit_pods(marked, reason="mark the pods that are isolated", policy=policy)
    released = [
        (item.pod, [*annotated(item.pod, item.mark), *label_edits(draft, item.pod, dict.fromkeys(item.labels))])
        for item in course.releases if item.labels
    ]  # fmt: skip
    draft.edit_pods(released, reason="release them from their controllers, which replace them", policy=policy)
    draft.next_phase()


def annotated(pod: Pod, mark: str | None) -> list[FieldEdit]:
    """The edits that write the mark of an isolation on the pod, or take it off (None)."""
    return annotation(pod, ISOLATED, marked(pod) or None, mark)


def annotation(pod: Pod, key: str, old: str | None, new: str | None) -> list[FieldEdit]:
    """Below an absent map nothing can be added: then the map is."""
    if old == new:
        return []
    if pod.metadata.annotations is None:
        return [FieldEdit(_ANNOTATIONS, None, {key: new})]
    return [FieldEdit(_ANNOTATIONS + pointer(key), old, new)]


def label_edits(draft: Draft, pod: Pod, wanted: Mapping[str, str | None]) -> list[FieldEdit]:
    """The edits that bring labels of the pod to these values, None takes one off."""
    live = draft.labels(pod)
    return [
        FieldEdit(pointer("metadata", "labels", key), live.get(key), value)
        for key, value in sorted(wanted.items()) if live.get(key) != value
    ]  # fmt: skip


def isolation_findings(course: GateCourse, snapshot: Snapshot) -> Iterable[Finding]:
    """What a reader should know of who is out, who comes back, and who goes for that."""
    yield from course.apart.findings
    if any(item.labels for item in course.releases):
        message = "a detached pod has no owner: it is not replaced by name, not deleted with its workload, and no "
        message += "PodDisruptionBudget counts it. It stays until its isolation ends"
        yield Finding(severity="info", rule="detached", object=course.task.reference, message=message)
    apart = [pod for pod in snapshot.pods_in(course.name.namespace) if pod.uid in course.apart.uids]
    for budget in snapshot.budgets:
        held = [pod for pod in apart if _counts(budget.metadata.namespace, budget.spec.selector, pod)]
        if held:
            message = f"it counts {len(held)} isolated pods as healthy while they are ready: it does not protect the "
            message += "rotation, whose floor is the policy's"
            where = f"PodDisruptionBudget {budget.metadata.namespace}/{budget.metadata.name}"
            yield Finding(severity="warning", rule="budget-counts-isolated", object=where, message=message)


def _counts(namespace: str, selector: LabelSelector | None, pod: Pod) -> bool:
    return namespace == pod.namespace and matches(selector, pod.labels)
