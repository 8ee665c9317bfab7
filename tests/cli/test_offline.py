"""Commands that only read: lint, plan, show, verify, diff, schema, on a cluster in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gatekeep.cli.demo import wrong_order
from gatekeep.model.plan import from_json, to_json
from tests.cli.conftest import POLICY, Gatekeep

OFFLINE = ("--snapshot", "cluster.json")


def edit_plan(path: Path, change: dict[str, Any]) -> None:
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | change))


def changed(text: str, before: str, after: str) -> str:
    assert text.count(before) == 1
    return text.replace(before, after)


def swap_steps(path: Path) -> None:
    """Puts the selector's edit first."""
    plan = wrong_order(from_json(path.read_bytes(), str(path)))
    path.write_text(to_json(plan))


def test_lint(gatekeep: Gatekeep, folder: Path) -> None:
    assert gatekeep("lint") == (0, "✔ 1 policy: 0 errors, 0 warnings\n", "")
    (folder / "policies" / "bad.yaml").write_text(POLICY.replace("services", "servces").replace('"yes"', "yes"))
    run = gatekeep("lint")
    assert run.code == 1
    assert run.out.startswith("policies/bad.yaml:5:3: error: unknown field servces in spec → did you mean services?")
    report = gatekeep("lint", "-o", "json").document
    assert report["kind"] == "LintReport"
    assert report["errors"] == len(report["findings"]) > 0


def test_lint_of_a_folder_without_policies_does_not_pass(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "policies" / "rng.yaml").unlink()
    run = gatekeep("lint")
    assert (run.code, run.err) == (1, "")
    assert run.out == (
        "policies: error: no policy was found → name a file or folder with policies: -f PATH  [no-policy]\n"
        "✘ 1 error, 0 warnings\n"
    )
    assert gatekeep("lint", "-o", "json").document["findings"][0]["rule"] == "no-policy"


@pytest.mark.parametrize(("adopt", "steps"), [("Template", 18), ("Admission", 11), ("Reconcile", 6)])
def test_each_way_to_adopt_is_planned(gatekeep: Gatekeep, folder: Path, adopt: str, steps: int) -> None:
    (folder / "policies" / "rng.yaml").write_text(POLICY + f"  adopt: {adopt}\n")
    run = gatekeep("plan", *OFFLINE, "-o", "json")
    assert (run.code, len(run.document["steps"])) == (0, steps)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("minReady: 50%", "minReady: 0.5"), "write a number or 50%"),
        (("apiVersion: gatekeep.dev/v1alpha1\n", ""), "error: apiVersion: missing"),
        (("key: active", "key: a b"), "start and end with an alphanumeric character → "),
    ],
)
def test_lint_says_what_to_write(gatekeep: Gatekeep, folder: Path, change: tuple[str, str], said: str) -> None:
    (folder / "policies" / "rng.yaml").write_text(POLICY.replace(*change))
    run = gatekeep("lint")
    assert run.code == 1
    assert said in run.out
    assert "regex" not in run.out


STEPS = """\
  rotation:
    canary:
      stable: {owners: [{kind: Deployment, name: rng}]}
      canary: {owners: [{kind: DaemonSet, name: rng}]}
      steps: [{weight: 10}, {pause: 10m}, {check: error-rate}, {pause: {}}, {weight: 100}]
  checks:
    - {name: error-rate, prometheus: {query: up, min: 1, for: 2m}}
"""
ISOLATION = """\
apiVersion: gatekeep.dev/v1alpha1
kind: Isolation
metadata: {name: inc-4711, namespace: dockercoins}
spec: {gate: rng, pods: {count: 1}, reason: intermittent 500s, expires: 2026-12-01T12:00:00Z}
"""


def test_lint_takes_every_kind_and_strategy(gatekeep: Gatekeep, folder: Path) -> None:
    written = folder / "policies" / "rng.yaml"
    written.write_text(changed(POLICY, "  rotation: {pool: {}}\n", STEPS))
    (folder / "policies" / "inc-4711.yaml").write_text(ISOLATION)
    assert gatekeep("lint") == (0, "✔ 2 policies: 0 errors, 0 warnings\n", "")
    assert gatekeep("lint", "-f", "policies/inc-4711.yaml").code == 0


def test_lint_warns_of_a_check_that_nobody_asks_and_of_an_isolation_that_a_sync_may_read(
    gatekeep: Gatekeep, folder: Path
) -> None:
    unasked = STEPS.replace("{check: error-rate}, ", "")
    (folder / "policies" / "rng.yaml").write_text(changed(POLICY, "  rotation: {pool: {}}\n", unasked))
    (folder / "apart").mkdir()
    (folder / "apart" / "inc-4711.yaml").write_text(ISOLATION)
    (folder / "apart" / "kustomization.yaml").write_text("resources: []\n")
    run = gatekeep("lint", "-f", "policies", "-f", "apart")
    assert run.code == 0
    assert "warning: no step of the canary asks the check error-rate  [unused-check]\n" in run.out
    assert "apart/inc-4711.yaml:1:1: warning: a sync may read this policy" in run.out
    assert run.out.endswith("✔ 2 policies: 0 errors, 2 warnings\n")


