"""The proof of a barrier holds for the kube-controller-manager that made it.

* a new leader (other holder, or another transition of the same one) between barrier and switch: the barrier is repeated
  with a new shadow, whose slices must be its own; those of the deleted one do not count
* the same leader: one shadow; a leader's Lease that may not be read is no reason to stop
* leaders that never rest: nothing is switched
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.errors import IncompleteError
from gatekeep.model.events import Event, Note, StepFinished, WaitProgress
from gatekeep.model.objects import ObjectRef
from gatekeep.model.plan import Access
from tests.execute.world import RNG, STORIES, bare, helpers, keeps_floor, picture, run
from tests.gates import NAMESPACE

LEADER = ObjectRef("Lease", "kube-system", "kube-controller-manager")
ADD = STORIES["add"]
SHADOW_STEP = 3


def led(**options: object) -> EmbeddedCluster:
    """A cluster whose controller manager has a leader."""
    made = bare(**options)
    made.add({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
              "metadata": {"name": LEADER.name, "namespace": LEADER.namespace},
              "spec": {"holderIdentity": "node1", "leaseTransitions": 4, "leaseDurationSeconds": 15}})  # fmt: skip
    return made


def shadows_of(made: EmbeddedCluster) -> list[str]:
    """Collects the uids of shadows as they are created."""
    found: list[str] = []

    def note(verb: str, ref: ObjectRef, count: int) -> None:
        if verb == "create" and ref.kind == "Service":
            found.append(made.get(ref)["metadata"]["uid"])

    made.after_write(note)
    return found


def after_barrier(made: EmbeddedCluster, act: Callable[[], object], events: list[Event]) -> Callable[[Event], None]:
    """A listener that acts when the barrier is met, before the switch."""

    def listen(event: Event) -> None:
        events.append(event)
        if isinstance(event, StepFinished) and event.number == SHADOW_STEP:
            act()

    return listen


@pytest.mark.parametrize("change", [{"holderIdentity": "node2", "leaseTransitions": 5}, {"leaseTransitions": 5}])
def test_a_new_leader_repeats_the_barrier_with_a_new_shadow(change: dict[str, object]) -> None:
    made = led(pod_lag=3.0)
    shadows, events = shadows_of(made), list[Event]()

    def change_leader() -> None:
        made.edit(LEADER, lambda data: data["spec"].update(change))

    run(made, ADD.planner, listener=after_barrier(made, change_leader, events))
    assert len(set(shadows)) == 2
    notes = [event.message for event in events if isinstance(event, Note)]
    assert notes == ["kube-controller-manager has a new leader: proving again before step 4"]
    assert helpers(made) == []
    assert keeps_floor(made, ADD)
    assert picture(made).selectors == ADD.end().selectors


def test_slices_of_the_deleted_shadow_are_not_believed() -> None:
    """The new leader has seen nothing yet, while the old shadow's slices still say what was predicted."""
    made = led()
    events: list[Event] = []
    switched: list[float] = []

    def change_leader() -> None:
        made.edit(LEADER, lambda data: data["spec"].update(holderIdentity="node2"))
        made.lag(services=20.0)

    def note(verb: str, ref: ObjectRef, count: int) -> None:
        if verb == "patch" and ref == RNG:
            switched.append(made.clock.monotonic())

    made.before_write(note)
    run(made, ADD.planner, listener=after_barrier(made, change_leader, events))
    assert switched[0] > 20.0
    assert {event.number for event in events if isinstance(event, WaitProgress)} >= {SHADOW_STEP}
    assert keeps_floor(made, ADD)


def test_the_same_leader_needs_one_shadow() -> None:
    made = led()
    shadows = shadows_of(made)
    run(made, ADD.planner)
    assert len(shadows) == 1


def test_a_leaders_lease_that_may_not_be_read_is_no_reason_to_stop() -> None:
    made = led(forbidden=[Access("get", "coordination.k8s.io", "leases", "kube-system")])
    shadows = shadows_of(made)
    run(made, ADD.planner)
    assert len(shadows) == 1
    assert picture(made).selectors == ADD.end().selectors


def test_leaders_that_never_rest_prove_nothing() -> None:
    made = led()
    seen: list[int] = []

    def change_leader(verb: str, ref: ObjectRef, count: int) -> None:
        if verb == "create" and ref.kind == "Service":
            seen.append(count)
            made.edit(LEADER, lambda data: data["spec"].update(leaseTransitions=len(seen) + 10))

    made.after_write(change_leader)
    with pytest.raises(IncompleteError, match="the switch cannot be proved"):
        run(made, ADD.planner)
    assert made.get(RNG)["spec"]["selector"] == {"app": "rng"}
    assert helpers(made) == []
    assert all(item["metadata"]["namespace"] != NAMESPACE for item in made.list_objects("Lease", "kube-system", {}))
