"""The EndpointSlices of one Service, followed by list and watch in a thread of their own."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

import msgspec

from gatekeep.cluster.kube.calls import Caller
from gatekeep.cluster.kube.failures import ExpiredError, Request, not_kubernetes
from gatekeep.cluster.kube.lists import list_all
from gatekeep.cluster.kube.paths import collection, label_selector, query
from gatekeep.cluster.kube.transport import CutError, Stream
from gatekeep.cluster.resources import RESOURCES
from gatekeep.model.endpoints import SERVICE_NAME_LABEL
from gatekeep.model.errors import GatekeepError, UnreachableError
from gatekeep.model.objects import EndpointSlice

PATIENCE_SECONDS = 30.0
"""How long a server that cannot be reached is tried again before ``wait`` says so; a restart takes less."""

_WATCH_SECONDS = 240
_SILENCE_SECONDS = 90.0
"""Bookmarks come about once a minute; a longer silence is a connection that died without a word."""
_BACKOFF_SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0)
_STEADY_SECONDS = 5.0
"""A watch that lasted as long as that was a good one."""
_JOIN_SECONDS = 2.0

_SLICES = RESOURCES["EndpointSlice"]


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    resource_version: str = ""


class _Versioned(msgspec.Struct):
    """A slice's name and version, or a bookmark, or the code of an ERROR event."""

    metadata: _Meta = msgspec.field(default_factory=_Meta)
    code: int = 0


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


_EVENT = msgspec.json.Decoder(_Event)
_VERSIONED = msgspec.json.Decoder(_Versioned)
_SLICE = msgspec.json.Decoder(EndpointSlice)


class SliceFollower:
    """Implements :class:`gatekeep.cluster.protocol.SliceWatch`; a context manager that lists on entry.

    For one reader. Entering raises what a list raises. An error that lasts comes out of every later ``current`` and
    ``wait``: a refusal at once, an unreachable server after ``patience`` seconds.
    """

    def __init__(self, caller: Caller, namespace: str, service: str, patience: float = PATIENCE_SECONDS) -> None:
        self._caller = caller
        self._namespace = namespace
        self._labels = {SERVICE_NAME_LABEL: service}
        self._request = Request("watch", _SLICES.plural, namespace)
        self._patience = patience
        self._changed = threading.Condition()
        self._slices: dict[str, EndpointSlice] = {}
        self._version = ""
        self._changes = self._seen = 0
        self._error: GatekeepError | None = None
        self._stream: Stream | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"gatekeep-watch-{service}", daemon=True)

    def __enter__(self) -> Self:
        self._relist()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._changed:
            self._closing.set()
            if self._stream is not None:
                self._stream.abort()
        # Not for ever: a thread that is just connecting ends by itself when that is decided.
        self._thread.join(_JOIN_SECONDS)

    def current(self) -> tuple[EndpointSlice, ...]:
        """The slices as last seen."""
        with self._changed:
            return self._take()

    def wait(self, seconds: float) -> tuple[EndpointSlice, ...]:
        """The slices after the next change since they were last asked for, or as they are after ``seconds``."""
        with self._changed:
            self._changed.wait_for(lambda: self._changes != self._seen or self._error is not None, max(0.0, seconds))
            return self._take()

    def _take(self) -> tuple[EndpointSlice, ...]:
        if self._error is not None:
            raise self._error
        self._seen = self._changes
        return tuple(self._slices[name] for name in sorted(self._slices))

    def _run(self) -> None:
        failures = 0
        stale = False
        failing_since = begun = time.monotonic()
        while not self._closing.is_set():
            if failures == 0:
                failing_since = time.monotonic()
            begun = time.monotonic()
            try:
                if stale:
                    self._relist()
                stale = False
                self._watch()
            except (CutError, ExpiredError):
                stale = True
            except UnreachableError as error:
                stale = True
                if time.monotonic() - failing_since >= self._patience:
                    self._fail(error)
                    return
            except GatekeepError as error:
                self._fail(error)
                return
            # Whatever ends quickly is tried again more and more slowly, also a watch that a proxy ends politely.
            failures = 0 if time.monotonic() - begun >= _STEADY_SECONDS else failures + 1
            if failures:
                self._closing.wait(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS)) - 1])

    def _fail(self, error: GatekeepError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def _relist(self) -> None:
        listed = list_all(self._caller, _SLICES, self._namespace, EndpointSlice, labels=self._labels)
        with self._changed:
            self._version = listed.resource_version
            self._replace({item.metadata.name: item for item in listed.items})

    def _replace(self, slices: dict[str, EndpointSlice]) -> None:
        if slices != self._slices:
            self._slices = slices
            self._changes += 1
            self._changed.notify_all()

    def _watch(self) -> None:
        """One watch request, until the server ends it. Raises :class:`CutError`, :class:`ExpiredError` and others."""
        stream = self._caller.transport.stream()
        with self._changed:
            if self._closing.is_set():
                return
            self._stream = stream
        try:
            path = collection(_SLICES, self._namespace) + query(
                watch=1,
                allowWatchBookmarks="true",
                resourceVersion=self._version,
                timeoutSeconds=_WATCH_SECONDS,
                labelSelector=label_selector(self._labels),
            )
            headers = self._caller.headers(self._caller.target.credentials.header())
            status = stream.open(path, headers, _SILENCE_SECONDS)
            if status != 200:
                raise self._refusal(status, stream.read())
            for line in stream.lines():
                self._apply(line)
        finally:
            with self._changed:
                self._stream = None
            stream.close()

    def _refusal(self, status: int, body: bytes) -> Exception:
        # A 401 may be a token that has expired: the list that follows renews it, or is refused for good.
        if status == 401:
            return CutError(PermissionError("unauthorized"))
        return self._caller.failure(self._request, status, body)

    def _apply(self, line: bytes) -> None:
        try:
            event = _EVENT.decode(line)
            seen = _VERSIONED.decode(event.object)
            if event.type == "ERROR":
                if seen.code == 410:
                    raise ExpiredError("the watch is too old")
                raise CutError(ConnectionError(f"the watch ended with an error (code {seen.code})"))
            item = _SLICE.decode(event.object) if event.type in ("ADDED", "MODIFIED") else None
        except msgspec.MsgspecError as error:
            raise not_kubernetes(self._caller.target.url, self._request, error) from error
        with self._changed:
            self._version = seen.metadata.resource_version or self._version
            if item is not None:
                self._replace({**self._slices, seen.metadata.name: item})
            elif event.type == "DELETED":
                self._replace({name: kept for name, kept in self._slices.items() if name != seen.metadata.name})
