"""One policy document: unquoted scalars in string and number positions · unknown, missing and null fields · wrong
types · enumerations · names and percentages · kind and apiVersion · label rules · groups."""

from __future__ import annotations

import pytest

from gatekeep.model.plan import digest
from gatekeep.model.policy import Floor, Gate, Group, Owner
from gatekeep.model.selectors import LabelSelector, Requirement
from tests.sources.samples import RNG, changed, gate, load, problems

VALUE = 'value: "yes"'
POOL = "pool: {}"


def test_the_sample_is_a_policy() -> None:
    (located,) = load(RNG).policies
    assert gate(RNG).spec.gate == Gate(key="active", value="yes")
    assert gate(RNG).spec.floor == Floor(min_ready="50%")
    assert (located.position.line, located.position.column) == (1, 1)


def test_the_digest_is_of_the_content_and_not_of_its_spelling() -> None:
    spelled = changed("[rng]", "\n  - 'rng' # the only one").replace("50%", '"50%"')
    assert load(spelled).policies[0].digest == load(RNG).policies[0].digest
    assert load(RNG).policies[0].digest.startswith("sha256:")
    assert load(changed("50%", "49%")).policies[0].digest != load(RNG).policies[0].digest
    assert digest({}) != load(RNG).policies[0].digest


def test_json_is_read_too() -> None:
    text = (
        '{"apiVersion":"gatekeep.dev/v1alpha1","kind":"TrafficGate","metadata":{"name":"rng","namespace":"d"},'
        '"spec":{"services":["rng"],"rotation":{"pool":{}},"floor":{"minReady":2}}}'
    )
    assert gate(text).spec.floor == Floor(min_ready=2)


@pytest.mark.parametrize(
    ("scalar", "said"),
    [
        ("yes", "yes is a boolean to Kubernetes"),
        ("y", "y is a boolean to Kubernetes"),
        ("true", "true is a boolean to Kubernetes"),
        ("1", "1 is a number to Kubernetes"),
        ("1e3", "1e3 is a number to Kubernetes"),
        ("0o17", "0o17 is a number to Kubernetes"),
        ("017", "017 is a number to Kubernetes"),
        ("1_000", "1_000 is a number to Kubernetes"),
        ("1.10", "1.10 is a number to Kubernetes"),
        (".inf", ".inf is a number to Kubernetes"),
        ("~", "~ is null to Kubernetes"),
        ("null", "null is null to Kubernetes"),
        ("12:30", "12:30 is a number to YAML 1.1"),
        ("2024-01-01", "2024-01-01 is a date to YAML 1.1"),
    ],
)
def test_a_string_that_readers_disagree_about_must_be_quoted(scalar: str, said: str) -> None:
    assert problems(changed(VALUE, f"value: {scalar}")) == [f'8:30: value: {said} → write "{scalar}"']


def test_the_fix_that_is_proposed_works() -> None:
    for scalar in ("yes", "1", "null", "2024-01-01"):
        assert gate(changed(VALUE, f'value: "{scalar}"')).spec.gate == Gate(key="active", value=scalar)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("[rng]", "[1]", '7:14: services[0]: 1 is a number to Kubernetes → write "1"'),
        (POOL, "pool: {selector: {matchLabels: {on: a}}}", '10:37: key on: on is a boolean to Kubernetes → write "on"'),
        (POOL, "pool: {selector: {matchLabels: {a: no}}}", '10:40: a: no is a boolean to Kubernetes → write "no"'),
        ("name: rng", "name: 17", '4:9: name: 17 is a number to Kubernetes → write "17"'),
    ],
)
def test_string_positions_are_known_by_type(before: str, after: str, expected: str) -> None:
    assert problems(changed(before, after)) == [expected]


@pytest.mark.parametrize("scalar", ["0", "3", "50%", '"50%"', "100%"])
def test_a_floor_needs_no_quotes(scalar: str) -> None:
    assert load(changed("50%", scalar)).policies


