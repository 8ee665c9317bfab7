"""Later pods get the label by admission: the policies that a gate has, and the steps that bring or remove them.

Which policy does what, and why a wait follows: ``docs/design/0009-later-pods.md``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from gatekeep.model import admission
from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import AdmissionObject, Workload
from gatekeep.model.plan import Adopted, Match
from gatekeep.model.policy import TrafficGate
from gatekeep.model.record import GateName, Record
from gatekeep.model.selectors import EVERYTHING
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import AdmissionWait, DurationWait, GateLabel
from gatekeep.model.workloads import adoptable, is_born_in
from gatekeep.planning.adoption import ref
from gatekeep.planning.draft import Draft
from gatekeep.planning.task import GateTask
from gatekeep.planning.templates import refused_value

OTHER_SERVERS_SECONDS = 2
"""API servers read admission policies once a second; the probe is answered by one of them."""

_PLURAL = "mutatingadmissionpolicies"


def wanted_admissions(policy: TrafficGate, match: Match, snapshot: Snapshot) -> tuple[Adopted, ...]:
    """The workloads whose later pods the policy wants labelled by admission.

    A template that gives the label already needs none. Raises :class:`RefusedError` where the API server has no
    MutatingAdmissionPolicy, and for a template that gives another value: admission leaves a key alone that is set.
    """
    if policy.spec.adopt != "Admission" or policy.spec.new_pods == "Hold":
        return ()
    if _PLURAL in snapshot.unserved:
        raise RefusedError(
            "adopt: Admission needs MutatingAdmissionPolicy (admissionregistration.k8s.io/v1), which this API server "
            "does not serve",
            where=f"cluster {snapshot.identity.version}".rstrip(),
            hint="Kubernetes 1.36 and newer have it; choose adopt: Template, or Reconcile",
        )
    gate = policy.gate
    found = []
    for item in adoptable(policy.namespace, snapshot):
        given = item.spec.template.metadata.labels.get(gate.key)
        if not is_born_in(match, item, snapshot) or given == gate.value:
            continue
        if given is not None:
            raise refused_value(item, gate.key, given, gate.value)
        adopted = Adopted(kind=item.kind, name=item.name, uid=item.uid, key=gate.key, value=gate.value, by="Admission")
        found.append(adopted)
    return tuple(found)


def withdrawn_admissions(record: Record | None, wanted: Iterable[Adopted]) -> tuple[Adopted, ...]:
    """What the record knows and nobody wants any more."""
    kept = {(item.kind, item.name, item.key, item.value) for item in wanted}
    recorded = record.adopted if record is not None else ()
    return tuple(
        item for item in recorded if item.by == "Admission" and (item.kind, item.name, item.key, item.value) not in kept
    )


def admit(draft: Draft, task: GateTask) -> bool:
    """Creates the policies that lack, proves that they work, and says whether there were any."""
    standing = {(item.kind, item.name) for item in draft.snapshot.admission}
    lacking = [
        (item, workload)
        for item in task.admitted
        if (workload := draft.snapshot.workload_index.get(item.uid)) is not None
        and not {(kind, object_name(task.name, item)) for kind in (admission.POLICY, admission.BINDING)} <= standing
    ]
    if not lacking:
        return False
    policies = [_policy(task.name, item, workload) for item, workload in lacking]
    bindings = [
        admission.binding_body(
            admission.PolicyBinding(name=name, policy=name, namespace=task.name.namespace, gate=task.name.name)
        )
        for item, _ in lacking
        if (name := object_name(task.name, item))
    ]
    for bodies in (policies, bindings):
        missing = [body for body in bodies if (body["kind"], body["metadata"]["name"]) not in standing]
        draft.create_kept(missing, reason="later pods are born with the label", policy=task.reference)
    draft.next_phase()
    for item, workload in lacking:
        _probe(draft, task, workload, GateLabel(key=item.key, value=item.value), "prove that admission gives the label")
    _wait_for_others(draft, task)
    return True


def withdraw(draft: Draft, task: GateTask, key: str) -> bool:
    """Removes the policies for ``key`` that nobody wants any more, proves that they are out of force."""
    going = [item for item in task.withdrawn if item.key == key]
    names = {object_name(task.name, item) for item in going}
    found = [item for item in draft.snapshot.admission if item.name in names]
    if not found:
        return False
    for kind in (admission.BINDING, admission.POLICY):
        draft.delete_kept([item for item in found if item.kind == kind], reason="later pods are born without the label",
                          policy=task.reference)  # fmt: skip
    draft.next_phase()
    for item in going:
        workload = draft.snapshot.workload_index.get(item.uid)
        if workload is not None:
            _probe(draft, task, workload, GateLabel(key=item.key, value=None), "prove that admission gives it no more")
    _wait_for_others(draft, task)
    return True


def refuse_unknown(name: GateName, withdrawn: Sequence[Adopted], snapshot: Snapshot) -> None:
    """Raises :class:`RefusedError` where the policies to remove cannot be seen."""
    if withdrawn and _PLURAL in snapshot.missing:
        raise RefusedError(
            "the record names admission policies of this gate, and they could not be listed",
            where=f"TrafficGate {name}",
            hint="grant list on mutatingadmissionpolicies and their bindings, which are cluster-scoped",
        )


def new_admissions(begin: Snapshot, end: Snapshot) -> tuple[AdmissionObject, ...]:
    """Policies and bindings that stand at the end and did not at the beginning."""
    before = {(item.kind, item.name) for item in begin.admission}
    return tuple(item for item in end.admission if (item.kind, item.name) not in before)


def object_name(gate: GateName, item: Adopted) -> str:
    """The name of a workload's policy and of its binding; both are cluster-scoped, so the namespace is in it."""
    text = f"{gate}/{item.kind}/{item.name}/{item.key}={item.value}"
    return f"gatekeep-{gate.namespace}-{gate.name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _policy(gate: GateName, item: Adopted, workload: Workload) -> dict[str, Any]:
    return admission.policy_body(
        admission.LabelPolicy(
            name=object_name(gate, item), key=item.key, value=item.value, kind=item.kind, workload=item.name,
            selector=workload.spec.selector or EVERYTHING, gate=gate.name,
        )
    )  # fmt: skip


def _probe(draft: Draft, task: GateTask, workload: Workload, label: GateLabel, reason: str) -> None:
    labels = {key: value for key, value in workload.spec.template.metadata.labels.items() if key != label.key}
    wait = AdmissionWait(owner=ref(workload), labels=labels, gate=label, timeout_seconds=task.timeout_seconds)
    draft.await_(wait, reason=reason, policy=task.reference)


def _wait_for_others(draft: Draft, task: GateTask) -> None:
    wait = DurationWait(seconds=OTHER_SERVERS_SECONDS, timeout_seconds=task.timeout_seconds)
    draft.await_(wait, reason="let every other API server read it too", policy=task.reference)
    draft.next_phase()
