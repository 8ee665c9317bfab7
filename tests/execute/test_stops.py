"""What ends a run early, and what it leaves: helpers gone, lock free, floor kept, and a next run that finishes.

* a signal before the first write (130, 143), and at every later moment (6), long waits included
* an endpoint controller that has stopped: before the switch nothing of the traffic has changed (6); at the last wait
  everything is written (5)
* an API server that goes away at any call: for a moment, nobody notices; for long, 69 or 6 and a safe state
"""

from __future__ import annotations

import pytest

from gatekeep.model.errors import (
    GatekeepError,
    IncompleteError,
    NotSettledError,
    SignalledError,
    UnreachableError,
)
from gatekeep.model.events import Event, StepStarted
from gatekeep.model.objects import ObjectRef
from tests.execute.faults import NEVER, Outage
from tests.execute.world import (
    ALWAYS,
    STORIES,
    Story,
    bare,
    carry_out,
    converges,
    helpers,
    holder,
    keeps_floor,
    objects_of,
    picture,
    proved,
    record,
    run,
)
from tests.gates import NAMESPACE, retirement

STOPPED = 10_000.0
some_stories = pytest.mark.parametrize("name", ["add", "swap", "key-and-swap", "retire"])


class Signal:
    """Comes when it has been asked for often enough."""

    def __init__(self, number: int, after: int) -> None:
        self.asked = 0
        self._number, self._after = number, after

    def __call__(self) -> int | None:
        self.asked += 1
        return self._number if self.asked > self._after else None


def times_asked(story: Story) -> int:
    """How often an undisturbed run looks for signals."""
    signal = Signal(15, NEVER)
    run(story.start(pod_lag=3.0), story.planner, stop=signal)
    return signal.asked


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_before_anything_is_done(number: int, code: int) -> None:
    made = bare()
    before = objects_of(made)
    with pytest.raises(SignalledError) as caught:
        run(made, STORIES["add"].planner, stop=lambda: number)
    assert caught.value.signal_exit_code == code
    assert objects_of(made) == before


@some_stories
def test_a_signal_at_every_moment(name: str) -> None:
    story = STORIES[name]
    for count in range(1, times_asked(story)):
        made = story.start(pod_lag=3.0)
        before = picture_of(story)
        with pytest.raises((SignalledError, IncompleteError)) as caught:
            run(made, story.planner, stop=Signal(15, count))
        assert helpers(made) == []
        assert holder(made) == ""
        if isinstance(caught.value, SignalledError):
            assert picture(made).labels == before
        else:
            assert "stopped at step" in caught.value.message
            assert "run the same command again" in caught.value.hint
        found = record(made)
        assert found is not None
        assert found.runs[0].outcome != "running"
        assert keeps_floor(made, story)
        converges(made, story)


def picture_of(story: Story) -> object:
    """The labels before the story."""
    return picture(story.start()).labels


@pytest.mark.parametrize("name", ["add", "key-and-swap", "value"])
def test_a_stopped_controller_before_the_switch_changes_no_traffic(name: str) -> None:
    story = STORIES[name]
    made = story.start(pod_lag=STOPPED)
    selectors, served = picture(story.start()).selectors, picture(story.start()).ready
    with pytest.raises(IncompleteError) as caught:
        run(made, story.planner)
    assert "is kube-controller-manager running" in str(caught.value)
    assert made.clock.monotonic() == pytest.approx(300.0, abs=3.0)
    assert helpers(made) == []
    assert picture(made).selectors == selectors
    assert picture(made).ready == served
    made.lag(pods=0.0)
    made.clock.sleep(STOPPED)
    converges(made, story)


def test_a_stopped_service_stream_is_seen_by_the_marker() -> None:
    story = STORIES["retire"]
    made = story.start(service_lag=STOPPED)
    with pytest.raises(IncompleteError, match="has no EndpointSlice after 300 s"):
        run(made, story.planner)
    assert helpers(made) == []
    assert all("active" in pod.labels for pod in made.list_pods(NAMESPACE) if "pod-template-hash" in pod.labels)
    made.lag(services=0.0)
    made.clock.sleep(STOPPED)
    converges(made, story)


