"""Requests that survive an overloaded server and a broken connection, within bounds."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import NamedTuple

from gatekeep.cluster.kube.failures import Request, failure, unreachable
from gatekeep.cluster.kube.login import Credentials
from gatekeep.cluster.kube.target import Target
from gatekeep.cluster.kube.transport import Answer, CutError, Transport
from gatekeep.model.errors import GatekeepError

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
METADATA_ONLY = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json"

_BACKOFF_SECONDS = 0.1
_TRANSIENT = frozenset((500, 502, 503, 504))


class Patience(NamedTuple):
    """How long to go on trying.

    ``overloads``: tries after 429, or 503 with ``Retry-After``; ``waited``: seconds to sleep for them in all;
    ``cuts``: tries after a broken connection or a 5xx.
    """

    overloads: int = 8
    waited: float = 60.0
    cuts: int = 2


DEFAULT = Patience()


class Caller:
    """Sends a request, repeats it where that is safe, and turns refusals into errors. Safe to use from many threads."""

    def __init__(
        self, transport: Transport, rng: random.Random, sleep: Callable[[float], None], patience: Patience = DEFAULT
    ) -> None:
        self.transport = transport
        self.patience = patience
        self._rng = rng
        self._sleep = sleep

    @property
    def target(self) -> Target:
        """The server that is spoken to."""
        return self.transport.target

    def call(
        self,
        method: str,
        path: str,
        request: Request,
        *,
        body: bytes | None = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Answer:
        """The answer, with a status below 300; ``request`` says in messages what was asked for.

        Raises what :func:`failure` gives for every other status, and :class:`UnreachableError`. Everything is sent
        again after a cut: patches and deletions are guarded, and a creation that was carried out answers 409 then.
        """
        tries = _Tries(self.patience)
        while True:
            authorization = self.target.credentials.header()
            headers = self.headers(authorization, accept, content_type if body is not None else "", method == "GET")
            try:
                answer = self.transport.exchange(method, path, headers, body)
            except CutError as error:
                delay = tries.after_cut(error.cause)
                if delay is None:
                    raise unreachable(self.target.url, str(self.target.proxy or ""), error.cause) from error
            else:
                if 200 <= answer.status < 300:
                    return answer
                delay = tries.after_refusal(answer)
                if delay is None and not (
                    answer.status == 401 and tries.renewed(self.target.credentials, authorization)
                ):
                    raise self.failure(request, answer.status, answer.body, resent=tries.cuts > 0)
            # Up to half as long again, so that clients that were refused together do not come back together.
            self._sleep((delay or 0.0) * (1 + self._rng.random() / 2))

    def failure(self, request: Request, status: int, body: bytes, *, resent: bool = False) -> GatekeepError:
        """The error that a status means, naming this server and this identity."""
        return failure(self.target.url, self.target.who, request, status, body, resent=resent)

    def headers(
        self, authorization: str | None, accept: str = JSON, content_type: str = "", compress: bool = False
    ) -> tuple[tuple[str, str], ...]:
        """The header lines of a request; most are the same for every request of a kind."""
        lines = _lines(self.target.headers, accept, content_type, compress and not self.target.loopback)
        return (*lines, ("Authorization", authorization)) if authorization else lines


class _Tries:
    """What has been tried for one request."""

    def __init__(self, patience: Patience) -> None:
        self.patience = patience
        self.cuts = 0
        self.overloads = 0
        self.waited = 0.0
        self.renewals = 0

    def after_cut(self, cause: Exception) -> float | None:
        """Seconds to wait before the next try, or None to give up; a silent server is not asked twice."""
        if self.cuts >= self.patience.cuts or isinstance(cause, TimeoutError):
            return None
        self.cuts += 1
        return _BACKOFF_SECONDS * self.cuts

    def after_refusal(self, answer: Answer) -> float | None:
        """Seconds to wait before the next try, or None when the answer is final."""
        asked = retry_after(answer)
        if asked is None:
            return self.after_cut(ConnectionError()) if answer.status in _TRANSIENT else None
        delay = max(asked, _BACKOFF_SECONDS * 2.0**self.overloads)
        if self.overloads >= self.patience.overloads or self.waited + delay > self.patience.waited:
            return None
        self.overloads += 1
        self.waited += delay
        return delay

    def renewed(self, credentials: Credentials, refused: str | None) -> bool:
        """Once: reads the credentials anew; True when they are others than those refused."""
        self.renewals += 1
        return self.renewals == 1 and credentials.renew(refused)


@functools.lru_cache(maxsize=64)
def _lines(
    common: tuple[tuple[str, str], ...], accept: str, content_type: str, compress: bool
) -> tuple[tuple[str, str], ...]:
    lines = [*common, ("Accept", accept)]
    if content_type:
        lines.append(("Content-Type", content_type))
    if compress:
        # On one machine compressing costs what it saves (measured); over a network lists shrink twentyfold.
        lines.append(("Accept-Encoding", "gzip"))
    return tuple(lines)


def retry_after(answer: Answer) -> float | None:
    """How many seconds the server asks to wait before the next try; None when it does not want one.

    A 429 without a number asks for one second. Dates are not used by the API server.
    """
    if answer.status not in (429, 503):
        return None
    header = str(answer.headers.get("Retry-After", ""))
    if header.isdecimal():
        return float(header)
    return 1.0 if answer.status == 429 else None
