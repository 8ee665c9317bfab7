"""One HTTP server that stands for every pod: it answers by the address that was called.

The body is `POD_IP POD_NAME APP` (APP is the pod's `app` label, `-` without one). A call to an address
that no pod has now is reset, as a machine without such a pod would refuse it.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from .api import NETWORK_ERRORS, Api, ApiError

RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time left: close() sends RST
RETRY_SECONDS = 0.2
WATCH_SECONDS = 300


@dataclass(frozen=True)
class Pod:
    """What a caller is told about a pod."""

    uid: str
    address: str
    name: str
    app: str


class Pods:
    """The pods that live now, by address; written by the watch, read by the server."""

    def __init__(self, grace: float) -> None:
        """`grace` is in seconds: how long a deleted pod still answers."""
        self._grace = grace
        self._by_uid: dict[str, Pod] = {}
        # The newest is last: an address may be given away before its last owner's end is seen.
        self._by_address: dict[str, dict[str, Pod]] = {}
        self._gone: dict[str, tuple[float, Pod]] = {}

    def at(self, address: str) -> Pod | None:
        """The pod with this address, or the one that had it less than the grace time ago."""
        owners = list(self._by_address.get(address, {}).values())  # a copy: the watch is another thread
        if owners:
            return owners[-1]
        died, gone = self._gone.get(address, (0.0, None))
        return gone if time.monotonic() - died < self._grace else None

    def seen(self, manifest: dict[str, Any]) -> None:
        """A pod as the API server shows it."""
        metadata, status = manifest["metadata"], manifest.get("status", {})
        address = status.get("podIP")
        if not address or status.get("phase") != "Running":
            self.deleted(metadata["uid"])
            return
        app = metadata.get("labels", {}).get("app", "-")
        pod = Pod(metadata["uid"], address, metadata["name"], app)
        self._by_uid[pod.uid] = pod
        self._by_address.setdefault(address, {})[pod.uid] = pod

    def deleted(self, uid: str) -> None:
        """A pod has gone."""
        pod = self._by_uid.pop(uid, None)
        if pod is None:
            return
        del self._by_address[pod.address][uid]
        self._gone[pod.address] = (time.monotonic(), pod)

    def replace(self, manifests: list[dict[str, Any]]) -> None:
        """A complete list of pods."""
        present = {manifest["metadata"]["uid"] for manifest in manifests}
        for uid in [uid for uid in self._by_uid if uid not in present]:
            self.deleted(uid)
        for manifest in manifests:
            self.seen(manifest)


def follow(api: Api, pods: Pods) -> None:
    """List and watch all pods, for ever; what was known last holds while the API server is away."""
    while True:
        try:
            listed = api.get("/api/v1/pods")
            pods.replace(listed["items"])
            _watch(api, pods, listed["metadata"]["resourceVersion"])
        except (*NETWORK_ERRORS, ApiError):
            time.sleep(RETRY_SECONDS)


def _watch(api: Api, pods: Pods, version: str) -> None:
    path = f"/api/v1/pods?watch=true&resourceVersion={version}&timeoutSeconds={WATCH_SECONDS}"
    for event in api.watch(path, idle_timeout=WATCH_SECONDS + 10):
        if event["type"] == "ERROR":
            return
        if event["type"] == "DELETED":
            pods.deleted(event["object"]["metadata"]["uid"])
        else:
            pods.seen(event["object"])


class Answer(asyncio.Protocol):
    """One connection: answer as the pod that was called, or reset."""

    def __init__(self, pods: Pods) -> None:
        self._pods = pods
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._pods.at(self._address()) is None:
            self._reset()

    def data_received(self, data: bytes) -> None:
        if self._transport is None or b"\r\n\r\n" not in data:
            return
        pod = self._pods.at(self._address())
        if pod is None:
            self._reset()
            return
        body = f"{pod.address} {pod.name} {pod.app}\n"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write((head + body).encode())

    def _address(self) -> str:
        assert self._transport is not None
        address: str = self._transport.get_extra_info("sockname")[0]
        return address

    def _reset(self) -> None:
        assert self._transport is not None
        connection: socket.socket = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._transport.abort()


async def serve(pods: Pods, port: int) -> None:
    """Answer on all addresses until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Answer(pods), "0.0.0.0", port, backlog=1024)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Parse the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, help="URL of the API server")
    parser.add_argument("--token", required=True)
    parser.add_argument("--authority", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--grace", type=float, default=0.0, help="seconds for which a deleted pod still answers")
    options = parser.parse_args()
    pods = Pods(options.grace)
    api = Api(options.server, options.token, options.authority)
    threading.Thread(target=follow, args=(api, pods), daemon=True).start()
    asyncio.run(serve(pods, options.port))


if __name__ == "__main__":
    main()
