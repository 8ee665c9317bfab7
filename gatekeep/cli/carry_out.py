"""From a plan to its outcome: show, ask, apply with progress on stderr, report. All commands that write share it."""

from __future__ import annotations

import getpass
import secrets
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TextIO

from gatekeep.cli.failures import say, to_stderr, usage
from gatekeep.cli.options import ClusterFlags, OutputFlags, WriteFlags
from gatekeep.cli.output import emit, error_style, style_of
from gatekeep.cli.planned import CHANGES, asks, commands, needs_address, show, verdict
from gatekeep.cli.signals import stop_requests
from gatekeep.model.errors import CheckFailedError, GatekeepError, IncompleteError
from gatekeep.model.outcomes import GateRun, Outcome
from gatekeep.model.plan import Plan
from gatekeep.model.waits import CheckWait
from gatekeep.render.around import way_back
from gatekeep.render.documents import plain, report_json
from gatekeep.render.layout import counted, paragraph, some
from gatekeep.render.progress import Progress
from gatekeep.render.reports import outcome_text
from gatekeep.render.runs import POLICIES, after_abort, asking, next_text
from gatekeep.render.style import is_terminal, style_for
from gatekeep.render.text import plan_text, short_id

if TYPE_CHECKING:
    from gatekeep.cluster.protocol import Cluster
    from gatekeep.metrics.measurement import Measure
    from gatekeep.model.snapshot import Snapshot
    from gatekeep.proof.verify import VerifiedPlan

DECLINED = 1


class Ways(NamedTuple):
    """The command that goes on from a run that stopped half-way, or at a pause, and the cluster it was for.

    ``action`` is what the record calls the run; ``git`` what a person should know of Git once it is done.
    """

    on: str
    access: ClusterFlags
    action: str = "apply"
    git: str = ""

    @property
    def apply(self) -> str:
        """The command that goes on from a pause once that is over."""
        return self.on if self.action == "apply" else POLICIES


def require_answer(writing: WriteFlags) -> None:
    """Nobody to ask and nobody who said yes is a usage error, before anything is written."""
    if not writing.yes and not writing.dry_run and not is_terminal(sys.stdin):
        raise usage("there is no terminal to ask on", "say -y to apply without asking, or --dry-run to look first")


def refuse_views(output: OutputFlags) -> None:
    """A view of a plan is no report of what was done."""
    if output.format not in ("text", "json"):
        raise usage(f"-o {output.format} shows a plan, and this run would apply it", "say --dry-run, or -o json")


def show_and_stop(plan: Plan, output: OutputFlags, writing: WriteFlags, access: ClusterFlags) -> int:
    """``--dry-run``: as ``plan`` does it."""
    show(plan, output, access)
    return verdict(plan, output, detailed=writing.detailed)


def measuring(plan: Plan, url: str | None) -> Measure | None:
    """Whom the plan's checks ask: the Prometheus at ``url``, asked each query once; None for a plan without checks.

    Raises :class:`UsageError` without a usable address, :class:`UnreachableError` where no Prometheus answers, and
    :class:`InvalidInputError` for a query that it refuses.
    """
    checks = {(step.wait.name, step.wait.query) for step in plan.steps if isinstance(step.wait, CheckWait)}
    if not checks:
        return None
    if not url:
        names = some(sorted(name for name, _ in checks))
        raise usage(
            f"the plan has {counted(len(checks), 'check')} ({names}), and no Prometheus to ask was named",
            "say --prometheus URL, or set GATEKEEP_PROMETHEUS",
        )
    from gatekeep.metrics.measurement import BadQueryError
    from gatekeep.metrics.prometheus import Prometheus

    prometheus = Prometheus(url)
    prometheus.require()
    for name, query in sorted(checks):
        try:
            prometheus.measure(query)
        except BadQueryError as error:
            raise BadQueryError(error.message, where=f"check {name}", hint=error.hint) from error
    return prometheus.measure


def plan_then_apply(
    cluster: Cluster,
    plan: Plan,
    snapshot: Snapshot,
    output: OutputFlags,
    writing: WriteFlags,
    ways: Ways,
    *,
    prometheus: str | None = None,
) -> int:
    """A plan made just now: shown, approved, applied. ``prometheus`` is the address that its checks ask."""
    from gatekeep.operations.verify import require_applicable

    refuse_views(output)
    if not plan.proof.holds:
        return show_and_stop(plan, output, writing, ways.access)
    measure = measuring(plan, prometheus)
    if not approved(plan, output, writing, ways.access):
        say("note", "not applied; nothing was written")
        return DECLINED
    verified = require_applicable(plan, snapshot, now=cluster.clock.now())
    return carry_out(cluster, plan, verified, output, writing, ways, measure=measure)


