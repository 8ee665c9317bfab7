"""A TLS proxy before the API server that makes chosen watches late, for whoever goes through it.

Only the response bytes of a cluster-wide watch of pods, Services or workloads are held back, each for as
many seconds as its knob says at the moment; everything else passes at once. It offers no ALPN and so no
HTTP/2: each watch has a connection of its own, and order within it is kept. Orders come as JSON lines
on a Unix socket: `{"pods": 3.0}` sets a knob (seconds), the answer names all knobs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

CORE = ("pods", "services")
WORKLOADS = ("deployments", "replicasets", "daemonsets", "statefulsets", "controllerrevisions")
KNOBS = CORE + WORKLOADS
WATCHES = {f"GET /api/v1/{kind}?".encode(): kind for kind in CORE} | {
    f"GET /apis/apps/v1/{kind}?".encode(): kind for kind in WORKLOADS
}
# Beyond this many bytes the other side is asked to pause.
HIGH_WATER = 4 << 20


@dataclass
class Knobs:
    """Seconds of delay by kind, and the pipes that must look again when a knob is turned."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(KNOBS, 0.0))
    late: set[Upstream] = field(default_factory=set)

    def set(self, changes: dict[str, float]) -> None:
        """Turn knobs; what waits is looked at again at once."""
        for kind, seconds in changes.items():
            if kind not in self.seconds:
                raise ValueError(f"no knob {kind}")
            self.seconds[kind] = float(seconds)
        for pipe in list(self.late):
            pipe.release()


def watched_kind(data: bytes) -> str | None:
    """Which knob the answer to a request belongs to; None for a request that is never late.

    A client without pipelining sends a request only after the last answer, so that a request line is
    always at the start of what arrives.
    """
    for start, kind in WATCHES.items():
        if data.startswith(start):
            line = data[: data.find(b"\r\n")]
            return kind if b"watch=true" in line or b"watch=1" in line else None
    return None


class Downstream(asyncio.Protocol):
    """The connection of a client; it opens its own connection to the API server."""

    def __init__(self, knobs: Knobs, port: int, tls: ssl.SSLContext) -> None:
        self.knobs = knobs
        self._port = port
        self._tls = tls
        self._waiting: list[bytes] | None = []
        self._task: asyncio.Task[None] | None = None
        self.upstream = Upstream(self)
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: self.upstream, "127.0.0.1", self._port, ssl=self._tls)
        except OSError:
            self.abort()
            return
        waiting, self._waiting = self._waiting or [], None
        for data in waiting:
            self._send(data)

    def data_received(self, data: bytes) -> None:
        if self._waiting is not None:
            self._waiting.append(data)
        else:
            self._send(data)

    def _send(self, data: bytes) -> None:
        kind = watched_kind(data)
        if kind is not None or data[:5] in (b"GET /", b"POST ", b"PUT /", b"PATCH", b"DELET"):
            self.upstream.kind = kind
        self.upstream.write(data)

    def pause_writing(self) -> None:
        self.upstream.pause(True)

    def resume_writing(self) -> None:
        self.upstream.pause(False)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()
        self.upstream.close()

    def abort(self) -> None:
        """End the client's connection; it will try again."""
        if self.transport is not None:
            self.transport.abort()


class Upstream(asyncio.Protocol):
    """The connection to the API server, with the queue of what is being held back."""

    def __init__(self, client: Downstream) -> None:
        self.kind: str | None = None
        self._client = client
        self._queue: deque[tuple[float, str | None, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._client.transport is None or self._client.transport.is_closing():
            self._transport.abort()

    def write(self, data: bytes) -> None:
        """Send a request's bytes."""
        if self._transport is not None:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        client = self._client.transport
        if client is None or client.is_closing():
            return
        if self.kind is None and not self._queue:
            client.write(data)
            return
        self._queue.append((asyncio.get_running_loop().time(), self.kind, data))
        self._client.knobs.late.add(self)
        if len(self._queue) == 1:
            self.release()

    def release(self) -> None:
        """Pass on whatever has waited long enough, in order; set the timer for the next one."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        client, knobs = self._client.transport, self._client.knobs
        while self._queue:
            arrived, kind, data = self._queue[0]
            due = arrived + (knobs.seconds[kind] if kind else 0.0)
            if due > loop.time():
                self._timer = loop.call_at(due, self.release)
                return
            self._queue.popleft()
            if client is not None:
                client.write(data)
        knobs.late.discard(self)
        if self._ended and client is not None:
            client.close()

    def pause(self, paused: bool) -> None:
        """Stop or go on reading from the API server."""
        if self._transport is None or self._transport.is_closing():
            return
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        if not self._queue and self._client.transport is not None:
            self._client.transport.close()

    def close(self) -> None:
        """The client has gone: forget what waits."""
        self._queue.clear()
        self._client.knobs.late.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()


async def _take_orders(knobs: Knobs, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each JSON line with the knobs' new state, or with an error."""
    async for line in reader:
        try:
            knobs.set(json.loads(line))
            answer: dict[str, object] = {"seconds": knobs.seconds}
        except (ValueError, AttributeError, TypeError) as error:
            answer = {"error": str(error)}
        writer.write(json.dumps(answer).encode() + b"\n")
    writer.close()


async def serve(options: argparse.Namespace) -> None:
    """Run until killed."""
    loop = asyncio.get_running_loop()
    knobs = Knobs()
    inner = ssl.create_default_context(cafile=str(options.certificate))
    outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    outer.load_cert_chain(options.certificate, options.key)
    options.control.unlink(missing_ok=True)
    control = await asyncio.start_unix_server(lambda r, w: _take_orders(knobs, r, w), options.control)
    server = await loop.create_server(
        lambda: Downstream(knobs, options.upstream, inner), "127.0.0.1", options.listen, ssl=outer, backlog=512
    )
    async with control, server:
        await asyncio.gather(control.serve_forever(), server.serve_forever())


def main() -> None:
    """Parse the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=int, required=True, help="port on 127.0.0.1")
    parser.add_argument("--upstream", type=int, required=True, help="the API server's port on 127.0.0.1")
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--control", type=Path, required=True, help="Unix socket for orders")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
