"""Addresses, proxies and trust."""

from __future__ import annotations

import ssl

import pytest

from gatekeep.cluster.kube.login import Login
from gatekeep.cluster.kube.target import Target, bypasses, is_loopback, target
from gatekeep.cluster.kube.transport import Transport
from gatekeep.model.errors import UsageError
from tests.cluster.kube_server import Reply, api_server, client, listed


@pytest.fixture(autouse=True)
def _no_proxy_around(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def of(server: str, proxy: str | None = None) -> Target:
    return target(Login(server=server, proxy=proxy))


def test_addresses() -> None:
    found = of("https://me:pw@cluster.example/k8s/clusters/c-1/")
    assert (found.url, found.host, found.port) == ("https://cluster.example/k8s/clusters/c-1/", "cluster.example", 443)
    assert found.prefix == "/k8s/clusters/c-1"
    assert (of("http://[::1]:8001").host, of("http://[::1]:8001").port) == ("::1", 8001)


@pytest.mark.parametrize("server", ["cluster.example:6443", "ftp://x", "https://", "localhost"])
def test_what_is_no_address(server: str) -> None:
    with pytest.raises(UsageError, match="no server address"):
        of(server)


def test_trust() -> None:
    strict = of("https://cluster.example").tls
    assert strict is not None
    assert (strict.verify_mode, strict.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert not strict.verify_flags & ssl.VERIFY_X509_STRICT
    loose = target(Login(server="https://cluster.example", verify=False)).tls
    assert loose is not None
    assert loose.verify_mode == ssl.CERT_NONE


def test_the_kubeconfigs_proxy_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://environment:3128")
    assert str(of("https://cluster.example").proxy) == "environment:3128"
    found = of("https://cluster.example", "http://me:p%40ss@own:3129").proxy
    assert found is not None
    assert (str(found), found.authorization) == ("own:3129", "Basic bWU6cEBzcw==")


def test_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "environment:3128")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8, .internal")
    assert of("https://10.1.2.3").proxy is None
    assert of("https://api.internal").proxy is None
    assert of("https://127.0.0.1").proxy is None
    assert str(of("https://cluster.example").proxy) == "environment:3128"


@pytest.mark.parametrize(
    ("rules", "host", "expected"),
    [
        ("*", "a.example", True),
        ("example", "a.example", True),
        (".example", "a.example", True),
        ("*.example", "a.example", True),
        ("a.example:443", "a.example", True),
        ("a.example:80", "a.example", False),
        ("ample", "a.example", False),
        ("", "a.example", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("fd00::/8", "fd00::1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
    ],
)
def test_no_proxy_rules(rules: str, host: str, expected: bool) -> None:
    assert bypasses(host, 443, rules) is expected


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "https://proxy:3128"])
def test_other_proxies_are_refused_by_name(proxy: str) -> None:
    with pytest.raises(UsageError, match=f"a {proxy.partition(':')[0]} proxy is not supported"):
        of("https://cluster.example", proxy)


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.8.0.1", "::1", "localhost")))
    assert not any(map(is_loopback, ("10.0.0.1", "cluster.example", "::2")))


def test_a_plain_server_behind_a_proxy_is_named_in_full() -> None:
    with api_server() as proxy:
        path = "http://cluster.example:8080/api/v1/namespaces/shop/pods"
        proxy.on("GET", "/api/v1/namespaces/shop/pods", listed())
        found = of("http://cluster.example:8080", proxy.url.replace("://", "://me:pw@"))
        transport = Transport(found, 5, lambda date: None)
        answer = transport.exchange("GET", "/api/v1/namespaces/shop/pods", found.headers, None)
        transport.close()
        assert answer.status == 200
        assert found.origin + "/api/v1/namespaces/shop/pods" == path
        assert proxy.requests[0].headers["Host"] == "cluster.example:8080"
        assert proxy.requests[0].headers["Proxy-Authorization"] == "Basic bWU6cHc="


def test_a_server_below_a_path() -> None:
    with api_server() as server:
        server.on("GET", "/k8s/c-1/api/v1/namespaces/shop/pods", listed())
        server.on("GET", "/k8s/c-1/version", Reply({"gitVersion": "v1"}))
        server.url += "/k8s/c-1"
        with client(server) as cluster:
            assert cluster.list_pods("shop") == ()
