"""Imports point down only, and each library has one door: the contracts of pyproject.toml hold.

Aspects: they all hold · each kind of contract notices a break, so that none holds because it looks at nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parent.parent
BROKEN = {
    "layers": "type = layers\nlayers =\n    gatekeep.model\n    gatekeep.planning",
    "siblings": "type = layers\nlayers =\n    gatekeep.execute | gatekeep.cluster",
    "pure": "type = forbidden\nsource_modules =\n    gatekeep.model\nforbidden_modules =\n    datetime",
    "doors": "type = forbidden\nsource_modules =\n    gatekeep\nforbidden_modules =\n    yaml\nas_packages = true",
}


def test_the_import_contracts_hold(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True, no_logo=True)
    assert status == 0, capsys.readouterr().out


@pytest.mark.parametrize("kind", BROKEN)
def test_a_contract_that_does_not_hold_is_noticed(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "[importlinter]\nroot_package = gatekeep\ninclude_external_packages = true\n"
    config = tmp_path / "importlinter.ini"
    config.write_text(f"{head}[importlinter:contract:x]\nname = Upside down\n{BROKEN[kind]}\n")
    assert lint_imports(config_filename=str(config), no_cache=True, no_logo=True) == 1
    assert "Upside down BROKEN" in capsys.readouterr().out
