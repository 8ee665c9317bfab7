"""Lets pytest explain failed assertions inside the shared cases."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(f"tests.contract.{name}_cases" for name in ("patch", "object", "slice", "workload", "rollout", "admission")),
    "tests.contract.fleet",
)
