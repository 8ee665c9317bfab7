"""A check failed: the run is over, and what it brought into rotation is taken out again, by a plan of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gatekeep.cluster.protocol import Cluster
from gatekeep.execute.resend import resending
from gatekeep.model.errors import GatekeepError
from gatekeep.model.outcomes import Outcome
from gatekeep.model.plan import Plan
from gatekeep.model.record import GateName
from gatekeep.operations.runs import failed_gates, plan_abort
from gatekeep.operations.verify import require_applicable
from gatekeep.proof.verify import VerifiedPlan

Apply = Callable[[VerifiedPlan], Outcome]
"""Carries out a verified plan, as ``abort`` does it."""


class Aborted(NamedTuple):
    """What came of taking one gate's canary out: the plan and its outcome, or what went wrong."""

    gate: GateName
    plan: Plan | None = None
    outcome: Outcome | None = None
    error: GatekeepError | None = None


def abort_failed(cluster: Cluster, plan: Plan, reason: str, apply: Apply) -> tuple[Aborted, ...]:
    """Takes out what a failed check of ``plan`` has aborted, each gate by a plan that was proved.

    The record says already that the run is over: whatever goes wrong here, the next apply goes on with it.
    """
    namespaces = sorted({gate.namespace for gate in plan.gates})
    try:
        snapshot = resending(cluster.clock, lambda: cluster.snapshot(namespaces))
        gates = failed_gates(plan, snapshot)
    except GatekeepError as error:
        gates = [GateName(gate.namespace, gate.name) for gate in plan.gates if gate.progress is not None]
        return tuple(Aborted(gate, error=error) for gate in gates)
    return tuple(_aborted(cluster, gate, namespaces, reason, apply) for gate in gates)


def _aborted(cluster: Cluster, gate: GateName, namespaces: list[str], reason: str, apply: Apply) -> Aborted:
    plan = None
    try:
        snapshot = resending(cluster.clock, lambda: cluster.snapshot(namespaces))
        plan = plan_abort(gate, snapshot, reason=reason)
        return Aborted(gate, plan, apply(require_applicable(plan, snapshot, now=cluster.clock.now())))
    except GatekeepError as error:
        return Aborted(gate, plan, error=error)
