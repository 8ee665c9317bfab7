"""Many objects written in parallel; the first surprise stops what has not been sent yet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from gatekeep.execute.context import Context
from gatekeep.model.events import StepProgress
from gatekeep.model.plan import Change, Step

ATTEMPTS = 3
AGAIN_SECONDS = 0.1
_TICK_SECONDS = 1.0

Write = Callable[[Context, Change], None]
"""Writes one change; called in several threads at once."""


def write_all(context: Context, step: Step, changes: Sequence[Change], write: Write) -> None:
    """Sends all changes, at most ``workers`` at a time. The first surprise stops what has not been sent yet."""
    if not changes:
        return
    if context.workers == 1 or len(changes) == 1:
        for done, change in enumerate(changes, 1):
            context.check()
            write(context, change)
            context.listener(StepProgress(number=step.number, done=done, total=len(changes)))
    else:
        _write_in_parallel(context, step, changes, write)
    context.tell()


def _write_in_parallel(context: Context, step: Step, changes: Sequence[Change], write: Write) -> None:
    queue = _Queue(changes)
    workers = min(context.workers, len(changes))
    with ThreadPoolExecutor(workers) as pool:
        pending: set[Future[None]] = {pool.submit(_drain, context, queue, write) for _ in range(workers)}
        try:
            while pending:
                finished, pending = wait(pending, timeout=_TICK_SECONDS, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                context.check()
                context.listener(StepProgress(number=step.number, done=queue.done, total=len(changes)))
        except BaseException:
            queue.close()
            raise


class _Queue:
    """Changes that several threads take from; closing it lets nobody take any more."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._items: Iterator[Change] = iter(changes)
        self._lock = threading.Lock()
        self._closed = False
        self.done = 0

    def take(self) -> Change | None:
        """The next change, or None when there is none left."""
        with self._lock:
            return None if self._closed else next(self._items, None)

    def count(self) -> None:
        """One more is written."""
        with self._lock:
            self.done += 1

    def close(self) -> None:
        """No more changes are given out."""
        self._closed = True


def _drain(context: Context, queue: _Queue, write: Write) -> None:
    while (change := queue.take()) is not None:
        try:
            write(context, change)
        except BaseException:
            queue.close()
            raise
        queue.count()
