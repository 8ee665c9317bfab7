"""Build the control plane's programs once, into a cache folder keyed by what goes into them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .paths import GO_MODULES, ControlPlaneError, cache_folder, default_version
from .toolchain import find_go, wanted_go

COMPONENT_BASE = "k8s.io/component-base/version"
KUBERNETES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubectl", "etcd")
# Without stages kwok exits; these four are the kubelet that the tests need.
STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-delete.yaml",
)
PROGRESS_SECONDS = 30.0


@dataclass(frozen=True)
class Binaries:
    """A complete set of programs in one folder."""

    folder: Path
    version: str

    def program(self, name: str) -> str:
        """Path of a program, as a string for argv."""
        return str(self.folder / name)

    @property
    def stages(self) -> Path:
        """One file with all of kwok's stages."""
        return self.folder / "stages.yaml"


def known_versions() -> list[str]:
    """Kubernetes minors that have a module folder."""
    return sorted(folder.name.removeprefix("kubernetes-") for folder in GO_MODULES.glob("kubernetes-*"))


def find(version: str | None = None) -> Binaries | None:
    """The programs when they are built already; takes milliseconds."""
    kubernetes = _module(version or default_version())
    binaries = Binaries(cache_folder() / f"bin-{_digest(kubernetes)}", _kubernetes_version(kubernetes))
    return binaries if binaries.folder.is_dir() else None


def build(version: str | None = None) -> Binaries:
    """The programs, built when they are not there yet (about five minutes on two cores)."""
    built = find(version)
    if built is not None:
        return built
    kubernetes = _module(version or default_version())
    with _locked(cache_folder()) as cache:
        built = find(version)
        return built if built is not None else _build(kubernetes, cache)


def _module(version: str) -> Path:
    folder = GO_MODULES / f"kubernetes-{version}"
    if not folder.is_dir():
        raise ControlPlaneError(f"Kubernetes {version} is not known; there is: {', '.join(known_versions())}")
    return folder


def _kubernetes_version(module: Path) -> str:
    found = re.search(r"k8s\.io/kubernetes (v\S+)", (module / "go.mod").read_text())
    if found is None:
        raise ControlPlaneError(f"{module}: go.mod does not require k8s.io/kubernetes")
    return found[1]


def _ldflags(version: str) -> str:
    """Linker flags; without them the API server would call itself v0.0.0."""
    major, minor = version.removeprefix("v").split(".")[:2]
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return " ".join(["-s -w", *(f"-X {COMPONENT_BASE}.{name}={value}" for name, value in values.items())])


def _digest(kubernetes: Path) -> str:
    """Sixteen hex digits over everything that decides what comes out of the build."""
    digest = hashlib.sha256(platform.machine().encode())
    for module in (kubernetes, GO_MODULES / "kwok"):
        for name in ("go.mod", "go.sum"):
            digest.update((module / name).read_bytes())
    digest.update(_ldflags(_kubernetes_version(kubernetes)).encode())
    digest.update(repr((KUBERNETES, STAGES)).encode())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _locked(cache: Path) -> Iterator[Path]:
    """One build at a time per cache folder."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cache


def _build(kubernetes: Path, cache: Path) -> Binaries:
    started = time.monotonic()
    version = _kubernetes_version(kubernetes)
    kwok = GO_MODULES / "kwok"
    go = find_go(max(wanted_go(kubernetes / "go.mod"), wanted_go(kwok / "go.mod")), cache)
    target = cache / f"bin-{_digest(kubernetes)}"
    unfinished = cache / f"unfinished-{os.getpid()}"
    unfinished.mkdir()
    try:
        _say(f"building Kubernetes {version}, etcd and kwok; the first time takes about five minutes")
        _compile(go, kubernetes, unfinished, _ldflags(version))
        (unfinished / "server").rename(unfinished / "etcd")  # Go names it after the package's last folder
        _compile(go, kwok, unfinished, "-s -w")
        _join_stages(go, kwok, unfinished / "stages.yaml")
        _check(unfinished)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    _say(f"built in {time.monotonic() - started:.0f} s: {target}")
    return Binaries(target, version)


def _go_environment() -> dict[str, str]:
    flags = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"}
    return os.environ | flags | {"CGO_ENABLED": "0"}  # static, and no C compiler needed


def _compile(go: Path, module: Path, target: Path, ldflags: str) -> None:
    """Build every tool of one module into `target`, with a sign of life on stderr."""
    command = [str(go), "build", "-trimpath", "-ldflags", ldflags, "-o", f"{target}{os.sep}", "tool"]
    done = threading.Event()
    reporter = threading.Thread(target=_report, args=(module.name, done), daemon=True)
    reporter.start()
    try:
        run = subprocess.run(command, cwd=module, env=_go_environment(), stdout=sys.stderr, check=False)
    finally:
        done.set()
        reporter.join()
    if run.returncode != 0:
        raise ControlPlaneError(f"go build failed in {module} with status {run.returncode}")


def _report(name: str, done: threading.Event) -> None:
    started = time.monotonic()
    while not done.wait(PROGRESS_SECONDS):
        _say(f"still building {name}, {time.monotonic() - started:.0f} s")


def _join_stages(go: Path, kwok: Path, target: Path) -> None:
    """Copy kwok's stages out of its module, so that nothing is needed from there later."""
    command = [str(go), "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"]
    run = subprocess.run(command, cwd=kwok, env=_go_environment(), capture_output=True, text=True, check=True)
    folder = Path(run.stdout.strip()) / "kustomize" / "stage"
    target.write_text("\n---\n".join((folder / stage).read_text() for stage in STAGES))


def _check(folder: Path) -> None:
    missing = [name for name in (*KUBERNETES, "kwok") if not os.access(folder / name, os.X_OK)]
    if missing:
        raise ControlPlaneError(f"the build gave no {', '.join(missing)}")


def _say(text: str) -> None:
    print(f"control plane: {text}", file=sys.stderr, flush=True)
