"""pytest fixtures; `tests/e2e/conftest.py` imports them.

What is missing (programs, namespaces) fails the tests with a text that says what to do: a skipped
end-to-end test would look like a passed one.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from .components import Settings
from .paths import ControlPlaneError
from .stack import ControlPlane

LOGS = "GATEKEEP_CONTROLPLANE_LOGS"
PROXY_MODE = "GATEKEEP_CONTROLPLANE_PROXY_MODE"


def settings_from_environment() -> Settings:
    """Version, kube-proxy mode and logs folder as the environment chooses them."""
    logs = os.environ.get(LOGS)
    mode = os.environ.get(PROXY_MODE, "iptables")
    if mode not in ("iptables", "nftables"):
        raise ControlPlaneError(f"{PROXY_MODE} is iptables or nftables, not {mode}")
    return Settings(
        proxy_mode="nftables" if mode == "nftables" else "iptables",
        logs=Path(logs).resolve() if logs else None,
    )


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """One control plane for the whole session."""
    problem = ""
    try:
        stack = ControlPlane(settings_from_environment())
        stack.__enter__()
    except ControlPlaneError as error:
        problem = f"no control plane: {error}"
    if problem:  # outside of `except`, so that only this text is shown
        pytest.fail(problem, pytrace=False)
    try:
        yield stack
    finally:
        stack.stop()


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[str]:
    """A fresh namespace; afterwards nothing is late, and what a test killed runs again."""
    failures = control_plane.proxy_failures()
    with control_plane.namespace() as name:
        yield name
        control_plane.heal()
    if control_plane.proxy_failures() != failures:
        pytest.fail("kube-proxy could not load its rules: what the traffic showed means nothing", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of all logs with a failed test."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("control_plane")
    if report.failed and isinstance(stack, ControlPlane):
        report.sections.append(("control plane", stack.tails()))
    return report
