"""``gatekeep --help`` against a bare interpreter."""

from __future__ import annotations

from benchmarks.figures import MS1, Line, Samples, at_most, compared
from benchmarks.processes import GATEKEEP, PYTHON, interleaved


def measure(rounds: int) -> list[Line]:
    """Two programs, best against best: anything above is the machine's."""
    bare, helped = interleaved([(PYTHON, "-c", "pass"), (*GATEKEEP, "--help")], rounds)
    mine, peer = (Samples(tuple(run.wall for run in runs), MS1) for runs in (helped, bare))
    return [compared("gatekeep --help against python -c pass", mine, peer, at_most(3), by="best")]
