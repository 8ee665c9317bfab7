"""HTTP/1.1 over connections that stay open, safe to use from many threads.

``http.client`` rather than urllib3: the same pods per second on a PATCH loop, for half the processor time, and the
processor is what a client shares with an API server on one machine.
"""

from __future__ import annotations

import http.client
import select
import socket
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from gatekeep.cluster.kube.failures import unreachable
from gatekeep.cluster.kube.target import Target

POOL_SIZE = 32
"""Connections kept open; as many as the API server can make use of."""

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 65.0
"""The server's own limit for a request is 60 seconds."""

_IDLE_SECONDS = 1.0
"""After that long without use, a connection is looked at before it is used again."""

Headers = Iterable[tuple[str, str]]
_FAULTS = (OSError, http.client.HTTPException)


class Answer(NamedTuple):
    """What came back, decompressed."""

    status: int
    body: bytes
    headers: http.client.HTTPMessage


class CutError(Exception):
    """The connection broke after it stood; whether the request was carried out is unknown.

    ``cause`` is what broke it; after a time-out the request may still be running.
    """

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class _Connection(http.client.HTTPConnection):
    """Sends a request's head and body in one write: one system call and one packet less for each patch."""

    _parts: list[bytes] | None = None

    def send(self, data: Any) -> None:
        """Sends ``data``, or keeps it while a request is put together."""
        if self._parts is None:
            super().send(data)
        else:
            self._parts.append(data)

    def transmit(self, method: str, url: str, headers: Headers, body: bytes | None) -> None:
        """Sends a whole request."""
        self.putrequest(method, url, skip_accept_encoding=True)
        for name, value in headers:
            self.putheader(name, value)
        if body is not None:
            self.putheader("Content-Length", str(len(body)))
        parts: list[bytes] = []
        self._parts = parts
        try:
            self.endheaders(body)
        finally:
            self._parts = None
        self.send(b"".join(parts))


class _TLSConnection(_Connection, http.client.HTTPSConnection):
    """Checks the certificate against a name of its own: the kubeconfig's ``tls-server-name``."""

    server_name = ""

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._context.wrap_socket(self.sock, server_hostname=self.server_name)  # type: ignore[attr-defined]


class Transport:
    """Sends requests to one target.

    ``silence`` is how many seconds the server may say nothing (None: for ever); ``observe`` hears every ``Date``.
    """

    def __init__(self, target: Target, silence: float | None, observe: Callable[[str | None], None]) -> None:
        self.target = target
        self.silence = silence
        self._observe = observe
        self._idle: list[tuple[float, _Connection]] = []
        self._closed = False

    def exchange(self, method: str, path: str, headers: Headers, body: bytes | None) -> Answer:
        """One request and its whole answer.

        Raises :class:`UnreachableError` when no connection can be made and :class:`CutError` when it breaks.
        """
        if self._closed:
            raise RuntimeError("the cluster was closed")
        connection = self._take()
        try:
            connection.transmit(method, self.url(path), headers, body)
            response = connection.getresponse()
            self._observe(response.getheader("Date"))
            content = response.read()
            if response.getheader("Content-Encoding") == "gzip":
                content = zlib.decompress(content, wbits=31)
        except (*_FAULTS, zlib.error) as error:
            connection.close()
            raise CutError(error) from error
        except BaseException:
            connection.close()
            raise
        self._give(connection)
        return Answer(response.status, content, response.headers)

    def url(self, path: str) -> str:
        """What stands in the request line for ``path``; a proxy without tunnel wants the whole address."""
        return self.target.origin + self.target.prefix + path

    def stream(self) -> Stream:
        """A connection of its own for one long answer, not made yet."""
        return Stream(self)

    def connect(self, silence: float | None) -> _Connection:
        """A new connection. Raises :class:`UnreachableError`."""
        connection = self._connection()
        try:
            connection.connect()
        except _FAULTS as error:
            connection.close()
            via = str(self.target.proxy) if self.target.proxy else ""
            raise unreachable(self.target.url, via, error) from error
        except BaseException:
            connection.close()
            raise
        connection.sock.settimeout(silence)
        return connection

    def close(self) -> None:
        """Closes the connections that are not in use, and each other one when its request is over."""
        self._closed = True
        while self._idle:
            self._idle.pop()[1].close()

    def _connection(self) -> _Connection:
        target = self.target
        at = (target.proxy.host, target.proxy.port) if target.proxy else (target.host, target.port)
        timeout = CONNECT_SECONDS if self.silence is None else min(CONNECT_SECONDS, self.silence)
        if target.tls is None:
            return _Connection(*at, timeout=timeout)
        connection = _TLSConnection(*at, timeout=timeout, context=target.tls)
        connection.server_name = target.server_name
        if target.proxy:
            known = target.proxy.authorization
            connection.set_tunnel(target.host, target.port, {"Proxy-Authorization": known} if known else {})
        return connection

    def _take(self) -> _Connection:
        while True:
            try:
                used, connection = self._idle.pop()  # list.pop and append are atomic; no lock is needed
            except IndexError:
                return self.connect(self.silence)
            if connection.sock is None:
                continue
            if time.monotonic() - used < _IDLE_SECONDS or not _readable(connection.sock):
                return connection
            connection.close()

    def _give(self, connection: _Connection) -> None:
        if self._closed or len(self._idle) >= POOL_SIZE:
            connection.close()
        else:
            self._idle.append((time.monotonic(), connection))


class Stream:
    """One long answer, read line by line in one thread and ended from another."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._socket: socket.socket | None = None
        self._connection: _Connection | None = None
        self._response: http.client.HTTPResponse | None = None
        self._aborted = False

    def open(self, path: str, headers: Headers, silence: float) -> int:
        """Sends the request; returns the HTTP status. ``silence`` in seconds. Raises as :meth:`Transport.exchange`."""
        self._connection = connection = self._transport.connect(silence)
        self._socket = connection.sock
        if self._aborted:
            raise CutError(ConnectionAbortedError("closed by this side"))
        try:
            connection.transmit("GET", self._transport.url(path), headers, None)
            self._response = connection.getresponse()
        except _FAULTS as error:
            raise CutError(error) from error
        return self._response.status

    def read(self) -> bytes:
        """The rest of the answer."""
        return b"\n".join(self.lines())

    def lines(self) -> Iterator[bytes]:
        """The lines as they come, until the server ends the answer. Raises :class:`CutError`."""
        rest = b""
        while chunk := self._chunk():
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def abort(self) -> None:
        """Ends the stream from any thread: whoever reads sees it break at once."""
        self._aborted = True
        if self._socket is not None:
            try:
                # The plain shutdown: that of SSLSocket would take the TLS state away under the reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                return  # closed already

    def close(self) -> None:
        """Frees the connection; for the thread that reads."""
        if self._response is not None:
            self._response.close()
        if self._connection is not None:
            self._connection.close()

    def _chunk(self) -> bytes:
        assert self._response is not None
        try:
            return self._response.read1(1 << 16)
        except _FAULTS as error:
            raise CutError(error) from error


def _readable(sock: socket.socket) -> bool:
    """The server said something although nothing was asked: it has closed the connection."""
    poll = select.poll() if hasattr(select, "poll") else None
    if poll is None:
        return bool(select.select([sock], [], [], 0)[0])
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
