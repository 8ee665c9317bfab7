"""``gatekeep plan``: read-only."""

from __future__ import annotations

from datetime import datetime

import click

from gatekeep.cli import options
from gatekeep.cli.durations import duration
from gatekeep.cli.options import ClusterFlags, OutputFlags, SourceFlags
from gatekeep.cli.report_files import ReportFile, report_option


@options.command(
    "plan",
    "gatekeep plan -f policies",
    "gatekeep plan -f policies -o json --out plan.json && gatekeep apply plan.json",
)
@options.policy_options
@options.snapshot_option
@options.plan_output_options
@report_option
@options.detailed_option
@options.timeout_option
@click.option("--expires", type=duration, metavar="DURATION", help="Refuse to apply the plan after this time.")
@options.now_option
@options.cluster_options
def command(
    access: ClusterFlags,
    output: OutputFlags,
    reports: tuple[ReportFile, ...],
    policies: SourceFlags,
    snapshot_file: str | None,
    detailed_exitcode: bool,
    timeout: int,
    expires: int | None,
    now: datetime | None,
) -> int:
    """Loads, looks, plans, shows."""
    from gatekeep.cli import planned, session
    from gatekeep.cli.report_files import failure_reported, plan_items, refuse_mixed, text_aside, write_reports
    from gatekeep.render.runs import asking

    session.refuse_foreign_clock(snapshot_file, now)
    refuse_mixed(reports, output)
    with failure_reported(reports):
        loaded = session.policies(policies.filenames)
    view = session.look(access, snapshot_file, session.namespaces_of(loaded, policies.namespace), now)
    expiry = planned.expiry(view.now, expires)
    with failure_reported(reports, loaded):
        plan = planned.plan_policies(loaded, view.snapshot, policies, timeout, expires_at=expiry)
    command = asking(planned.apply_command(policies, access, output), asks=planned.asks(plan))
    next_step = command if plan.writes and plan.proof.holds else ""
    with text_aside(reports, output):
        planned.show(plan, output, access, next_step=next_step if snapshot_file is None or output.path else "")
    write_reports(reports, plan_items(plan, loaded), "plan")
    if output.path and output.format == "json":
        planned.say_written(plan, output.path, next_step)
    return planned.verdict(plan, output, detailed=detailed_exitcode)
