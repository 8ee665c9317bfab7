"""Progress of an apply on stderr: a line for each step; on a terminal the running step is updated in place."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from gatekeep.model.events import (
    CheckProgress,
    Event,
    Note,
    ReadyEndpoints,
    StepFinished,
    StepProgress,
    StepStarted,
    WaitProgress,
)
from gatekeep.model.plan import Step
from gatekeep.model.waits import AdmissionWait, CheckWait, EndpointsWait, ExistsWait, FieldWait, Wait
from gatekeep.render.layout import counted, seconds, some
from gatekeep.render.style import Style, columns
from gatekeep.render.words import lines_of

REFRESH = 0.1
CALM = (1.0, 5.0, 15.0, 30.0, 60.0)
"""Where lines stay, as in a CI log, a step is told of after so many seconds, and then each minute; or on news."""
MINUTE = 60.0
MARKER = "waiting for an EndpointSlice"
CONTROLLER = "waiting for its controller"
POLICY = "waiting for the policy to take effect"
LEAST = 20
"""Columns that what a step did is worth, before the news beside it are cut as well."""
CLEAR = "\r\x1b[2K"


class Progress:
    """A listener that tells a person what happens. It never raises: a closed stderr does not stop an apply."""

    def __init__(
        self, stream: TextIO, style: Style, *, in_place: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._style = style
        self._in_place = in_place
        self._clock = clock
        self._number = ""
        self._what = self._brief = ""
        self._started = 0.0
        self._last = 0.0
        self._due = 0.0
        self._seen = ""
        self._waiting = ""
        self._ready: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._shown = False
        self._broken = False

    def __call__(self, event: Event) -> None:
        """Tells about one event; a mistake in the telling is told once, and the apply goes on."""
        try:
            self._tell(event)
        except Exception as error:  # whatever it is, it must not end a run half-way
            if not self._broken:
                self._line(f"  {self._style.text('·')} {self._style.text(f'progress is not shown in full: {error!r}')}")
            self._broken = True

    def _tell(self, event: Event) -> None:
        match event:
            case StepStarted(step=step, total=total):
                self._start(step, total)
            case StepProgress(done=done, total=total):
                self._update(f"{done:,} of {total:,} written")
            case WaitProgress(seen=seen, expected=expected, seconds=passed):
                detail = self._waiting or _seen(seen, expected)
                self._update(detail, passed, news=detail)
            case CheckProgress(seconds=passed):
                self._update(_check(event), passed, news=_turn(event))
            case StepFinished():
                self._finish(event)
            case ReadyEndpoints(namespace=namespace, service=service, ready=ready):
                self._ready[f"{namespace}/{service}"] = ready
            case Note(message=message):
                self._line(f"  {self._style.text('·')} {self._style.text(message)}")

    def end(self) -> None:
        """Leaves the line that is being updated, when a step ends in an error: what follows begins a line."""
        if self._shown:
            self._write("\n")
            self._shown = False

    def _start(self, step: Step, total: int) -> None:
        self._number, self._what = f"[{step.number:>{len(str(total))}}/{total}]", self._words(step)
        self._waiting = _waiting(step.wait)
        self._started = self._last = self._clock()
        self._due, self._seen = CALM[0], ""
        if self._in_place:
            self._replace_with(self._headline("…", ""))

    def _update(self, detail: str, passed: float | None = None, *, news: str = "") -> None:
        """Where the step stands, first of all; another ``news`` than before is worth a line of its own."""
        now = self._clock()
        spent = float(now - self._started if passed is None else passed)
        if not self._is_time(now, spent, news=bool(news) and self._seen not in ("", news)):
            return
        self._last, self._seen = now, news
        text = f"{self._headline('…', seconds(spent))}{self._style.text(detail)}"
        if self._in_place:
            self._replace_with(f"{text}  ")
        else:
            self._due = next((moment for moment in CALM if moment > spent), (spent // MINUTE + 1) * MINUTE)
            self._line(self._painted(f"{text}  {self._what}"))

    def _is_time(self, now: float, spent: float, *, news: bool) -> bool:
        if self._in_place:
            return now - self._last >= REFRESH
        return spent >= self._due or (news and now - self._last >= CALM[0])

    def _finish(self, event: StepFinished) -> None:
        news = [f"{name} {ready:,} ready" for name, ready in self._ready.items() if self._told.get(name) != ready]
        self._told.update(self._ready)
        if event.left_out:
            self._line(f"{self._headline('·', '')}{self._what}  {self._style.text('left out')}")
            return
        head = self._headline("✔", seconds(float(event.seconds)))
        self._line(self._painted(self._finished(head, self._style.text(", ".join(news)))))
        for words, names in (("gone, skipped", event.skipped), ("born since the plan, done too", event.added)):
            if names:
                text = f"{counted(len(names), 'pod')} {words}: {some(names)}"
                self._line(f"  {self._style.text('·')} {self._style.text(text)}")

    def _finished(self, head: str, news: str) -> str:
        """On a terminal one line: what the step did is shortened, the news are not."""
        tail = f"  {news}" if news else ""
        if not self._in_place:
            return f"{head}{self._what}{tail}"
        room = self._style.width - columns(head + tail)
        what = self._what if columns(self._what) <= room else self._brief
        if columns(what) <= room:
            return f"{head}{what}{tail}"
        if room > LEAST:
            return f"{head}{_cut(what, room)}{tail}"
        return head + _cut(what + tail, self._style.width - columns(head))

    def _headline(self, mark: str, passed: str) -> str:
        """``[3/6] ✔   0.4s  ``: what is the same for all steps lines up."""
        return f"{self._number} {self._style.text(mark):<{1 if self._style.unicode else 3}} {passed:>6}  "

    def _words(self, step: Step) -> str:
        """What the step does; asked once a step, because it looks at every change."""
        lines = lines_of(step)
        brief = [f"{line.symbol} {line.objects if _says_all(step) else line.change}" for line in lines]
        self._brief = self._style.text("; ".join(brief))
        groups: dict[str, list[str]] = {}
        for line in lines:
            groups.setdefault(f"{line.symbol} {line.objects}", []).append(line.change)
        return self._style.text("; ".join(f"{objects}: {', '.join(all_)}" for objects, all_ in groups.items()))

    def _painted(self, text: str) -> str:
        """Colours the mark of a step that is done; last of all, because colour codes would count as columns."""
        return text.replace("] ✔", f"] {self._style.paint('✔', 'green')}", 1)

    def _replace_with(self, head: str) -> None:
        """``head`` and what the step does, without the objects' names where the line has no room for them."""
        fits = columns(head + self._what) < self._style.width
        self._replace(head + (self._what if fits else self._brief))

    def _replace(self, text: str) -> None:
        self._write(CLEAR + self._painted(_cut(text, self._style.width - 1)))
        self._shown = True

    def _line(self, text: str) -> None:
        self._write((CLEAR if self._shown else "") + text + "\n")
        self._shown = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            return


