"""The lock: one Lease for each gate.

* held: the error (75) names holder, since when and plan, and nothing is written; released: the waiting run goes on
* a dead holder's lock is free after 30 s without renewal, and not before; a nonsense renewal time counts as dead
* renewed every 10 s in long waits; through a short outage too
* lost in the middle: the run stops, writes neither steps nor record any more, and leaves the other's lock alone
* an answer that got lost does not lock a run out of its own Lease
* two runs at once: one waits for the other; with two gates the first lock is kept while waiting for the second
* a signal ends the waiting
"""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import Any

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.errors import IncompleteError, LockHeldError, RefusedError, SignalledError, UnreachableError
from gatekeep.model.events import Event, Note, StepStarted
from gatekeep.model.objects import ObjectRef
from tests.execute.faults import Outage, failing
from tests.execute.world import (
    LEASE,
    RED,
    RNG,
    STORIES,
    bare,
    carry_out,
    converges,
    helpers,
    holder,
    picture,
    proved,
    record,
    run,
    wants,
)
from tests.gates import NAMESPACE, gate

ADD = STORIES["add"]


def take(made: EmbeddedCluster, name: str = "gatekeep-rng", renewed: str | None = None) -> dict[str, Any]:
    """Another run holds a lock."""
    now = renewed or made.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": "anna@laptop (r1)", "acquireTime": now, "renewTime": now, "leaseDurationSeconds": 30}
    metadata = {"name": name, "namespace": NAMESPACE, "annotations": {"gatekeep.dev/plan": "sha256:0123456789abcdef"}}
    return made.add(
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec},
    )


def keep(made: EmbeddedCluster, every: float, times: int) -> None:
    """The other run renews its lock."""

    def renew() -> None:
        stamp = made.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        made.edit(LEASE, lambda data: data["spec"].update(renewTime=stamp))

    for number in range(1, times + 1):
        made.clock.after(every * number, renew)


def test_a_held_lock_is_refused_with_holder_time_and_plan() -> None:
    made = bare()
    take(made)
    writes: list[str] = []
    made.before_write(lambda verb, ref, count: writes.append(f"{verb} {ref}"))
    with pytest.raises(LockHeldError) as caught:
        run(made, ADD.planner, lock_timeout=5.0)
    assert caught.value.exit_code == 75
    assert "held by anna@laptop (r1) since 2026-01-01T00:00:00.000000Z" in caught.value.message
    assert "(plan sha256:0123456789ab" in caught.value.message
    assert caught.value.where == "Lease dockercoins/gatekeep-rng"
    assert made.clock.monotonic() == pytest.approx(5.0, abs=1.0)
    assert writes == []
    assert holder(made) == "anna@laptop (r1)"


def test_a_lock_that_is_released_lets_the_next_run_in() -> None:
    made = bare()
    take(made)

    def release() -> None:
        made.edit(LEASE, lambda data: data["spec"].update(holderIdentity=""))

    made.clock.after(4.0, release)
    notes: list[Event] = []
    outcome = run(made, ADD.planner, lock_timeout=10.0, listener=notes.append)
    assert outcome.wrote
    assert [item.message for item in notes if isinstance(item, Note)] == [
        "waiting for the lock of gate dockercoins/rng, held by anna@laptop (r1) since 2026-01-01T00:00:00.000000Z "
        "(plan sha256:0123456789ab…)"
    ]


def test_a_dead_holders_lock_is_taken_after_thirty_seconds() -> None:
    made = bare()
    uid = take(made)["metadata"]["uid"]
    begun: list[float] = []
    run(made, ADD.planner, listener=lambda event: begun.append(made.clock.monotonic()))
    assert 30.0 < begun[1] < 33.0
    assert made.get(LEASE)["metadata"]["uid"] == uid


def test_a_holder_that_renews_is_not_dead() -> None:
    made = bare()
    take(made)
    keep(made, every=20.0, times=5)
    with pytest.raises(LockHeldError):
        run(made, ADD.planner, lock_timeout=60.0)
    assert holder(made) == "anna@laptop (r1)"


@pytest.mark.parametrize("renewed", ["yesterday", "2026-01-01T00:00:00"])
def test_a_renewal_time_that_no_run_wrote_counts_as_dead(renewed: str) -> None:
    made = bare()
    take(made, renewed=renewed)
    assert run(made, ADD.planner, lock_timeout=0.0).wrote


def test_a_lock_is_renewed_every_ten_seconds_while_waiting() -> None:
    made = bare(pod_lag=60.0)
    renewals: list[datetime] = []

    def note(verb: str, ref: ObjectRef, count: int) -> None:
        if verb == "patch" and ref == LEASE:
            renewals.append(made.clock.now())

    made.after_write(note)
    run(made, ADD.planner)
    gaps = [(after - before).total_seconds() for before, after in itertools.pairwise(renewals)]
    assert len(renewals) >= 6
    assert max(gaps) < 12.0


