"""``gatekeep plan``: read-only."""

from __future__ import annotations

from datetime import datetime

import click

from gatekeep.cli import options
from gatekeep.cli.durations import duration
from gatekeep.cli.options import ClusterFlags, OutputFlags, SourceFlags


@options.command(
    "plan",
    "gatekeep plan -f policies",
    "gatekeep plan -f policies -o json --out plan.json && gatekeep apply plan.json",
)
@options.policy_options
@options.snapshot_option
@options.output_options
@options.detailed_option
@options.timeout_option
@click.option("--expires", type=duration, metavar="DURATION", help="Refuse to apply the plan after this time.")
@options.now_option
@options.cluster_options
def command(
    access: ClusterFlags,
    output: OutputFlags,
    policies: SourceFlags,
    snapshot_file: str | None,
    detailed_exitcode: bool,
    timeout: int,
    expires: int | None,
    now: datetime | None,
) -> int:
    """Loads, looks, plans, shows."""
    from gatekeep.cli import planned, session

    session.refuse_foreign_clock(snapshot_file, now)
    loaded = session.policies(policies.filenames)
    view = session.look(access, snapshot_file, session.namespaces_of(loaded, policies.namespace), now)
    expiry = planned.expiry(view.now, expires)
    plan = planned.plan_policies(loaded, view.snapshot, policies, timeout, expires_at=expiry)
    next_step = planned.apply_command(policies, access, output) if plan.writes and plan.proof.holds else ""
    planned.show(plan, output, access, next_step=next_step if snapshot_file is None or output.path else "")
    if output.path and output.format == "json":
        planned.say_written(plan, output.path, next_step)
    return planned.verdict(plan, output, detailed=detailed_exitcode)
