"""How recorded gates stand: drift either way, alarms, an unfinished run, two gates on one Service, none at all."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import Pod
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.status import gate_statuses
from tests.builders import dockercoins
from tests.gates import DEPLOYMENT_ONLY, applied, gate, plan, record, remembering, rules, snapshot_of

START = snapshot_of(dockercoins())
ALL = applied(START, gate())
HALF = applied(START, gate(pool=DEPLOYMENT_ONLY))


def relabelled(snapshot: Snapshot, prefix: str, value: str | None) -> Snapshot:
    """The label ``active`` of the pods whose names begin so, set by hand."""

    def edit(pod: Pod) -> Pod:
        if not pod.name.startswith(prefix):
            return pod
        labels = {key: held for key, held in pod.labels.items() if key != "active"}
        labels |= {"active": value} if value else {}
        return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, labels=labels))

    return dataclasses.replace(snapshot, pods=tuple(edit(pod) for pod in snapshot.pods))


def sentences(snapshot: Snapshot) -> str:
    """What status says beyond the numbers."""
    (status,) = gate_statuses(snapshot)
    return " | ".join(status.drift)


def test_a_gate_as_it_was_left() -> None:
    (status,) = gate_statuses(ALL)
    assert (status.members_ready, status.members_total, status.candidates, status.drift) == (6, 6, 6, ())


def test_drift_either_way() -> None:
    left_out = next(pod.name for pod in HALF.pods if pod.name.startswith("rng-") and "active" not in pod.labels)
    assert "carry the label active=yes, but the policy leaves them out" in sentences(relabelled(HALF, left_out, "yes"))
    member = next(pod.name for pod in ALL.pods if pod.name.startswith("rng-"))
    assert f"1 pod ({member}) lost the label" in sentences(relabelled(ALL, member, None))


def test_an_edited_policy_is_no_drift() -> None:
    assert "drift" not in rules(plan(HALF, gate()))


def test_a_service_without_endpoint_is_said_first() -> None:
    assert sentences(relabelled(ALL, "rng-", None)).startswith("Service dockercoins/rng has no ready endpoint")


def test_a_first_run_that_did_not_end() -> None:
    unfinished = msgspec.structs.replace(record(gate(), outcome="running", ended=""), wanted=gate())
    said = sentences(remembering(START, unfinished))
    assert "the last run did not end: no gate stands on Service dockercoins/rng yet" in said


def test_two_gates_on_one_service_are_refused() -> None:
    with pytest.raises(RefusedError, match="the gate dockercoins/rng stands on this Service already") as refusal:
        plan(ALL, gate("renamed"))
    assert "gatekeep retire dockercoins/rng" in refusal.value.hint


def test_a_gate_whose_policy_was_deleted_is_a_finding() -> None:
    found = plan(ALL, gate("hasher", services=["hasher"], label={"key": "lane", "value": "open"}))
    (finding,) = [item for item in found.findings if item.rule == "gate-without-policy"]
    assert "gatekeep retire dockercoins/rng" in finding.message


def test_drift_is_measured_by_the_last_policy_that_was_done() -> None:
    cut_short = msgspec.structs.replace(record(gate(pool=DEPLOYMENT_ONLY)), wanted=gate())
    assert "drift" not in rules(plan(remembering(HALF, cut_short), gate()))
