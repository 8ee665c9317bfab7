"""Progress: one line a step, calm in a log, in place on a terminal."""

from __future__ import annotations

import io

import msgspec
import pytest

from gatekeep.model.events import Note, ReadyEndpoints, StepFinished, StepProgress, StepStarted, WaitProgress
from gatekeep.model.plan import Match
from gatekeep.model.selectors import LabelSelector
from gatekeep.model.waits import GateLabel
from gatekeep.render import progress as module
from gatekeep.render.progress import Progress
from gatekeep.render.style import Style
from tests.render.samples import label, sample

STEPS = sample().steps


class Clock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def progress(*, in_place: bool = False, width: int = 100) -> tuple[Progress, io.StringIO, Clock]:
    stream, clock = io.StringIO(), Clock()
    return Progress(stream, Style(width=width), in_place=in_place, clock=clock), stream, clock


def test_a_short_step_is_one_line() -> None:
    tell, stream, clock = progress()
    tell(StepStarted(STEPS[0], 6))
    clock.now = 0.5
    tell(StepProgress(1, 2, 3))
    tell(ReadyEndpoints("shop", "rng", 3))
    tell(StepFinished(1, 0.5))
    assert stream.getvalue() == "[1/6] ✔   0.5s  + 3 pods of shop: + active=yes  shop/rng 3 ready\n"


def waiting(tell: Progress, clock: Clock, until: int, seen: int = 1) -> None:
    """Looks ten times a second, ``until`` seconds long."""
    for tenth in range(int(clock.now * 10), until * 10 + 1):
        clock.now = tenth / 10
        tell(WaitProgress(3, seen, 3, clock.now))


def test_a_long_wait_is_told_of_less_and_less() -> None:
    tell, stream, clock = progress()
    tell(StepStarted(STEPS[2], 6))
    waiting(tell, clock, 190)
    lines = stream.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["1.0s", "5.0s", "15s", "30s", "1m", "2m", "3m"]
    assert lines[0] == (
        "[3/6] …   1.0s  1 of 3 pods seen  ? Service shop/rng-shadow: slices hold ready members (3 when planned)"
    )


def test_news_of_a_wait_is_told_at_once() -> None:
    tell, stream, clock = progress()
    tell(StepStarted(STEPS[2], 6))
    waiting(tell, clock, 7)
    waiting(tell, clock, 10, seen=2)
    tell(StepFinished(3, 10.0))
    lines = stream.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["1.0s", "5.0s", "7.0s", "10s"]
    assert "2 of 3 pods seen" in lines[2]
    assert lines[-1].startswith("[3/6] ✔    10s  ?")


def test_a_marker_has_no_pods_to_count() -> None:
    tell, stream, clock = progress()
    tell(StepStarted(STEPS[4], 6))
    clock.now = 2.0
    tell(WaitProgress(5, 0, 1, 2.0))
    assert stream.getvalue() == (
        "[5/6] …   2.0s  waiting for an EndpointSlice  ? Service shop/rng-marker: has an EndpointSlice\n"
    )


@pytest.mark.parametrize(
    ("seen", "expected", "said"),
    [(6, 3, "6 pods seen, expected 3"), (2, 0, "2 pods seen, expected 0"), (0, 0, "waiting for an EndpointSlice")],
)
def test_pods_that_are_to_go_are_counted_too(seen: int, expected: int, said: str) -> None:
    tell, stream, clock = progress(width=200)
    tell(StepStarted(STEPS[2], 6))
    clock.now = 2.0
    tell(WaitProgress(3, seen, expected, 2.0))
    assert f"  2.0s  {said}  ?" in stream.getvalue().replace("   2.0s", "  2.0s")


def test_every_label_edit_of_a_step_is_told_with_its_own_count() -> None:
    step = msgspec.structs.replace(
        STEPS[0], changes=(label("rng-a"), label("rng-b"), label("rng-c", "no"), label("rng-d", "yes", None))
    )
    tell, stream, _ = progress(width=200)
    tell(StepStarted(step, 6))
    tell(StepFinished(1, 0.1))
    assert stream.getvalue() == (
        "[1/6] ✔   0.1s  + 2 pods of shop: + active=yes; ~ Pod shop/rng-c: ~ active=no → yes; "
        "- Pod shop/rng-d: - active=yes\n"
    )


