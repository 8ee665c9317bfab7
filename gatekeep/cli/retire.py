"""``gatekeep retire``: takes a gate off again, selector first."""

from __future__ import annotations

import click

from gatekeep.cli import options
from gatekeep.cli.options import ClusterFlags, OutputFlags, WriteFlags


@options.command(
    "retire",
    "gatekeep retire rng -n dockercoins",
    "gatekeep retire dockercoins/rng --dry-run",
    notes="GATE is NAME with -n, or NAMESPACE/NAME.",
)
@click.argument("gate")
@options.dry_snapshot_option
@options.gate_namespace_option
@options.write_options
@options.plan_output_options
@options.timeout_option
@options.cluster_options
def command(
    access: ClusterFlags,
    output: OutputFlags,
    writing: WriteFlags,
    gate: str,
    snapshot_file: str | None,
    namespace: str | None,
    timeout: int,
) -> int:
    """The same flow as ``apply``."""
    from gatekeep.cli import carry_out, session
    from gatekeep.cli.planned import command_for, gate_name
    from gatekeep.operations.plan import plan_retirement

    session.refuse_offline_writes(snapshot_file, dry_run=writing.dry_run)
    name = gate_name(gate, namespace)
    if writing.dry_run:
        view = session.look(access, snapshot_file, [name.namespace])
        plan = plan_retirement(name, view.snapshot, timeout_seconds=timeout)
        return carry_out.show_and_stop(plan, output, writing, access)
    with session.opened(access) as cluster:
        snapshot = cluster.snapshot([name.namespace])
        plan = plan_retirement(name, snapshot, timeout_seconds=timeout)
        ways = carry_out.Ways(command_for("retire", str(name), access), access, "retire")
        return carry_out.plan_then_apply(cluster, plan, snapshot, output, writing, ways)
