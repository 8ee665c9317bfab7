"""Hypothesis profiles: ``ci`` is the default; ``GATEKEEP_PROPERTY_EXAMPLES=full`` (or a number) looks further."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

EXAMPLES = {"ci": 200, "full": 3000}

_wanted = os.environ.get("GATEKEEP_PROPERTY_EXAMPLES", "ci")
settings.register_profile(
    "gatekeep",
    max_examples=EXAMPLES.get(_wanted) or int(_wanted),
    deadline=None,
    derandomize=_wanted == "ci",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("gatekeep")
