"""``gatekeep verify``: proves a saved plan again, on the cluster as it is now."""

from __future__ import annotations

from datetime import datetime

import click

from gatekeep.cli import options
from gatekeep.cli.options import ClusterFlags, OutputFlags

STALE, UNSAFE, EDITED = 3, 4, 65


@options.command("verify", "gatekeep verify plan.json", notes="Exit codes: 0 holds and fresh, 4, 65 or 3 as apply.")
@click.argument("plan")
@options.snapshot_option
@options.output_options
@options.now_option
@options.cluster_options
def command(
    access: ClusterFlags, output: OutputFlags, plan: str, snapshot_file: str | None, now: datetime | None
) -> int:
    """A failing proof counts before an id that does not fit, and that before a plan that is stale."""
    from gatekeep.cli import session
    from gatekeep.cli.output import emit, style_of
    from gatekeep.operations.verify import verify_plan
    from gatekeep.render.documents import plain, report_json
    from gatekeep.render.reports import verification_text

    session.refuse_foreign_clock(snapshot_file, now)
    document = session.saved_plan(plan)
    view = session.look(access, snapshot_file, session.plan_namespaces(document), now)
    result = verify_plan(document, view.snapshot, now=view.now)
    if output.format == "json":
        emit(report_json("Verification", {"plan": document.id, **plain(result)}), output)
    else:
        emit(verification_text(result, document, style_of(output)), output)
    if not result.proof.holds:
        return UNSAFE
    if not result.id_fits:
        return EDITED
    return STALE if result.stale else 0
