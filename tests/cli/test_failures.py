"""Every way to fail has its exit code, a sentence on stderr, and no traceback."""

from __future__ import annotations

import signal
import subprocess
import sys

import click
import pytest

from gatekeep.cli.failures import Terminated, guarded
from gatekeep.model import errors

TABLE: list[tuple[BaseException, int]] = [
    (errors.GatekeepError("general"), 1),
    (errors.RefusedError("stale"), 3),
    (errors.PatchRejectedError("422"), 3),
    (errors.NotFoundError("404"), 3),
    (errors.UnsafeError("floor"), 4),
    (errors.NotSettledError("late"), 5),
    (errors.IncompleteError("left"), 6),
    (errors.UsageError("usage"), 64),
    (click.UsageError("usage"), 64),
    (click.BadParameter("usage"), 64),
    (errors.InvalidInputError("policy"), 65),
    (errors.UnreachableError("refused"), 69),
    (ValueError("bug"), 70),
    (RecursionError("bug"), 70),
    (errors.LockHeldError("held"), 75),
    (errors.ForbiddenError("patch pods"), 77),
    (errors.SignalledError(signal.SIGINT), 130),
    (errors.SignalledError(signal.SIGTERM), 143),
    (KeyboardInterrupt(), 130),
    (Terminated(), 143),
    (MemoryError(), 1),
    (click.exceptions.Exit(0), 0),
    (BrokenPipeError(), 0),
]


@pytest.mark.parametrize(("error", "code"), TABLE, ids=lambda item: type(item).__name__)
def test_exit_code(error: BaseException, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    def run() -> int:
        raise error

    assert guarded(run) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert err.startswith(("error: ", "\nerror: ")) or code == 0


def failing(error: Exception) -> int:
    def run() -> int:
        raise error

    return guarded(run)


def test_where_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    failing(errors.InvalidInputError("unknown field floors", where="rng.yaml:3:5", hint="did you mean floor?"))
    assert capsys.readouterr().err == "error: rng.yaml:3:5: unknown field floors\n  → did you mean floor?\n"


def test_one_arrow_and_commands_set_in_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    failing(
        errors.IncompleteError("stopped", hint="safe. To go on:\n  gatekeep apply\nto go back:\n  gatekeep retire a/b")
    )
    assert capsys.readouterr().err == (
        "error: stopped\n  → safe. To go on:\n      gatekeep apply\n    to go back:\n      gatekeep retire a/b\n"
    )


def test_a_message_cannot_forge_another(capsys: pytest.CaptureFixture[str]) -> None:
    failing(errors.RefusedError("stale:\n  - pod a\nerror: \x1b[2Jall is well"))
    assert capsys.readouterr().err == "error: stale:\n  - pod a\n  error: \\x1b[2Jall is well\n"


def test_a_bug_says_so_in_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(KeyError("x")) == 70
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0] == "error: this is a bug in gatekeep: KeyError: 'x'"
    assert "GATEKEEP_DEBUG=1" in lines[1]


def test_the_traceback_is_there_for_those_who_ask(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEKEEP_DEBUG", "1")
    assert failing(KeyError("x")) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plans"], "no command 'plans'; did you mean plan?"),
        (["plan", "--nope"], "--nope"),
        (["plan", "--timeout", "soon"], "expected a duration such as 30s, 5m or 1h30m, found 'soon'"),
        (["plan", "--now", "yesterday", "--snapshot", "x"], "expected a time such as 2026-12-01T12:00:00Z"),
        (["plan", "--now", "2026-12-01T12:00:00Z"], "--now replaces the clock only with --snapshot"),
        (["plan", "-o", "yaml"], "yaml"),
        (["show"], "PLAN"),
        (["apply", "--snapshot", "x", "-y"], "--snapshot is a cluster that cannot be written to"),
        (["apply", "plan.json", "-f", "policies"], "-f has no place beside a saved plan"),
        (["retire", "rng", "-y"], "in which namespace is the gate rng?"),
        (["retire", "a/b/c", "-y"], "expected NAME or NAMESPACE/NAME, found 'a/b/c'"),
        (["retire", "a/b", "-n", "c", "-y"], "the gate a/b is not in namespace c"),
        (["--nope"], "--nope"),
        (["review"], "no command 'review'"),
    ],
)
def test_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    from gatekeep.cli.main import main

    assert main(arguments) == 64
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert said in err


def test_no_command_shows_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    from gatekeep.cli.main import main

    assert main([]) == 64
    assert "Commands:" in capsys.readouterr().err


MAIN = "import sys; from gatekeep.cli.main import main; sys.exit(main())"


def run_gatekeep(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", "-c", MAIN, *arguments]


@pytest.mark.parametrize("arguments", [("--help",), ("schema",)])
def test_a_reader_that_leaves_is_no_error(arguments: tuple[str, ...]) -> None:
    process = subprocess.Popen(run_gatekeep(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(30), said) == (0, b"")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /dev/full")
def test_a_full_disk_is_an_error() -> None:
    with open("/dev/full", "w") as full:
        run = subprocess.run(run_gatekeep("schema"), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("error: stdout: cannot write: ")


def test_terminated_before_anything_was_written() -> None:
    code = (
        "import os, signal, sys\n"
        "from gatekeep.cli.failures import guarded\n"
        "sys.exit(guarded(lambda: os.kill(os.getpid(), signal.SIGTERM) or 0))\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 143
    assert "nothing was changed" in run.stderr
