"""Where things lie: the repository, the Go modules, the cache and the run folder."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parents[1]
GO_MODULES = PACKAGE / "go"
DEFAULT_VERSION = "1.36"


class ControlPlaneError(Exception):
    """The control plane cannot be built, started or reached; the text says what to do."""


def cache_folder() -> Path:
    """GATEKEEP_CONTROLPLANE_CACHE, else the user's cache folder."""
    chosen = os.environ.get("GATEKEEP_CONTROLPLANE_CACHE")
    if chosen:
        return Path(chosen).resolve()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).resolve() / "gatekeep-controlplane"


def default_version() -> str:
    """The Kubernetes minor under test: GATEKEEP_CONTROLPLANE_VERSION, else the newest."""
    return os.environ.get("GATEKEEP_CONTROLPLANE_VERSION", DEFAULT_VERSION)


def module_environment() -> dict[str, str]:
    """The environment in which `python -m tests.controlplane.X` finds this package."""
    known = os.environ.get("PYTHONPATH")
    path = str(REPOSITORY) + (os.pathsep + known if known else "")
    return os.environ | {"PYTHONPATH": path}
