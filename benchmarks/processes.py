"""Whole processes, timed from outside: wall clock and processor time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(REPOSITORY)}
PYTHON = sys.executable
# What the installed entry point does.
GATEKEEP = (PYTHON, "-c", "import sys; from gatekeep.cli.main import main; sys.argv[0] = 'gatekeep'; sys.exit(main())")
CHILD = (PYTHON, "-m", "benchmarks.child")


class BenchmarkError(Exception):
    """Something that is measured does not work; the text says what."""


class Run(NamedTuple):
    """One process: seconds by the clock, seconds of processor time, and its standard output."""

    wall: float
    cpu: float
    out: bytes

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


def timed(argv: Sequence[str]) -> Run:
    """Runs a program to its end. Raises :class:`BenchmarkError` when it fails."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, env=ENVIRONMENT, cwd=REPOSITORY
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            text = errors.read()[-2000:].decode(errors="replace")
            raise BenchmarkError(f"{' '.join(argv[:4])} … ended with {process.returncode}:\n{text}")
        return Run(wall, usage.ru_utime + usage.ru_stime, out.read())


def interleaved(commands: Sequence[Sequence[str]], rounds: int) -> list[list[Run]]:
    """Every command once a round, so that a busy moment of the machine hits all of them alike."""
    runs: list[list[Run]] = [[] for _ in commands]
    for number in range(rounds):
        order = list(range(len(commands)))
        for index in order[number % len(order) :] + order[: number % len(order)]:
            runs[index].append(timed(commands[index]))
    return runs
