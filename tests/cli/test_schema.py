"""``gatekeep schema``: every field says what it is for."""

from __future__ import annotations

import json

from gatekeep.cli.schema_words import FIELDS
from gatekeep.sources.schema import json_schema
from tests.cli.conftest import Gatekeep


def test_every_field_is_described_and_nothing_else_is(gatekeep: Gatekeep) -> None:
    found = gatekeep("schema").document["$defs"]
    fields = {name: set(part["properties"]) for name, part in json_schema()["$defs"].items() if part["properties"]}
    assert {name: set(words) for name, words in FIELDS.items()} == fields
    for name, part in found.items():
        assert all(field["description"] for field in part["properties"].values()), name
        assert "  " not in part.get("description", "")
        assert "``" not in part.get("description", "")


def test_nothing_but_words_is_added(gatekeep: Gatekeep) -> None:
    def bare(value: object) -> object:
        if isinstance(value, dict):
            return {key: bare(item) for key, item in value.items() if key != "description" or isinstance(item, dict)}
        return [bare(item) for item in value] if isinstance(value, list) else value

    assert bare(gatekeep("schema").document) == bare(json.loads(json.dumps(json_schema())))
