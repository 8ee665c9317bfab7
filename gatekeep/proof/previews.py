"""The one kind of Service that may have no endpoint on the way: the preview of a blue/green switch.

A pod carries one value of a key, so while it moves from the rotation to the preview, or back, it is behind neither. The
exemption holds only while the selector asks for the value ``preview`` of the gate's key: whoever does so is no caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from gatekeep.model import patches
from gatekeep.model.objects import Service
from gatekeep.model.plan import Change, GateTarget, Plan
from gatekeep.model.policy import PREVIEW_VALUE, TrafficGate
from gatekeep.model.record import Record
from gatekeep.model.snapshot import Snapshot
from gatekeep.proof.gates import recorded, reference, temporary_key
from gatekeep.proof.labels import ServiceKey

Previews = Mapping[ServiceKey, frozenset[str]]
_SELECTOR = "/spec/selector/"


def previews_of(plan: Plan, snapshot: Snapshot) -> Previews:
    """The preview Services of ``plan``, each with the keys of its gate, before and after."""
    return {
        (gate.namespace, gate.preview): _keys(gate, recorded(gate, snapshot)) for gate in plan.gates if gate.preview
    }


def is_exempt(service: Service | None, keys: Iterable[str]) -> bool:
    """The Service, as it is in one state, asks for the value ``preview`` of one of ``keys``."""
    selector = (service.spec.selector or {}) if service is not None else {}
    return any(selector.get(key) == PREVIEW_VALUE for key in keys)


def problem_of(plan: Plan, snapshot: Snapshot) -> str | None:
    """What a gate of ``plan`` says of its preview and is not so, or does to it and may not."""
    served = {(gate.namespace, name) for gate in plan.gates for name in gate.services}
    seen: set[ServiceKey] = set()
    for gate in plan.gates:
        name, key = reference(gate), (gate.namespace, gate.preview)
        if problem := _name_problem(gate, snapshot):
            return f"{name} {problem}"
        if not gate.preview:
            continue
        if gate.value == PREVIEW_VALUE:
            return f"{name} puts its own members on the value {PREVIEW_VALUE}, so it can have no preview"
        if key in served or key in seen:
            return f"{name} says that {gate.preview} is its preview, and a gate of the plan has that Service already"
        seen.add(key)
    previews = previews_of(plan, snapshot)
    for claim in plan.services:
        if (claim.namespace, claim.name) in previews and claim.floor:
            return f"the plan promises a floor of {claim.floor} for the preview Service {claim.namespace}/{claim.name}"
    temporary = {(gate.namespace, gate.preview): temporary_key(gate) for gate in plan.gates}
    return _patches_problem(plan, previews, temporary)


def _keys(gate: GateTarget, record: Record | None) -> frozenset[str]:
    former = (record.gate, record.policy.gate) if record is not None else ()
    pairs = {(gate.key, gate.value), *((item.key, item.value) for item in former)}
    return frozenset(key for key, value in pairs if value != PREVIEW_VALUE)


def _name_problem(gate: GateTarget, snapshot: Snapshot) -> str | None:
    """The policy says which Service it is; where there is none any more, the record does."""
    wanted = _preview_in(gate.policy)
    if wanted:
        return None if gate.preview == wanted else f"has the preview {gate.preview!r}, its policy {wanted!r}"
    record = recorded(gate, snapshot)
    policies = (record.policy, record.wanted) if record is not None else ()
    known = {_preview_of(policy) for policy in policies if policy is not None}
    if gate.preview and gate.preview not in known:
        return f"has the preview {gate.preview!r}, of which neither its policy nor its record knows"
    return None


def _preview_in(policy: Mapping[str, object] | None) -> str:
    if policy is None:
        return ""
    try:
        return _preview_of(msgspec.convert(policy, TrafficGate))
    except (msgspec.ValidationError, RecursionError):
        return ""  # ``targets`` says what is wrong with it


def _preview_of(policy: TrafficGate) -> str:
    switch = policy.spec.rotation.blue_green
    return switch.preview.service if switch is not None and switch.preview is not None else ""


def _patches_problem(plan: Plan, previews: Previews, temporary: Mapping[ServiceKey, str]) -> str | None:
    for step in plan.steps:
        for change in step.changes:
            key = (change.namespace, change.name)
            if change.kind != "Service" or step.action != "Patch" or key not in previews:
                continue
            if _is_more(change, previews[key], temporary[key]):
                return (
                    f"step {step.number} does more to the preview Service {change.namespace}/{change.name} than to ask "
                    f"for the value {PREVIEW_VALUE} of its gate's key, or no longer to"
                )
    return None


def _is_more(change: Change, keys: frozenset[str], temporary: str) -> bool:
    for op in change.patch:
        key, value = patches.tokens_of(op.path)[-1], None if op.op == "remove" else op.value
        allowed = (key in keys and value in (None, PREVIEW_VALUE)) or (key == temporary and value in (None, "open"))
        if op.op != "test" and not (op.path.startswith(_SELECTOR) and allowed):
            return True
    return False
