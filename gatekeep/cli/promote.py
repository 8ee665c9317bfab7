"""``gatekeep promote``: the run of a gate goes on now."""

from __future__ import annotations

import click

from gatekeep.cli import options
from gatekeep.cli.options import ClusterFlags, OutputFlags, WriteFlags


@options.command(
    "promote",
    "gatekeep promote web -n dockercoins",
    "gatekeep promote dockercoins/web --dry-run",
    notes="GATE is NAME with -n, or NAMESPACE/NAME. It moves the run to its next pause, and never Git.",
)
@click.argument("gate")
@options.dry_snapshot_option
@options.gate_namespace_option
@options.write_options
@options.plan_output_options
@options.timeout_option
@options.prometheus_option
@options.cluster_options
def command(
    access: ClusterFlags,
    output: OutputFlags,
    writing: WriteFlags,
    gate: str,
    snapshot_file: str | None,
    namespace: str | None,
    timeout: int,
    prometheus: str | None,
) -> int:
    """The same flow as ``apply``."""
    from gatekeep.cli import carry_out, session
    from gatekeep.cli.planned import command_for, gate_name
    from gatekeep.operations.runs import plan_promotion
    from gatekeep.render.runs import after_promote

    session.refuse_offline_writes(snapshot_file, dry_run=writing.dry_run)
    name = gate_name(gate, namespace)
    if writing.dry_run:
        view = session.look(access, snapshot_file, [name.namespace])
        plan = plan_promotion(name, view.snapshot, timeout_seconds=timeout)
        return carry_out.show_and_stop(plan, output, writing, access)
    with session.opened(access) as cluster:
        snapshot = cluster.snapshot([name.namespace])
        plan = plan_promotion(name, snapshot, timeout_seconds=timeout)
        ways = carry_out.Ways(command_for("promote", str(name), access), access, "promote", after_promote(plan.gates))
        return carry_out.plan_then_apply(cluster, plan, snapshot, output, writing, ways, prometheus=prometheus)
