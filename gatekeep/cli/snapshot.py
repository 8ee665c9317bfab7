"""``gatekeep snapshot``: the cluster state as a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    flags = OutputFlags("json", out)
    emit(escape_json(json.dumps(document, indent=2, ensure_ascii=False) + "\n"), flags)
    if out:
        say("note", f"{_outline(document)} written to {out}")
    return 0


def _outline(document: Mapping[str, Any]) -> str:
    """``31 objects (12 Pod, 4 Service, …)``, the most frequent kinds first."""
    from collections import Counter

    from gatekeep.render.layout import counted, some

    kinds = Counter(str(item.get("kind")) for item in document["items"])
    named = [f"{number:,} {kind}" for kind, number in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))]
    return f"{counted(kinds.total(), 'object')}{f' ({some(named, 6)})' if named else ''}"
