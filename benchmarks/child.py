"""What is measured in a process of its own: ``python -m benchmarks.child apply|patch|offline …`` prints JSON."""

from __future__ import annotations

import http.client
import json
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gatekeep import __version__
from gatekeep.cli.main import collect_seldom
from gatekeep.cluster.kube import KubeOptions, connect
from gatekeep.cluster.kube.calls import JSON_PATCH, METADATA_ONLY
from gatekeep.cluster.kube.cluster import encode_patch
from gatekeep.model.events import Event, StepFinished, StepStarted
from gatekeep.model.patches import label_patch
from gatekeep.model.plan import Step


def apply(kubeconfig: str, policy: str) -> dict[str, Any]:
    """Plans and applies a policy as the command line does, and times every step."""
    from gatekeep.operations.apply import apply_plan
    from gatekeep.operations.plan import plan_gates
    from gatekeep.operations.verify import require_applicable
    from gatekeep.sources.policies import load_policies

    steps: list[dict[str, Any]] = []
    cpu = 0.0

    def listen(event: Event) -> None:
        nonlocal cpu
        if isinstance(event, StepStarted):
            steps.append({"kind": _kind(event.step), "objects": len(event.step.changes)})
            cpu = time.process_time()
        elif isinstance(event, StepFinished):
            steps[-1].update(seconds=event.seconds, cpu=time.process_time() - cpu)

    policies = load_policies([Path(policy)]).policies
    with connect(KubeOptions(kubeconfig=kubeconfig)) as cluster:
        snapshot = cluster.snapshot([item.policy.namespace for item in policies])
        plan = plan_gates(policies, snapshot)
        verified = require_applicable(plan, snapshot, now=cluster.clock.now())
        del snapshot
        apply_plan(cluster, verified, identity="benchmark", run_id="benchmark", listener=listen)
    return {"steps": steps}


def _kind(step: Step) -> str:
    if step.action == "Wait":
        return "wait"
    if step.action in ("Create", "Delete"):
        return "helper"
    return "labels" if step.changes[0].kind == "Pod" else "switch"


def patch(server: str, token: str, authority: str, namespace: str, key: str, connections: str) -> dict[str, Any]:
    """The least that labels pods: threads, each with one connection, sending the same requests as gatekeep."""
    tls = ssl.create_default_context(cafile=authority)
    port = urlsplit(server).port
    headers = {"Authorization": f"Bearer {token}", "User-Agent": f"gatekeep/{__version__}"}

    def connection() -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(str(urlsplit(server).hostname), port, context=tls)

    lister = connection()
    lister.request("GET", f"/api/v1/namespaces/{namespace}/pods", headers=headers)
    pods = json.loads(lister.getresponse().read())["items"]
    bodies = [encode_patch(label_patch(pod["metadata"]["uid"], {key: (None, "yes")})) for pod in pods]
    paths = [f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}?fieldManager=gatekeep" for pod in pods]
    work = iter(list(zip(paths, bodies, strict=True)))
    headers |= {"Accept": METADATA_ONLY, "Content-Type": JSON_PATCH}
    failed: list[int] = []
    lock = threading.Lock()

    def send() -> None:
        line = connection()
        for path, body in _shared(work, lock):
            line.request("PATCH", path, body, headers)
            answer = line.getresponse()
            answer.read()
            if answer.status != 200:
                failed.append(answer.status)

    threads = [threading.Thread(target=send) for _ in range(int(connections))]
    start, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {"pods": len(pods) - len(failed), "seconds": seconds, "cpu": cpu}


def _shared(work: Iterator[tuple[str, bytes]], lock: threading.Lock) -> Iterator[tuple[str, bytes]]:
    while True:
        with lock:
            item = next(work, None)
        if item is None:
            return
        yield item


def offline(pods: str) -> dict[str, Any]:
    """Planning and proof without a cluster; see :mod:`benchmarks.offline`."""
    from benchmarks.offline import figures

    return figures(int(pods))


if __name__ == "__main__":
    collect_seldom()  # as the command line does
    tasks: dict[str, Callable[..., dict[str, Any]]] = {"apply": apply, "patch": patch, "offline": offline}
    json.dump(tasks[sys.argv[1]](*sys.argv[2:]), sys.stdout)
