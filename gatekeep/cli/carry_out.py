"""From a plan to its outcome: show, ask, apply with progress on stderr, report. ``apply`` and ``retire`` share it."""

from __future__ import annotations

import getpass
import secrets
import socket
import sys
from typing import TYPE_CHECKING, NamedTuple, TextIO

from gatekeep.cli.failures import say, to_stderr, usage
from gatekeep.cli.options import ClusterFlags, OutputFlags, WriteFlags
from gatekeep.cli.output import emit, error_style, style_of
from gatekeep.cli.planned import CHANGES, retiring, show, verdict
from gatekeep.cli.signals import stop_requests
from gatekeep.model.errors import IncompleteError
from gatekeep.model.outcomes import Outcome
from gatekeep.model.plan import Plan
from gatekeep.render.around import way_back
from gatekeep.render.documents import plain, report_json
from gatekeep.render.layout import counted
from gatekeep.render.progress import Progress
from gatekeep.render.reports import outcome_text
from gatekeep.render.style import is_terminal, style_for
from gatekeep.render.text import plan_text, short_id

if TYPE_CHECKING:
    from gatekeep.cluster.protocol import Cluster
    from gatekeep.model.snapshot import Snapshot
    from gatekeep.proof.verify import VerifiedPlan

DECLINED = 1


class Ways(NamedTuple):
    """Where a person stands whose run stopped half-way: the command that goes on, and the cluster it was for."""

    on: str
    access: ClusterFlags


def require_answer(writing: WriteFlags) -> None:
    """Nobody to ask and nobody who said yes is a usage error, before anything is written."""
    if not writing.yes and not writing.dry_run and not is_terminal(sys.stdin):
        raise usage("there is no terminal to ask on", "say -y to apply without asking, or --dry-run to look first")


def show_and_stop(plan: Plan, output: OutputFlags, writing: WriteFlags, access: ClusterFlags) -> int:
    """``--dry-run``: as ``plan`` does it."""
    show(plan, output, access)
    return verdict(plan, output, detailed=writing.detailed)


def plan_then_apply(
    cluster: Cluster, plan: Plan, snapshot: Snapshot, output: OutputFlags, writing: WriteFlags, ways: Ways
) -> int:
    """A plan made just now: shown, approved, applied."""
    from gatekeep.operations.verify import require_applicable

    if not plan.proof.holds:
        return show_and_stop(plan, output, writing, ways.access)
    if not approved(plan, output, writing, ways.access):
        say("note", "not applied; nothing was written")
        return DECLINED
    verified = require_applicable(plan, snapshot, now=cluster.clock.now())
    return carry_out(cluster, plan, verified, output, writing, ways)


def approved(plan: Plan, output: OutputFlags, writing: WriteFlags, access: ClusterFlags) -> bool:
    """Shows the plan and asks. With ``-o json`` or ``--out`` the data is the report, so the plan goes to stderr."""
    if output.format == "text" and not output.path:
        show(plan, output, access)
    elif plan.writes and not writing.yes:
        to_stderr(plan_text(plan, error_style(), retire=retiring(access)))
    if not plan.writes:
        return True
    if writing.yes:
        to_stderr("\n")
        return True
    require_answer(writing)
    to_stderr("\nApply this plan? [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def announce(plan: Plan, cluster: Cluster) -> None:
    """Which plan goes to which cluster, before anything is written: nobody was asked."""
    server = cluster.identity().server or "the cluster"
    say("note", f"applying plan {short_id(plan.id)} ({counted(len(plan.steps), 'step')}) to {server}")
    for finding in plan.findings:
        if finding.rule == "will-be-reverted":
            say("warning", f"{finding.object}: {finding.message}")


def carry_out(
    cluster: Cluster, plan: Plan, verified: VerifiedPlan, output: OutputFlags, writing: WriteFlags, ways: Ways
) -> int:
    """Applies a verified plan and reports what happened. A run that stops half-way says how to go on and back."""
    try:
        outcome = apply_with_progress(cluster, verified, writing.lock_timeout)
    except IncompleteError as error:
        message, _, advice = error.message.partition("\n  → ")
        hint = "\n".join(part for part in (advice, _ways(plan, ways)) if part)
        raise IncompleteError(message, where=error.where, hint=hint) from error
    if output.format == "json":
        emit(outcome_json(outcome, plan), output)
    elif plan.writes or outcome.wrote or output.path:
        emit(outcome_text(outcome, plan, style_of(output), retiring(ways.access)), output)
    return CHANGES if writing.detailed and outcome.wrote else 0


def _ways(plan: Plan, ways: Ways) -> str:
    """Commands on lines of their own, set in."""
    back = way_back(plan, retiring(ways.access))
    lines = [f"  {line}" for line in (*back.commands, back.words) if line]
    return "\n".join(["the state is safe as it is. To go on:", f"  {ways.on}", "to go back:", *lines])


def outcome_json(outcome: Outcome, plan: Plan) -> str:
    """The ``ApplyReport``."""
    return report_json("ApplyReport", {"plan": plan.id, **plain(outcome)})


def apply_with_progress(
    cluster: Cluster, verified: VerifiedPlan, lock_timeout: float, stream: TextIO | None = None
) -> Outcome:
    """One run, under a name that says who holds the lock."""
    from gatekeep.operations.apply import apply_plan

    to = stream or sys.stderr
    listener = Progress(to, style_for(to), in_place=is_terminal(to))
    try:
        with stop_requests() as stop:
            return apply_plan(
                cluster,
                verified,
                identity=identity(),
                run_id=new_run_id(cluster),
                listener=listener,
                lock_timeout=lock_timeout,
                stop=stop,
            )
    finally:
        listener.end()


def new_run_id(cluster: Cluster) -> str:
    """A name for one run that sorts by time."""
    return f"{cluster.clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def identity() -> str:
    """``user@host``: whom to ask about a lock."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
