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
    schema: dict[str, Any] = _as_written(msgspec.json.schema(Policy))
    return {
        "$schema": DIALECT,
        "title": f"gatekeep policy ({API_VERSION})",
        "description": "Which pods of a Kubernetes Service take part in rotation, and which are pulled out.",
        **schema,
    }


def _as_written(value: Any) -> Any:
    """The schema of what a document may say, which is less than the classes can hold.

    They use None for an absent field, a document leaves the field out. A Decimal is written as the number it is.
    """
    if isinstance(value, list):
        return [_as_written(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("format") == "decimal":
        return {"type": "number"}
    kept = {key: _as_written(item) for key, item in value.items() if not (key == "default" and item is None)}
    if "anyOf" in kept and isinstance(kept["anyOf"], list):
        options = [item for item in kept["anyOf"] if item != {"type": "null"}]
        del kept["anyOf"]
        kept |= options[0] if len(options) == 1 else {"anyOf": options}
    return kept
