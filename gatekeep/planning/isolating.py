"""Isolated pods: the marks they carry, the label whose loss releases one from its controller, and how it comes back.

The rules of the controllers that this rests on are in ``docs/design/0010-strategies.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from gatekeep.model.errors import RefusedError
from gatekeep.model.matching import in_match
from gatekeep.model.objects import Pod, Workload, controller_of
from gatekeep.model.patches import FieldEdit, pointer
from gatekeep.model.plan import Finding, Match
from gatekeep.model.policy import Gate
from gatekeep.model.progress import Isolated, IsolatedPod
from gatekeep.model.selectors import LabelSelector, keys_of, matches, matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning.adoption import REVISION_HASH
from gatekeep.planning.draft import Draft
from gatekeep.planning.preflight import is_helper
from gatekeep.planning.task import Comeback, GateCourse, Release
from gatekeep.strategies.isolation import Apart
from gatekeep.strategies.question import serves

ISOLATED = "gatekeep.dev/isolated"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
FIRST_TO_GO = "-2147483647"
"""The cost is an int32, GetDeletionCostFromPodAnnotations:
https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/helper/helpers.go
"""

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
            if _marked(pod) != mark:
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


def _marked(pod: Pod) -> str:
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


def without_stuck(apart: Apart, pods: Iterable[Pod], snapshot: Snapshot) -> Apart:
    """Pods that a DaemonSet would delete together with those that have replaced them stay out, and are told of."""
    alive = {pod.uid: pod for pod in pods}
    stuck = [(item, entry) for item, entry in apart.returning if _is_stuck(entry, alive[entry.uid], snapshot)]
    if not stuck:
        return apart
    held = [msgspec.structs.replace(item, pods=(entry,)) for item, entry in stuck]
    return replace(
        apart,
        standing=(*(item for item in apart.standing if item.name not in {one.name for one in held}), *held),
        returning=tuple(pair for pair in apart.returning if pair not in stuck),
        findings=(*apart.findings, *(_stuck(item, entry, alive[entry.uid]) for item, entry in stuck)),
    )


def _is_stuck(entry: IsolatedPod, pod: Pod, snapshot: Snapshot) -> bool:
    """The DaemonSet is of another revision by now: it would delete the newer pod of the node first, then this one."""
    workload = snapshot.workload_index.get(entry.owner)
    if workload is None or workload.kind != "DaemonSet" or not entry.labels:
        return False
    carried = {one.labels.get(REVISION_HASH) for one in snapshot.pods_of(workload)}
    return bool(carried) and pod.labels.get(REVISION_HASH) not in carried


def _stuck(item: Isolated, entry: IsolatedPod, pod: Pod) -> Finding:
    message = (
        f"{entry.name} stays out: its DaemonSet has another revision by now, and would delete both it and the pod "
    )
    message += f"that replaced it. Delete it instead: kubectl -n {pod.namespace} delete pod {entry.name}"
    return Finding(severity="warning", rule="isolation-stuck", object=item.by, message=message)


def comebacks(
    apart: Apart, bases: Sequence[Mapping[str, str]], match: Match, gate: Gate, snapshot: Snapshot
) -> tuple[Comeback, ...]:
    """The pods that come back, and which ones their controllers will have too many."""
    found = []
    alive = {pod.uid: pod for pod in snapshot.pods}
    taken: set[str] = set(apart.uids) | {entry.uid for _, entry in apart.returning}
    for _, entry in apart.returning:
        pod = alive[entry.uid]
        labels = {key: value for key, value in entry.labels.items() if key not in pod.labels}
        surplus = _surplus(entry, pod, taken, snapshot) if labels else None
        if surplus is not None:
            taken.add(surplus.uid)
        is_behind = any(matches_map(base, pod.labels) for base in bases)
        joins = {**pod.labels, **labels}
        if labels and not is_behind and surplus is not pod and in_match(match, joins, _lineage(entry.owner, snapshot)):
            labels = {**labels, gate.key: gate.value}
        found.append(Comeback(pod, labels, surplus, leaves=surplus is not None and is_behind))
    return tuple(found)


def leaving(found: Iterable[Comeback]) -> frozenset[str]:
    """Uids of the pods that controllers will delete, and that are out of rotation before."""
    return frozenset(
        item.surplus.uid for item in found if item.surplus is not None and (item.leaves or item.surplus is item.pod)
    )


def lineages(apart: Apart, snapshot: Snapshot) -> dict[str, frozenset[str]]:
    """The controllers (uids) that each returning pod comes back to, by the pod's uid."""
    return {entry.uid: _lineage(entry.owner, snapshot) for _, entry in apart.returning if entry.owner}


def _lineage(owner: str, snapshot: Snapshot) -> frozenset[str]:
    workload = snapshot.workload_index.get(owner)
    above = snapshot.owner_chain(workload.metadata) if workload is not None else ()
    return frozenset([owner, *(uid for _, uid in above)])


