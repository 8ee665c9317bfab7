"""Canary steps, checks and blue/green: what may be written · every mistake with its place and what to write · which
checks nobody asks · how large a list may be."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from gatekeep.model.policy import CanaryStep, Check, Indefinite, PrometheusCheck, TrafficGate
from tests.sources.samples import BLUE_GREEN, CANARY, changed, gate, load, problems

STEPS = "[{weight: 10}, {pause: 10m}, {check: error-rate}, {weight: 50}, {pause: {}}, {weight: 100}]"
BOUND = "max: 0.01, for: 2m"
DISJOINT = "make them disjoint, by owners or by a label that only one of them has"
GREEN = "green: {owners: [{kind: Deployment, name: web-green}]}"
BLUE = "{owners: [{kind: Deployment, name: web-blue}]}"


def test_steps_and_checks() -> None:
    spec = gate(CANARY).spec
    assert spec.rotation.canary is not None
    assert spec.rotation.canary.steps == (
        CanaryStep(weight=10),
        CanaryStep(pause="10m"),
        CanaryStep(check="error-rate"),
        CanaryStep(weight=50),
        CanaryStep(pause=Indefinite()),
        CanaryStep(weight=100),
    )
    query = PrometheusCheck(query="errors / requests", max=Decimal("0.01"), for_="2m")
    assert spec.checks == (Check(name="error-rate", prometheus=query),)


def test_what_is_read_can_be_written_down_and_read_again() -> None:
    for text in (CANARY, BLUE_GREEN):
        assert msgspec.json.decode(msgspec.json.encode(gate(text)), type=TrafficGate) == gate(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (STEPS, "[{weight: 10}, {weight: 50}, {check: error-rate}]"),
        (STEPS, "[{weight: 1}, {check: error-rate}, {pause: 1m}, {pause: {}}]"),
        (STEPS, "[{check: error-rate}, {weight: 0}]"),
        (STEPS, "[{weight: 1}, {check: error-rate}, {check: error-rate}, {pause: 0s}, {pause: 366d}]"),
        (STEPS, "\n      - weight: 10\n      - pause: {}\n      - check: error-rate"),
        (BOUND, "min: -0.5"),
        (BOUND, "min: 1, max: 1"),
        (BOUND, "max: 1, for: 1h59m59s, timeout: 2h, interval: 1s, failures: 1"),
        (BOUND, "max: 1, timeout: 1d"),
        ("  checks:", "  newPods: Hold\n  checks:"),
        ("  checks:", "  newPods: Hold\n  admit: All\n  checks:"),
    ],
)
def test_canaries_that_are_right(before: str, after: str) -> None:
    assert load(changed(before, after, CANARY)).findings == ()


def test_a_canary_needs_no_checks() -> None:
    text = changed(STEPS, "[{weight: 10}]", CANARY).partition("  checks:")[0]
    assert gate(text).spec.checks == ()
    assert gate(text + "  checks: []\n").spec.checks == ()


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("[]", "10:14: steps: the list is empty → name at least one"),
        ("{weight: 10}", "10:14: steps: expected a list, found a map → gatekeep schema prints"),
        (
            "[{}, {weight: 1}]",
            "10:15: steps[0]: expected exactly one of weight, pause and check, found none → write one, such as",
        ),
        (
            "[{weight: 10, pause: 10m}]",
            "10:28: steps[0]: expected exactly one of weight, pause and check, found weight and pause → write each",
        ),
        (
            "[{weight: 1}, {pause: 1m, check: error-rate}]",
            "10:40: steps[1]: expected exactly one of weight, pause and check, found pause and check",
        ),
        ("[{setWeight: 10}]", "10:16: unknown field setWeight in steps[0] → did you mean weight?"),
        ("[weight 10]", "10:15: steps[0]: expected a map, found a string (weight 10)"),
        ("[{weight: 101}]", "10:24: weight: 101 is more than 100 → write 100 or less"),
        ("[{weight: -1}]", "10:24: weight: -1 is less than 0 → write 0 or more"),
        ("[{weight: 10.5}]", "10:24: weight: expected a whole number, found a number (10.5)"),
        ("[{weight: 10%}]", "10:24: weight: expected a whole number, found a string (10%) → write 10"),
        ("[{weight: 010}]", "10:24: weight: 010 is not the same number to every parser"),
        ("[{weight: .nan}]", "10:24: weight: .nan is not the same number to every parser"),
        (f"[{{weight: {'9' * 300}}}]", f'10:24: weight: "{"9" * 60}"… is more than 100'),
        ("[{weight: 1}, {pause: 600}]", "10:36: pause: expected a duration, found 600 without a unit → write 600s"),
        ("[{weight: 1}, {pause: {duration: 1m}}]", "10:37: unknown field duration in pause → write {}, or a duration"),
        ("[{weight: 1}, {pause: }]", "10:35: pause: no value (null)"),
        ("[{weight: 1}, {pause: 367d}]", "10:36: pause: 367d is longer than 366d → write at most 366d, or {} to wait"),
        ("[{weight: 1}, {check: error_rate}]", "10:36: check: error_rate is not valid → use lower case letters"),
        ("[{weight: 1}, {check: eror-rate}]", "10:36: unknown check eror-rate → did you mean error-rate?"),
        ("[{weight: 1}, {check: latency}]", "10:36: unknown check latency → known here: error-rate"),
        (
            "[{pause: 10m}, {check: error-rate}]",
            "10:14: steps: no step has a weight, so nothing would move → add a step such as {weight: 10}",
        ),
        ("[{weight: 50}, {pause: 1m}, {weight: 10}]", "10:51: weight: 10 comes after 50: a run only goes up"),
        (f"[{'{weight: 1}, ' * 100}{{weight: 2}}]", "10:14: steps: 101 steps are too many → write at most 100"),
    ],
)
def test_steps_that_are_wrong(after: str, expected: str) -> None:
    (problem,) = problems(changed(STEPS, after, CANARY))
    assert problem.startswith(expected)


def test_a_check_where_there_are_none() -> None:
    assert problems(CANARY.partition("  checks:")[0]) == ["10:51: unknown check error-rate → add it to spec.checks"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            f"      steps: {STEPS}\n",
            "",
            "8:7: canary: expected exactly one of weight and steps, found none → write weight: 10 for a share",
        ),
        (
            "      steps:",
            "      weight: 1\n      steps:",
            "11:7: canary: expected exactly one of weight and steps, found weight and steps → keep weight for a share",
        ),
        (
            "{selector: {matchExpressions: [{key: track, operator: In, values: [canary]}]}}",
            "{owners: [{name: web, kind: Deployment}]}",
            f"9:15: canary: stable and canary are the same group, and a pod can be in one of them only → {DISJOINT}",
        ),
        ("[canary]", "[]", "9:46: matchExpressions: track: values must be specified"),
        (
            "  checks:",
            "  newPods: Hold\n  adopt: Admission\n  checks:",
            "12:10: adopt: Admission: with newPods: Hold nothing gives later pods the label → leave adopt out",
        ),
    ],
)
def test_canaries_that_are_wrong(before: str, after: str, expected: str) -> None:
    (problem,) = problems(changed(before, after, CANARY))
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("for: 2m", "12:38: prometheus: expected max, min or both, found neither → add a bound such as max: 0.01"),
        ("max: .nan", "12:72: max: .nan is no finite number → write it as a plain decimal number"),
        ("max: .inf", "12:72: max: .inf is no finite number"),
        ("max: 1e-3", "12:72: max: 1e-3 is not the same number to every parser → write it as a plain decimal number"),
        ('max: "0.01"', "12:72: max: expected a number, found a string (0.01) → write 0.01, without quotes"),
        ("max: 1%", "12:72: max: expected a number, found a string (1%)"),
        ("max: ", "12:71: max: no value (null)"),
        (
            "max: 0.5, min: 0.75",
            "12:82: min: 0.75 is more than max: 0.5, so nothing can pass → exchange the two",
        ),
        ("max: 1, for: 120", "12:80: for: expected a duration, found 120 without a unit → write 120s"),
        (
            "max: 1, for: 10m",
            "12:80: for: 10m is not less than timeout: 10m, so the check can never pass → write a shorter for, or a",
        ),
        ("max: 1, timeout: 0s", "12:84: for: 0s is not less than timeout: 0s, so the check can never pass"),
        ("max: 1, timeout: 1d1s", "12:84: timeout: 1d1s is longer than 1d → write at most 1d"),
        ("max: 1, interval: 0s", "12:85: interval: 0s is less than 1s → write 1s or more"),
        ("max: 1, failures: 0", "12:85: failures: 0 is less than 1 → write 1 or more"),
        ("max: 1, failures: 86401", "12:85: failures: 86401 is more than 86400, which no check can reach"),
        ("max: 1, intervall: 1m", "12:75: unknown field intervall in prometheus → did you mean interval?"),
        ("max: 1, url: x", "12:75: unknown field url in prometheus → known here: query, max, min, for, "),
    ],
)
def test_checks_that_are_wrong(after: str, expected: str) -> None:
    (problem,) = problems(changed(BOUND, after, CANARY))
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("{name: error-rate, ", "{", "12:7: checks[0]: the field name is missing → add name"),
        ('query: "errors / requests", ', "", "12:38: prometheus: the field query is missing → add query"),
        ('"errors / requests"', '""', "12:46: query: the text is too short"),
        ('"errors / requests"', "1", '12:46: query: 1 is a number to Kubernetes → write "1"'),
        ("prometheus:", "datadog:", "12:26: unknown field datadog in checks[0] → known here: name, prometheus"),
    ],
)
def test_fields_of_checks(before: str, after: str, expected: str) -> None:
    assert any(problem.startswith(expected) for problem in problems(changed(before, after, CANARY)))


CHECK = "    - {name: error-rate, prometheus: {query: up, min: 1}}\n"


def test_two_checks_of_one_name() -> None:
    assert problems(CANARY + CHECK) == [
        "13:14: checks: there are two of the name error-rate → give each a name of its own"
    ]


def test_too_many_checks() -> None:
    many = "".join(CHECK.replace("error-rate", f"check-{number}") for number in range(100))
    assert problems(CANARY + many) == ["12:5: checks: 101 are too many → write at most 100"]


def test_a_huge_list_of_misspelt_checks_is_no_work() -> None:
    many = "".join(CHECK.replace("error-rate", f"check-{number}") for number in range(2_000))
    text = changed(STEPS, f"[{{weight: 1}}, {'{check: chekc-1}, ' * 5_000}]", CANARY) + many
    assert [problem.split(" → ")[0] for problem in problems(text)] == [
        "12:5: checks: 2001 are too many",
        "10:14: steps: 5001 steps are too many",
    ]


def test_deep_nesting_in_a_step_is_refused_before_it_is_looked_at() -> None:
    text = changed(STEPS, f"[{{pause: {'{a: ' * 60}{'}' * 60}}}]", CANARY)
    assert problems(text)[0].partition(": ")[2] == "nested deeper than 50 levels → write less into one file"


def test_a_check_that_no_step_asks_is_a_finding() -> None:
    (finding,) = load(CANARY + CHECK.replace("error-rate", "latency")).findings
    assert (finding.severity, finding.rule, finding.file, finding.line) == ("warning", "unused-check", "stdin", 13)
    assert finding.message == "no step of the canary asks the check latency"


@pytest.mark.parametrize(
    "rotation",
    [
        "pool: {}",
        "canary: {stable: {}, canary: {selector: {matchLabels: {a: b}}}, weight: 10}",
        f"blueGreen: {{colors: {{blue: {{}}, {GREEN}}}, active: blue}}",
    ],
)
def test_checks_that_nothing_can_ask(rotation: str) -> None:
    text = CANARY.partition("    canary:")[0] + f"    {rotation}\n  checks:\n{CHECK}"
    assert problems(text) == [
        "9:5: checks: nothing asks them: only the steps of a canary do → leave checks out, or write canary.steps with "
        "{check: NAME}"
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("drain: 30s", "drain: 1d"),
        ("drain: 30s", "drain: 0s"),
        ("      preview: {service: web-preview}\n", ""),
        ("      preview: {service: web-preview}\n      drain: 30s\n", "  gate: {key: a, value: preview}\n"),
        (GREEN, f"{GREEN}\n        red: {{}}"),
        ("  rotation:", "  adopt: Admission\n  rotation:"),
    ],
)
def test_colours_that_are_right(before: str, after: str) -> None:
    assert gate(changed(before, after, BLUE_GREEN)).spec.rotation.blue_green is not None


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("active: green", "active: gren", "11:15: active: unknown colour gren → did you mean green?"),
        ("active: green", "active: pink", "11:15: active: unknown colour pink → known here: blue, green"),
        ("active: green", "active: yes", '11:15: active: yes is a boolean to Kubernetes → write "yes"'),
        ("      active: green\n", "", "8:7: blueGreen: the field active is missing → add active"),
        (f"        {GREEN}\n", "", "9:9: colors: expected at least 2 entries, found 1 → name at least 2"),
        (GREEN, "green: ", "10:15: green: no value (null)"),
        (GREEN, "2: {}", '10:9: key 2: 2 is a number to Kubernetes → write "2"'),
        (GREEN, "Green: {}", "10:9: key Green: Green is not valid → use lower case letters, digits and '-'"),
        (GREEN, "blue: {}", "10:9: duplicate key blue: it stands in line 9 already → keep one of the two"),
        (GREEN, "green: {owners: []}", "10:25: colors.green: owners is an empty list → leave owners out"),
        (GREEN, "green: {selector: {matchLabels: {a: b c}}}", "10:45: matchLabels: a: b c: a valid label must"),
        (
            GREEN,
            f"green: {BLUE}",
            "10:9: colors: blue and green are the same group: overlapping colours, and a pod can have one only → "
            + DISJOINT,
        ),
        ("drain: 30s", "drain: 30", "13:14: drain: expected a duration, found 30 without a unit → write 30s"),
        ("drain: 30s", "drain: 1d1s", "13:14: drain: 1d1s is longer than 1d, and every apply of a switch waits for it"),
        (
            "{service: web-preview}",
            "{service: web}",
            "12:26: preview: Service web is in spec.services, for the active colour → name another Service",
        ),
        ("{service: web-preview}", "web-preview", "12:16: preview: expected a map, found a string (web-preview)"),
        (
            "  rotation:",
            "  gate: {key: active, value: preview}\n  rotation:",
            "6:30: gate value: preview is what pods of the idle colour carry, and what the preview requires → write",
        ),
        (
            "  rotation:",
            "  newPods: Hold\n  rotation:",
            "6:12: newPods: Hold: a colour is in rotation as a whole, pods that are born later included → write",
        ),
    ],
)
def test_colours_that_are_wrong(before: str, after: str, expected: str) -> None:
    (problem,) = problems(changed(before, after, BLUE_GREEN))
    assert problem.startswith(expected)