@pytest.mark.parametrize(("name", "stream"), [("add-part", "services"), ("join", "pods"), ("add-shared", "services")])
def test_a_last_wait_that_is_not_met_says_that_all_is_written(name: str, stream: str) -> None:
    story = STORIES[name]
    made = story.start()
    snapshot = made.snapshot([NAMESPACE])
    found = proved(story.planner(snapshot), snapshot)
    stopping = {"pods": 1, "services": next((item.number for item in found.plan.steps if selects(item)), 0)}[stream]

    def stop_controller(event: object) -> None:
        if getattr(getattr(event, "step", None), "number", 0) == stopping:
            made.lag(**{stream: STOPPED})

    with pytest.raises(NotSettledError) as caught:
        carry_out(made, found, listener=stop_controller)
    assert caught.value.exit_code == 5
    assert "every step is written, but step" in caught.value.message
    assert helpers(made) == []
    assert holder(made) == ""
    made.lag(pods=0.0, services=0.0)
    made.clock.sleep(STOPPED)
    assert picture(made).ready == story.end().ready
    converges(made, story)


def selects(step: object) -> bool:
    """A step that patches Services."""
    return any(change.kind == "Service" and change.patch for change in getattr(step, "changes", ())) and (
        getattr(step, "action", "") == "Patch"
    )


def test_a_helper_whose_creation_was_never_answered_is_removed() -> None:
    made = bare()
    until: list[float] = []

    def lose(verb: str, ref: ObjectRef, count: int) -> None:
        if verb == "create" and ref.kind == "Service":
            until.append(made.clock.monotonic() + 1.9)
        refuse(verb, ref, count)

    def refuse(verb: str, ref: ObjectRef, count: int) -> None:
        if until and made.clock.monotonic() < until[0]:
            raise UnreachableError("no answer in time")

    made.after_write(lose)
    made.before_write(refuse)
    with pytest.raises(IncompleteError, match="no answer in time"):
        run(made, STORIES["add"].planner)
    assert until
    assert helpers(made) == []
    converges(made, STORIES["add"])


def calls(story: Story) -> int:
    """How many calls an undisturbed run makes."""
    made = story.start()
    counter = Outage(made, NEVER, 0.0)
    run(made, story.planner, counter.cluster)
    return counter.calls


@some_stories
def test_a_short_outage_at_any_call_goes_unnoticed(name: str) -> None:
    story = STORIES[name]
    for number in range(1, calls(story) + 1):
        made = story.start()
        run(made, story.planner, Outage(made, number, 1.2).cluster)
        assert helpers(made) == []
        assert keeps_floor(made, story)
        assert picture(made) == story.end()


@some_stories
def test_a_long_outage_at_any_call_leaves_a_safe_state(name: str) -> None:
    story = STORIES[name]
    for number in range(1, calls(story) + 1):
        made = story.start()
        before = picture_of(story)
        error: GatekeepError | None = None
        try:
            run(made, story.planner, Outage(made, number, 1000.0).cluster)
        except GatekeepError as caught:
            error = caught
        made.clock.sleep(1000.0)
        assert error is None or isinstance(error, UnreachableError | IncompleteError), (number, error)
        if isinstance(error, UnreachableError):
            assert picture(made).labels == before
        assert keeps_floor(made, story)
        if record(made) or story.planner is not retirement:
            made.clock.sleep(ALWAYS)
            converges(made, story)


def test_a_bug_after_the_first_write_leaves_steps_too() -> None:
    made = STORIES["add"].start()

    def fail(event: Event) -> None:
        if isinstance(event, StepStarted) and event.step.number == 3:
            raise ValueError("a listener that is wrong")

    with pytest.raises(IncompleteError, match="a bug in gatekeep, please report it: ValueError"):
        run(made, STORIES["add"].planner, listener=fail)
    assert not helpers(made)
