"""``gatekeep status``: from the record, no policies needed."""

from __future__ import annotations

from gatekeep.cli import options
from gatekeep.cli.options import ClusterFlags, OutputFlags


@options.command("status", "gatekeep status", "gatekeep status -n dockercoins -o json")
@options.snapshot_option
@options.namespace_option
@options.output_options
@options.cluster_options
def command(
    access: ClusterFlags,
    output: OutputFlags,
    snapshot_file: str | None,
    namespace: str | None,
) -> int:
    """Drift is told, not judged: the exit code is 0."""
    from gatekeep.cli import session
    from gatekeep.cli.output import emit, style_of
    from gatekeep.cli.planned import commands, needs_address
    from gatekeep.operations.status import gate_statuses
    from gatekeep.render.documents import report_json
    from gatekeep.render.reports import status_text

    view = session.look(access, snapshot_file, [namespace] if namespace else [])
    gates = gate_statuses(view.snapshot)
    gates = tuple(gate for gate in gates if namespace in (None, gate.namespace))
    if output.format == "json":
        emit(report_json("StatusList", {"items": gates}), output)
    else:
        text = status_text(gates, style_of(output), commands(access), needs_address=needs_address())
        emit(text, output)
    return 0