def approved(plan: Plan, output: OutputFlags, writing: WriteFlags, access: ClusterFlags) -> bool:
    """Shows the plan and asks. With ``-o json`` or ``--out`` the data is the report, so the plan goes to stderr."""
    if output.format == "text" and not output.path:
        show(plan, output, access)
    elif plan.writes and not writing.yes:
        to_stderr(plan_text(plan, error_style(), command=commands(access)))
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
    cluster: Cluster,
    plan: Plan,
    verified: VerifiedPlan,
    output: OutputFlags,
    writing: WriteFlags,
    ways: Ways,
    *,
    measure: Measure | None = None,
) -> int:
    """Applies a verified plan and reports what happened. A run that stops half-way says how to go on and back."""

    run_id = new_run_id(cluster)

    def apply(found: VerifiedPlan, action: str, run_id: str = "") -> Outcome:
        return apply_with_progress(cluster, found, writing.lock_timeout, measure=measure, action=action, run_id=run_id)

    try:
        outcome = apply(verified, ways.action, run_id)
    except CheckFailedError as error:
        from gatekeep.cli.failed_check import taken_out

        raise taken_out(cluster, plan, error, ways, lambda found: apply(found, "abort")) from error
    except IncompleteError as error:
        message, _, advice = error.message.partition("\n  → ")
        hint = "\n".join(part for part in (advice, _ways(plan, ways, run_id)) if part)
        raise IncompleteError(message, where=error.where, hint=hint) from error
    runs = runs_of(cluster, plan)
    if output.format == "json":
        emit(outcome_json(outcome, plan, ways.action, runs), output)
    else:
        emit(_outcome(outcome, plan, output, ways, runs), output)
    paused = any(item.run.phase == "Paused" for item in runs)
    return CHANGES if writing.detailed and (outcome.wrote or paused) else 0


def runs_of(cluster: Cluster, plan: Plan) -> tuple[GateRun, ...]:
    """Where the plan's runs stand now; that this cannot be read does not make a failure of what was done."""
    from gatekeep.operations.standing import standing_runs

    try:
        return standing_runs(cluster, plan)
    except GatekeepError as error:
        say("note", f"where the run stands could not be read: {error.message}")
        return ()


def _outcome(outcome: Outcome, plan: Plan, output: OutputFlags, ways: Ways, runs: Sequence[GateRun]) -> str:
    """What was done and where the runs stand; of a plan that was shown and had nothing to do only the latter."""
    from gatekeep.operations.standing import gates_asking

    style, command = style_of(output), commands(ways.access)
    asking_gates = gates_asking(plan, runs) if needs_address() else ()
    news = next_text(runs, ways.apply, command, style, asking_gates)
    reports = plan.writes or outcome.wrote or bool(output.path)
    if git := ways.git or (_git(plan, runs) if reports else ""):
        news.extend(paragraph(style.text(git), style, first="  "))
    if reports:
        return outcome_text(outcome, plan, style, command, news)
    return "".join(f"{line}\n" for line in news)


def _git(plan: Plan, runs: Sequence[GateRun]) -> str:
    """What Git has to say of runs that are aborted, though nobody has aborted them just now."""
    aborted = {(item.namespace, item.name) for item in runs if item.run.phase == "Aborted"}
    gates = [gate for gate in plan.gates if (gate.namespace, gate.name) in aborted]
    return after_abort(gates) if gates else ""


def _ways(plan: Plan, ways: Ways, run_id: str) -> str:
    """Commands on lines of their own, set in; what is no command is said in the sentence before them."""
    back = way_back(plan, commands(ways.access), run_id)
    lines = ["the state is safe as it is. To go on:", f"  {asking(ways.on, asks=asks(plan))}"]
    if back.commands:
        lines.extend(["to go back:", *(f"  {line}" for line in back.commands)])
    if back.words:
        lines.append(f"{'and' if back.commands else 'to go back,'} {back.words}")
    return "\n".join(lines)


def outcome_json(outcome: Outcome, plan: Plan, action: str, runs: Sequence[GateRun]) -> str:
    """The ``ApplyReport``."""
    return report_json("ApplyReport", {"plan": plan.id, "action": action, "runs": runs, **plain(outcome)})


def apply_with_progress(
    cluster: Cluster,
    verified: VerifiedPlan,
    lock_timeout: float,
    stream: TextIO | None = None,
    *,
    measure: Measure | None = None,
    action: str = "apply",
    run_id: str = "",
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
                run_id=run_id or new_run_id(cluster),
                listener=listener,
                lock_timeout=lock_timeout,
                stop=stop,
                measure=measure,
                action=action,
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
