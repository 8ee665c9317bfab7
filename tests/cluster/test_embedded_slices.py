"""The slice reconciler on any sequence of sets: it lists exactly who should be listed, and then rests."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from gatekeep.cluster.embedded.slices import Backends, SliceWrite, reconcile
from gatekeep.cluster.embedded.store import Object
from gatekeep.model.objects import (
    Condition,
    Container,
    ContainerPort,
    OwnedMeta,
    Pod,
    PodIP,
    PodMeta,
    PodSpec,
    PodStatus,
    Service,
    ServicePort,
    ServiceSpec,
)

SERVICE = Service(
    metadata=OwnedMeta(name="rng", namespace="shop", uid="service-uid", labels={"app": "rng"}),
    spec=ServiceSpec(
        selector={"app": "rng"},
        cluster_ip="10.96.0.10",
        ip_families=("IPv4",),
        ports=(ServicePort(port=80, target_port="web"),),
    ),
)
NODES = {"node1": "a", "node2": ""}


def pod(number: int, *, ready: bool = True, port: bool = True) -> Pod:
    """A pod; without ``port`` it lacks the named target port."""
    address = f"10.0.{number // 250}.{number % 250}"
    ports = (ContainerPort(container_port=8080, name="web"),) if port else ()
    return Pod(
        metadata=PodMeta(name=f"p-{number}", namespace="shop", uid=f"uid-{number}"),
        spec=PodSpec(node_name=f"node{number % 2 + 1}", containers=(Container(ports=ports),)),
        status=PodStatus(
            phase="Running",
            pod_ip=address,
            pod_ips=(PodIP(ip=address),),
            conditions=(Condition(type="Ready", status=str(ready)),),
        ),
    )


def applied(slices: dict[str, Object], writes: tuple[SliceWrite, ...]) -> None:
    """Carries out the writes, as the API server would."""
    for write in writes:
        if write.verb == "create":
            name = f"rng-{len(slices)}-{random.getrandbits(32):x}"
            slices[name] = {**write.slice, "metadata": {**write.slice["metadata"], "name": name}}
        elif write.verb == "update":
            slices[write.slice["metadata"]["name"]] = write.slice
        else:
            del slices[write.slice["metadata"]["name"]]


def sync(slices: dict[str, Object], pods: list[Pod], seed: int) -> tuple[SliceWrite, ...]:
    writes = reconcile(SERVICE, Backends(pods, NODES), list(slices.values()), random.Random(seed))
    applied(slices, writes)
    return writes


def listed(slices: dict[str, Object], *, with_ports: bool) -> list[str]:
    found = [item for item in slices.values() if bool(item["ports"]) == with_ports]
    return sorted(endpoint["targetRef"]["uid"] for item in found for endpoint in item["endpoints"] or ())


members = st.frozensets(st.integers(0, 260), max_size=240)


@settings(max_examples=60, deadline=None)
@given(rounds=st.lists(st.tuples(members, members), min_size=1, max_size=5), seed=st.integers(0, 1000))
def test_it_lists_exactly_the_pods_and_then_rests(
    rounds: list[tuple[frozenset[int], frozenset[int]]], seed: int
) -> None:
    slices: dict[str, Object] = {}
    for numbers, portless in rounds:
        pods = [pod(number, port=number not in portless) for number in numbers]
        sync(slices, pods, seed)
        assert listed(slices, with_ports=True) == sorted(f"uid-{number}" for number in numbers - portless)
        assert listed(slices, with_ports=False) == sorted(f"uid-{number}" for number in numbers & portless)
        assert all(len(item["endpoints"] or ()) <= 100 for item in slices.values())
        assert slices
        assert sync(slices, pods, seed + 1) == ()


def test_a_pod_that_flaps_is_one_update() -> None:
    slices: dict[str, Object] = {}
    sync(slices, [pod(1), pod(2)], 0)
    (write,) = sync(slices, [pod(1, ready=False), pod(2)], 0)
    assert write.verb == "update"
    states = {item["targetRef"]["uid"]: item["conditions"]["ready"] for item in write.slice["endpoints"]}
    assert states == {"uid-1": False, "uid-2": True}
    assert [item.get("zone") for item in sorted(write.slice["endpoints"], key=lambda item: item["nodeName"])] == [
        "a",
        None,
    ]


def test_newcomers_fill_a_slice_that_has_room() -> None:
    slices: dict[str, Object] = {}
    sync(slices, [pod(number) for number in range(150)], 0)
    sync(slices, [pod(number) for number in range(195)], 0)
    assert sorted(len(item["endpoints"]) for item in slices.values()) == [95, 100]
    writes = sync(slices, [pod(number) for number in range(201)], 0)
    assert [write.verb for write in writes] == ["create"]
    assert sorted(len(item["endpoints"]) for item in slices.values()) == [6, 95, 100]


def test_the_last_pod_leaves_a_placeholder() -> None:
    slices: dict[str, Object] = {}
    sync(slices, [pod(1)], 0)
    (write,) = sync(slices, [], 0)
    assert (write.verb, write.slice["endpoints"], write.slice["ports"]) == ("update", None, None)


def test_hints_of_a_dump_are_no_change() -> None:
    slices: dict[str, Object] = {}
    sync(slices, [pod(1)], 0)
    (only,) = slices.values()
    only["endpoints"][0]["hints"] = {"forZones": [{"name": "a"}]}
    assert sync(slices, [pod(1)], 0) == ()
