"""Instant queries of Prometheus' HTTP API, and of what speaks it (Thanos, Mimir, VictoriaMetrics).

``urllib`` is enough: a query every few seconds. Its answer is untrusted: no redirect is followed, it has a limit in
size and in time, and texts in it are cut.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import socket
import ssl
import time
from collections import Counter
from decimal import Decimal, InvalidOperation
from http import HTTPStatus
from typing import Annotated, NamedTuple
from urllib.error import URLError
from urllib.parse import SplitResult, unquote, urlencode, urlsplit
from urllib.request import HTTPHandler, HTTPSHandler, OpenerDirector, ProxyHandler, Request, UnknownHandler

import msgspec

from gatekeep import __version__
from gatekeep.metrics.measurement import BadQueryError, Measurement
from gatekeep.model.errors import UnreachableError, UsageError

TIMEOUT_SECONDS = 10.0
LARGEST_ANSWER = 4 * 1024 * 1024
PROBE = "1"
"""A query that every Prometheus answers."""

_TEXT = 240
_NUMBER = 64
_CHUNK = 1 << 16
_OTHER_METHOD = (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)

_Number = tuple[float, Annotated[str, msgspec.Meta(max_length=_NUMBER)]]
"""A time in seconds and a number as text."""


class _Data(msgspec.Struct, rename="camel"):
    result_type: str
    result: msgspec.Raw


class _Answer(msgspec.Struct, rename="camel"):
    status: str
    data: _Data | None = None
    error_type: str = ""
    error: str = ""


class _Series(msgspec.Struct):
    """``value`` is absent for a native histogram."""

    value: _Number | None = None


# Made here: decoders that two threads make at the same time can crash.
_ANSWER = msgspec.json.Decoder(_Answer)
_SCALAR = msgspec.json.Decoder(_Number)
_VECTOR = msgspec.json.Decoder(list[_Series])


class _Reply(NamedTuple):
    status: int
    location: str
    body: bytes


class _NoAnswerError(Exception):
    """Why there is none, without the address: a measurement's reason may get into a record. And what to do."""

    def __init__(self, said: str, hint: str) -> None:
        super().__init__(said)
        self.said = said
        self.hint = hint


