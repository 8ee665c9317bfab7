"""What the barriers cost when the controllers have nothing else to do."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.figures import MS, Line, Samples, alone, at_most
from benchmarks.processes import CHILD, timed
from benchmarks.stage import App

_REST_SECONDS = 1.0


def measure(app: App, rounds: int) -> list[Line]:
    """Gates a small Service again and again, each time with another key."""
    found: list[list[dict[str, Any]]] = []
    for number in range(rounds):
        key = f"bench-{number}"
        run = timed([*CHILD, "apply", str(app.stack.kubeconfig()), str(app.policy(key))])
        found.append(run.json["steps"])
        app.ungate(key)
        time.sleep(_REST_SECONDS)
    waits, helpers, all_steps = (
        _total(found, kinds) for kinds in ({"wait"}, {"wait", "helper"}, {"wait", "helper", "labels", "switch"})
    )
    return [
        alone(
            f"barriers of a switch ({app.pods} pods, idle): shadow + confirm", waits, at_most(100, "ms"), factor=1000
        ),
        alone("  the same with creating and deleting the shadow Service", helpers),
        alone("  all steps of that apply", all_steps),
    ]


def _total(rounds: list[list[dict[str, Any]]], kinds: set[str]) -> Samples:
    return Samples(tuple(sum(step["seconds"] for step in steps if step["kind"] in kinds) for steps in rounds), MS)
