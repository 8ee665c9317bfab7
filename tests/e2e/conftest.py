"""End-to-end tests run on a real control plane; see tests/controlplane."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.controlplane.fixtures import control_plane, namespace, pytest_runtest_makereport
from tests.controlplane.stack import ControlPlane
from tests.e2e.story import FIGURES, PODS, Json, Story, service, workload
from tests.e2e.workloads import create

__all__ = ["control_plane", "namespace", "pytest_runtest_makereport"]


@pytest.fixture
def story(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Story:
    """The rng application, serving, with its policy written and nothing gated."""
    made = Story(control_plane, namespace, tmp_path)
    made.create(workload("Deployment", "rng"), workload("DaemonSet", "rng"), service())
    control_plane.wait_pods(namespace, PODS, "app=rng")
    control_plane.wait_endpoints(namespace, "rng", PODS)
    made.policy()
    made.settle()
    return made


@pytest.fixture
def story_of(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Callable[..., Story]:
    """Makes workloads of any kind behind Service rng, serving, with its policy written and nothing gated."""

    def made(*manifests: Json) -> Story:
        story = Story(control_plane, namespace, tmp_path)
        story.create(service())
        count = sum(len(each.uids()) for each in create(control_plane, namespace, *manifests))
        control_plane.wait_endpoints(namespace, "rng", count)
        story.policy()
        story.settle()
        return story

    return made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures that the README quotes."""
    if not FIGURES:
        return
    terminalreporter.section("requests through kube-proxy, 200 a second")
    terminalreporter.write_line("| what | lag | sent | lost | longest gap |")
    terminalreporter.write_line("|---|---|--:|--:|--:|")
    for item in FIGURES:
        report = item.report
        terminalreporter.write_line(
            f"| {item.what} | {item.lag} | {report.sent} | {report.lost} | {report.longest_gap:.2f} s |"
        )
