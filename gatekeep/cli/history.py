"""``gatekeep history``: the last runs, from the records."""

from __future__ import annotations

import click

from gatekeep.cli import options
from gatekeep.cli.options import ClusterFlags, OutputFlags


@options.command(
    "history",
    "gatekeep history dockercoins/web",
    "gatekeep history -n dockercoins -o json",
    notes="GATE is NAME with -n, or NAMESPACE/NAME; without it all gates. A gate's record keeps its last 10 runs.",
)
@click.argument("gate", required=False)
@options.snapshot_option
@options.namespace_option
@options.output_options
@options.cluster_options
def command(
    access: ClusterFlags,
    output: OutputFlags,
    gate: str | None,
    snapshot_file: str | None,
    namespace: str | None,
) -> int:
    """Runs are told, not judged: the exit code is 0."""
    from gatekeep.cli import session
    from gatekeep.cli.output import emit, style_of
    from gatekeep.cli.planned import gate_name
    from gatekeep.operations.past import past_runs
    from gatekeep.render.documents import report_json
    from gatekeep.render.reports import history_text

    name = gate_name(gate, namespace) if gate is not None else None
    view = session.look(access, snapshot_file, session.any_namespace(name.namespace if name else namespace))
    runs = past_runs(view.snapshot, gate=name, namespace=namespace)
    if output.format == "json":
        emit(report_json("RunList", {"items": runs}), output)
    else:
        emit(history_text(runs, style_of(output)), output)
    return 0
