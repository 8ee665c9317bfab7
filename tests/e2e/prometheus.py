"""A real Prometheus that scrapes one endpoint each second, and the endpoint, whose text the test writes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from gatekeep.metrics.prometheus import Prometheus
from gatekeep.model.errors import UnreachableError
from tests.controlplane.packages import extend_path
from tests.controlplane.process import Process, Program, wait_until

CONFIG = """\
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""
WEB = "tls_server_config: {{cert_file: {certificate}, key_file: {key}}}\n"
SECONDS = 30.0
"""In which whatever is waited for has long happened."""


class Endpoint:
    """``/metrics`` on a port of its own. A gauge that is taken away is gone from Prometheus after the next scrape."""

    def __init__(self) -> None:
        self._gauges: Mapping[str, str] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.port: int = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def set(self, gauges: Mapping[str, float | str]) -> None:
        """Sets gauges, by name and labels, beside those that are there."""
        self._gauges = {**self._gauges, **{name: str(value) for name, value in gauges.items()}}

    def clear(self) -> None:
        """Takes all away."""
        self._gauges = {}

    def text(self) -> str:
        """The exposition format."""
        return "".join(f"{name} {value}\n" for name, value in self._gauges.items())

    def stop(self) -> None:
        """Ends the server."""
        self._http.shutdown()
        self._http.server_close()


class Site:
    """The running Prometheus, its endpoint, and a client of it."""

    def __init__(self, process: Process, endpoint: Endpoint, url: str) -> None:
        self.process = process
        self.endpoint = endpoint
        self.url = url
        self.client = Prometheus(url)

    def start(self) -> None:
        """Starts it, and waits until it answers queries."""
        self.process.spawn()
        self.process.wait_ready()
        if self.url.startswith("http:"):
            wait_until(self._answers, SECONDS, "Prometheus to answer")

    def _answers(self) -> bool:
        try:
            self.client.require()
        except UnreachableError:
            return False
        return True

    def sees(self, query: str, *texts: str) -> None:
        """Waits until ``query`` gives just these numbers, in order."""

        def met() -> bool:
            return tuple(map(str, sorted(self.client.measure(query).values))) == texts

        wait_until(met, SECONDS, f"{query} to be {texts}")


@contextmanager
def prometheus(folder: Path, *, tls: tuple[Path, Path] | None = None) -> Iterator[Site]:
    """A Prometheus on a free port, with its data in ``folder``. A missing program is an error, and no skip.

    With ``tls``, a certificate and its key, it speaks https alone.
    """
    extend_path()
    endpoint, port = Endpoint(), _free_port()
    url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    config = folder / "prometheus.yml"
    config.write_text(CONFIG.format(port=endpoint.port))
    argv: tuple[str, ...] = (
        "prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    )  # fmt: skip
    if tls is not None:
        web = folder / "web.yml"
        web.write_text(WEB.format(certificate=tls[0], key=tls[1]))
        argv = (*argv, f"--web.config.file={web}")
    process = Process(Program("prometheus", argv, lambda: _listens(port)), folder)
    try:
        site = Site(process, endpoint, url)
        site.start()
        yield site
    finally:
        process.kill()
        endpoint.stop()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = endpoint.text().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