def _waiting(wait: Wait | None) -> str:
    """What is said of a wait that counts nothing; empty for one that counts pods."""
    match wait:
        case ExistsWait():
            return MARKER
        case EndpointsWait() | None:
            return ""
        case AdmissionWait():
            return POLICY
        case FieldWait(equals={"$field": _}):
            return ""
        case _:
            return CONTROLLER


def _says_all(step: Step) -> bool:
    """A check is known by its name; its query is long, and stands in the plan."""
    return isinstance(step.wait, CheckWait)


def _seen(seen: int, expected: int) -> str:
    """``4 of 6 pods seen``; where pods are to go, both numbers."""
    if not (seen or expected):
        return MARKER
    return f"{seen:,} of {expected:,} pods seen" if seen <= expected else f"{seen:,} pods seen, expected {expected:,}"


def _check(event: CheckProgress) -> str:
    """``found 0.004, good for 40s of 2m``; failures only once there are any."""
    good = f", good for {seconds(round(event.good))} of {seconds(event.needed)}" if event.good else ""
    failures = f", {event.failures} of {counted(event.allowed, 'failure')}" if event.failures else ""
    return f"{event.seen}{good}{failures}"


def _turn(event: CheckProgress) -> str:
    """What is worth a line in a log: a failure, and good turning to bad or back; not each number that was found."""
    return f"{event.failures} {'good' if event.good else 'bad'}"


def _cut(text: str, width: int) -> str:
    """``text`` on one screen line: one that wraps could not be taken back."""
    if columns(text) <= width:
        return text
    kept = text[: width - 3]
    while columns(kept) > width - 3:
        kept = kept[:-1]
    return kept.rstrip() + "..."
