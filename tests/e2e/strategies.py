"""What the tests of strategies share: policies, counted requests, and gatekeep with others acting in between."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gatekeep.model.events import Event, StepStarted
from gatekeep.model.outcomes import Outcome
from gatekeep.model.plan import Plan, Step, from_json
from gatekeep.operations.apply import apply_plan
from gatekeep.operations.verify import require_applicable
from tests.controlplane.traffic import Traffic
from tests.e2e.story import GATE, Finished, Json, Story, record, workload
from tests.e2e.workloads import Workload

LAG = 3.0
"""Seconds by which the controllers see pods late, where a test has them late."""
SURE = 4.0
"""Standard deviations: a share further off than that is chance once in 16,000 times."""
PREVIEW = "preview"

_runs = itertools.count(1)


def owned(name: str, kind: str = "Deployment") -> Json:
    """The group of one workload's pods."""
    return {"owners": [{"kind": kind, "name": name}]}


def of(story: Story, name: str, kind: str = "Deployment") -> Workload:
    """One of the story's workloads."""
    return Workload(story.stack, story.namespace, kind, name)


def pods_of(story: Story, name: str, kind: str = "Deployment") -> set[str]:
    """Names of a workload's pods."""
    return {pod["metadata"]["name"] for pod in of(story, name, kind).pods()}


def colored(story: Story, active: str, *, preview: bool = False, drain: str = "") -> None:
    """Writes a blue/green policy over the Deployments blue and green, with Service preview or without."""
    strategy: Json = {"colors": {name: owned(name) for name in ("blue", "green")}, "active": active}
    strategy |= {"preview": {"service": PREVIEW}} if preview else {}
    strategy |= {"drain": drain} if drain else {}
    story.policy(rotation={"blueGreen": strategy})


def stepping(story: Story, *steps: Json, checks: Sequence[Json] = ()) -> None:
    """Writes a canary over the Deployments stable and next that takes these steps."""
    groups = {"stable": owned("stable"), "canary": owned("next")}
    more: dict[str, Any] = {"checks": list(checks)} if checks else {}
    story.policy(rotation={"canary": {**groups, "steps": list(steps)}}, **more)


def isolate(story: Story, *pods: str, mode: str) -> None:
    """Writes an Isolation of these pods beside the policy."""
    spec: Json = {"gate": "rng", "pods": {"names": list(pods)}, "mode": mode, "reason": "a look inside"}
    metadata = {"name": "look", "namespace": story.namespace}
    document = {"apiVersion": "gatekeep.dev/v1alpha1", "kind": "Isolation", "metadata": metadata, "spec": spec}
    (story.folder / "policies" / "look.yaml").write_text(json.dumps(document))


def end_isolation(story: Story) -> None:
    """Deletes the Isolation's document."""
    (story.folder / "policies" / "look.yaml").unlink()


# Requests


@contextmanager
def counted(story: Story, what: str, *, pods: float = 0.0) -> Iterator[Traffic]:
    """Requests from half a second before the block until everybody has seen what it did; keeps the figure.

    Meanwhile the controllers see pods ``pods`` seconds late.
    """
    story.stack.lag(pods=pods)
    with story.traffic() as traffic:
        traffic.run_for(0.5)
        yield traffic
        traffic.run_for(pods + 1)
    story.stack.lag(pods=0)
    record(what, f"pods {pods:g} s" if pods else "none", traffic.report())


@contextmanager
def nothing_lost(story: Story, what: str, *, pods: float = 0.0) -> Iterator[Traffic]:
    """As :func:`counted`; every request was answered, and by the application."""
    with counted(story, what, pods=pods) as traffic:
        yield traffic
    assert traffic.report().lost == 0, traffic.report()


def answering(story: Story, seconds: float = 1.0) -> set[str]:
    """Names of the pods that answer now, and no request is lost."""
    story.settle()
    with story.traffic() as traffic:
        traffic.run_for(seconds)
    assert traffic.report().lost == 0, traffic.report()
    return set(traffic.report().by_pod)


def bound_of(share: float, requests: int) -> float:
    """How far a measured share may be off: :data:`SURE` standard deviations of the binomial distribution."""
    return SURE * math.sqrt(share * (1 - share) / requests)


def names_behind(story: Story, service: str) -> set[str]:
    """Names of the pods that the Service's slices list as ready."""
    names = {pod["metadata"]["uid"]: pod["metadata"]["name"] for pod in story.get("pods")["items"]}
    return {names.get(uid, uid) for uid in story.stack.endpoints(story.namespace, service)}


# gatekeep


def moved(story: Story, command: str, *args: str) -> Finished:
    """``gatekeep promote`` or ``abort`` of the story's gate."""
    return story.gatekeep(command, f"{story.namespace}/rng", "-y", *args)


def planned(story: Story) -> Plan:
    """The plan of the story's folder."""
    found = story.plan(args=("-o", "json"))
    assert found.code == 0, found.err
    return from_json(found.out.encode(), "plan")


def apply_while(story: Story, act: Callable[[Step], None], plan: Plan | None = None) -> Outcome:
    """Applies in this process; ``act`` is called right before each step."""

    def listen(event: Event) -> None:
        if isinstance(event, StepStarted):
            act(event.step)

    wanted = plan or planned(story)
    with story.cluster() as cluster:
        verified = require_applicable(wanted, cluster.snapshot([story.namespace]), now=cluster.clock.now())
        return apply_plan(cluster, verified, identity="test", run_id=f"run-{next(_runs)}", listener=listen)


def gives(step: Step, value: str | None = GATE[1]) -> bool:
    """The step gives pods the gate's label; with None, takes it off."""
    verb = "remove" if value is None else "add"
    path = f"/metadata/labels/{GATE[0]}"
    return any(
        change.kind == "Pod" and op.path == path and op.op in (verb, "replace") and (value is None or op.value == value)
        for change in step.changes
        for op in change.patch
    )


def stays(story: Story) -> None:
    """Another apply changes nothing."""
    before = story.versions()
    again = story.apply()
    assert again.code == 0, again.err
    assert story.versions() == before, again.out


# Others


def kill_all(story: Story, name: str) -> None:
    """All pods of a Deployment die at once, and strangers of another application get their addresses."""
    dying = of(story, name).uids()
    story.kubectl("delete", "pods", "-l", f"part={name}", "--wait=false")
    story.stack.wait(lambda: not dying & of(story, name).uids(), 10, "the pods to be gone")
    stranger = workload("Deployment", "stranger", len(dying))
    stranger["spec"]["selector"]["matchLabels"] = {"app": "stranger"}
    stranger["spec"]["template"]["metadata"]["labels"] = {"app": "stranger"}
    story.create(stranger)


def select(story: Story, selector: dict[str, Any]) -> None:
    """Somebody replaces the Service's selector."""
    patch = [{"op": "replace", "path": "/spec/selector", "value": selector}]
    story.kubectl("patch", "service", "rng", "--type=json", "-p", json.dumps(patch))
