"""Progress of an apply on stderr: a line for each step; on a terminal the running step is updated in place."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from gatekeep.model.events import (
    Event,
    Note,
    ReadyEndpoints,
    StepFinished,
    StepProgress,
    StepStarted,
    WaitProgress,
)
from gatekeep.model.plan import Step
from gatekeep.render.layout import counted, seconds, some
from gatekeep.render.steps import LOOKS
from gatekeep.render.style import Style, columns
from gatekeep.render.words import lines_of

REFRESH = 0.1
CALM = 1.0
"""Seconds between two lines about the same step where lines stay, as in a CI log; shorter steps have none."""
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
        self._step: Step | None = None
        self._total = 0
        self._last = 0.0
        self._ready: dict[str, int] = {}
        self._shown = False

    def __call__(self, event: Event) -> None:
        """Tells about one event."""
        match event:
            case StepStarted(step=step, total=total):
                self._step, self._total, self._last = step, total, self._clock()
                self._update("", at_once=self._in_place)
            case StepProgress(done=done, total=total):
                self._update(f"{done:,} of {total:,} written")
            case WaitProgress(seen=seen, expected=expected, seconds=passed):
                self._update(f"{seen:,} of {expected:,} pods seen, {seconds(passed)}")
            case StepFinished():
                self._finish(event)
            case ReadyEndpoints(namespace=namespace, service=service, ready=ready):
                self._ready[f"{namespace}/{service}"] = ready
            case Note(message=message):
                self._line(f"  {self._style.text('·')} {self._style.text(message)}")

    def _update(self, state: str, *, at_once: bool = False) -> None:
        now = self._clock()
        if not at_once and now - self._last < (REFRESH if self._in_place else CALM):
            return
        self._last = now
        text = self._headline(self._style.text(state or "…"))
        if self._in_place:
            self._write(CLEAR + self._painted(_cut(text, self._style.width - 1)))
            self._shown = True
        else:
            self._line(self._painted(text))

    def _finish(self, event: StepFinished) -> None:
        symbol = self._style.text("✔")
        tail = [symbol, seconds(event.seconds), *(f"{name} {ready:,} ready" for name, ready in self._ready.items())]
        self._line(self._painted(self._headline(self._style.text("  ".join(tail)))))
        for words, names in (("gone, skipped", event.skipped), ("born since the plan, done too", event.added)):
            if names:
                text = f"{counted(len(names), 'pod')} {words}: {some(names)}"
                self._line(f"  {self._style.text('·')} {self._style.text(text)}")

    def _headline(self, state: str) -> str:
        if self._step is None:
            return state
        first, *others = lines_of(self._step)
        more = f" (and {counted(len(others), 'other change')})" if others else ""
        digits = len(str(self._total))
        number = f"[{self._step.number:>{digits}}/{self._total}]"
        what = self._style.text(f"{first.objects}: {first.change}{more}")
        return f"{number} {first.symbol} {what}  {state}"

    def _painted(self, text: str) -> str:
        """Colours the symbol; last of all, because colour codes would count as columns."""
        head, mark, rest = text.partition("] ")
        return f"{head}{mark}{self._style.paint(rest[:1], LOOKS.get(rest[:1], ''))}{rest[1:]}"

    def _line(self, text: str) -> None:
        self._write((CLEAR if self._shown else "") + text + "\n")
        self._shown = False

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            return


def _cut(text: str, width: int) -> str:
    """``text`` on one screen line: one that wraps could not be taken back."""
    if columns(text) <= width:
        return text
    return text[: width - 3] + "..."
