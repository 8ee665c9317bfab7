"""Plans of every kind on the embedded cluster, and what can be seen of them afterwards."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.cluster.protocol import Cluster
from gatekeep.cluster.resources import RESOURCES
from gatekeep.execute import history
from gatekeep.model.endpoints import ready_in_slices
from gatekeep.model.objects import ObjectRef
from gatekeep.model.outcomes import Outcome
from gatekeep.model.plan import Plan
from gatekeep.model.policy import TrafficGate
from gatekeep.model.record import MANAGED_BY, GateName, Record, record_of
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.apply import apply_plan
from gatekeep.operations.runs import plan_abort, plan_promotion
from gatekeep.operations.way_back import starts_unsettled, way_back_problem
from gatekeep.proof.verify import VerifiedPlan, verified
from tests.builders import cluster
from tests.gates import ACTIVE, DAEMONSET_ONLY, DEPLOYMENT_ONLY, NAMESPACE, gate, plan, retirement

GATE = GateName(NAMESPACE, "rng")
LEASE = ObjectRef("Lease", NAMESPACE, "gatekeep-rng")
RECORD = ObjectRef("ConfigMap", NAMESPACE, "gatekeep-rng")
RNG = ObjectRef("Service", NAMESPACE, "rng")
RED = {"key": "red", "value": "yes"}
MAYBE = {"key": "active", "value": "maybe"}
BOTH = ("rng", "rng-admin")
LABELS = {"app": "rng", "tier": "one"}
ALWAYS = 100.0
"""Seconds after which every lag of these tests is over."""

_runs = itertools.count(1)

Planner = Callable[[Snapshot], Plan]


def ref(name: str) -> ObjectRef:
    """A pod."""
    return ObjectRef("Pod", NAMESPACE, name)


def wants(*policies: TrafficGate) -> Planner:
    """Plans for policies."""
    return lambda snapshot: plan(snapshot, *policies)


@dataclass(frozen=True)
class Story:
    """One kind of plan: what was applied before it, and what it is for. ``preview`` may have no endpoint on the way."""

    before: tuple[Planner, ...]
    planner: Planner
    preview: str = ""

    def start(self, **options: Any) -> EmbeddedCluster:
        """The cluster as it is before the plan."""
        return EmbeddedCluster(_start(self), seed=7, **options)

    def end(self) -> Picture:
        """What the plan leads to when nothing disturbs it."""
        return _end(self)


def shared(weight: int) -> dict[str, Any]:
    """The DaemonSet as canary of the Deployment."""
    return {"canary": {"stable": DEPLOYMENT_ONLY, "canary": DAEMONSET_ONLY, "weight": weight}}


def stepping(*steps: Mapping[str, Any]) -> TrafficGate:
    """A run that takes the DaemonSet from weight to weight."""
    return gate(rotation={"canary": {"stable": DEPLOYMENT_ONLY, "canary": DAEMONSET_ONLY, "steps": list(steps)}})


def colored(active: str, services: Sequence[str] = ("rng",), **fields: Any) -> TrafficGate:
    """Blue is the Deployment, green the DaemonSet."""
    colors = {"blue": DEPLOYMENT_ONLY, "green": DAEMONSET_ONLY}
    rotation = {"blueGreen": {"colors": colors, "active": active, **fields}}
    return gate(rotation=rotation, adopt="Template", services=services)


def promoting(snapshot: Snapshot) -> Plan:
    """Ends the pause at which the run stands; after that, or when it was killed on the way, goes on with the policy."""
    found = record_of(snapshot, GATE)
    assert found is not None
    paused = found.progress is not None and found.progress.phase == "Paused"
    return plan_promotion(GATE, snapshot) if paused else plan(snapshot, found.wanted or found.policy)


def aborting(snapshot: Snapshot) -> Plan:
    """Returns to the stable state."""
    return plan_abort(GATE, snapshot)


HALF: Mapping[str, Any] = {"weight": 50}
PAUSE: Mapping[str, Any] = {"pause": {}}
ALL: Mapping[str, Any] = {"weight": 100}
SEEN: Mapping[str, Any] = {"preview": {"service": "rng-admin"}, "drain": "5s"}

STORIES: Mapping[str, Story] = {
    "add": Story((), wants(gate())),
    "add-part": Story((), wants(gate(pool=DEPLOYMENT_ONLY))),
    "add-shared": Story((), wants(gate(pool=DEPLOYMENT_ONLY, services=BOTH))),
    "join": Story((wants(gate(pool=DEPLOYMENT_ONLY)),), wants(gate())),
    "leave": Story((wants(gate()),), wants(gate(pool=DAEMONSET_ONLY))),
    "swap": Story((wants(gate(pool=DAEMONSET_ONLY)),), wants(gate(pool=DEPLOYMENT_ONLY))),
    "key": Story((wants(gate()),), wants(gate(label=RED))),
    "key-and-swap": Story((wants(gate(pool=DAEMONSET_ONLY)),), wants(gate(pool=DEPLOYMENT_ONLY, label=RED))),
    "value": Story((wants(gate(pool=DEPLOYMENT_ONLY)),), wants(gate(pool=DEPLOYMENT_ONLY, label=MAYBE))),
    "value-shared": Story((wants(gate(services=BOTH)),), wants(gate(services=BOTH, label=MAYBE))),
    "retire": Story((wants(gate(pool=DEPLOYMENT_ONLY)),), retirement),
    "retire-shared": Story((wants(gate(services=BOTH)),), retirement),
    "adopt": Story((), wants(gate(adopt="Template"))),
    "adopt-part": Story((wants(gate(adopt="Template")),), wants(gate(adopt="Template", pool=DEPLOYMENT_ONLY))),
    "adopt-key": Story((wants(gate(adopt="Template")),), wants(gate(adopt="Template", label=RED))),
    "adopt-value": Story((wants(gate(adopt="Template")),), wants(gate(adopt="Template", label=MAYBE))),
    "adopt-retire": Story((wants(gate(adopt="Template")),), retirement),
    "canary": Story((), wants(gate(rotation=shared(50)))),
    "canary-more": Story((wants(gate(rotation=shared(20))),), wants(gate(rotation=shared(100)))),
    "canary-less": Story((wants(gate(rotation=shared(100))),), wants(gate(rotation=shared(40)))),
    "canary-back": Story(
        (wants(gate(rotation=shared(60), adopt="Template")),), wants(gate(rotation=shared(0), adopt="Template"))
    ),
    "steps": Story((), wants(stepping({"weight": 20}, HALF, ALL))),
    "steps-on": Story((wants(stepping(HALF, PAUSE, ALL)),), promoting),
    "steps-back": Story((wants(stepping(HALF, PAUSE, ALL)),), aborting),
    "color": Story((wants(colored("blue")),), wants(colored("green"))),
    "color-shared": Story((wants(colored("blue", services=BOTH)),), wants(colored("green", services=BOTH))),
    "color-first": Story((), wants(colored("green", **SEEN)), preview="rng-admin"),
    "color-preview": Story((wants(colored("blue", **SEEN)),), wants(colored("green", **SEEN)), preview="rng-admin"),
    "color-back": Story((wants(colored("blue")), wants(colored("green"))), aborting),
    "color-retire": Story((wants(colored("green", **SEEN)),), retirement, preview="rng-admin"),
    "hold": Story((wants(gate(adopt="Template")),), wants(gate(newPods="Hold"))),
    "admission": Story((), wants(gate(adopt="Admission"))),
    "admission-retire": Story((wants(gate(adopt="Admission")),), retirement),
}


@dataclass(frozen=True)
class Picture:
    """What matters of a cluster: selectors, pod labels, who is ready where, the gates on record, who holds the lock."""

    selectors: Mapping[str, Mapping[str, str]]
    labels: Mapping[str, Mapping[str, str]]
    ready: Mapping[str, frozenset[str]]
    gates: tuple[object, ...] | None
    holder: str


def bare(**options: Any) -> EmbeddedCluster:
    """Two pods of a Deployment and two of a DaemonSet behind two Services, without a gate."""
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}).service("rng-admin", {"app": "rng"}, port=81)
    return built.deployment("rng", 2, LABELS).daemonset("rng", LABELS).embedded(**options)


def objects_of(source: EmbeddedCluster, kinds: Iterable[str] = RESOURCES) -> list[dict[str, Any]]:
    """Everything that a cluster holds."""
    return [item for kind in kinds for item in source.list_objects(kind, "", {})]


@functools.cache
def _start(story: Story) -> tuple[dict[str, Any], ...]:
    made = bare(seed=3)
    for planner in story.before:
        run(made, planner)
    made.clock.sleep(ALWAYS)
    return tuple(objects_of(made))


@functools.cache
def _end(story: Story) -> Picture:
    made = story.start()
    run(made, story.planner)
    return picture(made)


def proved(found: Plan, snapshot: Snapshot) -> VerifiedPlan:
    """The plan, whose proof must hold."""
    verdict = verified(found, snapshot)
    assert isinstance(verdict, VerifiedPlan), verdict
    assert starts_unsettled(found, snapshot) or way_back_problem(found, snapshot) is None
    return verdict


def run(target: EmbeddedCluster, planner: Planner, through: Cluster | None = None, **options: Any) -> Outcome:
    """Plans and applies; ``through`` stands between the run and the cluster."""
    snapshot = target.snapshot([NAMESPACE])
    return carry_out(through or target, proved(planner(snapshot), snapshot), **options)


def carry_out(target: Cluster, found: VerifiedPlan, **options: Any) -> Outcome:
    """Applies a plan, one write after the other unless told otherwise."""
    return apply_plan(target, found, **{"identity": "ci", "run_id": f"run-{next(_runs)}", "workers": 1, **options})


def picture(source: EmbeddedCluster) -> Picture:
    """The cluster as it is once everybody has seen everything."""
    source.clock.sleep(ALWAYS)
    services = source.list_objects("Service", NAMESPACE, {})
    slices = source.snapshot([NAMESPACE]).slices
    names = {pod.uid: pod.name for pod in source.list_pods(NAMESPACE)}
    ready = {
        item["metadata"]["name"]: frozenset(names[uid] for uid in ready_in_slices(slices, item["metadata"]["name"]))
        for item in services
    }
    found = record(source)
    return Picture(
        selectors={item["metadata"]["name"]: item["spec"]["selector"] for item in services},
        labels={pod.name: dict(pod.labels) for pod in source.list_pods(NAMESPACE)},
        ready=ready,
        gates=(found.policy, found.gate, found.pending, found.runs[0].outcome) if found else None,
        holder=holder(source),
    )


def record(source: Cluster) -> Record | None:
    """The record of the gate."""
    return history.read(source, GATE)[0]


def holder(source: EmbeddedCluster) -> str:
    """Who holds the gate's lock."""
    leases = source.list_objects("Lease", NAMESPACE, {})
    return "".join(str(item["spec"]["holderIdentity"]) for item in leases)


