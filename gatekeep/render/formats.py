"""The views of one plan by name: text, json, markdown, html, script. Patches are files, see ``patch_files``."""

from __future__ import annotations

from typing import NamedTuple

from gatekeep.model.plan import Plan
from gatekeep.render.documents import plan_json
from gatekeep.render.runs import Command, plain_command
from gatekeep.render.style import Style
from gatekeep.render.text import plan_text


class View(NamedTuple):
    """For whom: how the stream looks, commands for the cluster at hand, and whether the plan was proved just now."""

    style: Style = Style()
    command: Command = plain_command
    proved: bool = True
    next_step: str = ""


def plan_as(name: str, plan: Plan, view: View) -> str:
    """The plan in the format of that name."""
    match name:
        case "json":
            return plan_json(plan)
        case "markdown":
            from gatekeep.render.markdown import plan_markdown

            return plan_markdown(plan, proved=view.proved, command=view.command)
        case "html":
            from gatekeep.render.html import plan_html

            return plan_html(plan, proved=view.proved, command=view.command)
        case "script":
            from gatekeep.render.script import script_text

            return script_text(plan, proved=view.proved)
    return plan_text(plan, view.style, proved=view.proved, next_step=view.next_step, command=view.command)
