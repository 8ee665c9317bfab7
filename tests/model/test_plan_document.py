"""The plan document.

Aspects: canonical bytes · a stable id that changes with the content · round trip · what is no plan · fields of a newer
gatekeep · absent and null.
"""

from __future__ import annotations

import json

import msgspec
import pytest

from gatekeep.model.errors import InvalidInputError
from gatekeep.model.plan import Plan, canonical, content_id, digest, document, from_json, sealed, to_json
from tests.builders import dockercoins
from tests.gates import gate, plan, snapshot_of


def example() -> Plan:
    """The plan of the README."""
    return plan(snapshot_of(dockercoins()), gate())


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"b": 1, "a": [True, None, "x"]}, '{"a":[true,null,"x"],"b":1}'),
        ({"é": "ü", "a": ""}, '{"a":"","é":"ü"}'),
        ("\u2028<>&\t", '"\u2028<>&\\t"'),
        ([], "[]"),
    ],
)
def test_canonical_bytes(data: object, text: str) -> None:
    assert canonical(data) == text.encode()


def test_the_digest_of_the_empty_object() -> None:
    assert digest({}) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_the_same_cluster_gives_the_same_bytes() -> None:
    assert to_json(example()) == to_json(example())


def test_the_id_fits_the_content_and_nothing_else() -> None:
    found = example()
    assert found.id == content_id(found) == sealed(found).id
    assert content_id(msgspec.structs.replace(found, id="sha256:0")) == found.id
    data = {key: value for key, value in document(found).items() if key != "id"}
    assert digest(data) == found.id
    claims = (msgspec.structs.replace(found.services[0], floor=0),)
    for other in (
        msgspec.structs.replace(found, services=claims),
        msgspec.structs.replace(found, steps=()),
        msgspec.structs.replace(found, expires_at="2026-12-01T00:00:00Z"),
    ):
        assert content_id(other) != found.id


def test_round_trip() -> None:
    found = example()
    again = from_json(to_json(found).encode(), "plan.json")
    assert content_id(again) == found.id
    assert to_json(again) == to_json(found)


def test_what_people_read_is_sorted_and_indented() -> None:
    text = to_json(example())
    data = json.loads(text)
    assert text == json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert data["apiVersion"] == "gatekeep.dev/v1alpha1"
    assert data["kind"] == "Plan"
    assert "expiresAt" not in data
    assert data["source"]["revision"] is None
    assert all("changes" in step for step in data["steps"])


def test_a_guard_on_absence_is_kept() -> None:
    first = json.loads(to_json(example()))["steps"][0]["changes"][0]["patch"][1]
    assert first == {"op": "test", "path": "/metadata/labels/active", "value": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "expected a plan document"),
        (b"{", "expected a plan document"),
        (b"[]", "expected a plan document"),
        (b"\xff", "expected a plan document"),
        (b"{}", "missing required field"),
    ],
)
def test_what_is_no_plan(text: bytes, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message) as error:
        from_json(text, "plan.json")
    assert error.value.where == "plan.json"
    assert error.value.hint
    assert error.value.exit_code == 65


@pytest.mark.parametrize(
    "edit", [{"kind": "List"}, {"apiVersion": "gatekeep.dev/v2"}, {"steps": 1}, {"steps": [{"action": "Sleep"}]}]
)
def test_another_kind_of_document(edit: dict[str, object]) -> None:
    data = {**json.loads(to_json(example())), **edit}
    with pytest.raises(InvalidInputError, match="expected"):
        from_json(json.dumps(data).encode(), "plan.json")


def test_fields_of_a_newer_gatekeep_are_read_past() -> None:
    found = example()
    data = json.loads(to_json(found))
    data["novelty"] = data["steps"][0]["novelty"] = data["services"][0]["novelty"] = 1
    assert to_json(from_json(json.dumps(data).encode(), "plan.json")) == to_json(found)
