"""newPods: Hold: who was there before the gate is in; who came after waits, and is admitted as the policy says."""

from __future__ import annotations

import pytest

from gatekeep.model.policy import Gate
from gatekeep.strategies.question import Question
from gatekeep.strategies.rotation import desired_rotation
from tests.builders import cluster
from tests.gates import NAMESPACE, gate, snapshot_of

LABELS = {"app": "rng"}
STANDING = (Gate(key="active", value="yes"),)


def rotation(admit: object, standing: tuple[Gate, ...] = STANDING) -> set[str]:
    """Names of the members: two pods carry the label, three were born since (one not ready, one older)."""
    built = cluster(NAMESPACE).pods("in-1", "in-2", labels={**LABELS, "active": "yes"}).pods("new-2", labels=LABELS)
    built.pods("new-1", labels=LABELS).pods("sick", labels=LABELS, ready=False)
    built.change("Pod", "new-2", metadata={"creationTimestamp": "2025-11-01T00:00:00Z"})
    snapshot = snapshot_of(built)
    policy = gate(newPods="Hold", admit=admit)
    found = desired_rotation(Question(policy=policy, bases=[LABELS], snapshot=snapshot, standing=standing))
    assert found.match.any_of == ()
    return {pod.name for pod in snapshot.pods if pod.uid in found.members}


@pytest.mark.parametrize(
    ("admit", "members"),
    [
        (0, {"in-1", "in-2"}),
        (2, {"in-1", "in-2"}),
        (3, {"in-1", "in-2", "new-2"}),
        (4, {"in-1", "in-2", "new-2", "new-1"}),
        (5, {"in-1", "in-2", "new-2", "new-1", "sick"}),
        ("All", {"in-1", "in-2", "new-2", "new-1", "sick"}),
        (1, {"in-1", "in-2"}),
    ],
)
def test_held_pods_are_admitted_ready_ones_first_then_the_oldest(admit: object, members: set[str]) -> None:
    assert rotation(admit) == members


def test_before_the_gate_stands_nobody_is_new() -> None:
    assert len(rotation(0, ())) == 5
