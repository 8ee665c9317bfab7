"""The variables of a script, and one word of it."""

from __future__ import annotations

from typing import NamedTuple

from gatekeep.model.errors import RefusedError
from gatekeep.model.plan import Plan
from gatekeep.render.shell import with_variables

LARGEST_WORD = 100_000
"""Bytes in one argument of a command; Linux takes 128 KiB."""


class Names(NamedTuple):
    """The script's variables: for values that are bound on the way, and for the uids of helper Services."""

    bound: dict[str, str]
    helpers: dict[tuple[str, str], str]

    def word(self, text: str) -> str:
        """``text`` as one word, bound values in it as variables."""
        if len(text.encode()) > LARGEST_WORD:
            raise RefusedError("a step names more pods than one command of a shell can", hint="use gatekeep apply")
        return with_variables(text, self.bound)


def names_of(plan: Plan) -> Names:
    """A variable for each name that a step binds, and for each Service that the plan creates."""
    changes = [change for step in plan.steps for change in step.changes]
    waits = [getattr(step.wait, "bind", None) or {} for step in plan.steps]
    bound = list(dict.fromkeys(name for found in (*(item.bind or {} for item in changes), *waits) for name in found))
    made = list(
        dict.fromkeys((item.namespace, item.name) for item in changes if item.kind == "Service" and item.object)
    )
    return Names(
        {name: f"b{number}" for number, name in enumerate(bound, 1)},
        {name: f"h{number}" for number, name in enumerate(made, 1)},
    )
