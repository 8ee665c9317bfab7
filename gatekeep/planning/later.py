"""What a reader should know of the pods that are born later: who waits, what an undo brings, and a shorter way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatekeep.model.endpoints import is_terminal
from gatekeep.model.matching import in_match
from gatekeep.model.objects import Workload, controller_of
from gatekeep.model.plan import Adopted, Finding
from gatekeep.model.policy import Gate, TrafficGate
from gatekeep.model.record import Record
from gatekeep.model.selectors import is_reserved, keys_of
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.wording import listed
from gatekeep.model.workloads import adoptable, is_born_in
from gatekeep.planning.adoption import REVISIONED
from gatekeep.planning.preflight import is_helper
from gatekeep.planning.task import GateTask
from gatekeep.planning.templates import to_change


def later_pods(task: GateTask, target: Gate, policy: TrafficGate, snapshot: Snapshot) -> Iterable[Finding]:
    """Whose later pods wait out of rotation, the first thing to know of a plan."""
    owners = _waiting_owners(task, target, snapshot)
    if not owners:
        return
    names, label = listed(owners), f"{target.key}={target.value}"
    services = ", ".join(service.name for service in task.services)
    ends = f"A rolling update ends with no pod of it in rotation until then, and one of all leaves {services} with no "
    ends += "endpoint"
    if policy.spec.new_pods == "Hold":
        message = f"newPods: Hold: pods of {names} that are born later wait, out of rotation, until they are admitted "
        message += f"({_admits(policy.spec.admit)}). {ends}"
    elif policy.spec.rotation.canary is not None:
        message = f"pods of {names} that are born later wait, out of rotation, for the next apply, which picks as many "
        message += "as the weight wants: no template of a group gives the label that is not in rotation as a whole"
    elif policy.spec.adopt == "Reconcile":
        message = (
            f"adopt: Reconcile: pods of {names} that are born later wait, out of rotation, for the next apply. {ends}"
        )
    else:
        message = f"pods of {names} that are born later wait, out of rotation, for the next apply: no template or "
        message += f"admission of theirs can give {label}. {ends}"
    yield Finding(severity="warning", rule="later-pods", object=task.reference, message=message)


def _admits(admit: int | str) -> str:
    if admit == "All":
        return "admit: All lets all of them in at the next apply"
    return f"admit: {admit} lets them in until the group has {admit} members" if admit else "admit: 0 lets nobody in"


def _waiting_owners(task: GateTask, target: Gate, snapshot: Snapshot) -> list[str]:
    """Controllers of members whose later pods will not have the label once the plan is done."""
    found: set[str] = set()
    for pod in snapshot.pods_in(task.name.namespace):
        chain = snapshot.owner_chain(pod.metadata) if pod.uid in task.members else ()
        if not chain:
            continue
        if not any(_gives(uid, task, target, snapshot) for _, uid in chain):
            found.add(f"{chain[-1][0].kind} {chain[-1][0].name}")
    if task.holds_new:
        found.update(f"{item.kind} {item.name}" for item in adoptable(task.name.namespace, snapshot)
                     if is_born_in(task.group, item, snapshot))  # fmt: skip
    return sorted(found)


def _gives(uid: str, task: GateTask, target: Gate, snapshot: Snapshot) -> bool:
    """Later pods of the workload will have the label, by its template or by admission."""
    workload = snapshot.workload_index.get(uid)
    if workload is None or (workload.kind == "ReplicaSet" and controller_of(workload.metadata) is not None):
        return False
    given = workload.spec.template.metadata.labels.get(target.key)
    admitted = any(item.uid == uid for item in task.admitted)
    return admitted or task.templates.get((uid, target.key), given) == target.value


def held_pods(task: GateTask, policy: TrafficGate, snapshot: Snapshot) -> Iterable[Finding]:
    """Who waits now, with ``newPods: Hold``, and what lets them in."""
    if policy.spec.new_pods != "Hold":
        return
    waiting = [
        pod.name
        for pod in snapshot.pods_in(task.name.namespace)
        if pod.uid not in task.members and in_match(task.group, pod.labels, snapshot.owner_uids(pod))
        and not is_terminal(pod)
    ]  # fmt: skip
    if not waiting:
        return
    message = f"{len(waiting)} pod{'' if len(waiting) == 1 else 's'} out of rotation, held ({listed(waiting)}): "
    if policy.spec.rotation.canary is not None:
        message += (
            "pods of the canary until the weight takes them in, stable ones until admit does, or gatekeep promote"
        )
    else:
        message += f"admit: {policy.spec.admit} lets no more in. Raise admit, or write admit: All, and apply; or "
        message += "gatekeep promote lets all of them in once"
    yield Finding(severity="warning", rule="held", object=task.reference, message=message)


def undo_hazards(task: GateTask, target: Gate, record: Record | None, snapshot: Snapshot) -> Iterable[Finding]:
    """History that leads back to a template without the label: ControllerRevisions cannot be changed."""
    ours: tuple[Adopted, ...] = record.adopted if record else ()
    for (uid, key), value in sorted(task.templates.items()):
        item = snapshot.workload_index.get(uid)
        if item is None or key != target.key or value is None:
            continue
        adopts = item.spec.template.metadata.labels.get(key) != value
        if item.kind in REVISIONED and (adopts or any(one.uid == uid for one in ours)):
            yield _undo(item, f"the revisions from before the label {key}={value}, which cannot be changed, have none")
        elif item.kind == "Deployment" and not adopts and (bare := _bare_sets(item, key, value, snapshot)):
            yield _undo(item, f"{listed(bare)} give pods without {key}={value}")


def _bare_sets(item: Workload, key: str, value: str, snapshot: Snapshot) -> list[str]:
    sets = snapshot.replica_sets_of(item.uid)
    return [f"ReplicaSet {one.name}" for one in sets if one.spec.template.metadata.labels.get(key) != value]


def _undo(item: Workload, why: str) -> Finding:
    message = f"kubectl rollout undo leads to pods out of rotation: {why}. After an undo apply again, or choose adopt: "
    message += "Admission"
    return Finding(severity="warning", rule="undo-loses-label", object=str(item.ref), message=message)


def spare_label(task: GateTask, target: Gate, snapshot: Snapshot) -> Iterable[Finding]:
    """A label that all templates of the group give already, and nobody else relies on: one selector patch is all."""
    changing = to_change(task.templates, target.key, task.holds, snapshot)
    if not any(task.templates[item.uid, target.key] for item in changing):
        return
    group = [item for item in adoptable(task.name.namespace, snapshot) if is_born_in(task.group, item, snapshot)]
    members = [pod for pod in snapshot.pods_in(task.name.namespace) if pod.uid in task.members]
    if any(not snapshot.owner_chain(pod.metadata) for pod in members):
        return
    taken = _taken_keys(task, snapshot)
    shared = set.intersection(*(set(_labels(item).items()) for item in group)) if group else set()
    for key, value in sorted(shared):
        outside = any(pod.labels.get(key) == value for pod in snapshot.pods_in(task.name.namespace)
                      if pod.uid not in task.members and _is_behind(task, pod.labels))  # fmt: skip
        if key in taken or is_reserved(key) or outside or any(pod.labels.get(key) != value for pod in members):
            continue
        message = f"every template of the group gives {key}={value} already, and no selector uses it. With gate: "
        message += f'{{key: "{key}", value: "{value}"}} one selector patch is all: no template changes, and no undo '
        message += "loses the label"
        yield Finding(severity="info", rule="spare-label", object=task.reference, message=message)
        return


def _labels(item: Workload) -> Mapping[str, str]:
    return item.spec.template.metadata.labels


def _taken_keys(task: GateTask, snapshot: Snapshot) -> set[str]:
    namespace = task.name.namespace
    found = {key for item in snapshot.workloads_in(namespace) for key in keys_of(item.spec.selector)}
    found.update(key for item in snapshot.services_in(namespace) if not is_helper(item)
                 for key in item.spec.selector or {})  # fmt: skip
    return found


def _is_behind(task: GateTask, labels: Mapping[str, str]) -> bool:
    return any(
        all(labels.get(key) == value for key, value in (service.spec.selector or {}).items())
        for service in task.services
    )
