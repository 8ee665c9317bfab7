"""``-o`` of the commands that plan: where each view goes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Gatekeep
from tests.cli.test_offline import OFFLINE, edit_plan

BEGINNINGS = {
    "text": "plan     ",
    "json": '{\n  "access"',
    "markdown": "<!-- gatekeep: dockercoins/rng -->\n\n### ✔ gatekeep: proved\n",
    "html": "<!DOCTYPE html>\n",
    "script": "#!/bin/sh\n",
}
COMMANDS = (("plan",), ("apply", "--dry-run"))


@pytest.mark.parametrize("command", COMMANDS, ids=["plan", "apply"])
@pytest.mark.parametrize("name", BEGINNINGS)
def test_each_format_goes_to_stdout_or_a_file(
    gatekeep: Gatekeep, folder: Path, command: tuple[str, ...], name: str
) -> None:
    run = gatekeep(*command, *OFFLINE, "-o", name)
    assert run.code == 0, run.err
    assert run.out.startswith(BEGINNINGS[name])
    filed = gatekeep(*command, *OFFLINE, "-o", name, "--out", "made")
    assert (filed.code, filed.out) == (0, "")
    assert (folder / "made").read_text().startswith(BEGINNINGS[name])


@pytest.mark.parametrize("name", BEGINNINGS)
def test_a_saved_plan_is_shown_as_not_proved(gatekeep: Gatekeep, name: str) -> None:
    assert gatekeep("plan", *OFFLINE, "-o", "json", "--out", "plan.json").code == 0
    run = gatekeep("show", "plan.json", "-o", name)
    assert run.code == 0
    if name == "json":
        assert run.document["kind"] == "Plan"
    elif name == "script":
        assert "nobody proved again" in run.out
    else:
        assert "The document says: proved" in " ".join(run.out.split())


def test_a_saved_plan_gives_the_bytes_of_a_new_one(gatekeep: Gatekeep) -> None:
    assert gatekeep("plan", *OFFLINE, "-o", "json", "--out", "plan.json").code == 0
    new = gatekeep("plan", *OFFLINE, "-o", "script").out.split("\n")
    saved = gatekeep("show", "plan.json", "-o", "script").out.split("\n")
    assert [line for line in new if "roved" not in line] == [line for line in saved if "roved" not in line]


def test_patches_are_a_folder(gatekeep: Gatekeep, folder: Path) -> None:
    run = gatekeep("plan", *OFFLINE, "-o", "patches", "--out", "made")
    assert (run.code, run.out) == (0, "")
    assert "26 files written to made" in run.err
    names = sorted(path.name for path in (folder / "made").iterdir())
    assert names[0] == "001-patch-deployment-rng.json"
    assert names[-1] == "README.txt"
    assert len(names) == 26
    (folder / "made" / "999-patch-pod-old.json").write_text("[]")
    assert gatekeep("plan", *OFFLINE, "-o", "patches", "--out", "made").code == 0
    assert sorted(path.name for path in (folder / "made").iterdir()) == names
    assert not list(folder.glob(".gatekeep-*"))


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("file", "", "is no folder"),
        ("link", "", "is no folder"),
        ("folder", "x", "holds something else (x)"),
        ("folder", "README.txt", "holds something else (no README.txt of gatekeep)"),
    ],
)
def test_a_folder_of_somebody_else_is_left_alone(
    gatekeep: Gatekeep, folder: Path, kind: str, name: str, message: str
) -> None:
    made = folder / "made"
    match kind:
        case "file":
            made.write_text("mine")
        case "link":
            made.symlink_to(folder / "policies")
        case _:
            made.mkdir()
            (made / name).write_text("mine")
    run = gatekeep("plan", *OFFLINE, "-o", "patches", "--out", "made")
    assert run.code == 64
    assert message in run.err
    assert made.is_symlink() or (made / name if name else made).read_text() == "mine"


def test_an_empty_folder_is_taken(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "made").mkdir()
    assert gatekeep("plan", *OFFLINE, "-o", "patches", "--out", "made").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-o", "patches"), "writes a folder, and none was named"),
        (("-o", "patches", "--out", "-"), "writes a folder, and none was named"),
        (("-o", "html", "--out", "policies"), "--out policies is a folder"),
        (("-o", "yaml"), "is not one of"),
    ],
)
def test_what_cannot_be_written_is_a_usage_error(gatekeep: Gatekeep, arguments: tuple[str, ...], message: str) -> None:
    run = gatekeep("plan", *OFFLINE, *arguments)
    assert (run.code, run.out) == (64, "")
    assert message in run.err


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("name", ["markdown", "html", "patches", "script"])
def test_a_view_of_a_plan_is_no_report_of_a_run(gatekeep: Gatekeep, name: str) -> None:
    run = gatekeep("apply", "-y", "-o", name)
    assert (run.code, run.out) == (64, "")
    assert "shows a plan, and this run would apply it" in run.err
    assert gatekeep("plan", "--detailed-exitcode", "-o", "json").code == 2


@pytest.mark.parametrize("name", ["patches", "script"])
def test_what_runs_without_a_proof_is_not_made_of_an_edited_plan(gatekeep: Gatekeep, folder: Path, name: str) -> None:
    assert gatekeep("plan", *OFFLINE, "-o", "json", "--out", "plan.json").code == 0
    edit_plan(folder / "plan.json", {"expiresAt": "2030-01-01T00:00:00Z"})
    run = gatekeep("show", "plan.json", "-o", name, "--out", "made")
    assert run.code == 65
    assert "the document was edited" in run.err
    assert not (folder / "made").exists()
    assert gatekeep("show", "plan.json", "-o", "markdown").code == 0


def test_a_script_that_would_not_be_safe_is_refused_when_it_is_made(gatekeep: Gatekeep, folder: Path) -> None:
    data = json.loads((folder / "cluster.json").read_text())
    data["items"] = [item for item in data["items"] if item["metadata"]["name"] != "kube-system"]
    (folder / "cluster.json").write_text(json.dumps(data))
    run = gatekeep("plan", *OFFLINE, "-o", "script")
    assert (run.code, run.out) == (3, "")
    assert "does not say for which cluster it is" in run.err


@pytest.mark.parametrize("name", ["patches", "script"])
def test_a_refused_plan_is_nothing_to_carry_out(gatekeep: Gatekeep, folder: Path, name: str) -> None:
    policy = folder / "policies" / "rng.yaml"
    policy.write_text(policy.read_text().replace("pool: {}", "pool: {owners: [{kind: DaemonSet, name: rng}]}")
                      .replace("50%", "4"))  # fmt: skip
    run = gatekeep("plan", *OFFLINE, "-o", name, "--out", "made")
    assert run.code == 4
    assert "refused" in run.err
    assert not (folder / "made").exists()
    assert gatekeep("plan", *OFFLINE, "-o", "markdown").out.splitlines()[2] == "### ✘ gatekeep: refused"
