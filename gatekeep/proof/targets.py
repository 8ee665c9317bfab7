"""A plan document says for which gates it is; its steps and its predictions must be theirs, and no one else's.

Plans on their way to becoming a document are not asked this: the way back has no gates of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from gatekeep.model.admission import BINDING, POLICY
from gatekeep.model.plan import GateTarget, Plan, ServiceForecast, Step
from gatekeep.model.policy import TrafficGate, floor_of
from gatekeep.model.selectors import key_problems, value_problems
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import AdmissionWait, EndpointsWait, ExistsWait, FieldWait, RevisionWait, Wait
from gatekeep.proof import templates
from gatekeep.proof.gates import keys_of, labels_of, pod_labels_of, recorded_labels, reference
from gatekeep.proof.isolations import Isolations, edits_of, isolations_of
from gatekeep.proof.relabel import REVISION_HASH, is_relabel


def problem_of(plan: Plan, snapshot: Snapshot) -> str | None:
    """What does not belong to the gates of ``plan``, or to what ``snapshot`` recorded of them; None when all does."""
    if not plan.gates and any(step.changes or step.match for step in plan.steps):
        return "the plan writes, and names no gate that it is for"
    gates = {reference(gate): gate for gate in plan.gates}
    if len(gates) < len(plan.gates):
        return "the plan names one gate twice"
    policies: dict[str, TrafficGate] = {}
    for name, gate in gates.items():
        if problem := _gate_problem(gate, policies):
            return f"{name} {problem}"
    if problem := _coverage_problem(plan):
        return problem
    apart = isolations_of(plan, snapshot)
    for step in plan.steps:
        owner = gates.get(step.policy)
        if owner is None:
            return f"step {step.number} is of {step.policy!r}, which is no gate of the plan"
        if problem := _step_problem(step, owner, apart):
            return f"step {step.number}: {problem}"
    return _floors_problem(plan, policies)


def _gate_problem(gate: GateTarget, policies: dict[str, TrafficGate]) -> str | None:
    """Fills ``policies`` with what could be decoded."""
    if key_problems(gate.key) or value_problems(gate.value):
        return f"has the label {gate.key}={gate.value}, which is none"
    if len(set(gate.services)) < len(gate.services):
        return "names one Service twice"
    if gate.action == "Retire":
        return "is retired, and carries a policy" if gate.policy is not None else None
    try:
        policy = msgspec.convert(gate.policy, TrafficGate)
    except (msgspec.ValidationError, RecursionError) as error:
        return f"carries no policy: {error}"
    label = (policy.gate.key, policy.gate.value)
    if (policy.namespace, policy.name, *label) != (gate.namespace, gate.name, gate.key, gate.value):
        return f"carries the policy of {policy.namespace}/{policy.name} with the label {label[0]}={label[1]}"
    if policy.spec.services != gate.services:
        return "is for other Services than its policy"
    policies[reference(gate)] = policy
    return None


def _coverage_problem(plan: Plan) -> str | None:
    """Gates and predictions name the very same Services, each once."""
    gated = [(gate.namespace, name) for gate in plan.gates for name in (*gate.services, gate.preview) if name]
    claimed = [(claim.namespace, claim.name) for claim in plan.services]
    for found, word in ((gated, "two gates name"), (claimed, "the plan predicts twice")):
        if twice := next((key for key in found if found.count(key) > 1), None):
            return f"{word} Service {twice[0]}/{twice[1]}"
    if stray := sorted(set(gated) ^ set(claimed)):
        namespace, name = stray[0]
        missing = "the plan predicts nothing" if stray[0] in gated else "no gate of the plan is"
        return f"{missing} for Service {namespace}/{name}"
    return next(filter(None, map(_claim_problem, plan.services)), None)


def _claim_problem(claim: ServiceForecast) -> str | None:
    where = f"Service {claim.namespace}/{claim.name}"
    if claim.floor < 0 or claim.least_ready < 0:
        return f"the floor of {where} is negative"
    if any(len(set(names)) < len(names) for names in (claim.before, claim.after)):
        return f"the prediction for {where} names one pod twice"
    return None


def _step_problem(step: Step, gate: GateTarget, apart: Isolations) -> str | None:
    """What the step touches outside its gate."""
    namespaces = {change.namespace for change in step.changes if change.kind not in (POLICY, BINDING)}
    if step.match is not None:
        namespaces.add(step.match.namespace)
    if step.wait is not None:
        namespaces.update(_namespaces_of(step.wait))
    if others := sorted(namespaces - {gate.namespace}):
        return f"it is in namespace {others[0]}, its gate in {gate.namespace}"
    for change in step.changes:
        own = change.name in (*gate.services, gate.preview)
        if step.action == "Patch" and change.kind == "Service" and not own:
            return f"it patches Service {change.namespace}/{change.name}, which is not of its gate"
    return _label_problem(step, gate, apart) or _template_problem(step, gate, apart.snapshot)


def _label_problem(step: Step, gate: GateTarget, apart: Isolations) -> str | None:
    """The only labels that a plan puts on pods are those of its gate, marks of a revision, and what it gives back."""
    put_on: set[tuple[str, str]] = set()
    for change in step.changes:
        if change.kind == "Pod":
            entry = apart.returned(step, change)
            labels = {(key, new if isinstance(new, str) else "a value that is bound")
                      for key, (_, new) in edits_of(change).items() if new is not None}  # fmt: skip
            put_on |= labels - (entry.pod.labels.items() if entry is not None else set())
    match = step.match.gate if step.match is not None and not templates.is_set_step(step) else None
    if match is not None and match.value is not None:
        put_on.add((match.key, match.value if isinstance(match.value, str) else "a value that is bound"))
    if is_relabel(step):
        put_on = {(key, value) for key, value in put_on if key != REVISION_HASH}
    if others := sorted(put_on - set(pod_labels_of(gate))):
        return f"it puts on {others[0][0]}={others[0][1]}, which is not the label of its gate"
    return None


def _template_problem(step: Step, gate: GateTarget, snapshot: Snapshot) -> str | None:
    """Templates get the gate's label, or lose it; so with one that a run which did not end had under way."""
    pairs = {*labels_of(gate), *recorded_labels(gate, snapshot)}
    keys = keys_of(gate, snapshot)
    edits = {
        (templates.label_in(op.path), None if op.op == "remove" else str(op.value))
        for change in step.changes if change.kind in templates.KINDS
        for op in change.patch if op.op != "test" and templates.is_template_label(op.path)
    }  # fmt: skip
    match = step.match.gate if step.match is not None and templates.is_set_step(step) else None
    if match is not None:
        edits.add((match.key, None if match.value is None else str(match.value)))
    for key, value in sorted(edits, key=str):
        if value is None and key not in keys:
            return f"it takes {key} off templates, which is no label of its gate"
        if value is not None and (key, value) not in pairs:
            return f"it puts {key}={value} on templates, which is not the label of its gate"
    wait = step.wait
    if isinstance(wait, RevisionWait) and wait.gate.key in wait.except_labels:
        return f"it leaves the very label {wait.gate.key} out of account that it asks for"
    if isinstance(wait, RevisionWait) and (others := sorted({wait.gate.key, *wait.except_labels} - keys)):
        return f"it leaves the label {others[0]} out of account, which is no label of its gate"
    return None


def _namespaces_of(wait: Wait) -> Iterable[str]:
    match wait:
        case EndpointsWait() | ExistsWait():
            yield wait.namespace
        case FieldWait() | RevisionWait():
            yield wait.object.namespace
        case AdmissionWait():
            yield wait.owner.namespace


def _floors_problem(plan: Plan, policies: Mapping[str, TrafficGate]) -> str | None:
    """No prediction may promise less than its policy asks for."""
    claims = {(claim.namespace, claim.name): claim for claim in plan.services}
    for policy in policies.values():
        for name in policy.spec.services:
            claim = claims[policy.namespace, name]
            wanted = floor_of(policy.spec.floor, len(claim.before))
            if claim.floor < wanted:
                return f"the floor of Service {claim.namespace}/{name} is {claim.floor}, its policy asks for {wanted}"
    return None
