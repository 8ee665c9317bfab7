"""Admission policies that a plan creates or removes: one label, one workload, one namespace, and no more than that.

They are kept when the plan is done. A policy that matched more would label, or refuse, other people's pods.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from gatekeep.model.admission import BINDING, POLICY, binding_body, policy_body, read_binding, read_policy
from gatekeep.model.objects import AdmissionObject, OwnedMeta, Workload
from gatekeep.model.plan import Change, GateTarget, Plan, Step, canonical
from gatekeep.model.record import managed_labels
from gatekeep.model.selectors import matches
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import AdmissionWait, DurationWait
from gatekeep.proof.gates import reference

KINDS = (POLICY, BINDING)
OTHER_SERVERS_SECONDS = 2
"""API servers read admission policies once a second, and only one of them answers the probe."""

_UID = "/metadata/uid"


class Given(NamedTuple):
    """What a policy and its binding do together: this label onto the new pods of this workload."""

    workload: str
    key: str
    value: str
    step: int


def problem_of(plan: Plan, snapshot: Snapshot) -> str | None:
    """The first admission policy that ``plan`` may not create, remove or rely on as it does."""
    standing = {(item.kind, item.name): item for item in snapshot.admission}
    for step in plan.steps:
        for change in step.changes:
            if change.kind in KINDS:
                problem = _change_problem(plan, step, change, standing, snapshot)
                if problem:
                    return f"step {step.number}: {change.kind} {change.name} {problem}"
        if isinstance(step.wait, AdmissionWait) and (problem := _probe_problem(step.wait, snapshot)):
            return f"step {step.number}: {problem}"
    if problem := _pairs_problem(plan, standing):
        return problem
    return _birth_problem(plan, given(plan, snapshot)) or _adopted_problem(plan, snapshot)


def after(plan: Plan, snapshot: Snapshot) -> tuple[AdmissionObject, ...]:
    """The admission policies that stand once the plan is done."""
    gone = {change.uid for step in plan.steps if step.action == "Delete" for change in step.changes}
    kept = tuple(item for item in snapshot.admission if item.metadata.uid not in gone)
    return (*kept, *map(_created, _changes(plan, "Create")))


def differ(plan: Plan, snapshot: Snapshot) -> bool:
    """The policies are not as the plan would leave them."""
    names = {(item.kind, item.name) for item in snapshot.admission}
    uids = {item.metadata.uid for item in snapshot.admission}
    lacking = any((change.kind, change.name) not in names for change in _changes(plan, "Create"))
    return lacking or any(change.uid in uids for change in _changes(plan, "Delete"))


def given(plan: Plan, snapshot: Snapshot) -> tuple[Given, ...]:
    """The labels that policies of the plan give from the step on that creates the later one of a pair."""
    steps = {(change.kind, change.name): step.number for step in plan.steps if step.action == "Create"
             for change in step.changes}  # fmt: skip
    found = []
    for change in _changes(plan, "Create"):
        policy = read_policy(change.object or {}) if change.kind == POLICY else None
        owner = _owner(plan, change, snapshot) if policy is not None else None
        if policy is not None and owner is not None:
            last = max(steps[POLICY, policy.name], steps.get((BINDING, policy.name), 0))
            found.append(Given(owner.uid, policy.key, policy.value, last))
    return tuple(found)


def _changes(plan: Plan, action: str) -> Iterable[Change]:
    return (change for step in plan.steps if step.action == action for change in step.changes if change.kind in KINDS)


def _created(change: Change) -> AdmissionObject:
    meta = (change.object or {}).get("metadata", {})
    uid = "bound-" + hashlib.sha256(f"{change.kind} {change.name}".encode()).hexdigest()[:20]
    return AdmissionObject(change.kind, OwnedMeta(name=change.name, uid=uid, labels=meta.get("labels", {})))


def _change_problem(
    plan: Plan, step: Step, change: Change, standing: dict[tuple[str, str], AdmissionObject], snapshot: Snapshot
) -> str | None:
    gate = next((item for item in plan.gates if reference(item) == step.policy), None)
    if step.action == "Delete":
        return _deletion_problem(step, change, standing.get((change.kind, change.name)))
    if step.action != "Create" or change.uid is not None or change.patch or change.undo:
        return "may be created or removed, and nothing else"
    if list((change.bind or {}).values()) != [_UID]:
        return "must bind its uid"
    if (change.kind, change.name) in standing:
        return "exists already"
    if gate is None or gate.action != "Gate" or not _fits(gate, change, _owner(plan, change, snapshot)):
        return "does more than to give the gate's label to the new pods of one workload of its namespace"
    return None


def _deletion_problem(step: Step, change: Change, live: AdmissionObject | None) -> str | None:
    """Only what gatekeep made for this very gate."""
    if change.undo or change.object is not None or change.bind is not None:
        return "does more than to be removed"
    if not change.uid or [(op.op, op.path, op.value) for op in change.patch] != [("test", _UID, change.uid)]:
        return "is removed without a test of its uid"
    if live is None or live.metadata.uid != change.uid:
        return None  # it is gone, or another one: nothing is removed
    namespace, _, name = step.policy.rpartition(" ")[2].partition("/")
    labels = managed_labels(name)
    if not change.name.startswith(f"gatekeep-{namespace}-{name}-") or labels.items() - live.metadata.labels.items():
        return "is none that gatekeep made for this gate"
    return None


def _fits(gate: GateTarget, change: Change, owner: Workload | None) -> bool:
    """The object is to the byte what gatekeep would write."""
    body = change.object or {}
    try:
        if change.kind == BINDING:
            binding = read_binding(body)
            if binding is None or canonical(body) != canonical(binding_body(binding)):
                return False
            names = (binding.name, binding.policy, binding.namespace, binding.gate)
            return names == (change.name, change.name, gate.namespace, gate.name)
        policy = read_policy(body)
        if policy is None or owner is None or canonical(body) != canonical(policy_body(policy)):
            return False
    except (OverflowError, RecursionError, TypeError):  # a value, or a depth, that no policy has
        return False
    names = (policy.name, policy.gate, policy.key, policy.value)
    return names == (change.name, gate.name, gate.key, gate.value) and policy.selector == owner.spec.selector


def _owner(plan: Plan, change: Change, snapshot: Snapshot) -> Workload | None:
    """The workload of the gate's namespace whose new pods the policy is for."""
    policy = read_policy(change.object or {}) if change.kind == POLICY else None
    step = next(step for step in plan.steps if any(item is change for item in step.changes))
    namespace = step.policy.rpartition(" ")[2].partition("/")[0]
    if policy is None:
        return None
    named = (policy.kind, policy.workload)
    return next((item for item in snapshot.workloads_in(namespace) if (item.kind, item.name) == named), None)


