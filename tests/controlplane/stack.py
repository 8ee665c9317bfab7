"""The control plane as an object: started, driven, hurt and stopped by tests."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from . import build, credentials, network
from .api import NETWORK_ERRORS, Api, ApiError, Json
from .components import API_PORT, CONTROLLERS, PAIR, Settings, Site, programs
from .credentials import ADMIN
from .lagproxy import KNOBS, WORKLOADS
from .namespace import RUN
from .paths import ControlPlaneError
from .process import Process, wait_until
from .views import endpoint_uids, is_ready, node_manifest

HOW_TO = "run it as: python -m tests.controlplane run -- python -m pytest tests/e2e"
KUBECTL_SECONDS = 60
LEASES = "/apis/coordination.k8s.io/v1/namespaces"
LEASE = f"{LEASES}/kube-system/leases/kube-controller-manager"


class ControlPlane:
    """A running stack. Use it as a context manager; there is one per network namespace at a time."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Make folders, certificate and tokens; nothing runs before `with`."""
        self.settings = settings or Settings()
        if RUN not in os.environ or not network.is_closed():
            raise ControlPlaneError(f"the control plane runs in a closed network namespace only; {HOW_TO}")
        binaries = build.find(self.settings.version)
        if binaries is None:
            raise ControlPlaneError("its programs are not built: run python -m tests.controlplane build")
        self.server = f"https://127.0.0.1:{API_PORT}"
        self.folder = Path(tempfile.mkdtemp(prefix="stack-", dir=os.environ[RUN]))
        self.logs = self.settings.logs or self.folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._keys = credentials.make(self.folder / "pki", self.server)
        self._site = Site(self.settings, binaries, self._keys, self.folder)
        self._processes = {name: Process(program, self.logs) for name, program in programs(self._site).items()}
        self._lags = dict.fromkeys(KNOBS, 0.0)
        self._names = (f"e2e-{number}" for number in itertools.count(1))
        self.api = Api(self.server, self._keys.token(ADMIN), self._keys.certificate)

    def __enter__(self) -> ControlPlane:
        try:
            self._start_all()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_all(self) -> None:
        for names in (("etcd", "lagproxy"), ("kube-apiserver",)):
            self._start(*names)
        for number in range(self.settings.nodes):
            manifest = node_manifest(number, self.settings.zones)
            self.api.request("POST", "/api/v1/nodes", manifest)
        self._start(*self._usual())
        self.wait(self._nodes_ready, 60, "nodes to be Ready and without taints")

    def _usual(self) -> list[str]:
        """The components that run when a test has done nothing."""
        absent = (CONTROLLERS,) if self.settings.leader_elect else PAIR
        return [name for name in self._processes if name not in absent]

    def _start(self, *names: str) -> None:
        for name in names:
            if name == "kwok" and not self.running(name):
                self._free_node_leases()
            self._processes[name].spawn()
        for name in names:
            self._processes[name].wait_ready()
        if "lagproxy" in names:
            self._order(self._lags)

    def _free_node_leases(self) -> None:
        """Let a new kwok take the nodes at once: it would wait 40 s for the leases of a killed one to end."""
        with contextlib.suppress(*NETWORK_ERRORS, ApiError):
            self.api.request("DELETE", f"{LEASES}/kube-node-lease/leases")

    def _nodes_ready(self) -> bool:
        nodes = self.api.get("/api/v1/nodes")["items"]
        ready = [node for node in nodes if is_ready(node) and not node["spec"].get("taints")]
        return len(ready) >= self.settings.nodes

    def stop(self) -> None:
        """Kill everything, and take kube-proxy's rules away."""
        for process in reversed(self._processes.values()):
            process.kill()
        self.api.close()
        command = [self._site.binaries.program("kube-proxy"), "--cleanup"]
        subprocess.run(command, capture_output=True, check=False, timeout=KUBECTL_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    # Clients

    def kubeconfig(self, user: str = ADMIN) -> Path:
        """A kubeconfig file for `admin` (system:masters) or `user-0` to `user-9` (no rights, no groups)."""
        return self._keys.kubeconfig(user)

    def kubectl(self, *args: str, input: str | None = None, user: str = ADMIN) -> str:
        """Run kubectl, return its standard output; ControlPlaneError with its standard error if it fails."""
        run = subprocess.run(
            [self._site.binaries.program("kubectl"), f"--kubeconfig={self.kubeconfig(user)}", *args],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=KUBECTL_SECONDS,
            check=False,
        )
        if run.returncode != 0:
            raise ControlPlaneError(f"kubectl {' '.join(args)}: {run.stderr.strip()}")
        return run.stdout

    def apply(self, *manifests: Json) -> None:
        """`kubectl apply` of manifests."""
        self.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    @property
    def kubectl_path(self) -> Path:
        """The kubectl program, of the same version as the server."""
        return Path(self._site.binaries.program("kubectl"))

    @contextlib.contextmanager
    def namespace(self) -> Iterator[str]:
        """A fresh namespace; it is deleted at the end, without waiting."""
        name = next(self._names)
        self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        try:
            yield name
        finally:
            with contextlib.suppress(*NETWORK_ERRORS, ApiError):
                self.api.request("DELETE", f"/api/v1/namespaces/{name}")

    # Faults

    @property
    def components(self) -> tuple[str, ...]:
        """Names that kill, start and restart take."""
        return tuple(self._processes)

    def kill(self, component: str) -> None:
        """SIGKILL; returns when the process has gone."""
        self._process(component).kill()

    def start(self, component: str) -> None:
        """Start a component; returns when it says that it works. Nothing happens when it runs."""
        self._process(component)
        self._start(component)

    def restart(self, component: str) -> None:
        """Kill and start."""
        self.kill(component)
        self.start(component)

    def heal(self) -> None:
        """Start what should run and does not, end what should not, and turn the knobs to no lag."""
        for name in set(self._processes) - set(self._usual()):
            self.kill(name)
        self._start(*(name for name in self._usual() if not self._processes[name].running))
        self.lag(**dict.fromkeys(KNOBS, 0.0))

    def running(self, component: str) -> bool:
        """Whether a component's process is alive."""
        return self._process(component).running

    def _process(self, component: str) -> Process:
        if component not in self._processes:
            raise ControlPlaneError(f"no component {component}; there are: {', '.join(self._processes)}")
        return self._processes[component]

    def lag(self, *, workloads: float | None = None, **kinds: float) -> None:
        """Turn the knobs: how late (seconds) the controller managers see what a watch tells them.

        A keyword is one of `lagproxy.KNOBS`, a resource as in a path; `workloads` turns all of apps/v1, and
        a resource named beside it wins. What is not named keeps its lag.
        """
        together = {} if workloads is None else dict.fromkeys(WORKLOADS, workloads)
        wanted = self._lags | together | kinds
        self._order(wanted)
        self._lags = wanted

    def _order(self, lags: dict[str, float]) -> None:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(str(self._site.lag_socket))
            line.sendall(json.dumps(lags).encode() + b"\n")
            with line.makefile("rb") as answers:
                answer = json.loads(answers.readline())
        if answer.get("seconds") != lags:
            raise ControlPlaneError(f"the lag proxy answered {answer}")

    @contextlib.contextmanager
    def two_controller_managers(self) -> Iterator[None]:
        """Meanwhile two controller managers under leader election replace the single one."""
        self.kill(CONTROLLERS)
        with contextlib.suppress(ApiError):
            self.api.request("DELETE", LEASE)  # of an earlier pair
        try:
            self._start(*PAIR)
            self.wait(lambda: self.leader() is not None, 30, "a leader among the controller managers")
            yield
        finally:
            for name in PAIR:
                self.kill(name)
            self.start(CONTROLLERS)

    def leader(self) -> str | None:
        """`kcm-a` or `kcm-b`, as the Lease says (15 s long also of a killed one); None before the first."""
        try:
            lease = self.api.get(LEASE)
        except ApiError:
            return None
        holder = str(lease["spec"].get("holderIdentity", ""))
        return next((name for name in PAIR if holder.startswith(name)), None)

    # Waiting

    def wait(self, true: Callable[[], bool], seconds: float = 30, what: str = "a condition") -> None:
        """Poll a predicate; ControlPlaneError after `seconds`. An error of the API or of kubectl means not yet."""

        def holds() -> bool:
            try:
                return true()
            except (*NETWORK_ERRORS, ControlPlaneError):
                return False

        wait_until(holds, seconds, what)

    def pods(self, namespace: str, selector: str = "") -> list[Json]:
        """Pods that are not being deleted, by label selector."""
        path = f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}"
        items: list[Json] = self.api.get(path)["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def wait_pods(self, namespace: str, count: int, selector: str = "", seconds: float = 60) -> list[Json]:
        """Wait until exactly `count` pods match, all of them Ready; returns them."""

        def settled() -> bool:
            pods = self.pods(namespace, selector)
            return len(pods) == count and all(is_ready(pod) for pod in pods)

        self.wait(settled, seconds, f"{count} Ready pods {selector!r} in {namespace}")
        return self.pods(namespace, selector)

    def endpoints(self, namespace: str, service: str) -> set[str]:
        """Uids of the pods that the Service's EndpointSlices list as ready."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        return endpoint_uids(self.api.get(f"{path}?labelSelector=kubernetes.io/service-name={service}"))

    def wait_endpoints(self, namespace: str, service: str, count: int, seconds: float = 60) -> set[str]:
        """Wait until a Service has exactly `count` ready endpoints; returns the pods' uids."""
        what = f"{count} ready endpoints of {namespace}/{service}"
        self.wait(lambda: len(self.endpoints(namespace, service)) == count, seconds, what)
        return self.endpoints(namespace, service)

    # Reporting

    def proxy_failures(self) -> int:
        """How often kube-proxy failed to load its rules; then traffic says nothing about the cluster."""
        log = self._processes["kube-proxy"].log
        return log.read_text(errors="replace").count("Sync failed") if log.exists() else 0

    def tails(self, lines: int = 12) -> str:
        """The end of every log, for a failed test; ended components are named first."""
        begun = [process for process in self._processes.values() if process.started]
        ended = [process.program.name for process in begun if not process.running]
        head = f"logs in {self.logs}; ended by themselves: {', '.join(ended) or 'none'}"
        return "\n".join([head, *(process.tail(lines) for process in begun)])
