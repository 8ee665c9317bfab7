"""``--report FORMAT=FILE`` of lint and plan: where reports go, the paths in them, and what they say of failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import POLICY, Gatekeep
from tests.render.test_reports_machine import READERS, read_github, read_gitlab, read_junit, read_sarif

OFFLINE = ("--snapshot", "cluster.json")
BAD = POLICY.replace('"yes"', "yes")


def issues(path: Path) -> list[dict[str, Any]]:
    return read_gitlab(path.read_text("utf-8"))


def places(path: Path) -> list[tuple[str, str, int]]:
    """Rule, file and line of each issue."""
    return [(item["check_name"], item["location"]["path"], item["location"]["lines"]["begin"]) for item in issues(path)]


def test_every_format_of_lint(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "policies" / "rng.yaml").write_text(BAD)
    reports = [part for kind in READERS for part in ("--report", f"{kind}=report.{kind}")]
    run = gatekeep("lint", *reports)
    assert (run.code, run.err) == (1, "")
    assert run.out.startswith("policies/rng.yaml:6:30: error: value: yes is a boolean")
    for kind, read in READERS.items():
        assert len(read((folder / f"report.{kind}").read_text("utf-8"))) == 1
    assert places(folder / "report.gitlab") == [("unquoted-scalar", "policies/rng.yaml", 6)]
    (result,) = read_sarif((folder / "report.sarif").read_text("utf-8"))
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "policies/rng.yaml"


@pytest.mark.parametrize("named", ["policies", "./policies", "policies/../policies/rng.yaml", "{}/policies"])
def test_paths_are_relative_to_the_working_directory(gatekeep: Gatekeep, folder: Path, named: str) -> None:
    (folder / "policies" / "rng.yaml").write_text(BAD)
    for command in (("lint",), ("plan", *OFFLINE)):
        gatekeep(*command, "-f", named.format(folder), "--report", "gitlab=r.json")
        assert places(folder / "r.json") == [("unquoted-scalar", "policies/rng.yaml", 6)]


def test_from_a_folder_beside(gatekeep: Gatekeep, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "policies" / "rng.yaml").write_text(BAD)
    (folder / "beside").mkdir()
    monkeypatch.chdir(folder / "beside")
    gatekeep("lint", "-f", "../policies", "--report", "gitlab=r.json")
    assert places(folder / "beside" / "r.json") == [("unquoted-scalar", "../policies/rng.yaml", 6)]


def test_a_report_on_stdout_sends_the_text_to_stderr(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "policies" / "rng.yaml").write_text(BAD)
    run = gatekeep("lint", "--report", "github=-")
    assert [kind for kind, _, _ in read_github(run.out)] == ["error"]
    assert run.err.startswith("policies/rng.yaml:6:30: error: ")
    assert run.err.endswith("✘ 1 error, 0 warnings\n")


def test_text_in_a_file_and_a_report_on_stdout(gatekeep: Gatekeep, folder: Path) -> None:
    run = gatekeep("lint", "--out", "lint.json", "-o", "json", "--report", "sarif=-")
    assert (run.code, read_sarif(run.out), run.err) == (0, [], "")
    assert json.loads((folder / "lint.json").read_text())["kind"] == "LintReport"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "json", "--report", "sarif=-"), "-o json and a report want stdout both"),
        (("-o", "json", "--out", "-", "--report", "sarif=-"), "-o json and a report want stdout both"),
        (("--report", "sarif=-", "--report", "junit=-"), "two reports go to one place"),
        (("--report", "sarif=a", "--report", "junit=./a"), "two reports go to one place"),
        (("--out", "a", "--report", "junit=a"), "--out and a report want a both"),
        (("--report", "pdf=x"), "expected FORMAT=FILE with one of sarif, junit, github, gitlab, found 'pdf=x'"),
        (("--report", "sarif"), "expected FORMAT=FILE"),
        (("--report", "sarif="), "expected FORMAT=FILE"),
    ],
)
def test_what_cannot_be_asked(gatekeep: Gatekeep, arguments: tuple[str, ...], said: str) -> None:
    for command in (("lint",), ("plan", *OFFLINE)):
        run = gatekeep(*command, *arguments)
        assert (run.code, run.out) == (64, "")
        assert said in run.err


def test_a_report_that_cannot_be_written(gatekeep: Gatekeep) -> None:
    run = gatekeep("lint", "--report", "junit=nowhere/r.xml")
    assert run.code == 1
    assert "error: nowhere/r.xml: cannot write: " in run.err
    assert "choose another file with --report" in run.err


def test_findings_of_a_plan_stand_at_their_policy(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "policies" / "rng.yaml").write_text(POLICY + "  adopt: Reconcile\n")
    run = gatekeep("plan", *OFFLINE, "--report", "gitlab=r.json", "--report", "junit=r.xml")
    assert run.code == 0
    found = places(folder / "r.json")
    assert ("later-pods", "policies/rng.yaml", 1) in found
    assert ("mixed-owners", "policies/rng.yaml", 1) in found
    assert all(case.find("failure") is None for case in read_junit((folder / "r.xml").read_text()))


def test_a_note_on_a_file_stands_there(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "policies" / "broken.yaml").write_text("a:\n  - b: [\n")
    gatekeep("plan", *OFFLINE, "--report", "sarif=r.sarif")
    (result,) = [
        item for item in read_sarif((folder / "r.sarif").read_text()) if item["ruleId"] == "manifest-unreadable"
    ]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "policies/broken.yaml"
    assert place["region"]["startColumn"] >= 1


def test_a_proof_that_fails_is_an_error(gatekeep: Gatekeep, folder: Path) -> None:
    narrow = POLICY.replace("{pool: {}}", "{pool: {owners: [{kind: DaemonSet, name: rng}]}}").replace("50%", "6")
    (folder / "policies" / "rng.yaml").write_text(narrow)
    run = gatekeep("plan", *OFFLINE, "--report", "gitlab=r.json")
    assert run.code == 4
    first = issues(folder / "r.json")[0]
    assert (first["check_name"], first["severity"]) == ("proof-fails", "critical")
    assert first["location"]["path"] == "policies/rng.yaml"


def test_a_refusal_is_an_error(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "policies" / "rng.yaml").write_text(POLICY.replace("[rng]", "[rgn]"))
    run = gatekeep("plan", *OFFLINE, "--report", "gitlab=r.json")
    assert run.code == 3
    (issue,) = issues(folder / "r.json")
    assert (issue["check_name"], issue["location"]["path"]) == ("refused", "policies/rng.yaml")
    assert issue["description"].startswith(
        "Service dockercoins/rgn: gate dockercoins/rng names a Service that does not"
    )
    assert issue["description"].endswith("did you mean rng?")


def test_invalid_policies_are_errors_of_a_plan(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "policies" / "rng.yaml").write_text(BAD.replace("floor", "flor"))
    run = gatekeep("plan", *OFFLINE, "--report", "gitlab=r.json")
    assert run.code == 65
    assert places(folder / "r.json") == [
        ("unquoted-scalar", "policies/rng.yaml", 6),
        ("invalid-document", "policies/rng.yaml", 8),
    ]
