"""Every folder in examples/ is what its builder and gatekeep make of it, to the byte, whatever the hash seed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from examples.make import CLUSTERS, HERE, OWN_POLICIES, files_of
from tests.manifests import to_yaml


@pytest.mark.parametrize("example", CLUSTERS)
def test_the_example_is_up_to_date(example: str) -> None:
    written = {"cluster.yaml": to_yaml(CLUSTERS[example]().document()), **files_of(example)}
    for name, text in written.items():
        assert (HERE / example / name).read_text() == text, f"{example}/{name}: write it again with make examples"


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_the_command_line_prints_these_bytes_on_every_run(seed: str) -> None:
    command = "import sys; from gatekeep.cli.main import main; sys.exit(main())"
    given = ["plan", "--snapshot", str(HERE / "rng/cluster.yaml"), "-f", str(OWN_POLICIES), "-o", "json"]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", command, *given],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        check=True,
    )
    assert run.stdout == (HERE / "rng/plan.json").read_bytes()


def test_every_folder_is_tested() -> None:
    assert {path.name for path in HERE.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(CLUSTERS)
