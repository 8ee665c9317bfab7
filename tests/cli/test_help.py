"""``gatekeep --help`` is as quick as Python itself, and tells no tales."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from gatekeep.cli.catalog import SUMMARIES, help_text

HEAVY = ("kubernetes", "deepdiff", "yaml", "jsonpatch", "msgspec", "click")
ISSUE = {
    "lint", "plan", "diff", "show", "verify", "apply", "reconcile", "promote", "abort", "undo", "retire",
    "status", "history", "snapshot", "demo", "schema", "completion",
}  # fmt: skip


def modules_after(*arguments: str) -> list[str]:
    """What is imported when gatekeep has run with ``arguments``."""
    code = (
        "import json, sys\n"
        "from gatekeep.cli.main import main\n"
        f"code = main({list(arguments)!r})\n"
        "sys.stderr.write('\\n' + json.dumps([code, sorted(sys.modules)]))\n"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    code_, modules = json.loads(run.stderr.splitlines()[-1])
    assert code_ == 0
    return [str(name) for name in modules]


@pytest.mark.parametrize("arguments", [("--help",), ("-h",), ("--version",)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not set(HEAVY) & set(modules_after(*arguments))


@pytest.mark.parametrize("name", sorted(SUMMARIES))
def test_help_of_a_command_imports_no_library_but_click(name: str) -> None:
    assert not set(HEAVY[:-1]) & set(modules_after(name, "--help"))


def test_exactly_the_commands_that_are_built() -> None:
    assert set(SUMMARIES) == ISSUE


def test_help_fits_a_terminal() -> None:
    text = help_text("kubectl gatekeep")
    assert max(map(len, text.splitlines())) <= 80
    assert all(f"\n  {code}" in text for code in (0, 1, 2, 3, 4, 5, 6, 64, 65, 69, 70, 75, 77, 130))


def test_help_is_the_same_with_and_without_click(capsys: pytest.CaptureFixture[str]) -> None:
    from gatekeep.cli.group import gatekeep
    from gatekeep.cli.main import main

    assert main(["--help"]) == 0
    direct = capsys.readouterr().out
    with gatekeep.make_context("gatekeep", [], resilient_parsing=True) as context:
        assert gatekeep.get_help(context) + "\n" == direct


def test_every_command_has_a_sentence_and_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    from gatekeep.cli.main import main

    for name, sentence in SUMMARIES.items():
        assert main([name, "--help"]) == 0
        text = capsys.readouterr().out
        assert " ".join(text.split()).find(sentence) > 0
        assert "Example" in text
        assert f"gatekeep {name}" in text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("retire", "The namespace of GATE."),
        ("retire", "With --dry-run: cluster state from this file."),
        ("apply", "With --dry-run: cluster state from this file."),
        ("promote", "Prometheus that a canary's checks ask."),
        ("abort", "Why, for whoever looks at the gate later."),
        ("undo", "RUN is a run's id, as gatekeep history shows it; without it the last run."),
        ("history", "A gate's record keeps its last 10 runs."),
        ("verify", "Take this for the current time"),
    ],
)
def test_options_say_what_they_do_here(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    from gatekeep.cli.main import main

    assert main([name, "--help"]) == 0
    assert said in " ".join(capsys.readouterr().out.split())


def test_the_name_of_the_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    from gatekeep.cli.main import program_name

    for called, shown in (("/usr/bin/kubectl-gatekeep", "kubectl gatekeep"), ("/usr/bin/gatekeep", "gatekeep")):
        monkeypatch.setattr(sys, "argv", [called])
        assert program_name() == shown
