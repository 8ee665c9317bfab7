"""``gatekeep snapshot``: the cluster state as a file."""

from __future__ import annotations

from gatekeep.cli import options
from gatekeep.cli.options import ClusterFlags, OutputFlags


@options.command("snapshot", "gatekeep snapshot -n dockercoins --out cluster.json")
@options.namespace_option
@options.out_option
@options.cluster_options
def command(access: ClusterFlags, namespace: str | None, out: str | None) -> int:
    """Without container env: a dump is passed around."""
    from gatekeep.cli import session
    from gatekeep.cli.output import emit
    from gatekeep.render.escape import escape_json
    from gatekeep.sources.dumps import dump_snapshot

    with session.opened(access) as cluster:
        text = dump_snapshot(cluster.raw_objects([namespace] if namespace else []))
    emit(escape_json(text), OutputFlags("json", out))
    return 0
