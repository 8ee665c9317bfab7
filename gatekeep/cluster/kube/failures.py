"""What an answer of the API server means, as one of gatekeep's own errors.

Server texts are cut to 256 characters, since a 422 may echo a whole object, and control, bidi and zero-width characters
are escaped, since labels and annotations are other people's text.
"""

from __future__ import annotations

import socket
import ssl
import unicodedata
from typing import NamedTuple

import msgspec

from gatekeep.model.errors import (
    AlreadyExistsError,
    ForbiddenError,
    GatekeepError,
    NotFoundError,
    PatchRejectedError,
    RefusedError,
    UnreachableError,
)

TEXT_LIMIT = 256
"""Characters of a server's text that are shown."""

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


class ExpiredError(GatekeepError):
    """The list or watch is older than the server remembers (HTTP 410); start over."""


class Request(NamedTuple):
    """What was asked for, in the words of RBAC."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""
    namespaced: bool = True

    def __str__(self) -> str:
        named = f"{self.verb} {self.resource}" + (f" {self.name}" if self.name else "")
        if not self.namespaced:
            return named
        return f"{named} in namespace {self.namespace}" if self.namespace else f"{named} in all namespaces"

    @property
    def can_i(self) -> str:
        """The command that shows whether it is allowed."""
        scope = "" if not self.namespaced else f" -n {self.namespace}" if self.namespace else " -A"
        return f"kubectl auth can-i {self.verb} {self.resource}{scope}"


class _Status(msgspec.Struct):
    """``metav1.Status``, as far as it is used."""

    message: str = ""
    reason: str = ""
    kind: str = ""


def readable(text: str, limit: int = TEXT_LIMIT) -> str:
    """``text`` on one line, with nothing a terminal would obey, cut to ``limit`` characters."""
    cut = text[:limit]
    if not cut.isprintable():
        cut = "".join(_escape(char) if unicodedata.category(char) in _HIDDEN else char for char in cut)
    return cut + ("…" if len(text) > limit else "")


def _escape(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def failure(server: str, who: str, request: Request, code: int, body: bytes, *, resent: bool) -> GatekeepError:
    """The error that HTTP status ``code`` means for ``request``.

    ``resent`` says that an earlier try may have been carried out without an answer.
    """
    status = _status(body)
    said = readable(status.message.strip()) or f"HTTP {code}"
    if code == 401:
        return ForbiddenError(
            f"{server} does not accept the credentials of {who} ({request}): {said}", hint="log in again, then retry"
        )
    if code == 403:
        return ForbiddenError(f"{who} may not {request}: {said}", hint=f"check with: {request.can_i}")
    if code == 404:
        return NotFoundError(f"cannot {request}: {said}")
    if code == 410:
        return ExpiredError(f"cannot {request}: {said}")
    if code == 429 or code >= 500 or code < 400 or (code == 400 and not status.kind):
        return _not_serving(server, request, code, said)
    return _refusal(request, code, status.reason, said, resent=resent)


def _refusal(request: Request, code: int, reason: str, said: str, *, resent: bool) -> GatekeepError:
    unsure = "; it was sent again after the connection was cut, so the first try may have been applied"
    text = f"cannot {request}: {said}{unsure if resent else ''}"
    if request.verb == "create" and code == 409 and reason in ("AlreadyExists", ""):
        return AlreadyExistsError(text)
    if request.verb in ("patch", "delete") and code in (409, 422):
        return PatchRejectedError(text, hint="the object is not as the plan saw it; look at it, then plan again")
    if code in (409, 422):
        return RefusedError(text)
    return GatekeepError(f"{text} (HTTP {code})")


def _not_serving(server: str, request: Request, code: int, said: str) -> UnreachableError:
    if code <= 400:
        return UnreachableError(
            f"{server} answers HTTP {code} where the Kubernetes API is expected ({request}): {said}",
            hint="check the server's address in the kubeconfig: https or http; redirects are not followed",
        )
    what = "is overloaded" if code == 429 else "fails"
    return UnreachableError(f"{server} {what} (HTTP {code}, {request}): {said}", hint="try again later")


def not_kubernetes(server: str, request: Request, error: msgspec.MsgspecError) -> UnreachableError:
    """The answer is not what the Kubernetes API gives."""
    return UnreachableError(
        f"{server} gave no Kubernetes answer ({request}): {readable(str(error))}",
        hint="check that the server's address in the kubeconfig is that of an API server",
    )


def unreachable(server: str, via: str, error: Exception) -> UnreachableError:
    """The server cannot be spoken to; the hint says what to check."""
    through = f" through proxy {via}" if via else ""
    if isinstance(error, ssl.SSLCertVerificationError):
        said, hint = f"certificate refused: {error.verify_message}", "check the kubeconfig's certificate-authority"
    elif isinstance(error, ssl.SSLError):
        said, hint = (
            f"TLS fails: {error.reason or error}",
            "check that the server speaks TLS and wants this certificate",
        )
    elif isinstance(error, socket.gaierror):
        said, hint = f"its name does not resolve: {error.strerror}", "check the address, DNS and VPN"
    elif isinstance(error, TimeoutError):
        said, hint = "no answer in time", "check network, VPN and firewall; or give a longer --request-timeout"
    elif isinstance(error, ConnectionRefusedError):
        said, hint = "connection refused", "check that the API server runs at this address"
    else:
        said, hint = f"{type(error).__name__}: {error}", "check network, VPN, proxy and the server's address"
    return UnreachableError(f"cannot reach {server}{through}: {readable(said)}", hint=hint)


def _status(body: bytes) -> _Status:
    try:
        return msgspec.json.decode(body, type=_Status)
    except msgspec.MsgspecError:
        return _Status(message=body[: 4 * TEXT_LIMIT].decode("utf-8", "replace"))
