"""Waits on fields of one object, and on time. The API is asked again and again: these objects have no watch here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gatekeep.execute.barriers import REPORT_SECONDS, WaitTimeoutError, progress
from gatekeep.execute.context import Context
from gatekeep.execute.values import field_at, value_of
from gatekeep.model.errors import NotFoundError, RefusedError
from gatekeep.model.objects import ObjectRef
from gatekeep.model.plan import Change, Step
from gatekeep.model.waits import Bound, DurationWait, FieldWait, WaitObject

OBSERVED = "/status/observedGeneration"
_PAUSES = (0.02, 0.2)
_GROWTH = 1.5
_SLICE_SECONDS = 0.5
_HINT = "is kube-controller-manager running, and does it keep up? A longer --timeout waits longer"


class Unmet(NamedTuple):
    """Why a wait is not met yet; ``seen`` of ``expected`` for the progress, where it counts something."""

    reason: str
    seen: int = 0
    expected: int = 1


def poll(
    context: Context,
    step: Step,
    timeout: int,
    look: Callable[[], Unmet | None],
    *,
    pauses: tuple[float, float] = _PAUSES,
    hint: str = _HINT,
) -> None:
    """Looks again until there is nothing unmet, after the first and in the end the second of ``pauses``, in seconds.

    Raises :class:`WaitTimeoutError` after ``timeout`` seconds, with what was found last.
    """
    clock = context.cluster.clock
    start = reported = clock.monotonic()
    pause, longest = pauses
    while (unmet := look()) is not None:
        now = clock.monotonic()
        if now - start >= timeout:
            raise WaitTimeoutError(f"step {step.number}: {unmet.reason}, after {timeout} s", hint=hint)
        if now - reported >= REPORT_SECONDS:
            reported = now
            context.listener(progress(step, unmet.seen, unmet.expected, now - start))
        context.check()
        clock.sleep(pause)
        pause = min(pause * _GROWTH, longest)


def await_field(context: Context, step: Step, wait: FieldWait) -> None:
    """Returns once the field is what is asked, or is no longer asked for (``while``), or its ReplicaSet is gone.

    Raises :class:`RefusedError` when any other object is gone, or another one has its name.
    """
    poll(context, step, wait.timeout_seconds, lambda: _unmet(context, wait))


def await_observed(context: Context, step: Step, change: Change, generation: Bound) -> None:
    """Returns once the controller of the changed object has seen that generation, or the object is gone."""
    item = WaitObject(change.api_version, change.kind, change.namespace, change.name, change.uid or "")
    await_field(context, step, FieldWait(item, OBSERVED, at_least=generation))


def await_duration(context: Context, wait: DurationWait) -> None:
    """Lets the time pass, in pieces, so that the locks are kept and signals are noticed."""
    clock = context.cluster.clock
    end = clock.monotonic() + wait.seconds
    while (left := end - clock.monotonic()) > 0:
        context.check()
        clock.sleep(min(left, _SLICE_SECONDS))


def ref_of_wait(item: WaitObject) -> ObjectRef:
    """The object that a wait looks at."""
    return ObjectRef(item.kind, item.namespace, item.name)


def _unmet(context: Context, wait: FieldWait) -> Unmet | None:
    live = _live(context, wait.object)
    if live is None or not _is_asked(context, wait, live):
        return None
    found = field_at(live, wait.path)
    if wait.at_least is not None:
        least = _number(value_of(wait.at_least, context.bound))
        met, expected, words = _number(found) >= least, least, f"at least {least}"
    else:
        expected, words = _expected(context, wait, live)
        met = _equal(found, expected)
    if met:
        return None
    reason = f"{ref_of_wait(wait.object)}: expected {wait.path} to be {words}, found {found!r}"
    counts = _is_field(wait.equals) and isinstance(expected, int)
    return Unmet(reason, _number(found), expected) if counts else Unmet(reason)


def _live(context: Context, item: WaitObject) -> dict[str, Any] | None:
    """The object; None for a ReplicaSet that is gone: no pod is born from it any more."""
    ref = ref_of_wait(item)
    try:
        live = context.get(ref)
    except NotFoundError as error:
        if item.kind == "ReplicaSet":
            return None
        raise RefusedError("it is gone", where=str(ref), hint="plan again") from error
    if live["metadata"]["uid"] != item.uid:
        raise RefusedError("it was deleted and created again", where=str(ref), hint="plan again")
    return live


def _is_asked(context: Context, wait: FieldWait, live: Mapping[str, Any]) -> bool:
    if wait.while_ is None:
        return True
    return _equal(field_at(live, wait.while_.path), value_of(wait.while_.equals, context.bound))


def _expected(context: Context, wait: FieldWait, live: Mapping[str, Any]) -> tuple[Any, str]:
    """The value, and how to say it. Another field that is absent is a number, as those that are compared are."""
    if _is_field(wait.equals):
        path = wait.equals["$field"]
        value = field_at(live, path)
        value = 0 if value is None else value
        return value, f"{value!r} ({path})"
    value = value_of(wait.equals, context.bound)
    return value, repr(value)


def _is_field(value: object) -> bool:
    return isinstance(value, Mapping) and set(value) == {"$field"}


def _equal(found: Any, expected: Any) -> bool:
    """A number that is absent counts as 0."""
    if found is None and isinstance(expected, int):
        return expected == 0
    return bool(found == expected)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
