"""One gate as planning sees it: its Services, what gates them now, and what should."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gatekeep.model.objects import Pod, Service
from gatekeep.model.plan import Adopted, Hold, Match
from gatekeep.model.policy import Floor, Gate, Isolation, TrafficGate
from gatekeep.model.progress import Progress
from gatekeep.model.record import Beginning, GateName, Record
from gatekeep.model.waits import CheckWait
from gatekeep.strategies.isolation import Apart

TEMPORARY_VALUE = "open"


class Sparing(NamedTuple):
    """Whose gate label stays: workloads whose own template gives it, and pods that had it before the gate, by uid."""

    owner_uids: tuple[str, ...]
    pod_uids: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class GateTask:
    """What planning is to bring about for one gate.

    ``target`` None retires the gate. ``members`` are the uids that should carry the label, ``match`` whoever should,
    ``kept`` the uids whose label was there before the gate. ``known`` are all gates that may stand on the Services.
    ``unsettled`` says that the last run did not come to its end: the controller may not have read what it wrote.
    ``templates`` says what the templates of workloads (by uid) should have for a label key, None for nothing; one that
    is not named stays. ``holds`` are what a killed run may have left held still, by uid. ``group`` is whoever may be a
    member; ``holds_new`` keeps its newborn pods out until they are admitted. ``admitted`` are the workloads whose later
    pods get the label by admission, ``withdrawn`` those that no longer do. ``remark`` is what the strategy has to say.
    ``strips`` says whose labels stay when they are taken off whoever carries them by then; without it only pods that
    are known now lose theirs.
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
    templates: Mapping[tuple[str, str], str | None] = field(default_factory=dict)
    holds: Mapping[str, Hold] = field(default_factory=dict)
    group: Match = field(default_factory=Match)
    admitted: tuple[Adopted, ...] = ()
    withdrawn: tuple[Adopted, ...] = ()
    holds_new: bool = False
    remark: str = ""
    strips: Sparing | None = None

    @property
    def reference(self) -> str:
        """How steps name the policy they come from."""
        return f"TrafficGate {self.name}"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for one gate: the policy, and what moves its run.

    ``isolations`` are the policies that pull pods out; with ``complete`` they are all there are. ``move`` is what
    ``promote``, ``abort`` or ``undo`` do to the run; ``reason`` says why it is aborted. ``back_to`` is where an undo
    leads to.
    """

    policy: TrafficGate
    isolations: tuple[Isolation, ...] = ()
    complete: bool = False
    move: Literal["", "promote", "abort", "undo"] = ""
    reason: str = ""
    back_to: Beginning | None = None


class Leg(NamedTuple):
    """A rotation to bring about, how many steps of the run are done then, and the checks after it, each with that."""

    task: GateTask
    step: int = 0
    checks: tuple[tuple[CheckWait, int], ...] = ()


class Release(NamedTuple):
    """A pod to be marked as isolated; ``labels`` are taken off it with that, so that its controller lets it go."""

    pod: Pod
    mark: str
    labels: Mapping[str, str]


class Comeback(NamedTuple):
    """A pod to be given back ``labels``, that of the gate included where it has to join with them.

    ``surplus`` is the pod that its controller will delete then; with ``leaves`` the plan takes it out of rotation
    before, and marks it as the one to go.
    """

    pod: Pod
    labels: Mapping[str, str]
    surplus: Pod | None
    leaves: bool


@dataclass(frozen=True, kw_only=True)
class GateCourse:
    """One gate from where it is to where its policy goes next.

    ``legs`` come one after the other; ``progress`` is how far the run has come then. After the old colour has left,
    it is let alone for ``drain`` seconds; then ``previews`` follow. ``releases`` and ``comebacks`` come last.
    ``picked`` are members that were picked by number until now, by uid.
    """

    legs: tuple[Leg, ...]
    progress: Progress | None = None
    drain: int = 0
    previews: tuple[GateTask, ...] = ()
    apart: Apart = field(default_factory=Apart)
    releases: tuple[Release, ...] = ()
    comebacks: tuple[Comeback, ...] = ()
    picked: tuple[str, ...] = ()

    @property
    def task(self) -> GateTask:
        """The last leg: where the course leads to."""
        return self.legs[-1].task

    @property
    def name(self) -> GateName:
        """The gate."""
        return self.task.name


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


def standing_gates(services: Iterable[Service], known: tuple[Gate, ...]) -> tuple[Gate, ...]:
    """The known gates on the Services; none while one of them has none."""
    found = [gates_on(service.spec.selector or {}, known) for service in services]
    return tuple(dict.fromkeys(gate for gates in found for gate in gates)) if all(found) else ()
