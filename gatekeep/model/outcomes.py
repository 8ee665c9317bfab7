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
