"""``gatekeep undo``: back to where a recorded run began."""

from __future__ import annotations

import click

from gatekeep.cli import options
from gatekeep.cli.options import ClusterFlags, OutputFlags, WriteFlags


@options.command(
    "undo",
    "gatekeep undo -n dockercoins",
    "gatekeep undo 20261121T100000Z-1a2b3c --dry-run",
    notes="RUN is a run's id, as gatekeep history shows it; without it the last run. It never changes Git.",
)
@click.argument("run", required=False)
@options.dry_snapshot_option
@options.namespace_option
@options.write_options
@options.plan_output_options
@options.timeout_option
@options.cluster_options
def command(
    access: ClusterFlags,
    output: OutputFlags,
    writing: WriteFlags,
    run: str | None,
    snapshot_file: str | None,
    namespace: str | None,
    timeout: int,
) -> int:
    """The same flow as ``apply``, for every gate that the run was for."""
    from gatekeep.cli import carry_out, session
    from gatekeep.cli.planned import command_for
    from gatekeep.operations.past import run_to_undo
    from gatekeep.operations.runs import plan_undo
    from gatekeep.render.runs import after_undo

    session.refuse_offline_writes(snapshot_file, dry_run=writing.dry_run)
    namespaces = session.any_namespace(namespace)
    if writing.dry_run:
        seen = session.look(access, snapshot_file, namespaces).snapshot
        found = run_to_undo(run, seen, namespace)
        plan = plan_undo(found.id, seen, namespace=namespace, timeout_seconds=timeout)
        return carry_out.show_and_stop(plan, output, writing, access)
    with session.opened(access) as cluster:
        snapshot = cluster.snapshot(namespaces)
        found = run_to_undo(run, snapshot, namespace)
        plan = plan_undo(found.id, snapshot, namespace=namespace, timeout_seconds=timeout)
        ways = carry_out.Ways(command_for("undo", found.id, access), access, "undo", after_undo(found.action))
        return carry_out.plan_then_apply(cluster, plan, snapshot, output, writing, ways)
