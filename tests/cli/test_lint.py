"""``gatekeep lint``: rules over policies and manifests, their pages, and the clock for isolations."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatekeep.model.rules import RULES
from tests.cli.conftest import Gatekeep
from tests.cli.test_offline import ISOLATION

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: rng, namespace: dockercoins}\nspec: {selector: {app: SEL}}\n"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: rng, namespace: dockercoins}
spec:
  selector: {matchLabels: {app: rng}}
  template: {metadata: {labels: {app: rng, live: on}}}
"""


def test_manifests_beside_the_policies(gatekeep: Gatekeep, folder: Path) -> None:
    (folder / "policies" / "web").mkdir()
    (folder / "policies" / "web" / "all.yaml").write_text(f"{SERVICE.replace('SEL', 'rgn')}---\n{DEPLOYMENT}")
    run = gatekeep("lint")
    assert (run.code, run.err) == (1, "")
    assert run.out == (
        "policies/web/all.yaml:11:50: error: live: on is a boolean to Kubernetes, and the API server refuses it here → "
        'write "on"  [unquoted-scalar]\n'
        "policies/web/all.yaml:4:18: warning: no pod template of namespace dockercoins has app=rgn, so Service "
        "dockercoins/rng reaches no pod of them → templates here: Deployment rng  [service-matches-nothing]\n"
        "✘ 1 error, 1 warning\n"
    )


def test_warnings_and_notes_alone_end_with_0(gatekeep: Gatekeep, folder: Path) -> None:
    twice = SERVICE.replace("SEL", "rng")
    text = "---\n".join([twice, twice.replace("name: rng", "name: all"), DEPLOYMENT])
    (folder / "policies" / "web").mkdir()
    (folder / "policies" / "web" / "all.yaml").write_text(text.replace("live: on", 'live: "on"'))
    run = gatekeep("lint")
    assert (run.code, run.out.splitlines()[-1]) == (0, "✔ 1 policy: 0 errors, 0 warnings, 1 note")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("2026-12-01T11:59:59Z", "✔ 2 policies: 0 errors, 0 warnings\n"),
        (
            "2026-12-01T13:00:00+01:00",
            "policies/inc-4711.yaml:4:73: warning: it expired at 2026-12-01T12:00:00Z: the next apply returns its pods "
            "→ delete the document, or write a later time  [isolation-over]\n✔ 2 policies: 0 errors, 1 warning\n",
        ),
    ],
)
def test_now(gatekeep: Gatekeep, folder: Path, now: str, said: str) -> None:
    (folder / "policies" / "inc-4711.yaml").write_text(ISOLATION)
    assert gatekeep("lint", "--now", now) == (0, said, "")


def test_an_isolation_without_an_end(gatekeep: Gatekeep, folder: Path) -> None:
    text = ISOLATION.replace(", expires: 2026-12-01T12:00:00Z", "")
    (folder / "policies" / "inc-4711.yaml").write_text(text)
    assert "warning: it never expires: nobody is reminded of it → write expires" in gatekeep("lint").out


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_is_explained(gatekeep: Gatekeep, rule: str) -> None:
    run = gatekeep("lint", "--explain", rule)
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith(f"# {rule}\n")
    assert run.out == (Path(__file__).parents[2] / "docs" / "rules" / f"{rule}.md").read_text("utf-8")


def test_explain_in_json(gatekeep: Gatekeep) -> None:
    found = gatekeep("lint", "--explain", "drift", "-o", "json").document
    assert (found["kind"], found["rule"], found["severity"]) == ("RuleExplanation", "drift", "warning")
    assert found["page"].startswith("# drift\n")


@pytest.mark.parametrize(
    ("word", "hint"), [("unqoted-scalar", "did you mean unquoted-scalar?"), ("zzzz", "rules: another-run, ")]
)
def test_an_unknown_rule(gatekeep: Gatekeep, word: str, hint: str) -> None:
    run = gatekeep("lint", "--explain", word)
    assert (run.code, run.out) == (64, "")
    assert run.err.startswith(f"error: no rule '{word}'\n  → {hint}")
