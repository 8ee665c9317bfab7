"""What a reader of the plan should know besides its steps: findings, the most important first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatekeep.model.endpoints import MANAGED_BY_LABEL, counts_as_ready, port_names, ready_in_slices
from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import ObjectRef, Pod, Service, controller_of
from gatekeep.model.plan import Finding
from gatekeep.model.policy import Gate
from gatekeep.model.record import GateName, Record
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.planning.isolating import isolation_findings
from gatekeep.planning.later import held_pods, later_pods, spare_label, undo_hazards
from gatekeep.planning.task import GateCourse, GateTask, base_of, gates_on, known_gates, standing_gates
from gatekeep.strategies.question import Question
from gatekeep.strategies.rotation import desired_rotation

_NAMED = 6


def findings(course: GateCourse, record: Record | None, snapshot: Snapshot) -> tuple[Finding, ...]:
    """All findings for one gate, in the order in which they are to be read."""
    task = course.task
    found: list[Finding] = list(_missing(course, snapshot))
    found.extend(isolation_findings(course, snapshot))
    if task.target is not None and task.policy is not None:
        found.extend(later_pods(task, task.target, task.policy, snapshot))
        found.extend(held_pods(task, task.policy, snapshot))
        found.extend(undo_hazards(task, task.target, record, snapshot))
        found.extend(spare_label(task, task.target, snapshot))
        found.extend(_remarks(course))
        found.extend(_drift(task, task.target, record, snapshot))
    else:
        found.extend(_returning(task, snapshot))
    for service in task.services:
        found.extend(_owners(service, base_of(service.spec.selector or {}, task.known), snapshot))
        found.extend(_not_ready(service, snapshot))
        found.extend(_behind_controller(service, snapshot))
    return tuple(found)


_LOOKED_AT = {
    "pods": "who is in rotation",
    "services": "whether another Service selects by the gate key",
    "endpointslices": "whether the endpoint controller is up to date",
    "configmaps": "whether gatekeep has a record of this gate, and which labels were there before it",
}


def _missing(course: GateCourse, snapshot: Snapshot) -> Iterable[Finding]:
    """Kinds that could not be read, or that a dump does not hold, as far as this plan depends on them."""
    task, wanted = course.task, dict(_LOOKED_AT)
    if any(item.labels for item in course.releases):
        adopters = ("replicasets", "daemonsets", "statefulsets")
        wanted.update((plural, f"whether one of the {plural} would adopt a detached pod") for plural in adopters)
    owners = {controller_of(pod.metadata) for pod in snapshot.pods_in(task.name.namespace)}
    for kind in ("Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"):
        if any(owner is not None and owner.kind == kind for owner in owners):
            wanted[f"{kind.lower()}s"] = f"whether the selector of a {kind} uses the gate key"
    if any(service.spec.cluster_ip == "None" for service in task.services):
        wanted["statefulsets"] = "whether a headless Service gives a StatefulSet's pods their names"
    if task.admitted or task.withdrawn:
        wanted["mutatingadmissionpolicies"] = "which admission policies of this gate stand already"
    for plural in sorted(snapshot.missing & wanted.keys()):
        yield Finding(
            severity="warning",
            rule="not-looked-at",
            object=task.reference,
            message=f"no {plural} could be read: this plan does not know {wanted[plural]}",
        )


def _remarks(course: GateCourse) -> Iterable[Finding]:
    """What the strategy says of each rotation on the way, and how far the run comes with that."""
    rotation = course.task.policy.spec.rotation if course.task.policy else None
    rule = "canary-share" if rotation and rotation.canary else "both-colors-answer"
    for remark in dict.fromkeys(leg.task.remark for leg in course.legs if leg.task.remark):
        yield Finding(severity="info", rule=rule, object=course.task.reference, message=remark)


def _drift(task: GateTask, target: Gate, record: Record | None, snapshot: Snapshot) -> Iterable[Finding]:
    if record is None or record.gate != target:
        return
    members = recorded_members(record, snapshot)
    for message in drift_of(record, members, snapshot):
        yield Finding(severity="warning", rule="drift", object=task.reference, message=message)
    _, born = _without_label(record, members & task.members, snapshot)
    if born:
        yield Finding(
            severity="info",
            rule="newborn",
            object=task.reference,
            message=f"{_pods(born)} born since the last apply, not in rotation yet",
        )


def recorded_members(record: Record, snapshot: Snapshot) -> frozenset[str]:
    """Uids of the pods that the policy as last applied wants in rotation; nobody when an owner it names is gone."""
    services = _services(record, snapshot)
    bases = [base_of(item.spec.selector or {}, _gates_of(record)) for item in services]
    standing = standing_gates(services, _gates_of(record))
    question = Question(
        policy=record.policy,
        bases=bases,
        snapshot=snapshot,
        standing=standing,
        progress=record.progress,
        isolated=frozenset(pod.uid for item in record.isolations for pod in item.pods),
    )
    try:
        return desired_rotation(question).members if bases else frozenset()
    except RefusedError:
        return frozenset()


def _services(record: Record, snapshot: Snapshot) -> list[Service]:
    found = (snapshot.service(record.policy.namespace, name) for name in record.policy.spec.services)
    return [service for service in found if service is not None]


def _gates_of(record: Record) -> tuple[Gate, ...]:
    return known_gates(GateName(record.policy.namespace, record.policy.name), record.policy, record)


def drift_of(record: Record, members: frozenset[str], snapshot: Snapshot) -> tuple[str, ...]:
    """In sentences, what no longer stands as the last finished apply left it.

    ``members`` are the uids that the recorded policy wants in rotation.
    """
    gate = record.gate
    if not _last_end(record):
        return ()
    services = _services(record, snapshot)
    found = [
        f"the gate {gate.key}={gate.value} has gone from the selector of {service.ref} since the last apply"
        for service in services
        if not gates_on(service.spec.selector or {}, (gate,))
    ]
    lost, _ = _without_label(record, members, snapshot)
    if lost:
        found.append(f"{_pods(lost)} lost the label {gate.key}={gate.value} since the last apply")
    extra = _intruders(record, services, members, snapshot)
    if extra:
        found.append(f"{_pods(extra)} carry the label {gate.key}={gate.value}, but the policy leaves them out")
    return tuple(found)


def _intruders(record: Record, services: Iterable[Service], members: frozenset[str], snapshot: Snapshot) -> list[Pod]:
    bases = [base_of(item.spec.selector or {}, _gates_of(record)) for item in services]
    return [
        pod
        for pod in snapshot.pods_in(record.policy.namespace)
        if pod.labels.get(record.gate.key) == record.gate.value
        and pod.uid not in members
        and pod.uid not in record.kept
        and any(matches_map(base, pod.labels) for base in bases)
    ]


def _last_end(record: Record) -> str:
    return max((run.ended for run in record.runs if run.outcome == "done"), default="")


def _without_label(record: Record, members: frozenset[str], snapshot: Snapshot) -> tuple[list[Pod], list[Pod]]:
    """Members without the label: those that were there at the last apply, and those born since."""
    last = _last_end(record)
    lost: list[Pod] = []
    born: list[Pod] = []
    for pod in snapshot.pods_in(record.policy.namespace):
        if last and pod.uid in members and pod.labels.get(record.gate.key) != record.gate.value:
            (born if (pod.metadata.creation_timestamp or "") > last else lost).append(pod)
    return lost, born


def _returning(task: GateTask, snapshot: Snapshot) -> Iterable[Finding]:
    for service in task.services:
        selector = service.spec.selector or {}
        base = base_of(selector, task.known)
        back = [
            pod
            for pod in snapshot.pods_in(service.namespace)
            if matches_map(base, pod.labels) and not matches_map(selector, pod.labels)
        ]
        if back:
            yield Finding(
                severity="warning",
                rule="returns-to-rotation",
                object=str(service.ref),
                message=f"without the gate {_pods(back)} will be in rotation again",
            )


def _owners(service: Service, base: Mapping[str, str], snapshot: Snapshot) -> Iterable[Finding]:
    groups: dict[ObjectRef | None, list[Pod]] = {}
    for pod in snapshot.pods_in(service.namespace):
        if matches_map(base, pod.labels):
            groups.setdefault(snapshot.top_owner(pod), []).append(pod)
    named = {owner: pods for owner, pods in groups.items() if owner is not None}
    if len(named) > 1:
        parts = "; ".join(
            f"{owner.kind} {owner.name} has {_pods(pods)}"
            for owner, pods in sorted(named.items(), key=lambda item: item[0])
        )
        yield Finding(
            severity="info",
            rule="mixed-owners",
            object=str(service.ref),
            message=f"its selector reaches pods of {len(named)} owners: {parts}",
        )
    if None in groups:
        yield Finding(
            severity="info",
            rule="orphan-pods",
            object=str(service.ref),
            message=f"{_pods(groups[None])} without an owner: nothing replaces them when they go",
        )


def _not_ready(service: Service, snapshot: Snapshot) -> Iterable[Finding]:
    selector = service.spec.selector or {}
    pods = [pod for pod in snapshot.pods_in(service.namespace) if matches_map(selector, pod.labels)]
    if not any(counts_as_ready(pod, service) for pod in pods):
        yield Finding(
            severity="warning",
            rule="no-ready-endpoint",
            object=str(service.ref),
            message=f"the Service has no ready endpoint now ({len(pods)} pods match its selector)",
        )


def _behind_controller(service: Service, snapshot: Snapshot) -> Iterable[Finding]:
    """The slices say something else than the pods: the endpoint controller is behind, or somebody edits slices."""
    if not any(MANAGED_BY_LABEL in item.metadata.labels for item in snapshot.slices):
        return
    slices = [item for item in snapshot.slices if item.metadata.namespace == service.namespace]
    seen = ready_in_slices(slices, service.name, ports=port_names(service))
    selector = service.spec.selector or {}
    wanted = {
        pod.uid
        for pod in snapshot.pods_in(service.namespace)
        if matches_map(selector, pod.labels) and counts_as_ready(pod, service)
    }
    if service.spec.publish_not_ready_addresses or seen == wanted:
        return
    yield Finding(
        severity="warning",
        rule="controller-behind",
        object=str(service.ref),
        message=(
            f"the EndpointSlices list {len(seen)} ready pods, the pods say {len(wanted)}: the endpoint controller is "
            "behind, or somebody else writes its slices"
        ),
    )


def _pods(pods: list[Pod]) -> str:
    names = sorted(pod.name for pod in pods)
    shown = ", ".join(names[:_NAMED])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{len(names)} pod{'' if len(names) == 1 else 's'} ({shown}{more})"
