"""What a kubeconfig or a service account comes to: an address, trust, and credentials that can be renewed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_FRESH_SECONDS = 5.0
"""How long a token is used before the client library is asked again; its refresh hook costs more than a request."""


class Credentials:
    """The ``Authorization`` header, kept fresh; safe to use from many threads.

    ``current`` gives the header and refreshes a token that is about to expire; ``reload`` reads everything anew.
    """

    def __init__(self, current: Callable[[], str | None], reload: Callable[[], str | None]) -> None:
        self._current = current
        self._reload = reload
        self._lock = threading.Lock()
        self._header: str | None = None
        self._fresh_until = 0.0

    def header(self) -> str | None:
        """The header's value, or None when the connection itself authenticates (client certificates)."""
        if time.monotonic() < self._fresh_until:
            return self._header
        with self._lock:
            if time.monotonic() >= self._fresh_until:
                self._keep(self._current())
            return self._header

    def renew(self, refused: str | None) -> bool:
        """Reads the credentials anew after the server ``refused`` some; True when there are others now."""
        with self._lock:
            if self._header == refused:
                self._keep(self._reload())
            return self._header != refused

    def _keep(self, header: str | None) -> None:
        self._header = header
        self._fresh_until = time.monotonic() + _FRESH_SECONDS


def fixed(header: str | None) -> Credentials:
    """Credentials that never change."""
    return Credentials(lambda: header, lambda: header)


@dataclass(frozen=True, kw_only=True)
class Login:
    """One identity at one API server. Paths are those of files; ``who`` names the identity in messages."""

    server: str
    credentials: Credentials = field(default_factory=lambda: fixed(None))
    who: str = "this identity"
    namespace: str = "default"
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True
    server_name: str | None = None
    proxy: str | None = None
    as_user: str | None = None
    as_groups: tuple[str, ...] = ()
