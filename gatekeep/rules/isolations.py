"""Isolations that nobody is reminded of, and those that are over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gatekeep.model.durations import Moment, timestamp
from gatekeep.rules.ground import LocatedIsolation
from gatekeep.sources.problems import Problem


def isolation_problems(isolations: Iterable[LocatedIsolation], now: Moment) -> Iterator[Problem]:
    """What the documents say by themselves; whether their pods live, only a plan knows."""
    for isolation in isolations:
        expires = isolation.policy.spec.expires
        if expires is None:
            message = "it never expires: nobody is reminded of it"
            hint = "write expires, such as expires: 2026-12-01T12:00:00Z"
            yield Problem(isolation.place("spec"), message, hint, "isolation-without-end")
        elif expires <= now:
            message = f"it expired at {timestamp(expires)}: the next apply returns its pods"
            hint = "delete the document, or write a later time"
            yield Problem(isolation.place("spec", "expires"), message, hint, "isolation-over")