def _probe_problem(wait: AdmissionWait, snapshot: Snapshot) -> str | None:
    """The pod that is asked about is one that the policy would be for; else the answer says nothing."""
    owner = snapshot.workload_index.get(wait.owner.uid)
    if owner is None or wait.gate.key in wait.labels or not matches(owner.spec.selector, wait.labels):
        return f"a pod with the labels it asks about is none of {wait.owner.kind} {wait.owner.name}"
    return None


def _pairs_problem(plan: Plan, standing: dict[tuple[str, str], AdmissionObject]) -> str | None:
    """A policy without a binding does nothing, and a binding without a policy neither."""
    names = {*standing, *((change.kind, change.name) for change in _changes(plan, "Create"))}
    names -= {(change.kind, change.name) for change in _changes(plan, "Delete")}
    touched = (*_changes(plan, "Create"), *_changes(plan, "Delete"))
    for name in sorted({change.name for change in touched}):
        if ((POLICY, name) in names) != ((BINDING, name) in names):
            return f"the admission policy {name} and its binding are not both there, or both gone, at the end"
    return None


def _birth_problem(plan: Plan, found: Iterable[Given]) -> str | None:
    """Before pods are listed for the label, it was proved that admission gives it, and every API server has read it."""
    for item in found:
        lists = [step.number for step in plan.steps if step.match is not None and step.match.gate is not None
                 and (step.match.gate.key, step.match.gate.value) == (item.key, item.value)]  # fmt: skip
        if not lists:
            return f"later pods get {item.key}={item.value} by admission, and no step puts that on the pods there are"
        if not _in_force(plan, item, max(lists)):
            return (
                f"a pod may be born without {item.key}={item.value} after step {max(lists)} has listed the pods: not "
                "every API server may have read the admission policy by then"
            )
    return None


def _in_force(plan: Plan, item: Given, before: int) -> bool:
    probed = False
    for step in plan.steps[item.step : before - 1]:
        wait = step.wait
        if isinstance(wait, AdmissionWait):
            wanted = (item.workload, item.key, item.value)
            probed = probed or (wait.owner.uid, wait.gate.key, wait.gate.value) == wanted
        elif probed and isinstance(wait, DurationWait) and wait.seconds >= OTHER_SERVERS_SECONDS:
            return True
    return False


def _adopted_problem(plan: Plan, snapshot: Snapshot) -> str | None:
    """Gates name the workloads whose later pods get the label by admission."""
    said = {(item.uid, item.key, item.value) for gate in plan.gates for item in gate.adopted if item.by == "Admission"}
    for item in given(plan, snapshot):
        if plan.gates and (item.workload, item.key, item.value) not in said:
            return f"no gate says that {item.key}={item.value} is given by admission"
    return None


def with_admission(snapshot: Snapshot, plan: Plan) -> Snapshot:
    """The snapshot with the policies that the plan leaves."""
    found = after(plan, snapshot)
    return snapshot if found == snapshot.admission else dataclasses.replace(snapshot, admission=found)
