"""``gatekeep schema``: for editors and CI."""

from __future__ import annotations

from gatekeep.cli import options
from gatekeep.cli.options import OutputFlags


@options.command("schema", "gatekeep schema --out policy.schema.json")
@options.out_option
def command(out: str | None) -> int:
    """The schema is made from the classes that decode the documents."""
    import json

    from gatekeep.cli.output import emit
    from gatekeep.cli.schema_words import described
    from gatekeep.sources.schema import json_schema

    emit(json.dumps(described(json_schema()), indent=2, ensure_ascii=False) + "\n", OutputFlags("json", out))
    return 0
