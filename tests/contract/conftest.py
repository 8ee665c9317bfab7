"""Lets pytest explain failed assertions inside the shared cases."""

from __future__ import annotations

import pytest

NAMES = ("patch", "object", "slice", "workload", "rollout", "admission", "release", "surplus")

pytest.register_assert_rewrite(*(f"tests.contract.{name}_cases" for name in NAMES), "tests.contract.fleet")
