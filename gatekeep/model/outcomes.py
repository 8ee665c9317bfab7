"""What came of applying a plan, and how a gate stands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ServiceOutcome:
    """Ready endpoints of one Service, in number of pods.

    ``least`` is the smallest number seen whenever the slices were read, not a promise about every moment between.
    """

    namespace: str
    name: str
    before: int
    least: int
    after: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A finished run. ``seconds`` are the cluster's; ``skipped`` and ``added`` are names of pods."""

    run_id: str
    wrote: bool
    seconds: float
    steps: int
    services: tuple[ServiceOutcome, ...] = ()
    skipped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """Where the run of a canary or a blue/green switch stands.

    ``phase`` is that of the record, "" before the first apply; of ``steps`` steps ``step`` are done, and a run that is
    ``Paused`` stands at the pause after them. ``weight`` is the canary's share in percent, ``color`` the colour in
    rotation, ``former`` the one before. ``since`` is when it came there, ``age`` how many seconds ago; ``pause`` is how
    many seconds the pause is to last, None: until it is promoted. ``outdated``: the policy or the canary's pods have
    changed since, and the next apply begins another run.
    """

    phase: str
    step: int = 0
    steps: int = 0
    weight: int | None = None
    color: str = ""
    former: str = ""
    since: str = ""
    age: int | None = None
    pause: int | None = None
    reason: str = ""
    outdated: bool = False


@dataclass(frozen=True, kw_only=True)
class GateRun:
    """A gate that a plan was for, and where its run stands now."""

    namespace: str
    name: str
    strategy: str
    run: RunStatus


@dataclass(frozen=True, kw_only=True)
class GroupStatus:
    """Pods of one group: ready ones in rotation, all in rotation, and all there are."""

    name: str
    members_ready: int
    members_total: int
    pods: int


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """Pods in rotation on one node."""

    name: str
    members_ready: int
    members_total: int


@dataclass(frozen=True, kw_only=True)
class IsolationStatus:
    """Pods out of rotation. ``age`` and ``left`` are seconds, None where that is not known.

    ``left`` is the time until it expires, negative once that is past. ``ended`` says how it came to its end, though its
    document is still there.
    """

    name: str
    mode: str
    reason: str
    by: str
    pods: tuple[str, ...]
    since: str = ""
    age: int | None = None
    expires: str = ""
    left: int | None = None
    ended: str = ""


@dataclass(frozen=True, kw_only=True)
class GateStatus:
    """A gate at a glance. ``drift`` says in sentences what differs from the policy as last applied."""

    namespace: str
    name: str
    services: tuple[str, ...]
    gate: str
    strategy: str
    stage: str
    members_ready: int
    members_total: int
    candidates: int
    drift: tuple[str, ...]
    last_run: str
    source: str
    run: RunStatus | None = None
    groups: tuple[GroupStatus, ...] = ()
    nodes: tuple[NodeStatus, ...] = ()
    isolations: tuple[IsolationStatus, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PastRun:
    """A run that is recorded. ``age`` is how many seconds ago it began, ``seconds`` how long it took, None if unknown.

    ``known`` says whether the record says where it began: with ``strategy``, "" where no gate stood, with its run at
    ``began`` (None for a pool), and with so many pods ``isolated``.
    """

    namespace: str
    name: str
    id: str
    action: str
    by: str
    plan: str
    outcome: str
    started: str
    ended: str
    age: int | None = None
    seconds: int | None = None
    known: bool = False
    strategy: str = ""
    began: RunStatus | None = None
    isolated: int = 0


@dataclass(frozen=True, kw_only=True)
class Reconciled:
    """What came of reconciling one gate.

    ``stopped`` says that a signal ended it, and with it everything that was to come after.
    """

    gate: str
    exit_code: int
    changed: bool = False
    paused: bool = False
    plan: str = ""
    outcome: Outcome | None = None
    runs: tuple[GateRun, ...] = ()
    warnings: tuple[str, ...] = ()
    message: str = ""
    hint: str = ""
    stopped: bool = False
