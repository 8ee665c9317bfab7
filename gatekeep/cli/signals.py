"""SIGINT and SIGTERM while a plan is applied: a wish to stop, not a reason to drop everything half-way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_FIRST = b"\nstopping: the write under way is finished, then gatekeep leaves a safe state and says what is left\n"
_AGAIN = b"\nstill stopping safely; kill -9 would leave the rest to the next run\n"


@contextmanager
def stop_requests() -> Iterator[Callable[[], int | None]]:
    """A function that tells which signal asked to stop; None while none came. Later signals change nothing."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        # os.write: the handler may run while another write to stderr is half done.
        os.write(2, _AGAIN if received else _FIRST)
        received.append(number)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: received[0] if received else None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
