"""Random small clusters and policies for them: half a dozen pods, one or two Services, any state of the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import strategies as st

from gatekeep.model.endpoints import CONTROLLER, MANAGED_BY_LABEL, SERVICE_NAME_LABEL
from gatekeep.model.objects import (
    Condition,
    Endpoint,
    EndpointSlice,
    OwnedMeta,
    OwnerReference,
    Pod,
    PodMeta,
    PodSpec,
    PodStatus,
    Service,
    ServiceSpec,
    Workload,
)
from gatekeep.model.policy import Gate, TrafficGate
from gatekeep.model.record import Record, managed_labels
from gatekeep.model.snapshot import Snapshot
from tests.gates import NAMESPACE, gate, record
from tests.properties.bruteforce import World

GATES = ({"key": "active", "value": "yes"}, {"key": "active", "value": "no"}, {"key": "k/2", "value": "v"})
POOLS: tuple[dict[str, Any], ...] = (
    {},
    {"selector": {"matchLabels": {"tier": "a"}}},
    {"selector": {"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["a"]}]}},
    {"owners": [{"kind": "DaemonSet", "name": "one"}]},
    {"anyOf": [{"owners": [{"kind": "DaemonSet", "name": "two"}]}, {"selector": {"matchLabels": {"tier": "b"}}}]},
    {"except": [{"owners": [{"kind": "DaemonSet", "name": "one"}]}]},
)
FLOORS: tuple[int | str, ...] = (0, 1, 2, 3, "50%", "100%")


@dataclass(frozen=True)
class Case:
    """A cluster, the policy that is wanted, and what gatekeep remembers (None: nothing)."""

    snapshot: Snapshot
    policy: TrafficGate
    record: Record | None


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A cluster with a gate in any state, and a policy for it."""
    services = draw(st.sampled_from((("web",), ("web", "api"))))
    old = Gate(**draw(st.sampled_from(GATES)))
    gated = {name: draw(st.booleans()) for name in ("web", "api")}
    snapshot = Snapshot(
        pods=tuple(draw(pods(number)) for number in range(draw(st.integers(1, 6)))),
        services=tuple(draw(service(name, old if gated[name] and name in services else None)) for name in gated),
        workloads=(_workload("one"), _workload("two")),
    )
    if draw(st.booleans()):
        snapshot = msgspec_replace(snapshot, slices=_two_slices("web"))
    policy = draw(policies(services))
    former = gate("g", services=services, label={"key": old.key, "value": old.value})
    return Case(snapshot, policy, record(former) if draw(st.booleans()) else None)


TIER_A, OTHERS = POOLS[1], POOLS[2]
WEIGHTS = st.lists(st.integers(0, 100), min_size=1, max_size=3).map(sorted)


def policies(services: tuple[str, ...]) -> st.SearchStrategy[TrafficGate]:
    """A policy of any strategy for some Services."""
    return st.builds(
        lambda rotation, label, floor: gate("g", services=services, label=label, min_ready=floor, rotation=rotation),
        rotations(), st.sampled_from(GATES), st.sampled_from(FLOORS),
    )  # fmt: skip


def rotations() -> st.SearchStrategy[dict[str, Any]]:
    """Pools, and canaries and colours of two groups that share no pod."""
    pools = st.sampled_from(POOLS).map(lambda pool: {"pool": pool})
    return st.one_of(pools, WEIGHTS.map(_canary), st.sampled_from(("blue", "green")).map(_blue_green))


def _canary(weights: list[int]) -> dict[str, Any]:
    """At one weight, or from weight to weight."""
    groups = {"stable": TIER_A, "canary": OTHERS}
    if len(weights) == 1:
        return {"canary": {**groups, "weight": weights[0]}}
    return {"canary": {**groups, "steps": [{"weight": weight} for weight in weights]}}


def _blue_green(active: str) -> dict[str, Any]:
    return {"blueGreen": {"colors": {"blue": TIER_A, "green": OTHERS}, "active": active}}


@st.composite
def pods(draw: st.DrawFn, number: int) -> Pod:
    """A pod that most likely is ready and behind both Services, with any gate labels."""
    labels = {"app": draw(st.sampled_from(("x", "x", "x", "y"))), "tier": draw(st.sampled_from("ab"))}
    for key, values in (("active", (None, "yes", "yes", "no")), ("k/2", (None, None, "v"))):
        if value := draw(st.sampled_from(values)):
            labels[key] = value
    owner = draw(st.sampled_from(("one", "two", "")))
    owners = (OwnerReference("DaemonSet", owner, f"uid-{owner}", controller=True),) if owner else ()
    status = "True" if draw(st.sampled_from((True, True, True, False))) else "False"
    return Pod(
        metadata=PodMeta(f"p{number}", NAMESPACE, f"uid-p{number}", labels=labels, owner_references=owners),
        spec=PodSpec(node_name=draw(st.sampled_from(("n1", "n2")))),
        status=PodStatus("Running", pod_ip=f"10.0.0.{number}", conditions=(Condition("Ready", status),)),
    )


@st.composite
def service(draw: st.DrawFn, name: str, gated: Gate | None) -> Service:
    """``web`` reaches app x, ``api`` one tier of it; either with a gate or without."""
    selector = {"app": "x"} if name == "web" else {"app": "x", "tier": "a"}
    if gated is not None:
        selector[gated.key] = gated.value
    traffic = draw(st.sampled_from(("Cluster", "Cluster", "Cluster", "Local")))
    meta = OwnedMeta(name, NAMESPACE, f"uid-{name}")
    return Service(meta, ServiceSpec(selector=selector, internal_traffic_policy=traffic))


def msgspec_replace(snapshot: Snapshot, **fields: Any) -> Snapshot:
    """The snapshot with other parts."""
    return Snapshot(**{**{name: getattr(snapshot, name) for name in snapshot.__dataclass_fields__}, **fields})


def _workload(name: str) -> Workload:
    spec = {"template": {"metadata": {"labels": {"app": "x", "own": name}}},
            "selector": {"matchLabels": {"own": name}}}  # fmt: skip
    meta = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}"}
    return msgspec.convert({"kind": "DaemonSet", "metadata": meta, "spec": spec}, Workload)


def _two_slices(name: str) -> tuple[EndpointSlice, ...]:
    labels = {SERVICE_NAME_LABEL: name, MANAGED_BY_LABEL: CONTROLLER}
    return tuple(
        EndpointSlice(PodMeta(f"{name}-{number}", NAMESPACE, labels=labels), endpoints=(Endpoint(),))
        for number in range(2)
    )


def with_world(snapshot: Snapshot, world: World, name: str) -> Snapshot:
    """``snapshot`` with the labels, selectors and helper Services of ``world``."""
    services = {item.name: item for item in snapshot.services}
    found = []
    for key, selector in world.selectors.items():
        if key in services:
            spec = msgspec.structs.replace(services[key].spec, selector=selector)
            found.append(msgspec.structs.replace(services[key], spec=spec))
        else:
            meta = OwnedMeta(key, NAMESPACE, f"uid-{key}", labels=managed_labels(name))
            found.append(Service(meta, ServiceSpec(selector=selector, cluster_ip="None")))
    pods = tuple(
        msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, labels=world.labels[pod.name]))
        for pod in snapshot.pods
    )
    return msgspec_replace(snapshot, pods=pods, services=tuple(found))


def interrupted(case: Case) -> Record:
    """What the record says while the case's policy is being applied."""
    old = case.record.gate if case.record else case.policy.gate
    return record(case.policy, gate=old, pending=(case.policy.gate,), outcome="running", ended="")
