"""Streams that were closed before the start, as some supervisors do: no traceback, and the exit code still speaks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = "from gatekeep.cli.main import script; script()"
PLAN = "plan --snapshot examples/rng/cluster.yaml -f policies"


@pytest.mark.parametrize(
    ("words", "closed", "code"),
    [
        (PLAN, ">&-", 0),
        ("--help", ">&-", 0),
        ("schema", ">&-", 0),
        ("lint -f policies -o json", ">&-", 0),
        ("bogus", "2>&-", 64),
        ("lint -f -", "<&-", 1),
        (PLAN, "<&- >&- 2>&-", 0),
    ],
)
def test_a_closed_stream(words: str, closed: str, code: int) -> None:
    line = f'exec "$0" -W error -c "{PROGRAM}" {words} {closed}'
    run = subprocess.run(["sh", "-c", line, sys.executable], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stderr
    assert "Traceback" not in run.stderr
