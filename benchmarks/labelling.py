"""``gatekeep apply`` labelling pods, against ``kubectl label`` and against a bare loop of the same PATCH requests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

from benchmarks.figures import PER_SECOND, Line, Samples, Unit, at_least, compared
from benchmarks.processes import CHILD, BenchmarkError, timed
from benchmarks.stage import App, Door

CONNECTIONS = 32
_REST_SECONDS = 1.0
_CPU = Unit("ms CPU/pod", 1000.0, 2)


def measure(app: App, door: Door, rounds: int) -> list[Line]:
    """Interleaved rounds. Each one puts a label of its own on all pods, while the Service does not ask for it yet."""
    keys = (f"bench-{number}" for number in itertools.count(1))
    clients: dict[str, Callable[[], tuple[float, float]]] = {
        "gatekeep": lambda: _apply(app, next(keys)),
        "bare": lambda: _bare(app, door, next(keys)),
        "kubectl": lambda: _kubectl(app, next(keys)),
    }
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in clients}
    _bare(app, door, next(keys))  # the first writes to a young control plane are its fastest, and tell nothing
    for order in itertools.islice(_orders(*clients), rounds):
        for name in order:
            time.sleep(_REST_SECONDS)
            found[name].append(clients[name]())
    speed = {name: Samples(tuple(app.pods / wall for wall, _ in runs), PER_SECOND, lower=False)
             for name, runs in found.items()}  # fmt: skip
    cpu = {name: Samples(tuple(used / app.pods for _, used in runs), _CPU) for name, runs in found.items()}
    what = f"apply, labels on {app.pods:,} pods, against"
    return [
        compared(
            f"{what} kubectl label -l (whole process)", speed["gatekeep"], speed["kubectl"], at_least(2.5), by="round"
        ),
        compared(
            f"{what} a bare loop, {CONNECTIONS} connections",
            speed["gatekeep"],
            speed["bare"],
            at_least(0.95),
            by="round",
        ),
        compared("  processor time, against kubectl label", cpu["gatekeep"], cpu["kubectl"]),
        compared("  processor time, against the bare loop", cpu["gatekeep"], cpu["bare"]),
    ]


def _orders(first: str, second: str, last: str) -> Iterator[list[str]]:
    """The control plane gets slower as it ages; so the two that are close to each other take turns at being first."""
    return itertools.cycle([[first, second, last], [second, first, last]])


def _apply(app: App, key: str) -> tuple[float, float]:
    """The labelling step of a whole apply: what it writes and the list that proves that nobody was left out."""
    run = timed([*CHILD, "apply", str(app.stack.kubeconfig()), str(app.policy(key))])
    steps = [step for step in run.json["steps"] if step["kind"] == "labels"]
    app.ungate(key)
    if len(steps) != 1 or steps[0]["objects"] != app.pods:
        raise BenchmarkError(f"expected one step that labels {app.pods} pods, found {steps}")
    return steps[0]["seconds"], steps[0]["cpu"]


def _bare(app: App, door: Door, key: str) -> tuple[float, float]:
    arguments = [door.server, door.token, str(door.authority), app.namespace, key, str(CONNECTIONS)]
    found = timed([*CHILD, "patch", *arguments]).json
    if found["pods"] != app.pods:
        raise BenchmarkError(f"the bare loop labelled {found['pods']} pods of {app.pods}")
    return found["seconds"], found["cpu"]


def _kubectl(app: App, key: str) -> tuple[float, float]:
    program, config = str(app.stack.kubectl_path), f"--kubeconfig={app.stack.kubeconfig()}"
    run = timed([program, config, "-n", app.namespace, "label", "pods", "-l", f"app={app.name}", f"{key}=yes"])
    return run.wall, run.cpu
