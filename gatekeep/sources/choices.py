"""Places where a document has to choose: exactly one of several fields.

The classes make each of these fields optional, so that their values are known by type; that there is one of them is
looked at on the nodes, together with everything else that the shape of a document can be wrong in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from gatekeep.model.policy import Canary, CanaryStep, Isolation, PodChoice, Policy, Rotation
from gatekeep.sources.problems import Problem
from gatekeep.sources.tree import ListNode, MapNode, Node, at, position


class _Choice(NamedTuple):
    """``options`` are the fields of ``cls`` of which there is to be one; ``called`` is what messages say of them."""

    cls: type[msgspec.Struct]
    options: tuple[str, ...]
    called: str
    none: str
    several: str


_STRATEGIES = ("pool", "canary", "blueGreen")
_ROTATION = _Choice(
    Rotation,
    _STRATEGIES,
    "strategy",
    f"write one of: {', '.join(_STRATEGIES)}",
    f"keep one of: {', '.join(_STRATEGIES)}",
)
_CANARY = _Choice(
    Canary,
    ("weight", "steps"),
    "of weight and steps",
    "write weight: 10 for a share that holds, or steps for a run",
    "keep weight for a share that holds, or steps for a run",
)
_STEP = _Choice(
    CanaryStep,
    ("weight", "pause", "check"),
    "of weight, pause and check",
    "write one, such as {weight: 10}",
    "write each as a step of its own",
)
_PODS = _Choice(
    PodChoice,
    ("names", "selector", "count"),
    "of names, selector and count",
    "write one, such as names: [POD]",
    "keep one of them; write another Isolation for other pods",
)


def choice_problems(cls: type[Policy], node: Node, file: str) -> Iterator[Problem]:
    """Each choice in a document of ``cls`` for which it names none of the options, or several."""
    spec = at(node, "spec")
    if cls is Isolation:
        yield from _choice(at(spec, "pods"), _PODS, file, "pods")
        return
    yield from _choice(at(spec, "rotation"), _ROTATION, file, "rotation")
    canary = at(spec, "rotation", "canary")
    yield from _choice(canary, _CANARY, file, "canary")
    steps = at(canary, "steps")
    for index, step in enumerate(steps.items if isinstance(steps, ListNode) else ()):
        yield from _choice(step, _STEP, file, f"steps[{index}]")


def _choice(node: Node | None, choice: _Choice, file: str, name: str) -> Iterator[Problem]:
    """A field that is not known may be one of the options, misspelt: then that is what is said of it."""
    if not isinstance(node, MapNode):
        return
    expected = f"{name}: expected exactly one {choice.called}, found"
    named = [key for key in node.entries if key in choice.options]
    known = {field.encode_name for field in msgspec.structs.fields(choice.cls)}
    if len(named) > 1:
        where = position(node.entries[named[1]][0], file)
        yield Problem(where, f"{expected} {' and '.join(named)}", choice.several)
    elif not named and node.entries.keys() <= known:
        yield Problem(position(node, file), f"{expected} none", choice.none)
