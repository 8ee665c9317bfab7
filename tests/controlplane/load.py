"""The counting client: an open loop, a new connection for each request. `traffic.py` starts it.

It says `started` on standard output, ends when its standard input does, and then prints its count.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import socket
import struct
import sys
from collections import Counter

TIMEOUT_SECONDS = 1.0
RESET = struct.pack("ii", 1, 0)  # closing sends RST: no TIME_WAIT, so ports never run out
GOOD = "ok"


class Load:
    """Sends requests at a rate and counts what becomes of them."""

    def __init__(self, address: str, port: int, rate: float, expect_app: str) -> None:
        self._target = (address, port)
        self._request = f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n".encode()
        self._interval = 1 / rate
        self._expect_app = expect_app
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Task[None]] = set()
        self.outcomes: Counter[str] = Counter()
        self.by_pod: Counter[str] = Counter()
        self.sent = 0
        self._last_success = 0.0
        self._longest_gap = 0.0

    async def first(self, seconds: float) -> bool:
        """Try until something good answers, not counted; False when nothing did within `seconds`."""
        deadline = self._loop.time() + seconds
        while self._loop.time() < deadline:
            outcome, _ = await self._ask()
            if outcome == GOOD:
                return True
            await asyncio.sleep(0.05)
        return False

    async def run(self, stop: asyncio.Event, seconds: float) -> None:
        """Send until told to stop, at most for `seconds`; then wait for what is under way."""
        started = self._last_success = self._loop.time()
        while not stop.is_set() and self._loop.time() < started + seconds:
            due = started + self.sent * self._interval
            if due > self._loop.time():
                await asyncio.sleep(due - self._loop.time())
            self.sent += 1
            task = self._loop.create_task(self._count())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        ended = self._loop.time()
        await asyncio.gather(*self._running)
        self._note_gap(ended)

    async def _count(self) -> None:
        outcome, pod = await self._ask()
        self.outcomes[outcome] += 1
        if outcome == GOOD:
            self.by_pod[pod] += 1
            self._note_gap(self._loop.time())
            self._last_success = max(self._last_success, self._loop.time())

    def _note_gap(self, now: float) -> None:
        self._longest_gap = max(self._longest_gap, now - self._last_success)

    async def _ask(self) -> tuple[str, str]:
        """One request; its outcome, and the pod's name when one answered."""
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                await self._loop.sock_connect(connection, self._target)
                await self._loop.sock_sendall(connection, self._request)
                return self._judge(await self._read(connection))
        except TimeoutError:
            return "timed_out", ""
        except OSError:
            return "refused", ""
        finally:
            connection.close()

    async def _read(self, connection: socket.socket) -> bytes:
        """The body: one line, at the end of the answer."""
        answer = b""
        while not (answer.endswith(b"\n") and b"\r\n\r\n" in answer[:-1]):
            more = await self._loop.sock_recv(connection, 4096)
            if not more:
                raise ConnectionResetError
            answer += more
        return answer.partition(b"\r\n\r\n")[2]

    def _judge(self, body: bytes) -> tuple[str, str]:
        _, name, app = body.decode().split()
        if self._expect_app and app != self._expect_app:
            return "wrong_app", name
        return GOOD, name

    def report(self) -> str:
        """One line of JSON with the fields of TrafficReport."""
        counts = {kind: self.outcomes[kind] for kind in (GOOD, "refused", "timed_out", "wrong_app")}
        gap = round(self._longest_gap, 3)
        return json.dumps(counts | {"sent": self.sent, "longest_gap": gap, "by_pod": dict(self.by_pod)})


async def main() -> int:
    """Run one count as the options say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--seconds", type=float, required=True, help="it ends by itself after so long")
    parser.add_argument("--expect-app", default="")
    parser.add_argument("--first", action="store_true", help="wait for a first success before counting")
    options = parser.parse_args()
    load = Load(options.address, options.port, options.rate, options.expect_app)
    if options.first and not await load.first(10):
        print(f"nothing good answered at {options.address}:{options.port} within 10 s", flush=True)
        return 1
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), stop.set)
    gc.freeze()  # a collection over everything imported would show as a gap
    print("started", flush=True)
    await load.run(stop, options.seconds)
    asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
    print(load.report(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
