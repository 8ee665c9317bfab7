"""What a reader of the plan should know besides its steps: findings, the most important first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import msgspec

from gatekeep.model.endpoints import MANAGED_BY_LABEL, counts_as_ready, port_names, ready_in_slices
from gatekeep.model.errors import RefusedError
from gatekeep.model.matching import in_match
from gatekeep.model.objects import ObjectRef, Pod, Service, controller_of
from gatekeep.model.plan import Finding
from gatekeep.model.policy import Gate
from gatekeep.model.record import GateName, Record
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.wording import listed
from gatekeep.planning.isolating import isolation_findings
from gatekeep.planning.later import held_pods, later_pods, spare_label, undo_hazards
from gatekeep.planning.returning import comeback_findings
from gatekeep.planning.task import GateCourse, GateTask, base_of, gates_on, known_gates, standing_gates
from gatekeep.strategies.moving import readopted
from gatekeep.strategies.question import DesiredRotation, Question, serves
from gatekeep.strategies.rotation import desired_rotation


def findings(course: GateCourse, record: Record | None, snapshot: Snapshot) -> tuple[Finding, ...]:
    """All findings for one gate, in the order in which they are to be read."""
    task = course.task
    found: list[Finding] = list(_missing(course, snapshot))
    found.extend(isolation_findings(course, snapshot))
    found.extend(comeback_findings(course))
    if task.target is not None and task.policy is not None:
        found.extend(later_pods(task, task.target, task.policy, snapshot))
        found.extend(held_pods(task, task.policy, snapshot))
        found.extend(undo_hazards(task, task.target, record, snapshot))
        found.extend(spare_label(task, task.target, snapshot))
        found.extend(_another_run(course, record))
        found.extend(_remarks(course))
        found.extend(_previews(course))
        found.extend(_drift(task, task.target, record, snapshot))
    else:
        found.extend(_returning(task, snapshot))
    for service in task.services:
        if task.policy is None or task.policy.spec.rotation.pool is not None:  # other strategies are about several
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


def _another_run(course: GateCourse, record: Record | None) -> Iterable[Finding]:
    """A run of steps begins anew: the share that was reached is given up."""
    known, wanted = record.progress if record is not None else None, course.progress
    policy = course.task.policy
    if record is None or known is None or wanted is None or policy is None or known.run == wanted.run:
        return
    if known.step == 0 or not (policy.spec.rotation.canary and policy.spec.rotation.canary.steps):
        return
    old, new = msgspec.to_builtins(record.policy.spec), msgspec.to_builtins(policy.spec)
    changed = sorted(f"spec.{key}" for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    why = " and ".join(changed) if changed else "the pod template of the canary group"
    message = (
        f"another run begins at step 1, because {why} changed: the one that had {known.step} steps done is given up"
    )
    yield Finding(severity="warning", rule="another-run", object=course.task.reference, message=message)


def _previews(course: GateCourse) -> Iterable[Finding]:
    for task in course.previews:
        if task.target is None:
            continue
        for service in task.services:
            message = (
                "it may have no endpoint while the colours change places. Pods of an idle colour that are born later "
            )
            message += "are behind it with the next apply: run it after each of their rollouts"
            yield Finding(severity="info", rule="preview", object=str(service.ref), message=message)


def _remarks(course: GateCourse) -> Iterable[Finding]:
    """What the strategy says of each rotation on the way, and how far the run comes with that."""
    rotation = course.task.policy.spec.rotation if course.task.policy else None
    rule = "canary-share" if rotation and rotation.canary else "both-colors-answer"
    for remark in dict.fromkeys(leg.task.remark for leg in course.legs if leg.task.remark):
        yield Finding(severity="info", rule=rule, object=course.task.reference, message=remark)


def _drift(task: GateTask, target: Gate, record: Record | None, snapshot: Snapshot) -> Iterable[Finding]:
    if record is None or record.gate != target:
        return
    rotation = recorded_rotation(record, snapshot)
    for message in drift_of(record, rotation, snapshot):
        yield Finding(severity="warning", rule="drift", object=task.reference, message=message)
    _, born = _without_label(record, rotation, snapshot)
    if born := [pod for pod in born if pod.uid in task.members]:
        yield Finding(
            severity="info",
            rule="newborn",
            object=task.reference,
            message=f"{_pods(born)} born since the last apply, not in rotation yet",
        )


def recorded_rotation(record: Record, snapshot: Snapshot) -> DesiredRotation | None:
    """What the policy as last applied wants in rotation, where its run stands; None where it cannot be said.

    That is so when an owner that it names is gone, or a group has nobody to serve.
    """
    services = _services(record, snapshot)
    bases = [base_of(item.spec.selector or {}, _gates_of(record)) for item in services]
    standing = standing_gates(services, _gates_of(record))
    question = Question(
        policy=record.policy,
        bases=bases,
        snapshot=snapshot,
        standing=standing,
        isolated=frozenset(pod.uid for item in record.isolations for pod in item.pods),
    )
    try:
        question = replace(question, progress=readopted(question, record.progress))
        return desired_rotation(question) if bases else None
    except RefusedError:
        return None


def _services(record: Record, snapshot: Snapshot) -> list[Service]:
    found = (snapshot.service(record.policy.namespace, name) for name in record.policy.spec.services)
    return [service for service in found if service is not None]


def _gates_of(record: Record) -> tuple[Gate, ...]:
    return known_gates(GateName(record.policy.namespace, record.policy.name), record.policy, record)


def drift_of(record: Record, rotation: DesiredRotation | None, snapshot: Snapshot) -> tuple[str, ...]:
    """In sentences, what no longer stands as the last finished apply left it.

    ``rotation`` is what the recorded policy wants; without it nothing is said of single pods.
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
    if rotation is None:
        return tuple(found)
    lost, _ = _without_label(record, rotation, snapshot)
    if lost:
        found.append(f"{_pods(lost)} lost the label {gate.key}={gate.value} since the last apply")
    extra = _intruders(record, services, rotation, snapshot)
    if extra:
        found.append(f"{_pods(extra)} carry the label {gate.key}={gate.value}, but the policy leaves them out")
    return tuple(found)


