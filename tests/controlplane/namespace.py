"""Run a command inside namespaces of its own, so that its end leaves no process, rule or file behind.

`enter` is the process outside: it starts `unshare`, passes signals on through a pipe and reports the
exit status. `inside` is process 1 of the new PID namespace: when it ends, the kernel ends everything.
The pipe also is the lifeline: its end (the process outside died, whatever the way) ends process 1.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from . import network
from .paths import ControlPlaneError, module_environment

LIFELINE = "GATEKEEP_CONTROLPLANE_LIFELINE"
RUN = "GATEKEEP_CONTROLPLANE_RUN"
GRACE_SECONDS = 20
REQUESTS = {signal.SIGINT: b"I", signal.SIGTERM: b"T", signal.SIGHUP: b"T"}
SIGNALS = {b"I": signal.SIGINT, b"T": signal.SIGTERM}
COMMON = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
FORBIDDEN = (
    "this machine allows no new namespaces here. As an ordinary user it needs user namespaces "
    "(sysctl user.max_user_namespaces > 0, and on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0); "
    "else run as root with CAP_SYS_ADMIN."
)


def enter(command: list[str]) -> int:
    """Run a command in new namespaces; its exit status, 128 + signal number when a signal ended it."""
    ours, theirs = _pipe()
    unshare = _unshare()
    arguments = [*unshare, sys.executable, "-m", "tests.controlplane", "inside", "--", *command]
    environment = module_environment() | {LIFELINE: str(theirs)}
    # A session of its own: a terminal's Ctrl-C reaches only this process, which passes it on once.
    with subprocess.Popen(arguments, env=environment, pass_fds=[theirs], start_new_session=True) as process:
        os.close(theirs)
        lifeline = os.fdopen(ours, "wb", buffering=0)
        with lifeline:
            _pass_signals_on(lifeline.write, lifeline.close)
            status = process.wait()
    return status if status >= 0 else 128 - status


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    return write, read


def _unshare() -> list[str]:
    """The `unshare` command that this machine allows.

    Root goes without a user namespace: inside one the kernel caps the netlink buffer, and kube-proxy
    cannot load the rules of about a hundred endpoints and more (see network.prefer_legacy_iptables).
    """
    with_users = ["unshare", "--user", "--map-root-user", *COMMON, "--"]
    without_users = [["unshare", *COMMON, "--"]] if os.geteuid() == 0 else []
    candidates = [*without_users, with_users]
    for candidate in candidates:
        if subprocess.run([*candidate, "true"], capture_output=True, check=False).returncode == 0:
            return candidate
    raise ControlPlaneError(FORBIDDEN)


def _pass_signals_on(send: Callable[[bytes], object], cut: Callable[[], None]) -> None:
    """The first signal is passed on, the second one (or the end of the grace time) cuts the lifeline."""
    asked = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked or number == signal.SIGALRM:
            cut()
            return
        asked = True
        signal.alarm(GRACE_SECONDS)
        try:
            send(REQUESTS[signal.Signals(number)])
        except (BrokenPipeError, ValueError):
            return  # process 1 has gone already

    for number in (*REQUESTS, signal.SIGALRM):
        signal.signal(number, handle)


def inside(command: list[str]) -> int:
    """Be process 1: set up folder and network, run the command, reap what is orphaned."""
    if os.getpid() != 1 or LIFELINE not in os.environ:
        raise ControlPlaneError("`inside` is for `run` only")
    lifeline = int(os.environ.pop(LIFELINE))
    os.set_inheritable(lifeline, False)
    folder = _run_folder()
    os.environ[RUN] = str(folder)
    try:
        return _run(command, lifeline)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[str], lifeline: int) -> int:
    network.set_up()
    network.prefer_legacy_iptables(Path(os.environ[RUN]))
    program = shutil.which(command[0])
    if program is None:
        raise ControlPlaneError(f"no such command: {command[0]}")
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    child = os.posix_spawn(program, command, os.environ, setsigdef=[signal.SIGPIPE], setsigmask=[])
    with selectors.DefaultSelector() as events:
        events.register(lifeline, selectors.EVENT_READ)
        events.register(woken, selectors.EVENT_READ)
        return _watch(child, lifeline, events)


def _watch(child: int, lifeline: int, events: selectors.BaseSelector) -> int:
    """Wait for the command's end or the lifeline's, whichever comes first."""
    while True:
        status = _reap(child)
        if status is not None:
            return status
        for key, _ in events.select():
            received = os.read(key.fd, 1)
            if key.fd != lifeline:
                continue
            if not received:
                return 128 + signal.SIGKILL
            os.kill(child, SIGNALS[received])


def _reap(child: int) -> int | None:
    """Collect every ended process; the command's exit status once it has ended."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            found = code if code >= 0 else 128 - code


def _run_folder() -> Path:
    """A folder in memory that goes with the namespace: /run hidden by a tmpfs of our own.

    It also gives iptables a writable lock file, and hides sockets of the machine's daemons.
    """
    mount = ["mount", "-t", "tmpfs", "-o", "mode=755", "controlplane", "/run"]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        return Path(tempfile.mkdtemp(prefix="gatekeep-controlplane-"))
    folder = Path("/run/controlplane")
    folder.mkdir()
    return folder
