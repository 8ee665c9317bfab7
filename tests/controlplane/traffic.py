"""Steady traffic to a Service while a test changes things, and a count of what was lost.

with Traffic(address, 80, rate=200, expect_app="rng") as traffic:
    ...  # change something
report = traffic.report()
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from types import TracebackType

from .network import POD_CIDR, SERVICE_CIDR, is_closed
from .paths import ControlPlaneError, module_environment

ALLOWED = tuple(ipaddress.ip_network(cidr) for cidr in (SERVICE_CIDR, POD_CIDR))
MOST_SECONDS = 300.0
MOST_RATE = 1000.0
FIRST_ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class TrafficReport:
    """What became of the requests of one run."""

    sent: int
    ok: int
    refused: int
    """Refused or reset: nothing was there to answer."""
    timed_out: int
    """No complete answer within 1 s."""
    wrong_app: int
    """Answered by a pod whose `app` label is not the expected one."""
    longest_gap: float
    """The longest time (seconds) without a success, from the run's start to its end."""
    by_pod: dict[str, int]
    """Successes by pod name."""

    @property
    def lost(self) -> int:
        """Requests without the answer that was wanted."""
        return self.sent - self.ok

    def share(self, pods: set[str]) -> float:
        """Which part of the successes (0 to 1) these pods, by name, answered."""
        return sum(self.by_pod.get(pod, 0) for pod in pods) / self.ok if self.ok else 0.0


class Traffic:
    """A client in a process of its own: `rate` new connections a second, whether or not the last came back."""

    def __init__(
        self,
        address: str,
        port: int = 80,
        *,
        rate: float = 200,
        expect_app: str | None = None,
        seconds: float = 120,
        wait_for_success: bool = True,
    ) -> None:
        """`rate` per second; it ends by itself after `seconds`; only addresses of the closed network are taken.

        With `wait_for_success` entering waits for a first good answer, and the count starts after it.
        """
        if not is_closed() or not any(ipaddress.ip_address(address) in network for network in ALLOWED):
            raise ControlPlaneError(f"traffic goes to pods and Services of the closed network only, not {address}")
        if not (0 < rate <= MOST_RATE and 0 < seconds <= MOST_SECONDS):
            raise ControlPlaneError(f"at most {MOST_RATE:g} requests a second for at most {MOST_SECONDS:g} s")
        self._argv = [sys.executable, "-m", "tests.controlplane.load", f"--address={address}", f"--port={port}"]
        self._argv += [f"--rate={rate}", f"--seconds={seconds}", f"--expect-app={expect_app or ''}"]
        self._argv += ["--first"] if wait_for_success else []
        self._process: subprocess.Popen[str] | None = None
        self._report: TrafficReport | None = None

    def __enter__(self) -> Traffic:
        self._process = subprocess.Popen(
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=module_environment(),
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line != "started\n":
            self._end()
            raise ControlPlaneError(f"the traffic client did not start: {line.strip() or 'see its stderr'}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        answer = self._end()
        if answer:
            self._report = TrafficReport(**json.loads(answer))

    def run_for(self, seconds: float) -> None:
        """Let the traffic flow for some seconds while the test does nothing."""
        time.sleep(seconds)

    def report(self) -> TrafficReport:
        """The count; known once the `with` block has ended."""
        if self._report is None:
            raise ControlPlaneError("there is no report: the traffic has not ended yet, or its client failed")
        return self._report

    def _end(self) -> str:
        """Close the client's input, which ends it, and read what it says."""
        process = self._process
        assert process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.communicate(timeout=10)[0]
        process.kill()
        process.communicate()
        return ""
