"""Where the bytes go: address, TLS and proxy, worked out once from a login."""

from __future__ import annotations

import base64
import ipaddress
import ssl
import urllib.request
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from gatekeep import __version__
from gatekeep.cluster.kube.failures import readable
from gatekeep.cluster.kube.login import Credentials, Login
from gatekeep.model.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """An HTTP proxy. ``authorization`` is the value of ``Proxy-Authorization``, or None."""

    host: str
    port: int
    authorization: str | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Target:
    """Everything a connection needs. ``url`` is the server's address without credentials, for people."""

    url: str
    host: str
    port: int
    prefix: str
    tls: ssl.SSLContext | None
    server_name: str
    proxy: Proxy | None
    loopback: bool
    headers: tuple[tuple[str, str], ...]
    credentials: Credentials
    who: str
    namespace: str

    @property
    def origin(self) -> str:
        """The server's address where a proxy without tunnel must be told it; else empty."""
        return f"http://{self.host}:{self.port}" if self.proxy is not None and self.tls is None else ""


def target(login: Login) -> Target:
    """The target of ``login``. Raises :class:`UsageError` for an address, a file or a proxy that cannot be used."""
    parts = urlsplit(login.server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{readable(login.server)!r} is no server address", hint="write https://HOST:PORT")
    secure = parts.scheme == "https"
    name = login.server_name or parts.hostname
    loopback = is_loopback(parts.hostname)
    proxy = None if loopback else _proxy(login, parts)
    who = f"{readable(login.as_user)} (impersonated by {login.who})" if login.as_user else login.who
    return Target(
        url=_without_credentials(parts),
        host=parts.hostname,
        port=parts.port or (443 if secure else 80),
        prefix=parts.path.rstrip("/"),
        tls=_trust(login) if secure else None,
        server_name=name,
        proxy=proxy,
        loopback=loopback,
        headers=_headers(login, proxy if not secure else None),
        credentials=login.credentials,
        who=who,
        namespace=login.namespace,
    )


def is_loopback(host: str) -> bool:
    """The server runs on this machine: no proxy lies between, and compression costs more than it saves."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def bypasses(host: str, port: int, rules: str) -> bool:
    """``no_proxy`` as Go reads it: names and their subdomains, addresses, networks, ``*``; names may have a port."""
    for rule in (part.strip().lower() for part in rules.split(",")):
        if rule == "*" or (rule and _covers(rule, host.lower(), port)):
            return True
    return False


def _covers(rule: str, host: str, port: int) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        name = rule.removesuffix(f":{port}").removeprefix("*").strip("[]")
        return host == name.lstrip(".") or host.endswith("." + name.lstrip("."))


def _without_credentials(parts: SplitResult) -> str:
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _trust(login: Login) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=login.ca_file)
        if login.cert_file:
            context.load_cert_chain(login.cert_file, login.key_file)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(readable(name) for name in (login.ca_file, login.cert_file, login.key_file) if name)
        reason = readable(error.strerror or str(error))
        raise UsageError(f"a certificate file of the kubeconfig cannot be used ({files}): {reason}") from error
    # Many clusters' own CAs lack extensions that this flag (default since Python 3.13) asks for; kubectl takes them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not login.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy(login: Login, parts: SplitResult) -> Proxy | None:
    """The kubeconfig's ``proxy-url``, else the environment's proxy, as kubectl chooses."""
    environment = urllib.request.getproxies()
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    address = login.proxy
    if not address:
        address = environment.get(parts.scheme) or environment.get("all")
        if not address or bypasses(host, port, environment.get("no", "")):
            return None
    proxy = urlsplit(address if "://" in address else f"http://{address}")
    if proxy.scheme != "http" or not proxy.hostname:
        raise UsageError(
            f"a {readable(proxy.scheme)} proxy is not supported", hint="use an http:// proxy, or a tunnel and --server"
        )
    authorization = None
    if proxy.username:
        pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
    return Proxy(host=proxy.hostname, port=proxy.port or 80, authorization=authorization)


def _headers(login: Login, plain_proxy: Proxy | None) -> tuple[tuple[str, str], ...]:
    headers = [("User-Agent", f"gatekeep/{__version__}")]
    if login.as_user:
        headers.append(("Impersonate-User", login.as_user))
    if plain_proxy and plain_proxy.authorization:
        headers.append(("Proxy-Authorization", plain_proxy.authorization))
    headers.extend(("Impersonate-Group", group) for group in login.as_groups)
    return tuple(headers)
