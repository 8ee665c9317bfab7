"""The clock of a real cluster: this machine's, corrected by what the API server says in its answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

TOLERANCE_SECONDS = 2.0
"""A ``Date`` header counts whole seconds and is a little old on arrival; a smaller difference says nothing."""


class ServerClock:
    """Implements :class:`gatekeep.cluster.protocol.Clock`; the expiry of a lock must not depend on a workstation."""

    def __init__(self, local: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._local = local
        self._seen: tuple[str, datetime] | None = None

    def observe(self, date: str | None) -> None:
        """Takes note of a ``Date`` header that has just arrived."""
        if date:
            self._seen = (date, self._local())

    def now(self) -> datetime:
        """The API server's time, in UTC; before the first answer, and within two seconds, this machine's."""
        return self._local() + self.offset()

    def offset(self) -> timedelta:
        """How far the server is ahead of this machine; zero when the difference may be rounding."""
        if self._seen is None:
            return timedelta()
        date, arrived = self._seen
        try:
            ahead = parsedate_to_datetime(date) + timedelta(seconds=0.5) - arrived
        except (ValueError, TypeError):
            return timedelta()
        return ahead if abs(ahead.total_seconds()) > TOLERANCE_SECONDS else timedelta()

    def monotonic(self) -> float:
        """Seconds since some start, never going back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Lets ``seconds`` pass."""
        time.sleep(seconds)
