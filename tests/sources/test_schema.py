"""The JSON Schema: it is one · it takes the policies the loader takes and refuses what the loader refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gatekeep.sources.schema import json_schema
from gatekeep.sources.tree import plain_data, read_documents
from tests.sources.samples import RNG, changed, load, problems

POLICIES = Path(__file__).parents[2] / "policies"


def errors(text: str) -> list[Any]:
    return list(jsonschema.Draft202012Validator(json_schema()).iter_errors(plain_data(read_documents(text, "f")[0])))


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


def test_the_sample_fits() -> None:
    assert errors(RNG) == []
