"""What happens while a plan is applied, in order; ``render`` makes views of it. Seconds are the cluster's clock."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gatekeep.model.plan import Step


class _Event(msgspec.Struct, frozen=True, rename="camel", tag_field="event"):
    """One thing that happened."""


class StepStarted(_Event, frozen=True):
    """A step begins; ``total`` is the number of steps in the plan."""

    step: Step
    total: int


class StepProgress(_Event, frozen=True):
    """``done`` of ``total`` objects of the running step are written."""

    number: int
    done: int
    total: int


class WaitProgress(_Event, frozen=True):
    """A wait goes on: ``seen`` of ``expected`` pods stand in the slices, after ``seconds``."""

    number: int
    seen: int
    expected: int
    seconds: float


class CheckProgress(_Event, frozen=True):
    """A check goes on, after ``seconds``: it found ``seen``, and expects every series ``bounds``, both in words.

    It has been ``good`` of the ``needed`` seconds on end, and out of bounds ``failures`` times; ``allowed`` fail it.
    """

    number: int
    name: str
    seen: str
    bounds: str
    good: float
    needed: int
    failures: int
    allowed: int
    seconds: float


class StepFinished(_Event, frozen=True):
    """A step is done. ``skipped`` are named pods that were gone; ``added`` are pods born since the plan.

    ``left_out``: nothing was done, because a value that the step requires was not found out.
    """

    number: int
    seconds: float
    skipped: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    left_out: bool = False


class ReadyEndpoints(_Event, frozen=True):
    """How many ready endpoints a Service has now, as its EndpointSlices say."""

    namespace: str
    service: str
    ready: int


class Note(_Event, frozen=True):
    """Something worth knowing: a lock awaited, a barrier repeated, a leftover removed."""

    message: str


Event = StepStarted | StepProgress | WaitProgress | CheckProgress | StepFinished | ReadyEndpoints | Note
Listener = Callable[[Event], None]


def ignore(event: Event) -> None:
    """A listener for those who do not care."""
