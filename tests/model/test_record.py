"""What gatekeep remembers.

Aspects: round trip through a ConfigMap · the last ten runs · names and labels · a record that somebody edited.
"""

from __future__ import annotations

import json

import msgspec
import pytest

from gatekeep.model.errors import RefusedError
from gatekeep.model.policy import Gate
from gatekeep.model.record import (
    RECORD_KEY,
    GateName,
    Run,
    decode,
    encode,
    managed_labels,
    object_name,
    record_of,
    with_run,
)
from gatekeep.model.snapshot import Snapshot
from tests.gates import config_map, gate, record, remembering

RNG = GateName("dockercoins", "rng")


def test_round_trip() -> None:
    found = record(gate(), pending=(Gate("a", "b"),), kept=("u1",))
    snapshot = remembering(Snapshot(), record(gate("other")), found)
    assert record_of(snapshot, RNG) == found
    assert json.loads(encode(found)[RECORD_KEY])["gate"] == {"key": "active", "value": "yes"}


def test_a_gate_without_record() -> None:
    snapshot = remembering(Snapshot(), record(gate()))
    assert record_of(snapshot, GateName("dockercoins", "web")) is None
    assert record_of(snapshot, GateName("default", "rng")) is None


def test_names_and_labels() -> None:
    assert str(RNG) == "dockercoins/rng"
    assert object_name("rng") == "gatekeep-rng"
    assert managed_labels("rng") == {"app.kubernetes.io/managed-by": "gatekeep", "gatekeep.dev/gate": "rng"}


def test_the_last_ten_runs_newest_first() -> None:
    found = msgspec.structs.replace(record(gate()), runs=())
    for number in range(12):
        found = with_run(found, Run(id=str(number), plan="p", started="t", by="ci"))
    assert [run.id for run in found.runs] == [str(number) for number in range(11, 1, -1)]


def test_a_run_that_ends_replaces_itself() -> None:
    found = with_run(record(gate(), id="0"), Run(id="1", plan="p", started="t", by="ci"))
    done = with_run(found, Run(id="1", plan="p", started="t", by="ci", outcome="done", ended="u"))
    assert [(run.id, run.outcome) for run in done.runs] == [("1", "done"), ("0", "done")]


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"policy": {}}'])
def test_a_record_edited_by_hand_is_refused(text: str | None) -> None:
    broken = msgspec.structs.replace(config_map(record(gate())), data={} if text is None else {RECORD_KEY: text})
    with pytest.raises(RefusedError, match=r"expected gatekeep's record in record\.json") as error:
        decode(broken)
    assert error.value.exit_code == 3
    assert error.value.where == "ConfigMap dockercoins/gatekeep-rng"
    assert "kubectl -n dockercoins delete configmap gatekeep-rng" in error.value.hint
