"""Lets pytest explain failed assertions inside the shared cases."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    "tests.contract.patch_cases", "tests.contract.object_cases", "tests.contract.slice_cases"
)
