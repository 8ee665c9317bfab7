"""``python -m tests.controlplane run -- python -m benchmarks``: measures, and prints one table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import barriers, labelling, offline, reading, stage, startup
from benchmarks.figures import Line, table
from benchmarks.processes import BenchmarkError
from tests.controlplane.components import Settings
from tests.controlplane.paths import ControlPlaneError
from tests.controlplane.stack import ControlPlane

PARTS = ("startup", "reading", "labelling", "barriers", "offline")
SMALL = 6


def main() -> int:
    """The exit status says whether everything could be measured, not whether budgets are kept."""
    options = _options()
    began = time.monotonic()
    try:
        lines = _measure(options)
    except (BenchmarkError, ControlPlaneError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    machine = _machine()
    print(f"\n{machine}; {options.pods:,} pods; {time.monotonic() - began:.0f} s\n")
    print(table(lines))
    if options.json:
        document = {"machine": machine, "pods": options.pods, "lines": [line.document() for line in lines]}
        Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--pods", type=int, default=2000, help="pods behind the large Service (default 2000)")
    parser.add_argument("--rounds", type=int, default=4, help="rounds of labelling (default 4)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="measure only these")
    parser.add_argument("--json", metavar="FILE", help="write the figures, every sample included, as JSON")
    return parser.parse_args()


def _measure(options: Any) -> list[Line]:
    lines: list[Line] = []
    per_pod = None
    if "startup" in options.only:
        _say("start-up")
        lines += startup.measure(rounds=25)
    if {"reading", "labelling", "barriers"} & set(options.only):
        live, per_pod = _live(options)
        lines += live
    if "offline" in options.only:
        _say("planning and proof without a cluster")
        lines += offline.measure(per_pod)
    return lines


def _live(options: Any) -> tuple[list[Line], float | None]:
    lines: list[Line] = []
    per_pod = None
    _say("starting the control plane")
    with ControlPlane(Settings()) as stack, tempfile.TemporaryDirectory() as name, stack.namespace() as first:
        stage.calm(stack)
        folder = Path(name)
        door = stage.door(stack, folder)
        if "barriers" in options.only:
            _say(f"barriers of a switch, {SMALL} pods")
            small = stage.App(stack, folder, first, "small", SMALL)
            small.create()
            time.sleep(2)
            lines += barriers.measure(small, rounds=9)
        if {"reading", "labelling"} & set(options.only):
            with stack.namespace() as second:
                _say(f"creating {options.pods:,} pods")
                large = stage.App(stack, folder, second, "large", options.pods)
                large.create()
                time.sleep(3)
                if "reading" in options.only:
                    _say("plan against curl")
                    read, seconds = reading.measure(large, door, rounds=15)
                    per_pod = seconds / options.pods
                    lines = read + lines
                if "labelling" in options.only:
                    _say("apply against kubectl label and a bare loop")
                    lines += labelling.measure(large, door, options.rounds)
    return lines, per_pod


def _machine() -> str:
    load = os.getloadavg()[0]
    return (
        f"{time.strftime('%Y-%m-%d %H:%M')}, {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, load {load:.1f} at the end"
    )


def _say(what: str) -> None:
    print(f"· {what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
