"""What to do when the API server goes away for a moment: ask again. Reads change nothing, and writes are guarded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from gatekeep.cluster.protocol import Clock
from gatekeep.model.errors import UnreachableError

RETRY_SECONDS = (0.5, 1.0)

T = TypeVar("T")


def resending(clock: Clock, act: Callable[[], T], unanswered: Callable[[], None] | None = None) -> T:
    """What ``act`` answers, asked again after each of ``RETRY_SECONDS``. Raises :class:`UnreachableError` at the end.

    ``unanswered`` is called each time no answer came: a write may have been carried out all the same.
    """
    for seconds in (*RETRY_SECONDS, None):
        try:
            return act()
        except UnreachableError:
            if unanswered is not None:
                unanswered()
            if seconds is None:
                raise
            clock.sleep(seconds)
    raise AssertionError
