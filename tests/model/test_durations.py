"""Ages as people read them."""

from __future__ import annotations

import pytest

from gatekeep.model.durations import age


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m"), (65, "1m"), (3599, "59m"), (3600, "1h"), (7800, "2h 10m"),
        (86399, "23h 59m"), (86400, "1d"), (86459, "1d"), (90000, "1d 1h"), (8640000, "100d"),
    ],
)  # fmt: skip
def test_no_more_exact_than_it_is_read(seconds: float, said: str) -> None:
    assert age(seconds) == said
