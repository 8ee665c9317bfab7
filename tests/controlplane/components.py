"""The command line of every component, and how each one says that it works."""

from __future__ import annotations

import json
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .build import Binaries
from .credentials import ADMIN, Credentials
from .network import NODE_ADDRESS, POD_CIDR, SERVICE_CIDR
from .process import Program

API_PORT = 6443
LAG_PORT = 6444
BACKEND_PORT = 80
ETCD = "http://127.0.0.1:2379"
CONTROLLERS = "kube-controller-manager"
# A pair under leader election; the first port is the single one's.
CONTROLLER_PORTS = {CONTROLLERS: 10257, "kcm-a": 10357, "kcm-b": 10457}
PAIR = ("kcm-a", "kcm-b")
# There is no cloud here, and kwok gives out the pod addresses.
WITHOUT = ("node-ipam-controller", "node-route-controller", "service-lb-controller")
FAST_CLIENT = ("--kube-api-qps=1000", "--kube-api-burst=2000")


@dataclass(frozen=True)
class Settings:
    """What a control plane is started with."""

    version: str | None = None
    """Kubernetes minor; None is the default one."""
    nodes: int = 3
    zones: int = 3
    proxy_mode: Literal["iptables", "nftables"] = "iptables"
    leader_elect: bool = False
    """Two controller managers under leader election instead of one without."""
    grace: float = 0.0
    """Seconds for which a deleted pod still answers."""
    logs: Path | None = None
    """A folder for logs that outlives the run; None keeps them in the run folder."""


@dataclass(frozen=True)
class Site:
    """Where one control plane runs."""

    settings: Settings
    binaries: Binaries
    credentials: Credentials
    folder: Path

    @property
    def lag_socket(self) -> Path:
        """Where the lag proxy takes orders."""
        return self.folder / "lag.sock"

    def flags(self, *names: str, **values: object) -> tuple[str, ...]:
        """`--plain` flags and `--name=value` flags."""
        plain = tuple(f"--{name}" for name in names)
        return plain + tuple(f"--{name.replace('_', '-')}={value}" for name, value in values.items())


def programs(site: Site) -> dict[str, Program]:
    """Every component by name, in the order of starting."""
    made = [_etcd(site), _lag_proxy(site), _api_server(site)]
    made += [_controllers(site, name) for name in CONTROLLER_PORTS]
    made += [_scheduler(site), _kwok(site), _kube_proxy(site), _backend(site)]
    return {program.name: program for program in made}


def _etcd(site: Site) -> Program:
    peer = "http://127.0.0.1:2380"
    flags = site.flags(
        "unsafe-no-fsync",
        data_dir=site.folder / "etcd",
        listen_client_urls=ETCD,
        advertise_client_urls=ETCD,
        listen_peer_urls=peer,
        initial_advertise_peer_urls=peer,
        initial_cluster=f"default={peer}",
        log_level="warn",
    )
    return Program("etcd", (site.binaries.program("etcd"), *flags), _answers(f"{ETCD}/health"))


def _api_server(site: Site) -> Program:
    keys = site.credentials
    flags = site.flags(
        etcd_servers=ETCD,
        secure_port=API_PORT,
        bind_address="127.0.0.1",
        advertise_address=NODE_ADDRESS,
        cert_dir=keys.folder,
        tls_cert_file=keys.certificate,
        tls_private_key_file=keys.key,
        token_auth_file=keys.tokens,
        authorization_mode="RBAC",
        service_cluster_ip_range=SERVICE_CIDR,
        service_account_issuer="https://kubernetes.default.svc",
        service_account_signing_key_file=keys.key,
        service_account_key_file=keys.certificate,
        disable_admission_plugins="ServiceAccount",
        allow_privileged="true",
        shutdown_delay_duration="0s",
    )
    argv = (site.binaries.program("kube-apiserver"), *flags)
    return Program("kube-apiserver", argv, _answers(f"{keys.server}/readyz", keys.certificate))


