"""A plan document against a cluster as it is now: does the proof still hold, and is the plan still fresh?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gatekeep.model.errors import InvalidInputError, RefusedError, UnsafeError
from gatekeep.model.plan import Plan, Proof, content_id
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.way_back import starts_unsettled, way_back_problem
from gatekeep.proof import drift, simulate
from gatekeep.proof.verify import VerifiedPlan, prove, verified


@dataclass(frozen=True)
class Verification:
    """The proof, what has changed since (empty when fresh), and whether the id fits the content."""

    proof: Proof
    stale: tuple[str, ...]
    id_fits: bool


def verify_plan(plan: Plan, snapshot: Snapshot, *, now: datetime) -> Verification:
    """Proves ``plan`` again and compares what it relies on with ``snapshot``."""
    return Verification(
        proof=_proof(plan, snapshot), stale=drift.stale(plan, snapshot, now), id_fits=content_id(plan) == plan.id
    )


def _proof(plan: Plan, snapshot: Snapshot) -> Proof:
    proof = prove(plan, snapshot, exact=False).proof
    if not proof.holds:
        return proof
    problem = _no_way_back(plan, snapshot)
    return Proof(holds=False, states=proof.states, counter_example=problem) if problem else proof


def _no_way_back(plan: Plan, snapshot: Snapshot) -> str | None:
    """Why the plan has no proved way back; a plan that goes on from a run that did not end needs none."""
    if starts_unsettled(plan, snapshot):
        return None
    return way_back_problem(plan, simulate.assumed(plan, snapshot))


def require_applicable(plan: Plan, snapshot: Snapshot, *, now: datetime) -> VerifiedPlan:
    """The plan as one that may be applied.

    Raises :class:`UnsafeError` with the counter-example when the proof fails, then :class:`InvalidInputError` when the
    id does not fit the content, then :class:`RefusedError` when the plan is stale or meant for another cluster.
    """
    result = verified(plan, snapshot, exact=False)
    if isinstance(result, Proof):
        raise unsafe(result)
    if problem := _no_way_back(plan, snapshot):
        raise unsafe(Proof(holds=False, states=0, counter_example=problem))
    if content_id(plan) != plan.id:
        raise InvalidInputError(
            f"the plan's id {plan.id[:19]}… does not fit its content: it was edited after it was made",
            hint="make the plan again: gatekeep plan -o json --out FILE",
        )
    changed = drift.stale(plan, snapshot, now)
    if changed:
        raise stale(changed)
    return result


def stale(changed: Sequence[str]) -> RefusedError:
    """The refusal that names what changed."""
    return RefusedError(
        "the plan is stale:\n" + "\n".join(f"  - {item}" for item in changed),
        hint="make the plan again, review it, apply that",
    )


def unsafe(proof: Proof) -> UnsafeError:
    """The refusal that names the counter-example."""
    return UnsafeError(
        f"refused, the proof fails: {proof.counter_example}",
        hint="nothing was written; change the policy (or its floor), or mend the cluster, and plan again",
    )
