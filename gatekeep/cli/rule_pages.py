"""The page of each rule: data of the installed package, or ``docs/rules`` of the source tree."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import gatekeep
from gatekeep.cli.failures import usage
from gatekeep.model.rules import RULES, nearest_rule


def page(rule: str) -> str:
    """The text of ``docs/rules/RULE.md``; the wheel holds it in ``gatekeep/rule_pages``. Refuses an unknown rule."""
    if rule not in RULES:
        near = nearest_rule(rule)
        hint = f"did you mean {near}?" if near else f"rules: {', '.join(sorted(RULES))}"
        raise usage(f"no rule {rule!r}", hint)
    packaged = resources.files(gatekeep).joinpath("rule_pages", f"{rule}.md")
    if packaged.is_file():
        return packaged.read_text("utf-8")
    return Path(gatekeep.__file__).parents[1].joinpath("docs", "rules", f"{rule}.md").read_text("utf-8")
