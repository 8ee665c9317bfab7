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
    from gatekeep.cli.by_record import Asked, plan_and_apply
    from gatekeep.operations.runs import plan_promotion
    from gatekeep.render.runs import after_promote

    asked = Asked(gate, namespace, access, output, writing, snapshot_file, prometheus)
    return plan_and_apply(
        "promote",
        asked,
        lambda name, snapshot: plan_promotion(name, snapshot, timeout_seconds=timeout),
        lambda plan: after_promote(plan.gates),
    )
