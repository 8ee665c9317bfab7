"""The rng application on the real control plane, and gatekeep run on it as people run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatekeep.cluster.kube import KubeCluster, KubeOptions, connect
from gatekeep.model.endpoints import ready_in_slices
from tests.controlplane.stack import ControlPlane
from tests.controlplane.traffic import Traffic, TrafficReport

PODS = 6
GATE = ("active", "yes")
Labels = Mapping[str, str]
Json = dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """A run of the command line."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Json:
        """Standard output as JSON."""
        found: Json = json.loads(self.out)
        return found


@dataclass
class Figure:
    """One line of the table in the README."""

    what: str
    lag: str
    report: TrafficReport


FIGURES: list[Figure] = []


@dataclass
class Story:
    """Service ``rng`` over three pods of a Deployment and one pod on each of three nodes of a DaemonSet."""

    stack: ControlPlane
    namespace: str
    folder: Path
    pods: int = PODS
    environment: dict[str, str] = field(default_factory=lambda: {**os.environ, "PYTHONWARNINGS": "error"})

    def kubectl(self, *args: str, input: str | None = None) -> str:
        """kubectl in the story's namespace."""
        return self.stack.kubectl("-n", self.namespace, *args, input=input)

    def get(self, *args: str) -> Json:
        """kubectl get as JSON."""
        found: Json = json.loads(self.kubectl("get", *args, "-o", "json"))
        return found

    def create(self, *manifests: Json) -> None:
        """kubectl apply in the story's namespace."""
        self.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def policy(
        self, pool: Json | None = None, *, key: str = GATE[0], value: str = GATE[1], floor: object = 1, **spec: object
    ) -> Path:
        """Writes the policy; JSON is YAML whose strings are all quoted. ``spec`` adds fields, such as ``adopt``."""
        folder = self.folder / "policies"
        folder.mkdir(exist_ok=True)
        document = {
            "apiVersion": "gatekeep.dev/v1alpha1",
            "kind": "TrafficGate",
            "metadata": {"name": "rng", "namespace": self.namespace},
            "spec": {
                "services": ["rng"],
                "gate": {"key": key, "value": value},
                "rotation": {"pool": pool or {}},
                "floor": {"minReady": floor},
                **spec,
            },
        }
        (folder / "rng.yaml").write_text(json.dumps(document, indent=2))
        return folder

    def command(self, *args: str, user: str = "admin") -> list[str]:
        """The command line, as a person would type it."""
        program = "import sys; from gatekeep.cli.main import script; sys.argv[0] = 'gatekeep'; script()"
        return [sys.executable, "-W", "error", "-c", program, *args, "--kubeconfig", str(self.stack.kubeconfig(user))]

    def gatekeep(self, *args: str, user: str = "admin") -> Finished:
        """Runs gatekeep to its end."""
        run = subprocess.run(
            self.command(*args, user=user), capture_output=True, text=True, timeout=180, check=False,
            env=self.environment, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return Finished(run.returncode, run.stdout, run.stderr)

    def plan(self, **options: Any) -> Finished:
        """``gatekeep plan`` of the policy as written by :meth:`policy`."""
        return self.gatekeep("plan", "-f", str(self.folder / "policies"), *options.get("args", ()))

    def apply(self, *args: str, user: str = "admin") -> Finished:
        """``gatekeep apply -y`` of the policy."""
        return self.gatekeep("apply", "-f", str(self.folder / "policies"), "-y", *args, user=user)

    def retire(self, *args: str) -> Finished:
        """``gatekeep retire -y``."""
        return self.gatekeep("retire", f"{self.namespace}/rng", "-y", *args)

    @contextmanager
    def cluster(self) -> Iterator[KubeCluster]:
        """The library's own door to the same cluster."""
        with connect(KubeOptions(kubeconfig=str(self.stack.kubeconfig()))) as found:
            yield found

    def traffic(self, seconds: float = 120) -> Traffic:
        """200 requests a second to the cluster IP, each a new connection."""
        address = self.get("service", "rng")["spec"]["clusterIP"]
        return Traffic(address, 80, rate=200, expect_app="rng", seconds=seconds)

    def selector(self) -> Labels:
        """The Service's selector."""
        found: Labels = self.get("service", "rng")["spec"]["selector"]
        return found

    def labels(self) -> dict[str, Labels]:
        """Every pod's labels, by name."""
        return {item["metadata"]["name"]: item["metadata"]["labels"] for item in self.get("pods")["items"]}

    def labelled(self, key: str = GATE[0], value: str = GATE[1]) -> set[str]:
        """Names of the pods that carry the gate label."""
        return {name for name, labels in self.labels().items() if labels.get(key) == value}

    def of(self, part: str) -> set[str]:
        """Names of the pods of the ``deployment`` or the ``daemonset``."""
        return {name for name, labels in self.labels().items() if labels.get("part") == part}

    def versions(self) -> dict[str, str]:
        """The resourceVersion of everything gatekeep could write."""
        items = self.get("pods,services,configmaps,leases")["items"]
        return {
            f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["resourceVersion"]
            for item in items
            if item["metadata"]["name"] != "kube-root-ca.crt"
        }

    def helpers(self) -> list[str]:
        """Names of shadow and marker Services that stand."""
        items = self.get("services", "-l", "app.kubernetes.io/managed-by=gatekeep")["items"]
        return [item["metadata"]["name"] for item in items]

    def settle(self) -> None:
        """Waits for the data plane: kube-proxy writes at most once a second."""
        time.sleep(1.5)


def record(what: str, lag: str, report: TrafficReport) -> TrafficReport:
    """Keeps a measurement for the table at the end of the session."""
    FIGURES.append(Figure(what, lag, report))
    return report


@contextmanager
def watched(story: Story) -> Iterator[list[int]]:
    """How many ready endpoints the slices hold after every write, as the watch tells it."""
    counts: list[int] = []
    done = threading.Event()

    def follow() -> None:
        with story.cluster() as cluster, cluster.watch_slices(story.namespace, "rng") as watch:
            slices = watch.current()
            while not done.is_set():
                counts.append(len(ready_in_slices(slices, "rng")))
                slices = watch.wait(0.2)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield counts
    finally:
        done.set()
        thread.join()


def workload(kind: str, name: str, replicas: int = 3) -> Json:
    """A Deployment, or a DaemonSet, whose pods all carry app=rng."""
    labels = {"app": "rng", "part": kind.lower()}
    spec: Json = {"replicas": replicas} if kind == "Deployment" else {}
    spec["selector"] = {"matchLabels": labels}
    containers = [{"name": "rng", "image": "rng", "ports": [{"containerPort": 80}]}]
    spec["template"] = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def service(name: str = "rng", selector: Labels | None = None, **spec: object) -> Json:
    """A Service on port 80."""
    body = {"selector": dict(selector or {"app": "rng"}), "ports": [{"port": 80, "targetPort": 80}]} | spec
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": body}
