"""A plan as numbered files for kubectl, and a README.txt that lists the commands in order."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from gatekeep.model.errors import UnsafeError
from gatekeep.model.plan import Change, Plan, Step
from gatekeep.render.escape import escape, escape_json
from gatekeep.render.shell import RESOURCES, raw_path
from gatekeep.render.text import short_id
from gatekeep.render.words import wait_words

README = "README.txt"
MARK = "gatekeep patches of plan "
"""How the README of a folder that may be written anew begins."""

_NOT_IN_NAMES = re.compile(r"[^a-z0-9.-]+|\.\.+")
_LONGEST = 100
_INTRO = """\
{mark}{id}

Cluster: {cluster}

Written by gatekeep -o patches. Run the commands in order, in this folder. Each patch tests what it relies on: one that
is refused means that something changed, so stop there and plan again. Without the waits requests are lost: each says
in its file what has to be seen before the next command.

- gatekeep apply does all of this by itself, and a script (-o script) most of it.
- Pods that are born meanwhile are in no file: a step that says so is for them, too.
- Nothing here takes the lock or writes the record of the gate.
- {{"$bound": NAME}} in a file stands for a value that only the cluster can give; the API server refuses it as it is.
  Put in what the step that binds NAME answered, at the field that is named there.

"""


class _File(NamedTuple):
    name: str
    content: Any
    lines: tuple[str, ...]


def patch_files(plan: Plan) -> dict[str, str]:
    """Contents by file name, in order. Raises :class:`UnsafeError` for a plan that was refused."""
    if not plan.proof.holds:
        raise UnsafeError(f"no patches of a plan that is refused: {plan.proof.counter_example}")
    files = list(_numbered(plan))
    cluster = escape(plan.cluster.uid or plan.cluster.server or "that it was planned for")
    intro = _INTRO.format(mark=MARK, id=escape(short_id(plan.id)), cluster=cluster)
    listing = "\n".join(line for file in files for line in file.lines)
    return {README: f"{intro}{listing}\n", **{file.name: _json(file.content) for file in files if file.name}}


def _numbered(plan: Plan) -> Iterator[_File]:
    width = max(3, len(str(sum(max(1, len(step.changes)) for step in plan.steps))))
    number = 0
    for step in plan.steps:
        yield _File("", None, (f"\n# step {step.number}, phase {step.phase}: {escape(step.reason)}", *_notes(step)))
        if step.wait is not None:
            number += 1
            what, condition = wait_words(step.wait)
            name = _name(number, width, "wait", *_waited(step))
            content = {"waitFor": f"{what}: {condition}", "wait": msgspec.to_builtins(step.wait)}
            yield _File(name, content, (escape(f"# wait: {what}: {condition}: {name}"),))
        for change in step.changes:
            number += 1
            name = _name(number, width, step.action.lower(), change.kind, change.name)
            yield _File(name, _content(step, change), tuple(_command(step, change, name)))


def _notes(step: Step) -> Iterator[str]:
    if step.match is not None and step.match.any_of != ():
        match = json.dumps(msgspec.to_builtins(step.match), sort_keys=True)
        yield f"# and for whoever else matches by then: {match}"
    for name in step.requires:
        yield f"# only if {escape(name)} was found"


def _waited(step: Step) -> tuple[str, str]:
    kind = str(msgspec.to_builtins(step.wait)["type"])
    name = next((str(value) for field in ("service", "name") if (value := getattr(step.wait, field, None))), "")
    target = getattr(step.wait, "object", None) or getattr(step.wait, "owner", None)
    return kind, name or (target.name if target is not None else "")


def _name(number: int, width: int, *words: str) -> str:
    """``001-patch-pod-rng-h5b5r.json``: what is no part of a file's name becomes a dash."""
    plain = "-".join(_NOT_IN_NAMES.sub("-", word.lower()).strip("-.") for word in words if word)
    return f"{number:0{width}}-{plain[:_LONGEST].rstrip('-.')}.json"


def _content(step: Step, change: Change) -> Any:
    if step.action == "Create":
        return change.object
    if step.action == "Delete":
        uid = next((op.value for op in change.patch if op.path == "/metadata/uid"), None)
        return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": msgspec.to_builtins(uid)}}
    return msgspec.to_builtins(change.patch)


def _command(step: Step, change: Change, name: str) -> Iterator[str]:
    resource = RESOURCES.get(change.kind, change.kind.lower())
    space = ["-n", change.namespace] if change.namespace else []
    if step.action == "Create":
        words = ["kubectl", "create", "--field-manager=gatekeep", "-f", name]
    elif step.action == "Delete":
        words = ["kubectl", "delete", "--raw", raw_path(change.kind, change.namespace, change.name), "-f", name]
    else:
        words = ["kubectl", "patch", f"{resource}/{change.name}", *space, "--type=json", "--field-manager=gatekeep"]
        words.extend(["--patch-file", name])
    yield shlex.join(escape(word) for word in words)
    for bound, path in (change.bind or {}).items():
        yield escape(f"#   {bound} is the answer's {path}")


def _json(content: Any) -> str:
    return escape_json(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
