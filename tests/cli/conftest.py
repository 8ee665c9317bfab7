"""The command line in this process, on the embedded rng cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gatekeep.cli import session
from gatekeep.cli.main import main
from gatekeep.cluster.embedded import EmbeddedCluster
from tests.builders import dockercoins

POLICY = """\
apiVersion: gatekeep.dev/v1alpha1
kind: TrafficGate
metadata: {name: rng, namespace: dockercoins}
spec:
  services: [rng]
  gate: {key: active, value: "yes"}
  rotation: {pool: {}}
  floor: {minReady: 50%}
"""


class Run(NamedTuple):
    """What one command line did."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Its JSON on stdout."""
        found: dict[str, Any] = json.loads(self.out)
        return found


Gatekeep = Callable[..., Run]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with ``policies/rng.yaml`` and ``cluster.json``."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "rng.yaml").write_text(POLICY)
    (tmp_path / "cluster.json").write_text(json.dumps(dockercoins().document()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECTL_EXTERNAL_DIFF", raising=False)
    return tmp_path


@pytest.fixture
def gatekeep(folder: Path, capfd: pytest.CaptureFixture[str]) -> Gatekeep:
    """Runs a command line in ``folder``."""

    def run(*arguments: str) -> Run:
        capfd.readouterr()
        code = main(arguments)
        return Run(code, *capfd.readouterr())

    return run


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> EmbeddedCluster:
    """The cluster that commands reach when no ``--snapshot`` is named."""
    embedded = dockercoins().embedded(pod_lag=1.0, service_lag=1.0)

    @contextmanager
    def opened(access: object) -> Iterator[EmbeddedCluster]:
        yield embedded

    monkeypatch.setattr(session, "opened", opened)
    return embedded