@pytest.mark.parametrize("arguments", [("lint", "-f", "nowhere"), ("plan", "--snapshot", "nowhere")])
def test_a_missing_file_has_no_line(gatekeep: Gatekeep, arguments: tuple[str, ...]) -> None:
    run = gatekeep(*arguments)
    assert ": no such file" in run.out + run.err
    assert "nowhere:" in run.out + run.err
    assert ":1" not in run.out + run.err


def test_a_refused_policy_is_named_as_it_can_be_opened(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "policies" / "rng.yaml").write_text(POLICY.replace("[rng]", "[rgn]"))
    run = gatekeep("plan", *OFFLINE)
    assert run.code == 3
    assert run.err.startswith("error: policies/rng.yaml:1:1: Service dockercoins/rgn: ")


def test_plan_in_words(gatekeep: Gatekeep) -> None:
    run = gatekeep("plan", *OFFLINE)
    assert (run.code, run.err) == (0, "")
    assert "endpoints  before 6 → least 6 → after 6   at least 6 must stay (floor 3)" in run.out
    assert "selector {app=rng} → {active=yes, app=rng}" in run.out
    assert "✔ proved" in run.out


def test_plan_document_is_the_same_on_every_run(gatekeep: Gatekeep) -> None:
    first, second = (gatekeep("plan", *OFFLINE, "-o", "json") for _ in range(2))
    assert first.out == second.out
    assert first.document["kind"] == "Plan"


def test_detailed_exit_code(gatekeep: Gatekeep) -> None:
    run = gatekeep("plan", *OFFLINE, "--detailed-exitcode")
    assert run.code == 2
    assert "changes pending (exit 2)" in run.err


def test_plan_reads_policies_from_stdin(gatekeep: Gatekeep, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(POLICY.encode())))
    assert gatekeep("plan", "-f", "-", *OFFLINE).code == 0


def test_a_namespace_without_policies_is_a_usage_error(gatekeep: Gatekeep) -> None:
    run = gatekeep("plan", *OFFLINE, "-n", "elsewhere")
    assert (run.code, run.err) == (64, "error: no policy is for namespace elsewhere\n  → they are for: dockercoins\n")


def test_a_folder_without_policies_is_a_usage_error(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "policies" / "rng.yaml").unlink()
    run = gatekeep("plan", *OFFLINE)
    assert (run.code, run.err.splitlines()[0]) == (64, "error: no policy was found")


def test_expiry_and_origin(gatekeep: Gatekeep) -> None:
    now = ("--now", "2026-12-01T12:00:00Z")
    origin = ("--repository", "https://bot:secret@git.example.com/shop.git", "--revision", "3fa1c2e")
    plan = gatekeep("plan", *OFFLINE, *now, "--expires", "2h", *origin, "-o", "json").document
    assert plan["expiresAt"] == "2026-12-01T14:00:00Z"
    assert plan["source"]["repository"] == "https://git.example.com/shop.git"
    assert plan["source"]["revision"] == "3fa1c2e"


def test_timeout_stands_in_every_wait(gatekeep: Gatekeep) -> None:
    plan = gatekeep("plan", *OFFLINE, "--timeout", "90s", "-o", "json").document
    assert {step["wait"]["timeoutSeconds"] for step in plan["steps"] if "wait" in step} == {90}


def test_save_show_verify(gatekeep: Gatekeep, folder: Path) -> None:
    saved = gatekeep("plan", *OFFLINE, "-o", "json", "--out", "plan.json")
    assert (saved.code, saved.out) == (0, "")
    assert "gatekeep apply plan.json" in saved.err
    text = (folder / "plan.json").read_text()
    assert from_json(text.encode(), "plan.json").proof.holds
    assert gatekeep("show", "plan.json", "-o", "json").out == text
    assert "`gatekeep verify` proves it again" in gatekeep("show", "plan.json").out

    fresh = gatekeep("verify", "plan.json", *OFFLINE)
    assert fresh.code == 0
    assert "✔ fresh" in fresh.out
    report = gatekeep("verify", "plan.json", *OFFLINE, "-o", "json").document
    assert (report["kind"], report["proof"]["holds"], report["idFits"], report["stale"]) == (
        "Verification",
        True,
        True,
        [],
    )


def test_verify_stale(gatekeep: Gatekeep, folder: Path) -> None:
    gatekeep("plan", *OFFLINE, "-o", "json", "--out", "plan.json")
    cluster = json.loads((folder / "cluster.json").read_text())
    (service,) = [item for item in cluster["items"] if item["kind"] == "Service" and item["metadata"]["name"] == "rng"]
    service["spec"]["selector"]["tier"] = "x"
    for item in cluster["items"]:
        if item["kind"] == "Pod":
            item["metadata"]["labels"]["tier"] = "x"
    (folder / "cluster.json").write_text(json.dumps(cluster))
    run = gatekeep("verify", "plan.json", *OFFLINE)
    assert run.code == 3
    assert "stale" in run.out
    assert "tier" in run.out