def _controllers(site: Site, name: str) -> Program:
    keys = site.credentials
    lagged = keys.kubeconfig(ADMIN, f"https://127.0.0.1:{LAG_PORT}", "lagged")
    port = CONTROLLER_PORTS[name]
    flags = site.flags(
        kubeconfig=lagged,
        leader_elect=str(name in PAIR).lower(),
        controllers=",".join(["*", *(f"-{controller}" for controller in WITHOUT)]),
        service_account_private_key_file=keys.key,
        root_ca_file=keys.certificate,
        tls_cert_file=keys.certificate,
        tls_private_key_file=keys.key,
        secure_port=port,
        bind_address="127.0.0.1",
    )
    argv = (site.binaries.program(CONTROLLERS), *flags, *FAST_CLIENT)
    if name in PAIR:
        # The leader's identity is its host name: a host name of its own makes the Lease readable.
        argv = ("unshare", "--uts", "sh", "-c", f'hostname {name} && exec "$@"', name, *argv)
    return Program(name, argv, _answers(f"https://127.0.0.1:{port}/healthz", keys.certificate))


def _scheduler(site: Site) -> Program:
    keys = site.credentials
    flags = site.flags(
        kubeconfig=keys.kubeconfig(),
        leader_elect="false",
        tls_cert_file=keys.certificate,
        tls_private_key_file=keys.key,
        bind_address="127.0.0.1",
    )
    argv = (site.binaries.program("kube-scheduler"), *flags, *FAST_CLIENT)
    return Program("kube-scheduler", argv, _answers("https://127.0.0.1:10259/healthz", keys.certificate))


def _kwok(site: Site) -> Program:
    flags = site.flags(
        kubeconfig=site.credentials.kubeconfig(),
        manage_all_nodes="true",
        node_ip=NODE_ADDRESS,
        node_lease_duration_seconds=40,
        config=site.binaries.stages,
        server_address="127.0.0.1:10247",
    )
    argv = (site.binaries.program("kwok"), *flags)
    ready = _answers("http://127.0.0.1:10247/healthz")
    return Program("kwok", argv, ready, each_start=lambda number: (f"--cidr={_pod_range(number)}",))


def _pod_range(number: int) -> str:
    """One sixteenth of the pod network: kwok forgets, when restarted, which addresses pods have."""
    return f"10.{244 + number // 4 % 4}.{number % 4 * 64}.1/18"


def _kube_proxy(site: Site) -> Program:
    periods = {"minSyncPeriod": "1s", "syncPeriod": "30s"}
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": site.settings.proxy_mode,
        "hostnameOverride": "node0",
        "clusterCIDR": POD_CIDR,
        "clientConnection": {"kubeconfig": str(site.credentials.kubeconfig())},
        "conntrack": {"maxPerCore": 0},
        "iptables": periods,
        "nftables": periods,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
    }
    path = site.folder / "kube-proxy.json"
    path.write_text(json.dumps(config, indent=1))
    argv = (site.binaries.program("kube-proxy"), f"--config={path}")
    return Program("kube-proxy", argv, _answers("http://127.0.0.1:10256/healthz"))


def _lag_proxy(site: Site) -> Program:
    keys = site.credentials
    flags = site.flags(
        listen=LAG_PORT, upstream=API_PORT, certificate=keys.certificate, key=keys.key, control=site.lag_socket
    )
    return Program("lagproxy", _module("lagproxy", flags), _listens(LAG_PORT))


def _backend(site: Site) -> Program:
    keys = site.credentials
    flags = site.flags(
        server=keys.server,
        token=keys.token(ADMIN),
        authority=keys.certificate,
        port=BACKEND_PORT,
        grace=site.settings.grace,
    )
    return Program("backend", _module("backend", flags), _listens(BACKEND_PORT))


def _module(name: str, flags: tuple[str, ...]) -> tuple[str, ...]:
    return (sys.executable, "-m", f"tests.controlplane.{name}", *flags)


def _listens(port: int) -> Callable[[], bool]:
    def check() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    return check


def _answers(url: str, authority: Path | None = None) -> Callable[[], bool]:
    """A check that a URL answers with 200; `authority` for HTTPS."""

    def check() -> bool:
        tls = ssl.create_default_context(cafile=str(authority)) if authority else None
        try:
            with urllib.request.urlopen(url, timeout=2, context=tls) as response:
                return bool(response.status == 200)
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False

    return check
