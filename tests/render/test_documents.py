"""JSON documents: the contract's bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from gatekeep.model.plan import Finding, from_json, to_json
from gatekeep.render.documents import lint_json, plain, plan_json, report_json
from gatekeep.render.findings import LintItem
from tests.render.samples import sample


class Row(NamedTuple):
    members_ready: int


@dataclass(frozen=True)
class Result:
    id_fits: bool
    rows: tuple[Row, ...]
    seconds: float


def test_the_plan_is_the_contract_s_document() -> None:
    plan = sample()
    assert plan_json(plan) == to_json(plan)
    assert from_json(plan_json(plan).encode(), "x") == plan


def test_hidden_characters_are_spelt_out_and_the_id_still_fits() -> None:
    plan = sample(findings=(Finding("info", "rule", "a\u202eb"),))
    assert "a\\u202eb" in plan_json(plan)
    assert from_json(plan_json(plan).encode(), "x") == plan


def test_reports_have_camel_case_names_in_order() -> None:
    text = report_json("Test", {"some_result": Result(True, (Row(3),), 0.123456)})
    assert json.loads(text) == {
        "apiVersion": "gatekeep.dev/v1alpha1",
        "kind": "Test",
        "someResult": {"idFits": True, "rows": [{"membersReady": 3}], "seconds": 0.123},
    }
    assert text.endswith("}\n")


def test_plain() -> None:
    assert plain({"a": {"x", "b"}, "b": None, "c": [1.23456]}) == {"a": ["b", "x"], "b": None, "c": [1.235]}


def test_lint_report() -> None:
    report = json.loads(lint_json([LintItem(Finding("error", "r", "m", file="a.yaml", line=3), 7, "h")], 0))
    assert (report["kind"], report["errors"], report["warnings"]) == ("LintReport", 1, 0)
    assert report["findings"] == [
        {"severity": "error", "rule": "r", "message": "m", "file": "a.yaml", "line": 3, "column": 7, "hint": "h"}
    ]
