"""Places to break things: callbacks before and after each write of the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gatekeep.model.objects import ObjectRef

WriteHook = Callable[[str, ObjectRef, int], None]
"""Called with the verb, the object, and how many writes the client has begun, this one included."""


class Hooks:
    """Runs the callbacks; what they write themselves is neither counted nor reported to them again."""

    def __init__(self) -> None:
        self.before: list[WriteHook] = []
        self.after: list[WriteHook] = []
        self.count = 0
        self._inside = False

    @contextmanager
    def around(self, verb: str, ref: ObjectRef) -> Iterator[None]:
        """A write happens inside. A callback that raises before it prevents it, one that raises after it hides it."""
        if self._inside:
            yield
            return
        self.count += 1
        number = self.count
        self._run(self.before, verb, ref, number)
        yield
        self._run(self.after, verb, ref, number)

    def _run(self, callbacks: list[WriteHook], verb: str, ref: ObjectRef, number: int) -> None:
        self._inside = True
        try:
            for callback in tuple(callbacks):
                callback(verb, ref, number)
        finally:
            self._inside = False