class Prometheus:
    """One Prometheus. ``address`` is shown to people and never holds user and password."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """``timeout`` in seconds is for each query. Raises :class:`UsageError` for what is no http or https URL."""
        parts = _parts(url)
        netloc = parts.netloc.rpartition("@")[2]
        self.address = f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}"
        self._headers = {"User-Agent": f"gatekeep/{__version__}", "Accept": "application/json", **_authorization(parts)}
        self._timeout = timeout
        self._opener = _opener(parts)

    def measure(self, query: str) -> Measurement:
        """What ``query`` is now; no answer is no value. Raises :class:`BadQueryError`."""
        try:
            return self._measured(self._ask(query))
        except _NoAnswerError as error:
            return Measurement(missing=f"no answer: {error.said}")

    def require(self) -> None:
        """Raises :class:`UnreachableError` unless a Prometheus answers a query there."""
        try:
            self._measured(self._ask(PROBE))
        except _NoAnswerError as error:
            message = f"cannot ask Prometheus at {self.address}: {error.said}"
            raise UnreachableError(message, hint=error.hint) from error

    def _ask(self, query: str) -> _Data:
        """Asks by POST, as long queries need, and by GET where that is not allowed."""
        reply = self._exchange("POST", query)
        if reply.status in _OTHER_METHOD:
            reply = self._exchange("GET", query)
        if 300 <= reply.status < 400:
            raise _NoAnswerError(
                f"HTTP {reply.status}, a redirect, and none is followed",
                f"give the address that it leads to: {_readable(_without_user(reply.location))}",
            )
        if reply.status in _REFUSED:
            raise _NoAnswerError(
                f"HTTP {reply.status}, it refuses this user",
                "put user and password into the address, https://USER:PASSWORD@HOST, best in GATEKEEP_PROMETHEUS",
            )
        try:
            answer = _ANSWER.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._foreign(reply) from error
        if reply.status == HTTPStatus.OK and answer.status == "success" and answer.data is not None:
            return answer.data
        if answer.status != "error":
            raise self._foreign(reply)
        said = _readable(answer.error) or f"HTTP {reply.status}"
        if answer.error_type == "bad_data":
            raise BadQueryError(f"Prometheus refuses the query: {said}", hint="correct the query in the policy")
        raise _NoAnswerError(f"the query could not be evaluated: {said}", "ask it in Prometheus itself")

    def _measured(self, data: _Data) -> Measurement:
        try:
            if data.result_type == "scalar":
                return _measurement([_SCALAR.decode(data.result)[1]])
            if data.result_type == "vector":
                return _measurement([_value(series) for series in _VECTOR.decode(data.result)])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation) as error:
            raise _NoAnswerError(f"it is none of Prometheus: {_readable(str(error))}", self._hint()) from error
        raise BadQueryError(
            f"expected a query that gives a vector or a scalar, found a {_readable(data.result_type)}",
            hint="a range such as x[5m] needs a function around it, such as rate",
        )

    def _exchange(self, method: str, query: str) -> _Reply:
        url, fields = f"{self.address}/api/v1/query", urlencode({"query": query})
        request = (
            Request(url, data=fields.encode(), headers=self._headers, method=method)
            if method == "POST"
            else Request(f"{url}?{fields}", headers=self._headers, method=method)
        )
        deadline = time.monotonic() + self._timeout
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return _Reply(response.status, response.headers.get("Location", ""), _body(response, deadline))
        except (OSError, http.client.HTTPException) as error:
            raise _NoAnswerError(*_fault(error, self._timeout)) from error

    def _foreign(self, reply: _Reply) -> _NoAnswerError:
        """Something answers, and not as Prometheus does."""
        if reply.status >= 500:
            said = _readable(reply.body[: 4 * _TEXT].decode("utf-8", "replace"))
            return _NoAnswerError(f"HTTP {reply.status}: {said}", "try again later")
        return _NoAnswerError(f"HTTP {reply.status}, and not as Prometheus answers", self._hint())

    def _hint(self) -> str:
        return f"check the address and its path: {self.address}/api/v1/query is asked"


def _body(response: http.client.HTTPResponse, deadline: float) -> bytes:
    found = b""
    while chunk := response.read1(_CHUNK):
        found += chunk
        if len(found) > LARGEST_ANSWER:
            raise _NoAnswerError(
                f"it is larger than {LARGEST_ANSWER >> 20} MB",
                "a check compares every series: aggregate in the query, with sum or max",
            )
        if time.monotonic() > deadline:
            raise TimeoutError
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return found


def _fault(error: Exception, timeout: float) -> tuple[str, str]:
    """What went wrong on the way, and what to do about it."""
    cause = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    match cause:
        case ssl.SSLCertVerificationError():
            return f"certificate refused: {cause.verify_message}", "SSL_CERT_FILE names a file with the CA to trust"
        case ssl.SSLError():
            return f"TLS fails: {cause.reason or cause}", "check that it speaks TLS: http or https?"
        case socket.gaierror():
            return f"its name does not resolve: {cause.strerror}", "check the address, DNS and VPN"
        case TimeoutError():
            return f"nothing within {timeout:g} s", "check network, VPN and firewall, and how long the query takes"
        case ConnectionRefusedError():
            return "connection refused", "check that Prometheus runs at this address"
        case _:
            return _readable(f"{type(cause).__name__}: {cause}"), "check network, VPN, proxy and the address"


def _parts(url: str) -> SplitResult:
    """``url`` taken apart. Raises :class:`UsageError`, whose message does not show user and password."""
    if problem := _problem(url):
        raise UsageError(
            f"expected {problem} as the address of Prometheus, found {_readable(_without_user(url))!r}",
            hint="write http://HOST:9090 or https://HOST/PATH",
        )
    return urlsplit(url)


def _problem(url: str) -> str:
    """What was expected; empty when ``url`` is that. A password with a bare / or ? would be taken for a path."""
    if not url.isascii() or not url.isprintable() or " " in url:
        return "a URL of printable ASCII characters"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        return "an http or https URL"
    if "@" in parts.path + parts.query + parts.fragment:
        return "a URL whose user and password are percent-encoded"
    return "a URL without query and fragment" if parts.query or parts.fragment else ""


def _without_user(url: str) -> str:
    """``url`` without whatever may be user and password, also where it is no URL."""
    scheme = next((start for start in ("http://", "https://") if url.lower().startswith(start)), "")
    return scheme + url[len(scheme) :].rpartition("@")[2]


def _authorization(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _opener(parts: SplitResult) -> OpenerDirector:
    """Without the handlers that follow redirects, turn statuses into exceptions, or open anything but http(s)."""
    opener = OpenerDirector()
    opener.add_handler(ProxyHandler({} if _is_loopback(parts.hostname or "") else None))
    opener.add_handler(HTTPHandler())
    opener.add_handler(HTTPSHandler(context=ssl.create_default_context()))
    opener.add_handler(UnknownHandler())
    return opener


def _is_loopback(host: str) -> bool:
    """It runs on this machine, as behind ``kubectl port-forward``: no proxy lies between."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _value(series: _Series) -> str:
    if series.value is None:
        raise BadQueryError(
            "expected numbers, found a native histogram", hint="take a number of it, with histogram_quantile"
        )
    return series.value[1]


def _measurement(texts: list[str]) -> Measurement:
    numbers = [Decimal(text) for text in texts]
    values = tuple(number for number in numbers if not number.is_nan())
    if not numbers:
        return Measurement(missing="no data")
    absent = Counter(number.is_nan() for number in numbers)[True]
    if absent and len(numbers) > 1:
        return Measurement(values, f"{absent} of {len(numbers)} series {'is' if absent == 1 else 'are'} NaN")
    return Measurement(values, "NaN" if absent else "")


def _readable(text: str) -> str:
    """The first line of ``text``, cut; what a terminal would obey is made harmless where it is printed."""
    line = " ".join(text[: 4 * _TEXT].split())
    return line if len(line) <= _TEXT else line[: _TEXT - 1] + "…"
