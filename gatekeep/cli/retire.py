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
    from gatekeep.cli.by_record import Asked, plan_and_apply
    from gatekeep.operations.plan import plan_retirement

    asked = Asked(gate, namespace, access, output, writing, snapshot_file)
    return plan_and_apply(
        "retire",
        asked,
        lambda name, snapshot: plan_retirement(name, snapshot, timeout_seconds=timeout),
        lambda plan: "",
    )
