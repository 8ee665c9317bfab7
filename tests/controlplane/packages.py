"""The Debian packages whose programs kube-proxy, the namespace and the tests need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .paths import ControlPlaneError

PROGRAMS = {
    "iptables": "iptables",
    "nft": "nftables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "curl": "curl",
    "openssl": "openssl",
    "unshare": "util-linux",
    "hostname": "hostname",
    "prometheus": "prometheus",
}
MAY_START = Path("/usr/sbin/policy-rc.d")
"""What packages ask whether they may start the service that comes with them."""
# Ordinary users often have no sbin folder in PATH, although the programs are there.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def extend_path() -> None:
    """Put the sbin folders at the end of PATH, once."""
    parts = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join([*parts, *(folder for folder in SBIN if folder not in parts)])


def missing_packages() -> list[str]:
    """Names of Debian packages without which the stack cannot run."""
    extend_path()
    return sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})


def ensure_packages() -> None:
    """Install what is missing when root, else say what to install."""
    missing = missing_packages()
    if not missing:
        return
    command = "apt-get update && apt-get install -y " + " ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ControlPlaneError(f"missing packages: {', '.join(missing)}; as root run: {command}")
    print(f"control plane: installing {', '.join(missing)}", file=sys.stderr)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with _no_services():
        for arguments in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", *missing]):
            run = subprocess.run(["apt-get", *arguments], env=environment, stdout=sys.stderr, check=False)
            if run.returncode != 0:
                raise ControlPlaneError(f"apt-get {arguments[0]} failed; as root run: {command}")
    if still := missing_packages():
        raise ControlPlaneError(f"still missing after installing: {', '.join(still)}")


@contextmanager
def _no_services() -> Iterator[None]:
    """Meanwhile no package starts a service, unless the machine has a rule of its own: only programs are wanted."""
    if MAY_START.exists():
        yield
        return
    MAY_START.write_text("#!/bin/sh\nexit 101\n")
    try:
        MAY_START.chmod(0o755)
        yield
    finally:
        MAY_START.unlink()
