"""Reports for other programs, each read as its reader reads it.

SARIF: the parts that the 2.1.0 schema requires, strictly · JUnit: the rules of Jenkins' junit-10.xsd · GitHub: the
runner's own unescaping · GitLab: the fields of a code quality report. Text from outside changes the shape of none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gatekeep.model.plan import Finding
from gatekeep.model.rules import RULES
from gatekeep.render.findings import LintItem
from gatekeep.render.reports_machine import FORMATS, fingerprints, report

EVIL = "a\"b'c<d>&e%f\rg\nh,i:j::k]]>\x1b[2J\x00\u202e\ud800\ufffe]\U0001f600 ::error::x"
NO_PLACE = LintItem(Finding("info", "drift", "somewhere"))
ITEMS = (
    LintItem(Finding("error", "invalid-document", "no such field", file="p/a b.yaml", line=3), 5, "write one"),
    LintItem(Finding("warning", "later-pods", "they wait", object="TrafficGate shop/web", file="p/ü.yaml", line=1)),
    NO_PLACE,
)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=20)
ANY = st.builds(
    LintItem,
    st.builds(Finding, st.sampled_from(["error", "warning", "info"]),
              st.sampled_from(sorted(RULES)) | TEXTS.filter(bool), TEXTS, TEXTS, TEXTS, st.integers(0, 9)),
    st.integers(0, 9),
    TEXTS,
)  # fmt: skip


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """An object with these properties and no other."""
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


TEXT = closed({"text": {"type": "string", "minLength": 1}}, "text")
LEVEL = {"enum": ["none", "note", "warning", "error"]}
REGION = closed({"startLine": {"type": "integer", "minimum": 1}, "startColumn": {"type": "integer", "minimum": 1}},
                "startLine")  # fmt: skip
URI = {"type": "string", "pattern": r"^[A-Za-z0-9._~/%-]+$"}
PHYSICAL = closed({"artifactLocation": closed({"uri": URI, "uriBaseId": {"const": "%SRCROOT%"}}, "uri"),
                   "region": REGION}, "artifactLocation")  # fmt: skip
RULE = closed({"id": {"type": "string"}, "shortDescription": TEXT, "help": TEXT,
               "defaultConfiguration": closed({"level": LEVEL}, "level")}, "id")  # fmt: skip
RESULT = closed({
    "ruleId": {"type": "string"}, "ruleIndex": {"type": "integer", "minimum": 0}, "level": LEVEL, "message": TEXT,
    "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
    "locations": {"type": "array", "items": closed({"physicalLocation": PHYSICAL}, "physicalLocation")},
}, "message", "ruleId", "level")  # fmt: skip
DRIVER = closed({"name": {"const": "gatekeep"}, "version": {"type": "string"},
                 "rules": {"type": "array", "items": RULE, "uniqueItems": True}}, "name", "rules")  # fmt: skip
RUN = closed({
    "tool": closed({"driver": DRIVER}, "driver"), "results": {"type": "array", "items": RESULT},
    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    "automationDetails": closed({"id": {"type": "string"}}, "id"),
}, "tool", "results")  # fmt: skip
SARIF = closed({"$schema": {"type": "string", "format": "uri"}, "version": {"const": "2.1.0"},
                "runs": {"type": "array", "items": RUN, "minItems": 1, "maxItems": 1}}, "version", "runs")  # fmt: skip
GITLAB = {"type": "array", "items": closed({
    "type": {"const": "issue"}, "check_name": {"type": "string"}, "description": {"type": "string", "minLength": 1},
    "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "severity": {"enum": ["info", "minor", "major", "critical", "blocker"]},
    "categories": {"type": "array", "items": {"enum": ["Bug Risk", "Security", "Style"]}, "minItems": 1},
    "location": closed({
        "path": {"type": "string", "minLength": 1},
        "lines": closed({"begin": {"type": "integer", "minimum": 1}}, "begin"),
    }, "path", "lines"),
}, "description", "check_name", "fingerprint", "severity", "location")}  # fmt: skip

XSD_ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors", "disabled"},
    "testsuite": {"name", "tests", "failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id",
                  "package"},
    "testcase": {"name", "assertions", "time", "classname", "status"},
    "failure": {"type", "message"},
    "system-out": set(),
}  # fmt: skip
XSD_REQUIRED = {"testsuite": {"name", "tests"}, "testcase": {"name"}}
XSD_CHILDREN = {"testsuites": {"testsuite"}, "testsuite": {"testcase"}, "testcase": {"failure", "system-out"}}
COMMAND = re.compile(r"::(error|warning|notice) ([^\n]*?)::([^\n]*)")


def read_sarif(text: str) -> list[dict[str, Any]]:
    """The results, when the document is one."""
    data = json.loads(text)
    Draft202012Validator(SARIF).validate(data)
    (run,) = data["runs"]
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    return list(run["results"])


def read_junit(text: str) -> list[ET.Element]:
    """The cases, when the document is as the XSD wants it."""
    root = ET.fromstring(text.encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= XSD_ATTRIBUTES[element.tag]
        assert set(element.attrib) >= XSD_REQUIRED.get(element.tag, set())
        assert {child.tag for child in element} <= XSD_CHILDREN.get(element.tag, set())
    (suite,) = root
    cases = list(suite)
    failed = sum(case.find("failure") is not None for case in cases)
    assert (suite.attrib["tests"], suite.attrib["failures"]) == (str(len(cases)), str(failed))
    return cases


def read_github(text: str) -> list[tuple[str, dict[str, str], str]]:
    """As the runner does: ActionCommand.TryParseV2 and its unescaping, which takes ``%25`` last."""
    found = []
    for line in text.split("\n")[:-1]:
        match = COMMAND.fullmatch(line)
        assert match, line
        pairs = [part.split("=", 1) for part in match[2].split(",")]
        values = {name: unescaped(value, {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ","}) for name, value in pairs}
        found.append((match[1], values, unescaped(match[3], {"%0D": "\r", "%0A": "\n"})))
    return found


def unescaped(text: str, codes: dict[str, str]) -> str:
    for code, char in (codes | {"%25": "%"}).items():
        text = text.replace(code, char)
    return text


def read_gitlab(text: str) -> list[dict[str, Any]]:
    issues: list[dict[str, Any]] = json.loads(text)
    Draft202012Validator(GITLAB).validate(issues)
    marks = [issue["fingerprint"] for issue in issues]
    assert len(set(marks)) == len(marks)
    return issues


READERS: dict[str, Callable[[str], Sequence[object]]] = {
    "sarif": read_sarif,
    "junit": read_junit,
    "github": read_github,
    "gitlab": read_gitlab,
}


def test_sarif() -> None:
    first, second, third = read_sarif(report("sarif", ITEMS, "lint"))
    assert first["message"]["text"] == "no such field → write one"
    assert [item["level"] for item in (first, second, third)] == ["error", "warning", "note"]
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "p/a%20b.yaml"
    assert place["region"] == {"startLine": 3, "startColumn": 5}
    assert unquote(second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]) == "p/ü.yaml"
    assert second["message"]["text"].startswith("TrafficGate shop/web: ")
    assert "locations" not in third


def test_a_link_in_a_text_is_none_in_sarif() -> None:
    (result,) = read_sarif(report("sarif", [LintItem(Finding("info", "drift", "[here](https://x.example)"))], "lint"))
    assert result["message"]["text"] == "[here] (https://x.example)"


def test_junit() -> None:
    first, second, third = read_junit(report("junit", ITEMS, "lint"))
    assert first.attrib["name"] == "invalid-document p/a b.yaml:3:5"
    failure = first.find("failure")
    assert failure is not None
    assert failure.text == "p/a b.yaml:3:5: no such field → write one"
    assert second.findtext("system-out") == "warning: p/ü.yaml:1: TrafficGate shop/web: they wait"
    assert third.attrib["classname"] == "gatekeep.lint.drift"


def test_github() -> None:
    assert report("github", ITEMS, "lint") == (
        "::error file=p/a b.yaml,line=3,col=5,title=invalid-document::no such field → write one\n"
        "::warning file=p/ü.yaml,line=1,title=later-pods::TrafficGate shop/web: they wait\n"
        "::notice title=drift::somewhere\n"
    )
    odd = LintItem(Finding("error", "drift", "100%, 5%0A: x", file="a,b:c%.yaml", line=1))
    ((_, places, message),) = read_github(report("github", [odd], "lint"))
    assert (places["file"], message) == ("a,b:c%.yaml", "100%, 5%0A: x")


def test_gitlab() -> None:
    first, second, third = read_gitlab(report("gitlab", ITEMS, "lint"))
    assert (first["severity"], second["severity"], third["severity"]) == ("critical", "minor", "info")
    assert first["location"] == {"path": "p/a b.yaml", "lines": {"begin": 3}}
    assert third["location"] == {"path": ".", "lines": {"begin": 1}}


@pytest.mark.parametrize("kind", FORMATS)
def test_nothing_found_is_a_report_too(kind: str) -> None:
    found = READERS[kind](report(next(one for one in FORMATS if one == kind), (), "plan"))
    assert len(found) == (kind == "junit")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("where", ["message", "object", "file"])
def test_text_from_outside_changes_no_shape(kind: str, where: str) -> None:
    odd = LintItem(Finding("error", "drift", **{"message": "x", "line": 1} | {where: EVIL}), 2, EVIL)  # type: ignore[arg-type]
    text = report(next(one for one in FORMATS if one == kind), [odd, NO_PLACE], "lint")
    assert len(READERS[kind](text)) == 2
    assert not set("\x1b\x00\u202e") & set(text)


@given(st.lists(ANY, max_size=4))
def test_any_finding_can_be_reported(items: Sequence[LintItem]) -> None:
    for kind in FORMATS:
        text = report(kind, items, "lint")
        text.encode("utf-8")
        assert len(READERS[kind](text)) == len(items) or (kind == "junit" and not items)


def test_a_fingerprint_is_that_of_what_is_said_not_of_its_line() -> None:
    moved = LintItem(Finding("error", "invalid-document", "no such field", file="p/a b.yaml", line=9), 1, "other")
    assert fingerprints([moved]) == fingerprints(ITEMS[:1])
    assert len(set(fingerprints([moved, moved, moved]))) == 3
    assert fingerprints([moved, moved])[0] == fingerprints([moved])[0]
