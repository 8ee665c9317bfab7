"""Isolation: what may be written · which pods, one way of three · times with a zone · every mistake with its place."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from gatekeep.model.policy import Isolation, IsolationSpec, PodChoice
from tests.sources.samples import ISOLATION, changed, load, problems

PODS = "{names: [rng-54f57d4d49-7pt82]}"
EXPIRES = "2026-12-01T12:00:00Z"


def spec(text: str) -> IsolationSpec:
    (located,) = load(text).policies
    assert isinstance(located.policy, Isolation)
    return located.policy.spec


def test_an_isolation() -> None:
    assert spec(ISOLATION) == IsolationSpec(
        gate="rng",
        pods=PodChoice(names=("rng-54f57d4d49-7pt82",)),
        reason="intermittent 500s",
        expires=datetime(2026, 12, 1, 12, tzinfo=UTC),
    )


def test_its_digest_is_of_its_content() -> None:
    same = changed("  mode: Gate\n", "", ISOLATION)
    assert load(same).policies[0].digest == load(ISOLATION).policies[0].digest
    other = changed("4711", "4712", ISOLATION)
    assert load(other).policies[0].digest != load(ISOLATION).policies[0].digest


def test_what_is_read_can_be_written_down_and_read_again() -> None:
    policy = load(ISOLATION).policies[0].policy
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Isolation) == policy


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (PODS, "{names: [a, b]}"),
        (PODS, "{selector: {matchLabels: {app: rng}}}"),
        (PODS, "{selector: {matchExpressions: [{key: debug, operator: Exists}]}}"),
        (PODS, "{count: 1}"),
        (PODS, "{count: 3, order: MostRestarts}"),
        ("mode: Gate", "mode: Detach"),
        (EXPIRES, f'"{EXPIRES}"'),
        (EXPIRES, "2026-12-01T13:00:00+01:00"),
        (f"  expires: {EXPIRES}\n", ""),
    ],
)
def test_isolations_that_are_right(before: str, after: str) -> None:
    assert spec(changed(before, after, ISOLATION)).gate == "rng"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            PODS,
            "{}",
            "6:9: pods: expected exactly one of names, selector and count, found none → write one",
        ),
        (
            PODS,
            "{names: [a], count: 1}",
            "6:22: pods: expected exactly one of names, selector and count, found names and count → keep one of them",
        ),
        (PODS, "{nmaes: [a]}", "6:10: unknown field nmaes in pods → did you mean names?"),
        (PODS, "[a]", "6:9: pods: expected a map, found a list"),
        (PODS, "{names: []}", "6:17: names: the list is empty → name at least one"),
        (PODS, "{names: a}", "6:17: names: expected a list, found a string (a) → write [a]"),
        (PODS, "{names: [a, a]}", "6:21: names: a is named twice → name it once"),
        (PODS, "{names: [pod/a]}", "6:18: names: pod/a is no name of a pod → write a"),
        (PODS, "{names: [1e3]}", '6:18: names[0]: 1e3 is a number to Kubernetes → write "1e3"'),
        (PODS, '{names: [""]}', "6:18: names[0]: the text is too short"),
        (PODS, "{selector: {}}", "6:20: pods: the empty selector matches every pod of the gate: nothing would be left"),
        (PODS, "{selector: {matchLabels: {}}}", "6:20: pods: the empty selector matches every pod of the gate"),
        (PODS, "{selector: {matchLabels: {-a: b}}}", "6:35: matchLabels: key -a: name part must"),
        (PODS, "{selector: {matchLabels: {a: on}}}", '6:38: a: on is a boolean to Kubernetes → write "on"'),
        (
            PODS,
            "{selector: {matchExpressions: [{key: a, operator: In}]}}",
            "6:40: matchExpressions: a: values must be specified",
        ),
        (PODS, "{count: 0}", "6:17: count: 0 is less than 1 → write 1 or more"),
        (PODS, "{count: 50%}", "6:17: count: expected a whole number, found a string (50%)"),
        (PODS, "{count: 1, order: Oldest}", "6:27: order: expected one of MostRestarts, Newest, found Oldest"),
        (PODS, "{names: [a], order: Newest}", "6:29: order: it says which pods count takes, and there is no count"),
        ("  gate: rng\n", "", "5:3: spec: the field gate is missing → add gate"),
        ("gate: rng", "gate: dockercoins/rng", "5:9: gate: dockercoins/rng is not valid"),
        ('  reason: "intermittent 500s"\n', "", "5:3: spec: the field reason is missing → add reason"),
        ('"intermittent 500s"', "4711", '8:11: reason: 4711 is a number to Kubernetes → write "4711"'),
        ('"intermittent 500s"', '""', "8:11: reason: the text is too short"),
        ("mode: Gate", "mode: detach", "7:9: mode: expected one of Detach, Gate, found detach → did you mean Detach?"),
        (", namespace: dockercoins", "", "3:11: metadata: the field namespace is missing → add namespace"),
        ("  mode:", "  services: [a]\n  mode:", "7:3: unknown field services in spec → known here: gate, pods, reason"),
        (
            EXPIRES,
            "2026-12-01",
            "9:12: expires: expected a time, found 2026-12-01 → write date, time and zone as RFC 3339 has them",
        ),
        (
            EXPIRES,
            "2026-12-01T12:00:00",
            "9:12: expires: expected a time, found 2026-12-01T12:00:00 → write",
        ),
        (EXPIRES, "24h", "9:12: expires: expected a time, found 24h"),
        (EXPIRES, "", "9:11: expires: no value (null)"),
        ("v1alpha1", "v1", "1:13: apiVersion: gatekeep.dev/v1 is not served"),
    ],
)
def test_isolations_that_are_wrong(before: str, after: str, expected: str) -> None:
    (problem,) = problems(changed(before, after, ISOLATION))
    assert problem.startswith(expected)
