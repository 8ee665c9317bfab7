"""Pods whose isolation ends: what they get back, which pods their controllers delete for that, and who cannot come.

The rules of the controllers that this rests on are in ``docs/design/0009-later-pods.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec

from gatekeep.model.errors import RefusedError
from gatekeep.model.matching import in_match
from gatekeep.model.objects import Pod, controller_of
from gatekeep.model.patches import FieldEdit
from gatekeep.model.plan import Finding, Match
from gatekeep.model.policy import Gate
from gatekeep.model.progress import Isolated, IsolatedPod
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import DurationWait
from gatekeep.planning.adoption import REVISION_HASH
from gatekeep.planning.draft import Draft
from gatekeep.planning.isolating import annotated, annotation, label_edits, marked
from gatekeep.planning.task import Comeback, GateCourse
from gatekeep.strategies.isolation import Apart
from gatekeep.strategies.question import serves

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
FIRST_TO_GO = "-2147483647"
"""The cost is an int32, GetDeletionCostFromPodAnnotations:
https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/helper/helpers.go
"""

PROXIES_SECONDS = 10
"""A kube-proxy reads the slices once a second (--iptables-min-sync-period), and needs some seconds where there are many
Services. Nothing tells from outside how far it is, and the pod that it still sends to is about to be deleted."""


def without_stuck(apart: Apart, pods: Iterable[Pod], snapshot: Snapshot) -> Apart:
    """Pods that a DaemonSet would delete together with those that have replaced them stay out, and are told of."""
    alive = {pod.uid: pod for pod in pods}
    stuck = [(item, entry) for item, entry in apart.returning if _is_stuck(entry, alive[entry.uid], snapshot)]
    if not stuck:
        return apart
    standing = {item.name: item for item in apart.standing}
    for item, entry in stuck:
        present = standing.get(item.name)
        others = present.pods if present is not None and not present.ended else ()
        standing[item.name] = msgspec.structs.replace(item, pods=(*others, entry))
    return replace(
        apart,
        standing=tuple(standing.values()),
        returning=tuple(pair for pair in apart.returning if pair not in stuck),
        findings=(*apart.findings, *(_stuck(item, entry, alive[entry.uid]) for item, entry in stuck)),
    )


def refuse_detached_since(apart: Apart, recorded: Iterable[Isolated]) -> None:
    """Raises :class:`RefusedError` when an undo would have a pod isolated that was detached meanwhile."""
    labels = {entry.uid: entry.labels for item in recorded for entry in item.pods}
    for item in apart.standing:
        for entry in item.pods:
            if not entry.labels and labels.get(entry.uid):
                raise RefusedError(
                    f"{entry.name} was detached since, and what was taken off it would be forgotten",
                    where=item.by,
                    hint="end that isolation first: delete its document and apply the folder; then undo",
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
    alive = {pod.uid: pod for pod in snapshot.pods}
    back = [(entry, alive[entry.uid]) for _, entry in apart.returning]
    surplus = _surplus(back, apart.uids, snapshot)
    found = []
    for entry, pod in back:
        labels = {key: value for key, value in entry.labels.items() if key not in pod.labels}
        goes = surplus.get(pod.uid)
        is_behind = any(matches_map(base, pod.labels) for base in bases)
        joins = {**pod.labels, **labels}
        if labels and not is_behind and goes is not pod and in_match(match, joins, _lineage(entry.owner, snapshot)):
            labels = {**labels, gate.key: gate.value}
        found.append(Comeback(pod, labels, goes, leaves=goes is not None and is_behind))
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


def _surplus(back: Sequence[tuple[IsolatedPod, Pod]], apart: frozenset[str], snapshot: Snapshot) -> dict[str, Pod]:
    """The pods that go once those of ``back`` are there again, each by the uid of one that comes: it may be itself.

    Of a ReplicaSet as many as it has too many then, of a DaemonSet the newer one on each node.
    """
    places: dict[tuple[str, str], list[Pod]] = {}
    for entry, pod in back:
        workload = snapshot.workload_index.get(entry.owner)
        if workload is not None and not entry.labels.items() <= pod.labels.items():
            node = pod.spec.node_name if workload.kind == "DaemonSet" else ""
            places.setdefault((workload.uid, node), []).append(pod)
    found: dict[str, Pod] = {}
    for (uid, node), coming in places.items():
        workload = snapshot.workload_index[uid]
        owned = [one for one in snapshot.pods_of(workload)
                 if one.metadata.deletion_timestamp is None and node in ("", one.spec.node_name)]  # fmt: skip
        wanted = 1 if node or workload.spec.replicas is None else workload.spec.replicas
        those = _in_their_order([one for one in owned if one.uid not in apart], coming)
        going = those[: max(0, len(owned) + len(coming) - wanted)]
        itself = {pod.uid for pod in coming} & {pod.uid for pod in going}
        found.update((pod.uid, pod) for pod in going if pod.uid in itself)
        others = (pod for pod in going if pod.uid not in itself)
        found.update(zip((pod.uid for pod in coming if pod.uid not in itself), others, strict=False))
    return found


def _in_their_order(owned: Sequence[Pod], coming: Sequence[Pod]) -> list[Pod]:
    """Whom a controller deletes first: who does not serve, then by deletion cost, then the newest.

    Who comes back is older than who took its place; where their times are equal the plan sees to it by a cost.
    """
    names = {pod.uid for pod in coming}
    found = sorted([*owned, *coming], key=lambda pod: (pod.metadata.creation_timestamp or "", pod.name), reverse=True)
    return sorted(found, key=lambda pod: (serves(pod), pod.uid in names, _cost(pod)))


def _cost(pod: Pod) -> int:
    text = pod.metadata.annotations.deletion_cost if pod.metadata.annotations else ""
    return int(text) if text.lstrip("-").isdigit() else 0


def give_back(draft: Draft, course: GateCourse) -> bool:
    """Gives the pods that come back their labels, and takes their marks off. True when one joins with that."""
    policy = course.task.reference
    costs = [(item.surplus, _cost_edit(item.surplus)) for item in course.comebacks
             if item.surplus is not None and item.surplus is not item.pod and _is_ranked(item.surplus)
             and _cost(item.surplus) > int(FIRST_TO_GO)]  # fmt: skip
    draft.edit_pods(costs, reason="mark the pods that their controllers will delete", policy=policy)
    draft.next_phase()
    if any(item.leaves and item.surplus is not item.pod for item in course.comebacks):
        wait = DurationWait(seconds=PROXIES_SECONDS)
        draft.await_(wait, reason="let every kube-proxy follow before the pods that left are deleted", policy=policy)
        draft.next_phase()
    back = [
        (item.pod, [*annotated(item.pod, None), *label_edits(draft, item.pod, item.labels)])
        for item in course.comebacks if item.labels or marked(item.pod)
    ]  # fmt: skip
    draft.edit_pods(back, reason="give the pods back what was taken off them", policy=policy)
    draft.next_phase()
    gate = course.task.target
    return gate is not None and any(gate.key in item.labels for item in course.comebacks)


def _is_ranked(pod: Pod) -> bool:
    owner = controller_of(pod.metadata)
    return owner is not None and owner.kind == "ReplicaSet"


def _cost_edit(pod: Pod) -> list[FieldEdit]:
    old = pod.metadata.annotations.deletion_cost if pod.metadata.annotations else ""
    return annotation(pod, DELETION_COST, old or None, FIRST_TO_GO)


def comeback_findings(course: GateCourse) -> Iterable[Finding]:
    """Who comes back, and who goes for that."""
    for item in course.comebacks:
        if message := _comeback(item):
            yield Finding(severity="warning", rule="surplus-pod", object=str(item.pod.ref), message=message)


def _comeback(item: Comeback) -> str:
    """What a reader should know of a pod that comes back; "" where it only gets its place in the rotation again."""
    if not item.labels:
        return ""
    if item.surplus is None:
        return f"{item.pod.name} gets back what was taken off it; no controller has one too many for that"
    if item.surplus is item.pod:
        return f"{item.pod.name} comes back to its controller, which has enough pods that serve and deletes it"
    text = f"{item.pod.name} comes back to its controller, which deletes {item.surplus.name} for it"
    if item.leaves:
        return f"{text}, after that has left the rotation"
    return f"{text} at once, as on any scale-down: requests to it are lost until the proxies follow, unless it drains"
