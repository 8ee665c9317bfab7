"""Patches on random labels and selectors.

Aspects: undo restores · a patch is never applied twice · whoever meddled with a guarded field is noticed.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gatekeep.model.errors import PatchRejectedError
from gatekeep.model.patches import apply, label_patch, selector_patch

KEYS = st.sampled_from(["a", "a/b", "a~b", "~1", "x.y/z", "active"])
VALUES = st.sampled_from(["", "yes", "no", "v"])
LABELS = st.dictionaries(KEYS, VALUES)
WANTED = st.dictionaries(KEYS, st.none() | VALUES, min_size=1)


def pod(labels: dict[str, str]) -> dict[str, Any]:
    """A pod as the API server has it."""
    return {"metadata": {"uid": "u", "labels": labels}, "spec": {"nodeName": "n"}}


@given(LABELS, WANTED)
def test_labels_and_back(labels: dict[str, str], wanted: dict[str, str | None]) -> None:
    edits = {key: (labels.get(key), value) for key, value in wanted.items() if labels.get(key) != value}
    assume(edits)
    patch = label_patch("u", edits)
    after = apply(pod(labels), patch)
    merged = {**labels, **wanted}
    assert after["metadata"]["labels"] == {key: value for key, value in merged.items() if value is not None}
    assert apply(after, label_patch("u", {key: (new, old) for key, (old, new) in edits.items()})) == pod(labels)
    with pytest.raises(PatchRejectedError):
        apply(after, patch)


@given(LABELS, LABELS.filter(bool))
def test_selectors_and_back(live: dict[str, str], wanted: dict[str, str]) -> None:
    assume(live and live != wanted)
    service = {"metadata": {"uid": "u"}, "spec": {"selector": live}}
    patch = selector_patch("u", live, wanted)
    after = apply(service, patch)
    assert after["spec"]["selector"] == wanted
    assert apply(after, selector_patch("u", wanted, live)) == service
    with pytest.raises(PatchRejectedError):
        apply(after, patch)


@given(LABELS, WANTED, KEYS, st.none() | VALUES)
def test_meddling_is_noticed(
    labels: dict[str, str], wanted: dict[str, str | None], key: str, value: str | None
) -> None:
    edits = {name: (labels.get(name), new) for name, new in wanted.items() if labels.get(name) != new}
    assume(key in edits and labels.get(key) != value)
    meddled = (
        {**labels, key: value} if value is not None else {name: old for name, old in labels.items() if name != key}
    )
    with pytest.raises(PatchRejectedError):
        apply(pod(meddled), label_patch("u", edits))
    with pytest.raises(PatchRejectedError):
        apply({**pod(labels), "metadata": {"uid": "other", "labels": labels}}, label_patch("u", edits))
