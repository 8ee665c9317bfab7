"""A small HTTP server that answers as an API server would, by script: real sockets, so connections really break."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from gatekeep.cluster.kube import KubeCluster
from gatekeep.cluster.kube.login import Credentials, Login, fixed


class Seen(NamedTuple):
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Reply:
    """One answer. ``cut`` closes the connection after that many bytes of it (0: without any answer)."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None

    def payload(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Watch:
    """An answer that goes on: events are sent as they are put in; ``end`` is a polite end, ``cut`` a rude one."""

    def __init__(self, *events: Any) -> None:
        self.events: queue.Queue[Any] = queue.Queue()
        self.closed = threading.Event()
        for event in events:
            self.events.put(event)

    def send(self, kind: str, item: Mapping[str, Any]) -> None:
        self.events.put({"type": kind, "object": item})

    def end(self) -> None:
        self.events.put(None)

    def cut(self) -> None:
        self.events.put(ConnectionAbortedError)


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    """A full queue costs a client that opens several connections at once a whole second."""


Answer = Reply | Watch | Callable[[Seen], Reply]


class ApiServer:
    """Answers of one path come in the order in which they were set; the last one is repeated."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self._script: dict[tuple[str, str], list[Answer]] = {}
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._http = _Http(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def on(self, method: str, path: str, *answers: Answer) -> None:
        with self._lock:
            self._script[method, path] = list(answers)

    def next_answer(self, seen: Seen) -> Answer:
        with self._lock:
            self.requests.append(seen)
            answers = self._script.get((seen.method, seen.path))
            if not answers:
                return status(404, "the server could not find the requested resource", "NotFound")
            return answers.pop(0) if len(answers) > 1 else answers[0]

    def asked(self, path: str) -> list[Seen]:
        with self._lock:
            return [seen for seen in self.requests if seen.path == path]

    def track(self, connection: socket.socket, *, gone: bool = False) -> None:
        with self._lock:
            (self._sockets.discard if gone else self._sockets.add)(connection)

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        with self._lock:
            for connection in self._sockets:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


def status(code: int, message: str, reason: str = "", headers: Mapping[str, str] | None = None) -> Reply:
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }
    return Reply(body, code, headers or {})


def listed(*items: Mapping[str, Any], version: str = "1", more: str = "") -> Reply:
    return Reply({"metadata": {"resourceVersion": version, "continue": more}, "items": list(items)})


def named(name: str, namespace: str = "shop", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": "1"}, **more}


@contextmanager
def api_server() -> Iterator[ApiServer]:
    server = ApiServer()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def client(
    server: ApiServer, *, slept: list[float] | None = None, credentials: Credentials | None = None, **more: Any
) -> Iterator[KubeCluster]:
    """A cluster on ``server`` that notes how long it would have slept instead of sleeping."""
    login = Login(server=server.url, who="user jane", credentials=credentials or fixed("Bearer secret"), **more)
    with KubeCluster(login, sleep=(slept if slept is not None else []).append, request_timeout=5) as cluster:
        yield cluster


def _handler(server: ApiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            server.track(self.connection)

        def finish(self) -> None:
            server.track(self.connection, gone=True)
            super().finish()

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            seen = Seen(self.command, parts.path, query, dict(self.headers), body)
            found = server.next_answer(seen)
            if isinstance(found, Watch):
                self.stream(found)
            else:
                self.reply(found if isinstance(found, Reply) else found(seen))

        def reply(self, reply: Reply) -> None:
            payload = reply.payload()
            if reply.cut == 0:
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("Content-Length", str(len(payload)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload if reply.cut is None else payload[: reply.cut])
            self.close_connection = reply.cut is not None

        def stream(self, watch: Watch) -> None:
            self.close_connection = True
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with suppress(OSError):
                while not self.gone():
                    with suppress(queue.Empty):
                        event = watch.events.get(timeout=0.02)
                        if event is ConnectionAbortedError:
                            return
                        line = b"" if event is None else json.dumps(event).encode() + b"\n"
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                        if event is None:
                            return
            watch.closed.set()

        def gone(self) -> bool:
            self.connection.settimeout(0.001)
            try:
                return not self.connection.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                return False
            finally:
                self.connection.settimeout(None)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

    return Handler
