"""``gatekeep plan`` against curl that fetches the same lists."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import MS, Line, Samples, at_most, compared
from benchmarks.processes import GATEKEEP, Run, interleaved
from benchmarks.stage import App, Door
from gatekeep import __version__
from gatekeep.cluster.kube import KubeOptions, connect
from gatekeep.cluster.kube.transport import Transport

AGENT = f"gatekeep/{__version__}"


def measure(app: App, door: Door, rounds: int) -> tuple[list[Line], float]:
    """The lines, and the seconds that curl needs, which the offline figures use for what a list costs."""
    paths = requests_of_a_snapshot(app)
    policy = app.policy("bench-plan")
    plan = (*GATEKEEP, "plan", "-f", str(policy), "--kubeconfig", str(app.stack.kubeconfig()))
    compact = curl(door, paths, app.folder / "compact.curl", AGENT)
    side_by_side = (*compact, "--parallel")
    pretty = curl(door, paths, app.folder / "pretty.curl", "")
    plans, *fetched = interleaved([plan, compact, side_by_side, pretty], rounds)
    mine = _wall(plans)
    what = f"plan of {app.pods:,} pods against curl, {len(paths)} requests"
    lines = [
        compared(f"{what}, as {AGENT} (compact JSON)", mine, _wall(fetched[0]), at_most(1.3), by="best"),
        compared("  the same, curl --parallel", mine, _wall(fetched[1]), by="best"),
        compared("  the same, curl's own User-Agent (indented JSON)", mine, _wall(fetched[2]), by="best"),
        compared("  processor time of plan and of curl", _cpu(plans), _cpu(fetched[0]), by="best"),
    ]
    return lines, _wall(fetched[0]).best


def curl(door: Door, paths: list[str], file: Path, agent: str) -> tuple[str, ...]:
    """One curl process that fetches all paths over connections that stay open; the token is not in its arguments."""
    lines = [f'header = "Authorization: Bearer {door.token}"', 'header = "Accept: application/json"']
    lines += [f'cacert = "{door.authority}"', "silent", "show-error", "fail"]
    lines += [f'user-agent = "{agent}"'] if agent else []
    for path in paths:
        lines += [f'url = "{door.server}{path}"', "output = /dev/null"]
    file.write_text("\n".join(lines) + "\n")
    return ("curl", "--config", str(file))


def requests_of_a_snapshot(app: App) -> list[str]:
    """The paths that a snapshot of the app's namespace asks for."""
    with _recorded() as paths, connect(KubeOptions(kubeconfig=str(app.stack.kubeconfig()))) as cluster:
        cluster.snapshot([app.namespace])
    return sorted(paths)


@contextmanager
def _recorded() -> Iterator[list[str]]:
    paths: list[str] = []
    exchange = Transport.exchange

    def noted(self: Transport, method: str, path: str, headers: Any, body: bytes | None) -> Any:
        paths.append(path)
        return exchange(self, method, path, headers, body)

    Transport.exchange = noted  # type: ignore[method-assign]
    try:
        yield paths
    finally:
        Transport.exchange = exchange  # type: ignore[method-assign]


def _wall(runs: list[Run]) -> Samples:
    return Samples(tuple(run.wall for run in runs), MS)


def _cpu(runs: list[Run]) -> Samples:
    return Samples(tuple(run.cpu for run in runs), MS)
