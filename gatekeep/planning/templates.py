"""Which pod templates should give a gate's label, and what stands in the way of changing one.

A template gives the label exactly when every pod that is born from it belongs to the rotation. That is decided by the
snapshot alone, never by what the caller may do. Why: ``docs/design/0009-later-pods.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Workload, controller_of
from gatekeep.model.plan import Adopted, Hold, Match
from gatekeep.model.policy import Gate, TrafficGate
from gatekeep.model.record import Record
from gatekeep.model.selectors import matches_map
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.workloads import adoptable, is_born_in
from gatekeep.planning.adoption import ON_DELETE, REVISION_HASH, REVISIONED, is_held

Templates = Mapping[tuple[str, str], str | None]
"""What the template of a workload (by uid) should have for a label key; None is absent. What is not named stays."""

_HASH_LABEL = "pod-template-hash"


def wanted_templates(
    policy: TrafficGate, match: Match, bases: Sequence[Mapping[str, str]], record: Record | None, snapshot: Snapshot
) -> Templates:
    """What the policy asks of each template of its namespace."""
    gate = policy.gate
    adopted = _recorded(record)
    found: dict[tuple[str, str], str | None] = {
        (item.uid, item.key): None for item in adopted if (item.key, item.value) != (gate.key, gate.value)
    }
    for item in adoptable(policy.namespace, snapshot):
        joins = policy.spec.new_pods == "Join" and is_born_in(match, item, snapshot)
        gives = item.spec.template.metadata.labels.get(gate.key) == gate.value
        ours = any((one.uid, one.key) == (item.uid, gate.key) for one in adopted)
        if joins and (policy.spec.adopt == "Template" or _is_recorded_hold(item, record)):
            found[item.uid, gate.key] = gate.value
        elif not joins and (ours or (gives and _is_behind(bases, item) and policy.spec.adopt == "Template")):
            found[item.uid, gate.key] = None
    return found


def former_templates(record: Record) -> Templates:
    """On retiring: what gatekeep put into templates goes, what it took out comes back, and the rest stays."""
    put_on: dict[tuple[str, str], str | None] = {(item.uid, item.key): None for item in _recorded(record)}
    return put_on | {(item.uid, item.key): item.value for item in taken_labels(record)}


def given_by_others(gate: Gate, adopted: Iterable[Adopted], namespace: str, snapshot: Snapshot) -> tuple[str, ...]:
    """Uids of the workloads, ReplicaSets included, whose own template gives the label, or gave it before the gate."""
    mine = [item for item in adopted if (item.key, item.value) == (gate.key, gate.value)]
    ours = {item.uid for item in mine if item.by == "Template"}
    found = [item.uid for item in mine if item.by == "Taken"]
    for item in snapshot.workloads_in(namespace):
        above = controller_of(item.metadata)
        if item.uid in ours or (above is not None and above.uid in ours):
            continue
        if item.spec.template.metadata.labels.get(gate.key) == gate.value:
            found.append(item.uid)
    return tuple(sorted(found))


def to_change(templates: Templates, key: str, holds: Mapping[str, Hold], snapshot: Snapshot) -> list[Workload]:
    """The workloads whose template is not as wanted for ``key``, and those that a killed run left held still."""
    return [
        item
        for (uid, wanted_key), value in sorted(templates.items(), key=lambda entry: entry[0])
        if wanted_key == key and (item := snapshot.workload_index.get(uid)) is not None
        and (item.spec.template.metadata.labels.get(key) != value or is_held(item, holds))
    ]  # fmt: skip


def adopted_after(
    gate: Gate | None, templates: Templates, record: Record | None, snapshot: Snapshot
) -> tuple[Adopted, ...]:
    """What stands in templates by gatekeep's hand once the plan is done."""
    if gate is None:
        return ()
    ours = {(item.uid, item.key): item for item in _recorded(record)}
    taken = {(item.uid, item.key): item for item in taken_labels(record)}
    found = [item for place, item in ours.items() if place not in templates and _has(item, snapshot)]
    for (uid, key), value in templates.items():
        item = snapshot.workload_index.get(uid)
        if item is None:
            continue
        live = item.spec.template.metadata.labels.get(key)
        if value is None and live is not None and (uid, key) not in ours:
            taken[uid, key] = Adopted(kind=item.kind, name=item.name, uid=uid, key=key, value=live, by="Taken")
        elif value is not None and (uid, key) in taken and taken[uid, key].value == value:
            del taken[uid, key]
        elif value is not None and ((uid, key) in ours or live != value):
            found.append(Adopted(kind=item.kind, name=item.name, uid=uid, key=key, value=value))
    return tuple(sorted([*found, *taken.values()], key=lambda item: (item.kind, item.name, item.key)))


def _has(item: Adopted, snapshot: Snapshot) -> bool:
    """The template gives the label; a run that was killed early has recorded what it never wrote."""
    workload = snapshot.workload_index.get(item.uid)
    return workload is not None and workload.spec.template.metadata.labels.get(item.key) == item.value


def check_templates(templates: Templates, known: Iterable[Gate], holds: Mapping[str, Hold], snapshot: Snapshot) -> None:
    """Raises :class:`RefusedError` for a workload whose template is to change and cannot be changed safely now."""
    gates = {(gate.key, gate.value) for gate in known}
    for key in sorted({key for _, key in templates}):
        for item in to_change(templates, key, holds, snapshot):
            _refuse_other_value(item, key, templates[item.uid, key], gates)
            _refuse_controlled(item)
            if item.kind == "Deployment" and not is_held(item, holds):
                _refuse_paused(item)
            if item.kind != "ReplicaSet" and item.uid not in holds:
                _refuse_unsettled(item, snapshot)
            if item.kind == "Deployment":
                _refuse_twin(item, key, templates[item.uid, key], snapshot)