def helpers(source: EmbeddedCluster) -> list[str]:
    """The helper Services that stand."""
    return [item["metadata"]["name"] for item in source.list_objects("Service", NAMESPACE, {MANAGED_BY: "gatekeep"})]


def sizes(source: EmbeddedCluster, service: str = "rng") -> list[int]:
    """How many pods were ready behind a Service, from the start on."""
    return [len(ready) for _, ready in source.history(NAMESPACE, service)]


def keeps_floor(source: EmbeddedCluster, story: Story, less: int = 0) -> bool:
    """Every Service had as many ready pods as before or after, whichever is less, at every moment."""
    after = {name: ready for name, ready in story.end().ready.items() if name != story.preview}
    return all(
        min(seen := sizes(source, name)) >= min(seen[0], len(ready)) - less for name, ready in after.items()
    )  # fmt: skip


def converges(source: EmbeddedCluster, story: Story) -> None:
    """A new run ends where an undisturbed one does, the next has nothing to do, and retiring leaves nothing."""
    run(source, story.planner) if record(source) or story.planner is not retirement else None
    assert replaced(picture(source), holder="") == replaced(story.end(), holder="")
    assert helpers(source) == []
    assert keeps_floor(source, story)
    if record(source):
        assert not story.planner(source.snapshot([NAMESPACE])).writes
        run(source, retirement)
    assert helpers(source) == []
    assert replaced(picture(source), holder="") == replaced(untouched(), holder="")
    assert keeps_floor(source, story)


def replaced(found: Picture, **fields: Any) -> Picture:
    """The picture with other fields."""
    return Picture(**{**found.__dict__, **fields})


@functools.cache
def untouched() -> Picture:
    """The cluster without a gate."""
    return picture(bare())


def write_count(story: Story) -> int:
    """How many writes an undisturbed run takes, lock and record included."""
    counted: list[int] = []
    made = story.start()
    made.before_write(lambda verb, ref, count: counted.append(count))
    run(made, story.planner)
    return len(counted)


def labels_of(source: EmbeddedCluster, names: Sequence[str], key: str = ACTIVE["key"]) -> dict[str, str | None]:
    """The value of one label on some pods."""
    return {pod.name: pod.labels.get(key) for pod in source.list_pods(NAMESPACE) if pod.name in names}
