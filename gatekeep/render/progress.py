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
        self._number = ""
        self._what = ""
        self._started = 0.0
        self._last = 0.0
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
                self._number, self._what = f"[{step.number:>{len(str(total))}}/{total}]", self._words(step)
                self._started = self._last = self._clock()
                if self._in_place:
                    self._replace(self._headline("…", ""))
            case StepProgress(done=done, total=total):
                self._update(f"{done:,} of {total:,} written")
            case WaitProgress(seen=seen, expected=expected, seconds=passed):
                self._update(f"{seen:,} of {expected:,} pods seen", passed)
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

    def _update(self, detail: str, passed: float | None = None) -> None:
        now = self._clock()
        if now - self._last < (REFRESH if self._in_place else CALM):
            return
        self._last = now
        text = self._headline("…", seconds(float(now - self._started if passed is None else passed)), detail)
        if self._in_place:
            self._replace(text)
        else:
            self._line(self._painted(text))

    def _finish(self, event: StepFinished) -> None:
        news = [f"{name} {ready:,} ready" for name, ready in self._ready.items() if self._told.get(name) != ready]
        self._told.update(self._ready)
        self._line(self._painted(self._headline("✔", seconds(float(event.seconds)), ", ".join(news))))
        for words, names in (("gone, skipped", event.skipped), ("born since the plan, done too", event.added)):
            if names:
                text = f"{counted(len(names), 'pod')} {words}: {some(names)}"
                self._line(f"  {self._style.text('·')} {self._style.text(text)}")

    def _headline(self, mark: str, passed: str, detail: str = "") -> str:
        """``[3/6] ✔   0.4s  ? Service shop/rng: …  shop/rng 6 ready``: what is the same for all steps lines up."""
        state = f"{self._style.text(mark):<{1 if self._style.unicode else 3}} {passed:>6}"
        return f"{self._number} {state}  {self._what}  {self._style.text(detail)}".rstrip()

    def _words(self, step: Step) -> str:
        """What the step does; asked once a step, because it looks at every change."""
        groups: dict[str, list[str]] = {}
        for line in lines_of(step):
            groups.setdefault(f"{line.symbol} {line.objects}", []).append(line.change)
        return self._style.text("; ".join(f"{objects}: {', '.join(all_)}" for objects, all_ in groups.items()))

    def _painted(self, text: str) -> str:
        """Colours the mark of a step that is done; last of all, because colour codes would count as columns."""
        return text.replace("] ✔", f"] {self._style.paint('✔', 'green')}", 1)

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


def _cut(text: str, width: int) -> str:
    """``text`` on one screen line: one that wraps could not be taken back."""
    if columns(text) <= width:
        return text
    return text[: width - 3] + "..."
