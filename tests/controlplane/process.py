"""One program of the stack: started, watched, killed and started again."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .paths import ControlPlaneError, module_environment

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Program:
    """How to start one component, and how to see that it works."""

    name: str
    argv: tuple[str, ...]
    ready: Callable[[], bool]
    ready_seconds: float = 60.0
    each_start: Callable[[int], tuple[str, ...]] = lambda number: ()
    """Further arguments that differ from start to start; the number counts from 0."""


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    """Poll until a predicate holds; ControlPlaneError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise ControlPlaneError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(POLL_SECONDS)


class Process:
    """The running state of a program; its output goes to one log file, across restarts."""

    def __init__(self, program: Program, logs: Path) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    @property
    def running(self) -> bool:
        """Whether the program has been started and not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def started(self) -> bool:
        """Whether the program was started and not killed by us; it may have crashed."""
        return self._process is not None

    def spawn(self) -> None:
        """Start the program without waiting; nothing happens when it runs already."""
        if self.running:
            return
        argv = [*self.program.argv, *self.program.each_start(self._starts)]
        self._starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=module_environment(),
                cwd=self.log.parent,
            )

    def wait_ready(self) -> None:
        """Wait until the program says that it works; its log's end is in the error if it does not."""
        name = self.program.name

        def ready() -> bool:
            if not self.running:
                raise ControlPlaneError(f"{name} has ended; {self.tail()}")
            return self.program.ready()

        try:
            wait_until(ready, self.program.ready_seconds, f"{name} to work")
        except ControlPlaneError as error:
            raise ControlPlaneError(f"{error}\n{self.tail()}") from None

    def kill(self) -> None:
        """SIGKILL, and wait for the end; nothing happens when it is not running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def tail(self, lines: int = 15) -> str:
        """The last lines of the log, under a heading."""
        try:
            text = [line[:240] for line in self.log.read_text(errors="replace").splitlines()[-lines:]]
        except FileNotFoundError:
            text = []
        return "\n".join([f"--- {self.log} (last lines)", *text])
