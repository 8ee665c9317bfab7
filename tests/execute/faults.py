"""Bad luck: runs that are killed, an API server that goes away, and moments at which somebody else acts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.cluster.protocol import Cluster
from gatekeep.model.errors import PatchRejectedError, UnreachableError
from gatekeep.model.events import Event, StepFinished, StepStarted
from gatekeep.model.objects import ObjectRef
from gatekeep.model.plan import Step

NEVER = 10**9


class Killed(BaseException):
    """SIGKILL: nothing of gatekeep runs any more."""


class _Between:
    """Stands between a run and its cluster; ``guard`` is called before each call and may raise."""

    def __init__(self, target: EmbeddedCluster, guard: Callable[[str], None]) -> None:
        self._target = target
        self._guard = guard

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._guard(name)
            return found(*args, **kwargs)

        return call


def between(target: EmbeddedCluster, guard: Callable[[str], None]) -> Cluster:
    """The cluster as a run sees it that asks ``guard`` before each call."""
    return cast(Cluster, _Between(target, guard))


class Mortal:
    """Kills the run that goes through ``cluster`` before or after its write of a number."""

    def __init__(self, target: EmbeddedCluster, *, before: int = NEVER, after: int = NEVER) -> None:
        self._dead = self._over = False
        self._writes = 0
        self._before, self._after = before, after
        self.cluster = between(target, self._guard)
        target.before_write(self._on_begin)
        target.after_write(self._on_end)

    def run(self, act: Callable[[Cluster], object]) -> bool:
        """Whether the run was killed; what comes later is left alone."""
        try:
            act(self.cluster)
        except Killed:
            return True
        finally:
            self._over = True
        return False

    def _guard(self, name: str) -> None:
        if self._dead:
            raise Killed

    def _on_begin(self, verb: str, ref: ObjectRef, count: int) -> None:
        self._writes += 1
        self._die(self._writes == self._before)

    def _on_end(self, verb: str, ref: ObjectRef, count: int) -> None:
        self._die(self._writes == self._after)

    def _die(self, now: bool) -> None:
        if now and not self._over:
            self._dead = True
            raise Killed


def failing(target: EmbeddedCluster, number: int, error: Exception, *, after: bool = False, times: int = 1) -> None:
    """The client's write of that number fails, and so do the next ones, ``times`` in all."""
    begun: list[int] = []

    def fail(verb: str, ref: ObjectRef, count: int) -> None:
        begun.append(count)
        if number <= len(begun) < number + times:
            raise error

    (target.after_write if after else target.before_write)(fail)


class Denial:
    """What the client's write of a number wanted is refused from then on, until the denial is lifted."""

    def __init__(self, target: EmbeddedCluster, number: int) -> None:
        self.lifted = False
        self.denied: tuple[str, ObjectRef] | None = None
        self._number = number
        self._writes = 0
        target.before_write(self._judge)

    def _judge(self, verb: str, ref: ObjectRef, count: int) -> None:
        self._writes += 1
        if self._writes == self._number:
            self.denied = (verb, ref)
        if self.denied == (verb, ref) and not self.lifted:
            raise PatchRejectedError("denied by a policy (HTTP 422)", where=str(ref))


class Outage:
    """The API server answers nothing for ``seconds`` from the call of a number on."""

    def __init__(self, target: EmbeddedCluster, number: int, seconds: float) -> None:
        self.calls = 0
        self.began: float | None = None
        self._number, self._seconds = number, seconds
        self._clock = target.clock
        self.cluster = between(target, self._guard)

    def _guard(self, name: str) -> None:
        self.calls += 1
        now = self._clock.monotonic()
        if self.calls >= self._number and self.began is None:
            self.began = now
        if self.began is not None and now < self.began + self._seconds:
            raise UnreachableError("no answer in time")


class Moments:
    """Counts the moments of a run (a step begins or ends, a write is about to be sent), and acts at one of them.

    ``step`` is the step under way then; None before the first one.
    """

    def __init__(self, target: EmbeddedCluster, number: int, act: Callable[[], object]) -> None:
        self.count = 0
        self.step: Step | None = None
        self.at: Step | None = None
        self._number, self._act = number, act
        target.before_write(lambda verb, ref, count: self._tick())

    @property
    def acted(self) -> bool:
        """The moment came."""
        return self.count >= self._number

    def listen(self, event: Event) -> None:
        """The run's listener."""
        if isinstance(event, StepStarted):
            self.step = event.step
        if isinstance(event, StepStarted | StepFinished):
            self._tick()

    def _tick(self) -> None:
        self.count += 1
        if self.count == self._number:
            self.at = self.step
            self._act()