@pytest.mark.parametrize(
    ("scalar", "said"),
    [
        ("017", "minReady: 017 is not the same number to every parser → write it as a plain decimal number"),
        ("0x10", "minReady: 0x10 is not the same number to every parser"),
        ("1e3", "minReady: 1e3 is not the same number to every parser"),
        ("1_000", "minReady: 1_000 is not the same number to every parser"),
        ("-1", "minReady: -1 is less than 0 → write 0 or more"),
        ("101%", "minReady: 101% is not valid → write a whole number, or a percentage from 0% to 100%"),
        ("half", "minReady: half is not valid"),
        ("1.5", "minReady: expected a whole number or a string, found a number (1.5)"),
        ("true", "minReady: true is a boolean to Kubernetes"),
        ("[]", "minReady: expected a whole number or a string, found a list"),
    ],
)
def test_floors_that_are_none(scalar: str, said: str) -> None:
    (problem,) = problems(changed("50%", scalar))
    assert problem.startswith(f"11:21: {said}")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("  floor", "  flor", "11:3: unknown field flor in spec → did you mean floor?"),
        ("  floor:", "  newpods: Join\n  floor:", "11:3: unknown field newpods in spec → did you mean newPods?"),
        ("minReady", "min_ready", "11:11: unknown field min_ready in floor → did you mean minReady?"),
        ("  name: rng", "  name: rng\n  xy: 1", "5:3: unknown field xy in metadata → known here: name, namespace, "),
        (POOL, "pool: {anyOf: [{onwers: []}]}", "10:21: unknown field onwers in anyOf[0] → did you mean owners?"),
        ("  namespace: dockercoins\n", "", "4:3: metadata: the field namespace is missing → add namespace"),
        (f"  rotation:\n    {POOL}\n", "", "7:3: spec: the field rotation is missing → add rotation"),
        ("{key: active, ", "{", "8:9: gate: the field key is missing → add key"),
        ("[rng]", "", "7:12: services: no value (null) → give it a value, or leave the field out"),
        (POOL, "pool:", "10:10: pool: no value (null)"),
        (POOL, "pool: {selector: }", "10:21: selector: no value (null)"),
        ("[rng]", "rng", "7:13: services: expected a list, found a string (rng) → write [rng]"),
        ("[rng]", "{rng: }", "7:13: services: expected a list, found a map"),
        ("[rng]", "[]", "7:13: services: the list is empty → name at least one"),
        ("[rng]", "[rng, rng]", "7:19: services: rng is named twice → name it once"),
        ("name: rng", "name: Rng", "4:9: name: Rng is not valid → use lower case letters"),
        ("name: rng", f"name: {'a' * 64}", "4:9: name: 64 characters are too many"),
        ("name: rng", 'name: "rng\\n"', '4:9: name: "rng\\n" is not valid'),
        ("name: rng", 'name: ""', "4:9: name: the text is too short"),
        (
            "  floor:",
            "  adopt: Tempate\n  floor:",
            "11:10: adopt: expected one of Admission, Reconcile, Template, found",
        ),
        ("  floor:", "  adopt: on\n  floor:", "11:10: adopt: on is a boolean to Kubernetes"),
    ],
)
def test_structure(before: str, after: str, expected: str) -> None:
    (problem,) = problems(changed(before, after))
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (POOL, "blueGreen: {}", ["10:16: blueGreen: the field colors is missing → add colors, active"]),
        (POOL, "blueGren: {}", ["10:5: unknown field blueGren in rotation → did you mean blueGreen?"]),
        (POOL, "canary: {stable: {}, canary: {}, weight: 101}", ["10:46: weight:"]),
        (POOL, "canary: {stable: {}, canary: {}, weight: -1}", ["10:46: weight:"]),
        (POOL, "canary: {stable: {}, canary: {}, weight: 10%}", ["10:46: weight:"]),
        (POOL, "canary: {stable: {}, canary: {owners: []}, weight: 1}", ["10:43: canary.canary: owners is an empty"]),
        ("  floor:", "  newPods: Later\n  floor:", ["11:12: newPods: expected one of Hold, Join, found"]),
        ("  floor:", "  admit: All\n  floor:", ["11:10: admit: it says who of the held pods is let in"]),
        ("  floor:", "  newPods: Hold\n  admit: some\n  floor:", ["12:10: admit: expected"]),
        ("  floor:", "  newPods: Hold\n  admit: -1\n  floor:", ["12:10: admit:"]),
        (f"\n    {POOL}", " {}", ["9:13: rotation: expected exactly one strategy, found none → write one of: pool,"]),
        (
            POOL,
            f"{POOL}\n    canary: {{stable: {{}}, canary: {{}}, weight: 1}}",
            ["11:5: rotation: expected exactly one strategy, found pool and canary → keep one of: pool"],
        ),
    ],
)
def test_strategies(before: str, after: str, expected: list[str]) -> None:
    found = problems(changed(before, after))
    assert len(found) == len(expected)
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            "TrafficGate",
            "TraficGate",
            "2:7: kind: expected TrafficGate or Isolation, found TraficGate → did you mean TrafficGate?",
        ),
        (
            "TrafficGate",
            "isolation",
            "2:7: kind: expected TrafficGate or Isolation, found isolation → did you mean Isolation?",
        ),
        (
            "TrafficGate",
            "Plan",
            "2:7: kind: expected TrafficGate or Isolation, found Plan → known here: TrafficGate, Isolation",
        ),
        ("kind: TrafficGate\n", "", "1:1: kind: expected TrafficGate or Isolation, found none"),
        ("v1alpha1", "v1", "1:13: apiVersion: gatekeep.dev/v1 is not served; served: gatekeep.dev/v1alpha1 → write"),
        ("gatekeep.dev/v1alpha1", "gatekeep.dev", "1:13: apiVersion: gatekeep.dev is not served"),
        ("gatekeep.dev/v1alpha1", "v1", "1:13: apiVersion: v1 is not served"),
    ],
)
def test_kind_and_version(before: str, after: str, expected: str) -> None:
    (problem,) = problems(changed(before, after))
    assert problem.startswith(expected)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("key: active", "key: a/b/c", "8:15: gate key a/b/c: "),
        ("key: active", "key: -a", "8:15: gate key -a: name part must consist of"),
        ("key: active", 'key: ""', "8:15: gate key : name part must be non-empty"),
        (VALUE, "value: a b", "8:30: gate value a b: a valid label must be"),
        (VALUE, f"value: {'a' * 64}", "8:30: gate value"),
        (VALUE, 'value: ""', "8:30: gate value: it is empty"),
        (POOL, "pool: {selector: {matchLabels: {-a: b}}}", "10:37: matchLabels: key -a: name part must"),
        (POOL, "pool: {selector: {matchLabels: {a: b c}}}", "10:40: matchLabels: a: b c: a valid label must"),
        (
            POOL,
            "pool: {selector: {matchExpressions: [{key: a, operator: In}]}}",
            "10:42: matchExpressions: a: values must be specified",
        ),
        (
            POOL,
            "pool: {except: [{selector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}}]}",
            "10:52: matchExpressions: a: values may not be specified",
        ),
        (POOL, "pool: {owners: []}", "10:20: pool: owners is an empty list → leave owners out"),
        (POOL, "pool: {anyOf: []}", "10:19: pool: anyOf is an empty list"),
        (POOL, "pool: {selector: {}, anyOf: [{}]}", "10:11: pool: a group is owners and selector, or anyOf and except"),
    ],
)
def test_labels_and_groups(before: str, after: str, expected: str) -> None:
    (problem,) = problems(changed(before, after))
    assert problem.startswith(expected)


def test_groups_nest() -> None:
    pool = "pool: {anyOf: [{owners: [{kind: DaemonSet, name: rng}]}, {}], except: [{selector: {matchExpressions: ["
    pool += "{key: debug, operator: Exists}]}}]}"
    group = gate(changed(POOL, pool)).spec.rotation.pool
    debug = LabelSelector(match_expressions=(Requirement(key="debug", operator="Exists"),))
    assert group == Group(
        any_of=(Group(owners=(Owner(kind="DaemonSet", name="rng"),)), Group()), except_=(Group(selector=debug),)
    )


def test_every_mistake_is_told_at_once() -> None:
    text = changed("[rng]", "rng").replace('"yes"', "yes").replace("50%", "101%").replace("name: rng", "name: Rng")
    assert [problem.split(":")[0] for problem in problems(text)] == ["4", "7", "8", "11"]