def _surplus(entry: IsolatedPod, pod: Pod, taken: set[str], snapshot: Snapshot) -> Pod | None:
    """The pod that goes once ``pod`` is back, which may be itself: one that does not serve goes before those that do.

    Of a ReplicaSet the newest, of a DaemonSet the newer one on the node. A lower deletion cost comes before an age.
    """
    workload = snapshot.workload_index.get(entry.owner)
    if workload is None:
        return None
    others = [one for one in snapshot.pods_of(workload)
              if one.uid not in taken and one.metadata.deletion_timestamp is None]  # fmt: skip
    if workload.kind == "DaemonSet":
        others = [one for one in others if one.spec.node_name == pod.spec.node_name]
    elif len(others) < (1 if workload.spec.replicas is None else workload.spec.replicas):
        return None
    if not others:
        return pod if workload.kind != "DaemonSet" else None
    others.sort(key=lambda one: (one.metadata.creation_timestamp or "", one.name), reverse=True)
    others.sort(key=lambda one: (serves(one), _cost(one)))
    return others[0] if serves(pod) or not serves(others[0]) else pod


def _cost(pod: Pod) -> int:
    text = pod.metadata.annotations.deletion_cost if pod.metadata.annotations else ""
    return int(text) if text.lstrip("-").isdigit() else 0


def set_apart(draft: Draft, course: GateCourse) -> None:
    """Marks who is isolated now, and lets go whom a controller is to replace: they are out of rotation by then."""
    policy = course.task.reference
    marked = [(item.pod, _annotated(item.pod, item.mark)) for item in course.releases if not item.labels]
    draft.edit_pods(marked, reason="mark the pods that are isolated", policy=policy)
    released = [
        (item.pod, [*_annotated(item.pod, item.mark), *_labels(draft, item.pod, dict.fromkeys(item.labels))])
        for item in course.releases if item.labels
    ]  # fmt: skip
    draft.edit_pods(released, reason="release them from their controllers, which replace them", policy=policy)
    draft.next_phase()


def give_back(draft: Draft, course: GateCourse) -> bool:
    """Gives the pods that come back their labels, and takes their marks off. True when one joins with that."""
    policy = course.task.reference
    costs = [(item.surplus, _cost_edit(item.surplus)) for item in course.comebacks
             if item.surplus is not None and item.surplus is not item.pod and _is_ranked(item.surplus)
             and _cost(item.surplus) > int(FIRST_TO_GO)]  # fmt: skip
    draft.edit_pods(costs, reason="mark the pods that their controllers will delete", policy=policy)
    draft.next_phase()
    back = [
        (item.pod, [*_annotated(item.pod, None), *_labels(draft, item.pod, item.labels)])
        for item in course.comebacks if item.labels or _marked(item.pod)
    ]  # fmt: skip
    draft.edit_pods(back, reason="give the pods back what was taken off them", policy=policy)
    draft.next_phase()
    gate = course.task.target
    return gate is not None and any(gate.key in item.labels for item in course.comebacks)


def _is_ranked(pod: Pod) -> bool:
    owner = controller_of(pod.metadata)
    return owner is not None and owner.kind == "ReplicaSet"


def _annotated(pod: Pod, mark: str | None) -> list[FieldEdit]:
    return _annotation(pod, ISOLATED, _marked(pod) or None, mark)


def _cost_edit(pod: Pod) -> list[FieldEdit]:
    old = pod.metadata.annotations.deletion_cost if pod.metadata.annotations else ""
    return _annotation(pod, DELETION_COST, old or None, FIRST_TO_GO)


def _annotation(pod: Pod, key: str, old: str | None, new: str | None) -> list[FieldEdit]:
    """Below an absent map nothing can be added: then the map is."""
    if old == new:
        return []
    if pod.metadata.annotations is None:
        return [FieldEdit(_ANNOTATIONS, None, {key: new})]
    return [FieldEdit(_ANNOTATIONS + pointer(key), old, new)]


def _labels(draft: Draft, pod: Pod, wanted: Mapping[str, str | None]) -> list[FieldEdit]:
    live = draft.labels(pod)
    return [
        FieldEdit(pointer("metadata", "labels", key), live.get(key), value)
        for key, value in sorted(wanted.items()) if live.get(key) != value
    ]  # fmt: skip


def isolation_findings(course: GateCourse, snapshot: Snapshot) -> Iterable[Finding]:
    """What a reader should know of who is out, who comes back, and who goes for that."""
    yield from course.apart.findings
    for item in course.comebacks:
        if message := _comeback(item):
            yield Finding(severity="warning", rule="surplus-pod", object=str(item.pod.ref), message=message)
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


def _comeback(item: Comeback) -> str:
    """What a reader should know of a pod that comes back; "" where it only gets its place in the rotation again."""
    if not item.labels:
        return ""
    if item.surplus is None:
        return f"{item.pod.name} gets back what was taken off it; no controller has one too many for that"
    if item.surplus is item.pod:
        return f"{item.pod.name} comes back to its controller, which has enough pods that serve and deletes it"
    way = "it leaves the rotation first" if item.leaves else "its controller does that at once, as on any scale-down"
    return f"{item.pod.name} comes back to its controller, which deletes {item.surplus.name} for it: {way}"


def _counts(namespace: str, selector: LabelSelector | None, pod: Pod) -> bool:
    return namespace == pod.namespace and matches(selector, pod.labels)
