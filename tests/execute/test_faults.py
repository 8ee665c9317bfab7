"""A fault at every write of every kind of plan, with either stream late. Compared with an undisturbed run.

* killed before a write, killed after a write
* an answer that got lost: the write was applied, the client sees a time-out
* a time-out that was none: the write was not applied; an API server that conflicts once (409) or refuses for good (422)
* afterwards: the floor was kept, a new run ends where an undisturbed one does and leaves no helper, the next plan is
  empty, and retiring from there leaves nothing
"""

from __future__ import annotations

import contextlib

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.errors import (
    GatekeepError,
    IncompleteError,
    LockHeldError,
    NotSettledError,
    PatchRejectedError,
    RefusedError,
    UnreachableError,
)
from tests.execute.faults import Denial, Mortal, failing
from tests.execute.world import (
    STORIES,
    Story,
    converges,
    helpers,
    holder,
    keeps_floor,
    picture,
    record,
    run,
    write_count,
)
from tests.gates import retirement

LATE = 40.0
LAGS: tuple[dict[str, float], ...] = (
    {},
    {"pod_lag": LATE},
    {"service_lag": LATE},
    {"pod_lag": 3.0, "service_lag": 3.0},
)
every_story = pytest.mark.parametrize("name", [name for name in STORIES if name != "value-shared"])


def started(name: str, number: int) -> EmbeddedCluster:
    """The story's cluster; the lag goes by the number of the write, so that every story meets every lag."""
    return STORIES[name].start(**LAGS[number % len(LAGS)])


def writes(name: str) -> range:
    """The numbers of the writes."""
    return range(1, write_count(STORIES[name]) + 1)


@every_story
def test_killed_before_a_write(name: str) -> None:
    for number in writes(name):
        made = started(name, number)
        assert killed(Mortal(made, before=number), made, STORIES[name])
        recovers(made, STORIES[name])


@every_story
def test_killed_after_a_write(name: str) -> None:
    for number in writes(name):
        made = started(name, number)
        assert killed(Mortal(made, after=number), made, STORIES[name])
        recovers(made, STORIES[name])


@pytest.mark.parametrize("name", ["add", "key-and-swap", "value-shared"])
def test_killed_again_and_again(name: str) -> None:
    story = STORIES[name]
    for number in range(5, write_count(story), 3):
        made = started(name, number)
        for later in (0, 1, 2):
            killed(Mortal(made, after=number + later), made, story)
        recovers(made, story)


def killed(mortal: Mortal, made: EmbeddedCluster, story: Story) -> bool:
    """Runs the story until it is killed."""
    return mortal.run(lambda through: run(made, story.planner, through))


def recovers(made: EmbeddedCluster, story: Story) -> None:
    """Nothing was lost so far, and the next run (once the dead holder's lock is free) finishes."""
    assert keeps_floor(made, story)
    converges(made, story)


@every_story
def test_an_answer_that_got_lost_is_asked_for_again(name: str) -> None:
    for number in writes(name):
        made = started(name, number)
        failing(made, number, UnreachableError("no answer in time"), after=True)
        completes(made, STORIES[name])


@every_story
def test_a_write_that_did_not_arrive_is_sent_again(name: str) -> None:
    for number in writes(name):
        made = started(name, number)
        failing(made, number, UnreachableError("connection refused"), times=2)
        completes(made, STORIES[name])


@every_story
def test_one_conflict_is_not_the_end(name: str) -> None:
    for number in writes(name):
        made = started(name, number)
        sent = writes_of(made)
        failing(made, number, PatchRejectedError("the object has been modified (HTTP 409)"))
        error = attempt(made, STORIES[name])
        verb, kind = sent[number - 1]
        assert error is None or verb == "create" or kind == "ConfigMap"
        assert helpers(made) == []
        recovers(made, STORIES[name])


def writes_of(made: EmbeddedCluster) -> list[tuple[str, str]]:
    """Collects verb and kind of the client's writes."""
    sent: list[tuple[str, str]] = []
    made.before_write(lambda verb, ref, count: sent.append((verb, ref.kind)))
    return sent


def attempt(made: EmbeddedCluster, story: Story) -> GatekeepError | None:
    """Runs the story; its error, if any."""
    try:
        run(made, story.planner)
    except GatekeepError as error:
        return error
    return None


def completes(made: EmbeddedCluster, story: Story) -> None:
    """The run itself ends as if nothing had been."""
    run(made, story.planner)
    assert helpers(made) == []
    assert keeps_floor(made, story)
    assert picture(made) == story.end()
    assert holder(made) == ""


@every_story
def test_a_write_that_is_refused_for_good_stops_the_run(name: str) -> None:
    story = STORIES[name]
    for number in writes(name):
        made = started(name, number)
        denial = Denial(made, number)
        with contextlib.suppress(NotSettledError, IncompleteError, RefusedError, PatchRejectedError, LockHeldError):
            run(made, story.planner)
        assert denial.denied is not None
        assert set(helpers(made)) <= ({denial.denied[1].name} if denial.denied[0] == "delete" else set())
        denial.lifted = True
        recovers(made, story)


@pytest.mark.parametrize("name", ["add", "leave", "key", "retire"])
def test_a_guard_that_is_refused_for_good_is_named_and_written_down(name: str) -> None:
    made = STORIES[name].start()
    Denial(made, 3)
    with pytest.raises(RefusedError, match="denied by a policy"):
        run(made, STORIES[name].planner)
    found = record(made)
    assert found is not None
    assert "denied by a policy" in found.runs[0].outcome
    assert found.runs[0].ended
    assert holder(made) == ""
    assert STORIES[name].planner is retirement or found.policy.name == "rng"