def test_verify_an_edited_document(gatekeep: Gatekeep, folder: Path) -> None:
    gatekeep("plan", *OFFLINE, "-o", "json", "--out", "plan.json")
    edit_plan(folder / "plan.json", {"source": {"repository": "elsewhere", "revision": None, "policies": []}})
    run = gatekeep("verify", "plan.json", *OFFLINE)
    assert run.code == 65
    assert "the id does not fit the content" in run.out
    assert "the id does not fit the content" in gatekeep("show", "plan.json").err


def test_verify_the_wrong_order(gatekeep: Gatekeep, folder: Path) -> None:
    gatekeep("plan", *OFFLINE, "-o", "json", "--out", "plan.json")
    swap_steps(folder / "plan.json")
    run = gatekeep("verify", "plan.json", *OFFLINE)
    assert run.code == 4
    assert "REFUSED: " in run.out
    assert "0 ready endpoints" in " ".join(run.out.split())


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "Plan"}', "\x00", '{"a": ' * 5000])
def test_what_is_no_plan(gatekeep: Gatekeep, folder: Path, text: str) -> None:
    (folder / "plan.json").write_text(text)
    for command in (("show",), ("verify", *OFFLINE), ("apply", "--dry-run", *OFFLINE)):
        run = gatekeep(*command, "plan.json")
        assert run.code == 65
        assert run.err.startswith("error: plan.json: ")


def test_a_plan_that_is_not_there(gatekeep: Gatekeep) -> None:
    run = gatekeep("show", "nowhere.json")
    assert (run.code, run.err.splitlines()[0]) == (
        65,
        "error: nowhere.json: cannot read the plan: No such file or directory",
    )


def test_out_that_cannot_be_written(gatekeep: Gatekeep) -> None:
    run = gatekeep("plan", *OFFLINE, "--out", "nowhere/plan.txt")
    assert run.code == 1
    assert run.err.startswith("error: nowhere/plan.txt: cannot write: ")


def test_out_replaces_in_one_go_and_leaves_nothing_behind(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "plan.txt").write_text("old")
    assert gatekeep("plan", *OFFLINE, "--out", "plan.txt").code == 0
    assert "Steps" in (folder / "plan.txt").read_text()
    assert not [item.name for item in folder.iterdir() if item.name.startswith(".")]


def test_diff(gatekeep: Gatekeep) -> None:
    run = gatekeep("diff", *OFFLINE)
    assert run.code == 1
    assert run.out.count('+    active: "yes"') == 7
    assert "LIVE-" in run.out
    assert "MERGED-" in run.out
    assert "shadow" not in run.out


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ("true", 0, ""),
        ("sh -c 'exit 3'", 2, "failed with exit code 3"),
        ("no-such-program-here", 2, "cannot run the diff program 'no-such-program-here'"),
        ("'", 2, "is no command line"),
        ("ls -d", 0, ""),
    ],
)
def test_external_diff(gatekeep: Gatekeep, monkeypatch: pytest.MonkeyPatch, program: str, code: int, said: str) -> None:
    monkeypatch.setenv("KUBECTL_EXTERNAL_DIFF", program)
    run = gatekeep("diff", *OFFLINE)
    assert run.code == code
    assert said in run.err


def test_external_diff_runs_no_shell(gatekeep: Gatekeep, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECTL_EXTERNAL_DIFF", "echo $(touch owned); touch owned;")
    gatekeep("diff", *OFFLINE)
    assert not (folder / "owned").exists()


def test_status_and_retire_without_a_record(gatekeep: Gatekeep) -> None:
    assert gatekeep("status", *OFFLINE) == (0, "no gates\n", "")
    assert gatekeep("status", *OFFLINE, "-o", "json").document == {
        "apiVersion": "gatekeep.dev/v1alpha1",
        "kind": "StatusList",
        "items": [],
    }
    run = gatekeep("retire", "dockercoins/rng", "--dry-run", *OFFLINE)
    assert run.code == 3
    assert "there is no record of a gate dockercoins/rng" in run.err


def test_schema(gatekeep: Gatekeep, folder: Path) -> None:
    assert gatekeep("schema").document["$schema"].startswith("https://json-schema.org/")
    assert gatekeep("schema", "--out", "schema.json").out == ""
    assert (folder / "schema.json").exists()


def test_demo(gatekeep: Gatekeep) -> None:
    run = gatekeep("demo")
    assert (run.code, run.err) == (0, "")
    words = " ".join(run.out.split())
    assert words.count("✔ applied plan") == 2
    assert words.count("never held fewer than 6 ready pods") == 2
    assert "✘ REFUSED: if the endpoint controller sees" in words
