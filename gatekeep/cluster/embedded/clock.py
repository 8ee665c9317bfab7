"""Virtual time: a queue of things that are due. Nothing happens unless somebody lets time pass."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 1, 1, tzinfo=UTC)

Task = Callable[[], None]


class VirtualClock:
    """The clock of an embedded cluster; ``sleep`` runs what falls due, in order, and returns at once in real time.

    ``lock`` guards the cluster as a whole: whoever holds it sees a world that stands still.
    """

    def __init__(self, start: datetime = START) -> None:
        self.lock = threading.RLock()
        self._start = start
        self._time = 0.0
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Task]] = []

    def now(self) -> datetime:
        """The API server's time, in UTC."""
        with self.lock:
            return self._start + timedelta(seconds=self._time)

    def monotonic(self) -> float:
        """Seconds since the cluster started."""
        with self.lock:
            return self._time

    def sleep(self, seconds: float) -> None:
        """Lets ``seconds`` pass. A negative number passes none."""
        self.run_until(lambda: False, seconds)

    def run_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Lets time pass until ``done`` holds after something happened, at most ``seconds``; says whether it does."""
        with self.lock:
            deadline = self._time + max(0.0, seconds)
            while self._queue and self._queue[0][0] <= deadline:
                self._run_next()
                if done():
                    return True
            self._time = max(self._time, deadline)
            return done()

    def after(self, seconds: float, task: Task) -> None:
        """Runs ``task`` when ``seconds`` have passed; tasks due at the same time run in the order they were given."""
        self.at(self.monotonic() + seconds, task)

    def at(self, time: float, task: Task) -> None:
        """Runs ``task`` at ``time`` (as :meth:`monotonic`), or next if that is over."""
        with self.lock:
            heapq.heappush(self._queue, (max(time, self._time), next(self._order), task))

    def _run_next(self) -> None:
        due, _, task = heapq.heappop(self._queue)
        self._time = max(self._time, due)
        task()


def timestamp(moment: datetime) -> str:
    """RFC 3339 in whole seconds, as ``metav1.Time`` is written."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
