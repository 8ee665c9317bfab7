"""The closed network: loopback, a veth pair with both ends inside, and all pod addresses local."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .paths import ControlPlaneError

NODE_ADDRESS = "10.250.0.1"
POD_CIDR = "10.244.0.0/14"
SERVICE_CIDR = "10.96.0.0/16"
# The veth pair has no way out; it only gives cluster IPs a route, which kube-proxy needs before it rewrites them.
# The local route lets one server on 0.0.0.0 answer for every pod address.
SETUP = f"""\
link set lo up
link add cp0 type veth peer name cp1
address add {NODE_ADDRESS}/24 dev cp0
link set cp0 up
link set cp1 up
route add default dev cp0
route add local {POD_CIDR} dev lo
"""


def set_up() -> None:
    """Make the network; the present network namespace must be a new one."""
    run = subprocess.run(["ip", "-batch", "-"], input=SETUP, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise ControlPlaneError(f"cannot set up the closed network: {run.stderr.strip()}")


def is_closed() -> bool:
    """Whether this process sees the closed network's interfaces and no others."""
    with open("/proc/self/net/dev") as lines:
        names = {line.split(":")[0].strip() for line in lines if ":" in line}
    return names == {"lo", "cp0", "cp1"}


def prefer_legacy_iptables(folder: Path) -> None:
    """In a user namespace let `iptables` in PATH be the legacy one, where the kernel offers it there.

    The other flavour sends all rules in one netlink message. Its buffer cannot be enlarged in a user
    namespace, and kube-proxy fails ("Message too long") at about a hundred endpoints.
    """
    legacy = shutil.which("xtables-legacy-multi")
    if legacy is None or not _in_user_namespace():
        return
    probe = subprocess.run([legacy, "iptables", "-t", "nat", "-L", "-n"], capture_output=True, check=False)
    if probe.returncode != 0:
        return
    links = folder / "iptables"
    links.mkdir()
    for name in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            (links / f"{name}{suffix}").symlink_to(legacy)
    os.environ["PATH"] = os.pathsep.join([str(links), os.environ["PATH"]])


def _in_user_namespace() -> bool:
    with open("/proc/self/uid_map") as lines:
        return lines.read().split() != ["0", "0", "4294967295"]
