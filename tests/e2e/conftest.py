"""End-to-end tests run on a real control plane; see tests/controlplane."""

from __future__ import annotations

from tests.controlplane.fixtures import control_plane, namespace, pytest_runtest_makereport

__all__ = ["control_plane", "namespace", "pytest_runtest_makereport"]