def test_a_renewal_that_gets_no_answer_is_tried_again() -> None:
    made = bare(pod_lag=60.0)
    failing(made, 8, UnreachableError("no answer in time"), times=2)
    run(made, ADD.planner)
    assert picture(made) == ADD.end()


def test_a_lock_that_is_lost_stops_the_run_and_leaves_the_record_to_the_other() -> None:
    made = bare(pod_lag=60.0)
    taken: dict[str, Any] = {}

    def steal() -> None:
        made.edit(LEASE, lambda data: data["spec"].update(holderIdentity="anna@laptop (r1)"))
        taken.update(made.get(ObjectRef("ConfigMap", NAMESPACE, "gatekeep-rng")))

    made.clock.after(25.0, steal)
    with pytest.raises(IncompleteError, match="this run has lost its lock"):
        run(made, ADD.planner)
    assert made.get(ObjectRef("ConfigMap", NAMESPACE, "gatekeep-rng")) == taken
    assert holder(made) == "anna@laptop (r1)"
    assert helpers(made) == []
    assert made.get(RNG)["spec"]["selector"] == {"app": "rng"}


def test_a_lock_that_is_lost_as_the_gate_is_retired_is_not_deleted() -> None:
    story = STORIES["retire"]
    made = story.start(service_lag=60.0)

    def steal() -> None:
        made.edit(LEASE, lambda data: data["spec"].update(holderIdentity="anna@laptop (r1)"))

    made.clock.after(25.0, steal)
    with pytest.raises(IncompleteError, match="this run has lost its lock"):
        run(made, story.planner)
    assert holder(made) == "anna@laptop (r1)"
    assert record(made) is not None


@pytest.mark.parametrize("name", ["add", "join"])
def test_an_answer_that_got_lost_does_not_lock_a_run_out(name: str) -> None:
    made = STORIES[name].start()
    failing(made, 1, UnreachableError("no answer in time"), after=True)
    run(made, STORIES[name].planner, lock_timeout=0.0)
    assert picture(made) == STORIES[name].end()


def test_of_two_runs_at_once_the_second_waits_and_finds_nothing_left_to_change() -> None:
    made = bare()
    snapshot = made.snapshot([NAMESPACE])
    found = proved(ADD.planner(snapshot), snapshot)
    carry_out(made, found)
    assert not carry_out(made, found).wrote
    assert picture(made) == ADD.end()
    converges(made, ADD)


def test_a_second_run_with_another_policy_is_stale_and_changes_no_selector() -> None:
    made = bare()
    snapshot = made.snapshot([NAMESPACE])
    other = proved(wants(gate(label=RED))(snapshot), snapshot)
    run(made, ADD.planner)
    with pytest.raises(RefusedError, match="the selector changed since the plan was made"):
        carry_out(made, other)
    assert made.get(RNG)["spec"]["selector"] == {"app": "rng", "active": "yes"}
    assert helpers(made) == []
    run(made, ADD.planner)
    assert picture(made).labels == ADD.end().labels


def test_the_first_lock_is_kept_while_waiting_for_the_second() -> None:
    made = bare()
    take(made, "gatekeep-zzz")
    first = gate("aaa", services=("rng-admin",), label=RED)
    last = gate("zzz")
    held: list[bool] = []
    aaa = ObjectRef("Lease", NAMESPACE, "gatekeep-aaa")

    def look(verb: str, ref: ObjectRef, count: int) -> None:
        if ref == aaa:
            held.append(verb == "patch")

    made.after_write(look)
    run(made, wants(first, last), lock_timeout=60.0)
    assert sum(held) >= 3


def test_a_lock_taken_before_the_second_was_refused_is_released() -> None:
    made = bare()
    take(made, "gatekeep-zzz")
    with pytest.raises(LockHeldError):
        run(made, wants(gate("aaa", services=("rng-admin",), label=RED), gate("zzz")), lock_timeout=3.0)
    assert made.get(ObjectRef("Lease", NAMESPACE, "gatekeep-aaa"))["spec"]["holderIdentity"] == ""


def test_a_signal_ends_the_waiting_for_a_lock() -> None:
    made = bare()
    take(made)
    with pytest.raises(SignalledError):
        run(made, ADD.planner, stop=lambda: 15 if made.clock.monotonic() > 3.0 else None)
    assert made.clock.monotonic() < 5.0
    assert holder(made) == "anna@laptop (r1)"


def test_a_lock_whose_server_is_away_for_good_is_left_for_the_next_run() -> None:
    made = bare()
    outage = Outage(made, 40, 1000.0)
    with pytest.raises((IncompleteError, UnreachableError)):
        run(made, ADD.planner, outage.cluster)
    made.clock.sleep(1000.0)
    converges(made, ADD)


def test_steps_start_only_once_the_lock_is_held() -> None:
    made = bare()
    holders: list[str] = []
    run(made, ADD.planner, run_id="r7", listener=lambda event: holders.append(
        holder(made) if isinstance(event, StepStarted) else "ci (r7)"))  # fmt: skip
    assert set(holders) == {"ci (r7)"}
