"""``gatekeep abort``: back to the stable state, by hand."""

from __future__ import annotations

import click

from gatekeep.cli import options
from gatekeep.cli.options import ClusterFlags, OutputFlags, WriteFlags


@options.command(
    "abort",
    "gatekeep abort web -n dockercoins",
    'gatekeep abort dockercoins/web --reason "slow checkout"',
    notes="GATE is NAME with -n, or NAMESPACE/NAME. It goes to weight 0, to the former colour, or to where a run began "
    "that did not end. It never changes Git.",
)
@click.argument("gate")
@click.option("--reason", metavar="TEXT", default="", help="Why, for whoever looks at the gate later.")
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
    reason: str,
    snapshot_file: str | None,
    namespace: str | None,
    timeout: int,
) -> int:
    """The same flow as ``apply``."""
    from gatekeep.cli.by_record import Asked, plan_and_apply
    from gatekeep.operations.runs import plan_abort
    from gatekeep.render.runs import after_abort

    asked = Asked(gate, namespace, access, output, writing, snapshot_file)
    return plan_and_apply(
        "abort",
        asked,
        lambda name, snapshot: plan_abort(name, snapshot, reason=reason, timeout_seconds=timeout),
        lambda plan: after_abort(plan.gates),
    )
