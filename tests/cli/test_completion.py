"""Completion in shells, and as kubectl asks plugins for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from gatekeep.cli.completion import SHELLS, for_kubectl
from tests.cli.conftest import Gatekeep

PROGRAM = "import sys; sys.argv[0] = 'gatekeep'; from gatekeep.cli.main import script; script()"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell(gatekeep: Gatekeep, shell: str) -> None:
    run = gatekeep("completion", shell)
    assert run.code == 0
    assert "_GATEKEEP_COMPLETE" in run.out
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=run.out, text=True, check=True)


def test_a_shell_that_is_not_known(gatekeep: Gatekeep) -> None:
    assert gatekeep("completion", "csh").code == 64


@pytest.mark.parametrize(
    ("words", "expected"),
    [("gatekeep pro", ["plain,promote"]), ("gatekeep plan --det", ["plain,--detailed-exitcode"]),
     ("gatekeep lint -f ", [])],
)  # fmt: skip
def test_what_a_shell_is_answered(words: str, expected: list[str]) -> None:
    count = str(len(words.split(" ")) - 1)
    asked = {**os.environ, "_GATEKEEP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": count}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], env=asked, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["re"], "reconcile\tApply without ever asking, gate by gate, for CI jobs and CronJobs.\n"),
        (["plan", "-o", "m"], "markdown\n:4\n"),
        ([], "lint\t"),
    ],
)
def test_what_kubectl_is_answered(words: list[str], expected: str) -> None:
    found = for_kubectl(words)
    assert found.startswith(expected)
    assert found.splitlines()[-1] == ":4"