def test_on_a_terminal_the_line_is_replaced() -> None:
    tell, stream, clock = progress(in_place=True)
    tell(StepStarted(STEPS[0], 6))
    clock.now = 0.2
    tell(StepProgress(1, 2, 3))
    tell(StepFinished(1, 0.2))
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().split("\r\x1b[2K")[1:] == [
        "[1/6] …         + 3 pods of shop: + active=yes",
        "[1/6] …   0.2s  2 of 3 written  + 3 pods of shop: + active=yes",
        "[1/6] ✔   0.2s  + 3 pods of shop: + active=yes\n",
    ]


def test_a_line_that_is_replaced_never_wraps() -> None:
    tell, stream, clock = progress(in_place=True, width=40)
    tell(StepStarted(STEPS[2], 6))
    assert 30 < len(stream.getvalue().removeprefix("\r\x1b[2K")) <= 39
    clock.now = 70.0
    tell(WaitProgress(3, 1, 3, 70.0))
    assert stream.getvalue().rpartition("\r\x1b[2K")[2] == "[3/6] … 1m 10s  1 of 3 pods seen  ?..."


def test_a_short_line_does_without_the_object() -> None:
    tell, stream, clock = progress(in_place=True, width=80)
    tell(StepStarted(STEPS[2], 6))
    clock.now = 7.0
    tell(WaitProgress(3, 1, 3, 7.0))
    assert stream.getvalue().rpartition("\r\x1b[2K")[2] == (
        "[3/6] …   7.0s  1 of 3 pods seen  ? slices hold ready members (3 when planned)"
    )


def test_a_finished_line_fits_a_terminal_and_keeps_the_news() -> None:
    for width in (40, 60, 80):
        tell, stream, _ = progress(in_place=True, width=width)
        tell(StepStarted(STEPS[3], 6))
        tell(ReadyEndpoints("shop", "rng", 3))
        tell(StepFinished(4, 0.5))
        last = stream.getvalue().rpartition("\r\x1b[2K")[2].rstrip("\n")
        assert len(last) <= width
        assert last.startswith("[4/6] ✔   0.5s  ~ ")
        assert width == 40 or last.endswith("  shop/rng 3 ready")


def test_an_error_begins_its_own_line() -> None:
    tell, stream, _ = progress(in_place=True)
    tell(StepStarted(STEPS[0], 6))
    tell.end()
    tell.end()
    assert stream.getvalue().endswith("active=yes\n")


def test_skipped_and_added_pods_are_named() -> None:
    tell, stream, _ = progress()
    tell(StepStarted(STEPS[0], 6))
    tell(StepFinished(1, 0.0, skipped=("rng-a",), added=("rng-x", "rng-y")))
    assert "  · 1 pod gone, skipped: rng-a\n" in stream.getvalue()
    assert "  · 2 pods born since the plan, done too: rng-x, rng-y\n" in stream.getvalue()


def test_notes_are_harmless() -> None:
    tell, stream, _ = progress()
    tell(Note("waiting for \x1b[2J"))
    assert stream.getvalue() == "  · waiting for \\x1b[2J\n"


def test_a_closed_stderr_does_not_stop_an_apply() -> None:
    tell, stream, _ = progress()
    stream.close()
    tell(StepStarted(STEPS[0], 6))
    tell(StepFinished(1, 2.0))


LATER = msgspec.structs.replace(
    STEPS[0], changes=(), match=Match("shop", LabelSelector({"app": "rng"}), gate=GateLabel("active", "yes"))
)


def test_a_labelling_step_that_nobody_needs_yet_is_told_as_well() -> None:
    tell, stream, _ = progress()
    tell(StepStarted(LATER, 6))
    tell(StepFinished(1, 0.0))
    assert stream.getvalue() == "[1/6] ✔   0.0s  + pods born until then: + active=yes\n"


def test_a_mistake_in_the_telling_does_not_stop_an_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(step: object) -> list[object]:
        raise LookupError("no such word")

    monkeypatch.setattr(module, "lines_of", fail)
    tell, stream, _ = progress()
    tell(StepStarted(STEPS[0], 6))
    tell(StepStarted(STEPS[1], 6))
    assert stream.getvalue().count("progress is not shown in full: LookupError('no such word')") == 1
