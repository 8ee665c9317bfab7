"""One gate as planning sees it: its Services, what gates them now, and what should."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatekeep.model.objects import Service
from gatekeep.model.plan import Match
from gatekeep.model.policy import Floor, Gate, TrafficGate
from gatekeep.model.record import GateName, Record

TEMPORARY_VALUE = "open"


@dataclass(frozen=True, kw_only=True)
class GateTask:
    """What planning is to bring about for one gate.

    ``target`` None retires the gate. ``members`` are the uids that should carry the label, ``match`` whoever should,
    ``kept`` the uids whose label was there before the gate. ``known`` are all gates that may stand on the Services.
    ``unsettled`` says that the last run did not come to its end: the controller may not have read what it wrote.
    """

    name: GateName
    services: tuple[Service, ...]
    target: Gate | None
    known: tuple[Gate, ...]
    members: frozenset[str]
    match: Match
    kept: frozenset[str]
    floor: Floor
    timeout_seconds: int
    policy: TrafficGate | None
    unsettled: bool = False

    @property
    def reference(self) -> str:
        """How steps name the policy they come from."""
        return f"TrafficGate {self.name}"


def temporary_gate(name: str) -> Gate:
    """The key that stands in while a gate keeps its key and changes its value; also known after a crash."""
    return Gate(key=f"gatekeep.dev/{name[:53]}.temporary", value=TEMPORARY_VALUE)


def known_gates(name: GateName, policy: TrafficGate | None, record: Record | None) -> tuple[Gate, ...]:
    """Every gate that may stand on the Services, recorded or not, without repetition."""
    found = [policy.gate] if policy else []
    if record:
        found.extend((record.gate, *record.pending))
    found.append(temporary_gate(name.name))
    return tuple({(gate.key, gate.value): gate for gate in found}.values())


def is_unsettled(record: Record | None) -> bool:
    """The last run was killed or stopped on the way."""
    return record is not None and (bool(record.pending) or not record.runs or record.runs[0].outcome != "done")


def gates_on(selector: Mapping[str, str], known: tuple[Gate, ...]) -> tuple[Gate, ...]:
    """Which of the known gates ``selector`` requires now."""
    return tuple(gate for gate in known if selector.get(gate.key) == gate.value)


def base_of(selector: Mapping[str, str], known: tuple[Gate, ...]) -> dict[str, str]:
    """The selector without any known gate."""
    return {
        key: value
        for key, value in selector.items()
        if not any(gate.key == key and gate.value == value for gate in known)
    }


def gated(base: Mapping[str, str], gate: Gate) -> dict[str, str]:
    """The selector that requires ``gate`` on top of ``base``."""
    return {**base, gate.key: gate.value}
