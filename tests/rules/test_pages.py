"""Every rule has a page, and the page keeps its word: its bad example breaks the rule, its good one breaks none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gatekeep.model.rules import LINT_RULES, PLAN_RULES, RULES, Rule, nearest_rule
from tests.rules.samples import found, rules

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "rules"
WITHOUT_EXAMPLE = {"no-policy", "manifest-unreadable"}


def page(rule: str) -> str:
    return (PAGES / f"{rule}.md").read_text("utf-8")


def example(text: str, heading: str) -> str:
    match = re.search(rf"^## {heading}\n\n```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return match[1] if match else ""


def test_exactly_the_pages_of_the_rules() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == set(RULES)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_a_page_begins_as_the_catalogue_says(rule: Rule) -> None:
    text = page(rule.id)
    assert text.startswith(f"# {rule.id}\n\n**{rule.severity}** · said by `")
    assert f"\n\n{rule.summary}.\n" in text
    assert "\n## Why\n" in text
    assert "\n## What to do\n" in text
    assert not rule.summary.endswith(".")


@pytest.mark.parametrize("rule", sorted(set(LINT_RULES) - WITHOUT_EXAMPLE))
def test_the_examples_of_a_page(rule: str, tmp_path: Path) -> None:
    assert rule in rules(found(tmp_path, example(page(rule), "Bad")))
    assert rules(found(tmp_path, example(page(rule), "Good"))) == []


def test_the_index_lists_all_rules() -> None:
    text = page("README")
    for listed in (LINT_RULES, PLAN_RULES):
        rows = [f"| [`{rule.id}`]({rule.id}.md) | {rule.severity} | {rule.summary} |" for rule in listed.values()]
        assert "\n".join(["| rule | severity | says |", "|---|---|---|", *rows, ""]) in text


def test_every_rule_in_the_code_is_in_the_catalogue_and_has_its_severity() -> None:
    named: set[str] = set()
    for path in (ROOT / "gatekeep").rglob("*.py"):
        text = path.read_text("utf-8")
        named.update(re.findall(r'\brule="([a-z-]+)"', text))
        for severity, rule in re.findall(r'severity="(\w+)",\s+rule="([a-z-]+)"', text):
            assert RULES[rule].severity == severity, rule
    assert named <= set(RULES)
    assert len(named) > 25


@pytest.mark.parametrize(
    ("word", "near"),
    [
        ("overlaping-services", "overlapping-services"),
        ("Unquoted_Scalar", "unquoted-scalar"),
        ("drfit", "drift"),
        ("unquoted", "unquoted-scalar"),
        ("zzzz", ""),
        ("", ""),
    ],
)
def test_the_nearest_rule(word: str, near: str) -> None:
    assert nearest_rule(word) == near
