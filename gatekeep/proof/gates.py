"""What a gate of a plan is known by: how steps name it, which labels are its, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from gatekeep.model.errors import RefusedError
from gatekeep.model.plan import GateTarget
from gatekeep.model.policy import PREVIEW_VALUE, TrafficGate
from gatekeep.model.record import GateName, Record, record_of
from gatekeep.model.snapshot import Snapshot


def reference(gate: GateTarget) -> str:
    """How steps name the gate they belong to."""
    return f"TrafficGate {gate.namespace}/{gate.name}"


def policy_of(gate: GateTarget) -> TrafficGate | None:
    """The policy that the plan carries; None too where it cannot be read, of which ``targets`` says what is wrong."""
    try:
        return msgspec.convert(gate.policy, TrafficGate) if gate.policy is not None else None
    except (msgspec.ValidationError, RecursionError):
        return None


def recorded(gate: GateTarget, snapshot: Snapshot) -> Record | None:
    """What is remembered of the gate; None too where it cannot be read."""
    try:
        return record_of(snapshot, GateName(gate.namespace, gate.name))
    except RefusedError:
        return None


def recorded_labels(gate: GateTarget, snapshot: Snapshot) -> Iterable[tuple[str, str]]:
    """The labels that the gate had, or was to get."""
    record = recorded(gate, snapshot)
    if record is not None:
        wanted = (record.wanted.gate,) if record.wanted is not None else ()
        yield from ((item.key, item.value) for item in (record.gate, record.policy.gate, *record.pending, *wanted))
        yield from ((item.key, item.value) for item in record.adopted)


def labels_of(gate: GateTarget) -> Iterable[tuple[str, str]]:
    """The label, and the one that stands in for it while it changes its value."""
    if gate.action == "Gate":
        yield gate.key, gate.value
        yield temporary_key(gate), "open"


def pod_labels_of(gate: GateTarget) -> Iterable[tuple[str, str]]:
    """The labels that pods may get: with a preview, its value as well."""
    yield from labels_of(gate)
    if gate.preview and gate.action == "Gate":
        yield gate.key, PREVIEW_VALUE


def keys_of(gate: GateTarget, snapshot: Snapshot) -> frozenset[str]:
    """The keys that the gate has in selectors, had, or was to get."""
    return frozenset([gate.key, temporary_key(gate), *(key for key, _ in recorded_labels(gate, snapshot))])


def temporary_key(gate: GateTarget) -> str:
    """The key of the label that stands in while the value changes."""
    return f"gatekeep.dev/{gate.name[:53]}.temporary"
