"""The JSON Schema: it is one · it takes the policies of both kinds that the loader takes and refuses what the loader
refuses · numbers are numbers, times are times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gatekeep.model.durations import parse_time
from gatekeep.sources.schema import json_schema
from gatekeep.sources.tree import plain_data, read_documents
from tests.sources.samples import BLUE_GREEN, CANARY, ISOLATION, RNG, changed, load, problems

POLICIES = Path(__file__).parents[2] / "policies"

# The library checks date-time only with a package that gatekeep has no other use for.
FORMATS = jsonschema.FormatChecker(formats=())
FORMATS.checks("date-time")(lambda value: isinstance(value, str) and parse_time(value) is not None)


def errors(text: str) -> list[Any]:
    validator = jsonschema.Draft202012Validator(json_schema(), format_checker=FORMATS)
    return list(validator.iter_errors(plain_data(read_documents(text, "f")[0])))


def test_it_is_a_schema_with_words_for_people() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"]
    assert schema["description"]
    assert '"null"' not in json.dumps(schema)


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.yaml")), ids=lambda path: path.name)
def test_our_own_policies_fit(path: Path) -> None:
    assert errors(path.read_text(encoding="utf-8")) == []


GOOD = [
    ("50%", "3"),
    ("  floor: {minReady: 50%}\n", ""),
    ("pool: {}", "pool: {anyOf: [{owners: [{kind: DaemonSet, name: rng}]}], except: [{selector: {}}]}"),
    ("  floor:", "  adopt: Reconcile\n  newPods: Join\n  floor:"),
    ("  floor:", "  newPods: Hold\n  admit: All\n  floor:"),
    ("  floor:", "  newPods: Hold\n  admit: 3\n  floor:"),
]
BAD = [
    ("  floor:", "  flor: 1\n  floor:"),
    ("minReady: 50%", "minReady: 101%"),
    ("minReady: 50%", "minReady: -1"),
    ("[rng]", "[]"),
    ("[rng]", "rng"),
    ("pool: {}", "pool: {owners: [{kind: Pod, name: rng}]}"),
    ("pool: {}", "pool:"),
    ("pool: {}", "canary: {}"),
    ("  namespace: dockercoins\n", ""),
    ("v1alpha1", "v1"),
]


@pytest.mark.parametrize(("before", "after"), GOOD)
def test_what_the_loader_takes(before: str, after: str) -> None:
    assert errors(changed(before, after)) == []
    assert load(changed(before, after)).policies


@pytest.mark.parametrize(("before", "after"), BAD)
def test_what_the_loader_refuses(before: str, after: str) -> None:
    assert errors(changed(before, after))
    assert problems(changed(before, after))


@pytest.mark.parametrize("text", [RNG, CANARY, BLUE_GREEN, ISOLATION], ids=["pool", "canary", "blueGreen", "Isolation"])
def test_the_samples_fit(text: str) -> None:
    assert errors(text) == []


STEPS = "[{weight: 10}, {pause: 10m}, {check: error-rate}, {weight: 50}, {pause: {}}, {weight: 100}]"
PODS = "{names: [rng-54f57d4d49-7pt82]}"


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        (CANARY, STEPS, "[{check: error-rate}, {weight: 0}, {pause: 1h30m}]"),
        (CANARY, "max: 0.01, for: 2m", "min: 1, interval: 1s, timeout: 1d, failures: 1"),
        (BLUE_GREEN, "      drain: 30s\n", ""),
        (BLUE_GREEN, "      preview: {service: web-preview}\n", ""),
        (ISOLATION, PODS, "{count: 1, order: MostRestarts}"),
        (ISOLATION, PODS, "{selector: {matchLabels: {app: rng}}}"),
        (ISOLATION, "mode: Gate", "mode: Detach"),
        (ISOLATION, "  expires: 2026-12-01T12:00:00Z\n", ""),
    ],
)
def test_what_else_the_loader_takes(text: str, before: str, after: str) -> None:
    assert errors(changed(before, after, text)) == []
    assert load(changed(before, after, text)).policies


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        (CANARY, STEPS, "[]"),
        (CANARY, STEPS, "[{weight: 101}]"),
        (CANARY, STEPS, "[{weight: 10.5}]"),
        (CANARY, STEPS, "[{weight: 1}, {pause: 600}]"),
        (CANARY, STEPS, "[{weight: 1}, {pause: 1.5m}]"),
        (CANARY, STEPS, '[{weight: 1}, {pause: ""}]'),
        (CANARY, STEPS, "[{weight: 1}, {pause: {duration: 1m}}]"),
        (CANARY, STEPS, "[{weight: 1}, {chekc: error-rate}]"),
        (CANARY, "max: 0.01", 'max: "0.01"'),
        (CANARY, "for: 2m", "for: 120"),
        (CANARY, "for: 2m", "failures: 0"),
        (BLUE_GREEN, "        green: {owners: [{kind: Deployment, name: web-green}]}\n", ""),
        (BLUE_GREEN, "drain: 30s", "drain: 30"),
        (BLUE_GREEN, "{service: web-preview}", "web-preview"),
        (ISOLATION, PODS, "{names: []}"),
        (ISOLATION, PODS, "{count: 0}"),
        (ISOLATION, "mode: Gate", "mode: gate"),
        (ISOLATION, "gate: rng", "services: [rng]"),
        (ISOLATION, "2026-12-01T12:00:00Z", "2026-12-01"),
        (ISOLATION, '  reason: "intermittent 500s"\n', ""),
        (ISOLATION, "kind: Isolation", "kind: TrafficGate"),
    ],
)
def test_what_else_the_loader_refuses(text: str, before: str, after: str) -> None:
    assert errors(changed(before, after, text))
    assert problems(changed(before, after, text))


def test_a_bound_is_a_number_and_an_expiry_a_time() -> None:
    defs = json_schema()["$defs"]
    assert defs["PrometheusCheck"]["properties"]["max"] == {"type": "number"}
    assert defs["IsolationSpec"]["properties"]["expires"] == {"type": "string", "format": "date-time"}
    assert defs["BlueGreen"]["properties"]["colors"]["minProperties"] == 2
