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
    import json

    from gatekeep.cli import session
    from gatekeep.cli.failures import say
    from gatekeep.cli.output import emit
    from gatekeep.render.escape import escape_json
    from gatekeep.sources.redact import dump_snapshot

    def missing(plural: str, reason: str) -> None:
        say("warning", f"without {plural}: {reason}")

    with session.opened(access) as cluster:
        document = dump_snapshot(cluster.raw_objects([namespace] if namespace else [], missing))
    emit(escape_json(json.dumps(document, indent=2, ensure_ascii=False) + "\n"), OutputFlags("json", out))
    return 0
