"""The JSON Schema of policies, for editors and for tools that check documents before gatekeep does."""

from __future__ import annotations

from typing import Any

import msgspec

from gatekeep.model.policy import API_VERSION, Policy

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of one policy document, made from the classes that decode it.

    What only the loader knows (label rules, conflicts between policies) is not in it.
    """
    schema: dict[str, Any] = _without_null(msgspec.json.schema(Policy))
    return {
        "$schema": DIALECT,
        "title": f"gatekeep policy ({API_VERSION})",
        "description": "Which pods of a Kubernetes Service take part in rotation.",
        **schema,
    }


def _without_null(value: Any) -> Any:
    """The schema without ``null``: the classes use None for an absent field, a document leaves the field out."""
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_null(item) for key, item in value.items() if not (key == "default" and item is None)}
    if "anyOf" in kept and isinstance(kept["anyOf"], list):
        options = [item for item in kept["anyOf"] if item != {"type": "null"}]
        del kept["anyOf"]
        kept |= options[0] if len(options) == 1 else {"anyOf": options}
    return kept