def _intruders(record: Record, services: Iterable[Service], rotation: DesiredRotation, snapshot: Snapshot) -> list[Pod]:
    """Who carries the label and should not. A member that serves no more only waits for the next apply."""
    bases = [base_of(item.spec.selector or {}, _gates_of(record)) for item in services]
    return [
        pod
        for pod in snapshot.pods_in(record.policy.namespace)
        if pod.labels.get(record.gate.key) == record.gate.value
        and pod.uid not in rotation.members
        and pod.uid not in record.kept
        and any(matches_map(base, pod.labels) for base in bases)
        and (serves(pod) or not in_match(rotation.group, pod.labels, snapshot.owner_uids(pod)))
    ]


def _last_end(record: Record) -> str:
    return max((run.ended for run in record.runs if run.outcome == "done"), default="")


def _without_label(record: Record, rotation: DesiredRotation | None, snapshot: Snapshot) -> tuple[list[Pod], list[Pod]]:
    """Members without the label: those that must have had it at the last apply, and those born since.

    Who is picked by number, or held, need not have had it.
    """
    last = _last_end(record)
    lost: list[Pod] = []
    born: list[Pod] = []
    for pod in snapshot.pods_in(record.policy.namespace):
        if not last or rotation is None or pod.uid not in rotation.members:
            continue
        if pod.labels.get(record.gate.key) == record.gate.value or pod.metadata.deletion_timestamp is not None:
            continue
        if (pod.metadata.creation_timestamp or "") > last:
            born.append(pod)
        elif in_match(rotation.match, pod.labels, snapshot.owner_uids(pod)):
            lost.append(pod)
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
    return f"{len(pods)} pod{'' if len(pods) == 1 else 's'} ({listed(names)})"
