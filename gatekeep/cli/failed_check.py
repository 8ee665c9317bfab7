"""A check failed: the canary is taken out at once, and the message says what failed, what stands, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from gatekeep.cli.carry_out import Ways
from gatekeep.cli.failures import say
from gatekeep.cli.planned import asks, command_for, needs_address
from gatekeep.model.errors import CheckFailedError, GatekeepError, IncompleteError
from gatekeep.model.outcomes import Outcome
from gatekeep.model.plan import Plan
from gatekeep.render.layout import counted, some
from gatekeep.render.runs import asking
from gatekeep.render.text import short_id

if TYPE_CHECKING:
    from gatekeep.cluster.protocol import Cluster
    from gatekeep.operations.aborting import Aborted
    from gatekeep.proof.verify import VerifiedPlan

GIT = "Git still asks for it: to make it permanent set weight 0 or revert the change"


def taken_out(
    cluster: Cluster, plan: Plan, error: CheckFailedError, ways: Ways, apply: Callable[[VerifiedPlan], Outcome]
) -> GatekeepError:
    """Takes out the canary of the run that failed, and returns what is to be raised then."""
    from gatekeep.operations.aborting import abort_failed

    say("note", f"{error.message}; the run is aborted, and its canary is taken out")

    def told(found: VerifiedPlan) -> Outcome:
        if found.plan.writes:
            steps = counted(len(found.plan.steps), "step")
            say("note", f"plan {short_id(found.plan.id)}, to weight 0: {steps}, proved")
        return apply(found)

    found = abort_failed(cluster, plan, error.message, told)
    left = [item for item in found if item.error is not None]
    if left:
        return _not_out(left, error, ways)
    return CheckFailedError(
        "; ".join([error.message, *(_out(item) for item in found)]), hint="\n".join(_advice(found, plan, error, ways))
    )


def _out(item: Aborted) -> str:
    """``the run of shop/web was aborted, and weight 0 stands (10 → 9 ready)``."""
    services = item.outcome.services if item.outcome is not None else ()
    counts = some([f"{one.name} {one.before:,} → {one.after:,} ready" for one in services], 6)
    return f"the run of {item.gate} was aborted, and weight 0 stands" + (f" ({counts})" if counts else "")


def _advice(found: tuple[Aborted, ...], plan: Plan, error: CheckFailedError, ways: Ways) -> list[str]:
    from gatekeep.operations.standing import asks_again

    lines = [error.hint, "a change of the policy or of the canary's pods starts a new run; this one starts again with:"]
    for item in found:
        command = command_for("promote", str(item.gate), ways.access)
        lines.append(f"  {asking(command, asks=needs_address() and asks_again(plan, item.gate))}")
    lines.append(GIT)
    if len(plan.gates) > len(found):
        lines.extend(
            [
                "the plan's other gates stay where it stopped; to go on with them:",
                f"  {asking(ways.on, asks=asks(plan))}",
            ]
        )
    return [line for line in lines if line]


def _not_out(left: list[Aborted], error: CheckFailedError, ways: Ways) -> IncompleteError:
    """Both: what the check found, and why the canary is still in."""
    reasons = "; ".join(
        f"the run of {item.gate} is aborted, but its canary could not be taken out: {item.error.message}"
        for item in left
        if item.error is not None
    )
    hints = dict.fromkeys(item.error.hint for item in left if item.error is not None)
    lines = [error.hint, *hints, "the record says that the run is aborted; to take the canary out:"]
    lines.extend(f"  {command_for('abort', str(item.gate), ways.access)}" for item in left)
    return IncompleteError(f"{error.message}; {reasons}", hint="\n".join(line for line in lines if line))