_OTHER_WAYS = (
    "or choose adopt: Admission, which touches no template; with adopt: Reconcile a rolling update ends with no pod in "
    "rotation until the next apply"
)


def _refuse_other_value(item: Workload, key: str, wanted: str | None, gates: set[tuple[str, str]]) -> None:
    found = item.spec.template.metadata.labels.get(key)
    if found is None or found == wanted or (key, found) in gates:
        return
    raise refused_value(item, key, found, wanted)


def refused_value(item: Workload, key: str, found: str, wanted: str | None) -> RefusedError:
    """The refusal of a template whose label for the gate's key is somebody else's."""
    return RefusedError(
        f"the pod template already has {key}={found}; the gate wants {key}={wanted}, and would take that label from "
        "whoever put it there",
        where=str(item.ref),
        hint="choose another gate key, or take the label out of the template first",
    )


def _refuse_controlled(item: Workload) -> None:
    owner = controller_of(item.metadata)
    if owner is None:
        return
    raise RefusedError(
        f"the {item.kind} is controlled by {owner.kind} {owner.name}, which would put its template back and restart "
        "its pods",
        where=str(item.ref),
        hint=f"put the label into the template of that {owner.kind}, {_OTHER_WAYS}",
    )


def _refuse_paused(item: Workload) -> None:
    """A pause that is somebody else's."""
    if item.spec.paused:
        raise RefusedError(
            "the Deployment is paused, and no run of gatekeep paused it",
            where=str(item.ref),
            hint=f"resume it first: kubectl -n {item.metadata.namespace} rollout resume deployment/{item.name}",
        )


def _refuse_unsettled(item: Workload, snapshot: Snapshot) -> None:
    """A rollout under way.

    Not asked of what a killed run held still: its status speaks of that run, and a rollout in flight is survived.
    """
    status = item.status
    if status.observed_generation < item.metadata.generation:
        raise _rollout(item, "its controller has not seen its latest change yet")
    if item.kind == "Deployment":
        running = [one for one in snapshot.replica_sets_of(item.uid) if one.spec.replicas]
        if len(running) > 1 or status.updated_replicas != status.replicas:
            raise _rollout(item, f"{status.updated_replicas} of {status.replicas} pods are of its present template")
    if item.kind in REVISIONED:
        _refuse_mixed(item, snapshot)


def _refuse_mixed(item: Workload, snapshot: Snapshot) -> None:
    status = item.status
    carried = {pod.labels.get(REVISION_HASH) for pod in snapshot.pods_of(item)}
    updated, count = status.updated_number_scheduled, status.desired_number_scheduled
    if item.kind == "StatefulSet":
        updated, count = status.updated_replicas, status.replicas
    if len(carried) > 1 or (updated != count and item.spec.update_strategy != ON_DELETE):
        raise _rollout(item, f"{updated} of {count} pods are of its present template")


def _rollout(item: Workload, what: str) -> RefusedError:
    name = f"{item.kind.lower()}/{item.name}"
    return RefusedError(
        f"a rollout is in progress: {what}",
        where=str(item.ref),
        hint=f"wait for its end: kubectl -n {item.metadata.namespace} rollout status {name}",
    )


def _refuse_twin(item: Workload, key: str, wanted: str | None, snapshot: Snapshot) -> None:
    """Of equal ReplicaSets the controller takes the oldest, and would move all pods there."""
    sets = snapshot.replica_sets_of(item.uid)
    present = next((one for one in sets if one.spec.replicas), None)
    if present is None:
        return
    for older in sets[: sets.index(present)]:
        if _template_with(older, key, wanted) == _template_with(present, key, wanted):
            raise RefusedError(
                f"once both have {key}={wanted}, the old ReplicaSet {older.name} has the same template as the present "
                f"{present.name}, and the controller would move all pods to the older one",
                where=str(item.ref),
                hint=f"remove the old one, it has no pods: kubectl -n {item.metadata.namespace} delete replicaset "
                f"{older.name}",
            )


def _template_with(item: Workload, key: str, value: str | None) -> tuple[object, ...]:
    template = item.spec.template
    labels = {name: old for name, old in template.metadata.labels.items() if name not in (_HASH_LABEL, key)}
    return labels | ({} if value is None else {key: value}), dict(template.metadata.annotations), template.spec


def _is_behind(bases: Sequence[Mapping[str, str]], item: Workload) -> bool:
    return any(matches_map(base, item.spec.template.metadata.labels) for base in bases)


def taken_labels(record: Record | None) -> tuple[Adopted, ...]:
    """The labels that templates had before, and that gatekeep took off."""
    return tuple(item for item in record.adopted if item.by == "Taken") if record else ()


def still_held(holds: Mapping[str, Hold], snapshot: Snapshot) -> list[Workload]:
    """The workloads that a killed run left held still."""
    found = (snapshot.workload_index.get(uid) for uid in sorted(holds))
    return [item for item in found if item is not None and is_held(item, holds)]


def _recorded(record: Record | None) -> tuple[Adopted, ...]:
    return tuple(item for item in record.adopted if item.by == "Template") if record else ()


def _is_recorded_hold(item: Workload, record: Record | None) -> bool:
    return record is not None and is_held(item, {hold.uid: hold for hold in record.holds})
