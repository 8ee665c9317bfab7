"""A small client of the Kubernetes API for the harness itself: one JSON request at a time, and watches."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from .paths import ControlPlaneError

Json = dict[str, Any]
# What a connection to a server that is being killed may raise.
NETWORK_ERRORS = (OSError, http.client.HTTPException, json.JSONDecodeError)


class ApiError(ControlPlaneError):
    """The API server answered with an error status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Api:
    """Requests to one server with one bearer token; safe to use from several threads."""

    def __init__(self, server: str, token: str, authority: Path, timeout: float = 10.0) -> None:
        """`timeout` is in seconds, per socket operation."""
        target = urlsplit(server)
        self._host, self._port = target.hostname or "", target.port or 443
        self._token = token
        self._timeout = timeout
        self._tls = ssl.create_default_context(cafile=str(authority))
        self._connection: http.client.HTTPSConnection | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the kept connection; the next request opens a new one."""
        with self._lock:
            self._drop()

    def get(self, path: str) -> Json:
        """GET a path; raises ApiError for a status of 400 or more."""
        return self.request("GET", path)

    def request(self, method: str, path: str, body: object = None, content_type: str = "application/json") -> Json:
        """One request, JSON both ways. `content_type` also is a patch's type."""
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers() | ({"Content-Type": content_type} if data else {})
        with self._lock:
            try:
                status, answer = self._exchange(method, path, data, headers)
            except BaseException:
                self._drop()
                raise
        if status >= 400:
            raise ApiError(status, f"{method} {path}: {_message(answer)}")
        parsed: Json = json.loads(answer) if answer.startswith(b"{") else {"text": answer.decode()}
        return parsed

    def watch(self, path: str, idle_timeout: float) -> Iterator[Json]:
        """Events of a watch until the server ends it; `idle_timeout` in seconds without any event."""
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=idle_timeout, context=self._tls)
        try:
            connection.request("GET", path, headers=self._headers())
            response = connection.getresponse()
            if response.status != 200:
                raise ApiError(response.status, f"watch {path}: {_message(response.read())}")
            for line in response:
                yield json.loads(line)
        finally:
            connection.close()

    def _exchange(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout, context=self._tls
            )
        self._connection.request(method, path, body=data, headers=headers)
        response = self._connection.getresponse()
        answer = response.read()
        if response.will_close:
            self._drop()
        return response.status, answer

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _message(answer: bytes) -> str:
    try:
        parsed = json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace")[:500]
    return str(parsed.get("message", parsed)) if isinstance(parsed, dict) else str(parsed)
