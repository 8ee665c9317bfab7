"""The embedded cluster shows what was measured on Kubernetes 1.36: which order of writes loses endpoints, and when.

Six pods (three of a Deployment, three of a DaemonSet) stand behind ``rng``. The table of measurements is in
``docs/design``; "dips" means that some EndpointSlice write left fewer ready endpoints than there should be.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.endpoints import ready_in_slices
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import label_patch, selector_patch
from tests.builders import cluster, dockercoins

NAMESPACE = "dockercoins"
RNG = ObjectRef("Service", NAMESPACE, "rng")
OPEN = {"app": "rng"}
GATED = {"app": "rng", "active": "yes"}


def label_all(target: EmbeddedCluster, *, active: bool) -> None:
    """Puts the gate label on every pod of rng, or takes it off."""
    edit = (None, "yes") if active else ("yes", None)
    for pod in target.list_pods(NAMESPACE, OPEN):
        target.patch(pod.ref, label_patch(pod.uid, {"active": edit}))


def select(target: EmbeddedCluster, wanted: Mapping[str, str]) -> None:
    """Gives rng another selector."""
    live = target.get(RNG)
    target.patch(RNG, selector_patch(live["metadata"]["uid"], live["spec"]["selector"], wanted))


def helper_service(target: EmbeddedCluster, name: str, selector: Mapping[str, str]) -> None:
    """Creates a headless Service, as a shadow or a marker."""
    body = {
        "metadata": {"name": name},
        "spec": {"clusterIP": "None", "selector": dict(selector), "ports": [{"port": 80}]},
    }
    target.create("Service", NAMESPACE, body)


def wait_for_slices(target: EmbeddedCluster, name: str, ready: int) -> None:
    """Waits until the Service has slices that list so many ready pods."""
    with target.watch_slices(NAMESPACE, name) as watch:
        slices = watch.current()
        while not slices or len(ready_in_slices(slices, name)) != ready:
            assert target.clock.monotonic() < 60, "the endpoint controller did not come this far"
            slices = watch.wait(10)


def least(target: EmbeddedCluster, service: str = "rng", since: float = 0.0) -> int:
    """The fewest ready endpoints after the changes, once everything has come to rest."""
    target.clock.sleep(20)
    return min(len(ready) for time, ready in target.history(NAMESPACE, service) if time >= since)


def gated() -> EmbeddedCluster:
    """rng with the gate in place for long."""
    builder = cluster(NAMESPACE).nodes(3).service("rng", GATED)
    builder.deployment("rng", 3, OPEN, pod_labels=GATED).daemonset("rng", OPEN, pod_labels=GATED)
    return builder.embedded()


def test_adding_a_gate_selector_first_loses_everything() -> None:
    target = dockercoins().embedded()
    select(target, GATED)
    target.clock.sleep(0.1)
    label_all(target, active=True)
    assert least(target) == 0


@pytest.mark.parametrize(("pods", "services", "expected"), [(0.0, 0.0, 6), (0.0, 3.0, 6), (3.0, 0.0, 0)])
def test_adding_a_gate_labels_first_is_a_race_of_two_streams(pods: float, services: float, expected: int) -> None:
    target = dockercoins().embedded(pod_lag=pods, service_lag=services)
    label_all(target, active=True)
    select(target, GATED)
    assert least(target) == expected


@pytest.mark.parametrize(("pods", "services"), [(0.0, 0.0), (3.0, 0.0), (0.0, 3.0), (1.0, 2.0)])
def test_a_shadow_service_makes_adding_a_gate_safe(pods: float, services: float) -> None:
    target = dockercoins().embedded(pod_lag=pods, service_lag=services)
    label_all(target, active=True)
    helper_service(target, "rng-gatekeep-shadow", GATED)
    wait_for_slices(target, "rng-gatekeep-shadow", 6)
    select(target, GATED)
    assert least(target) == 6


def test_the_shadow_barrier_costs_what_the_lag_is() -> None:
    target = dockercoins().embedded(pod_lag=3.0)
    label_all(target, active=True)
    started = target.clock.monotonic()
    helper_service(target, "shadow", GATED)
    wait_for_slices(target, "shadow", 6)
    assert 2.9 < target.clock.monotonic() - started < 3.1


@pytest.mark.parametrize(("pods", "services", "expected"), [(0.0, 0.0, 6), (3.0, 0.0, 6), (0.0, 3.0, 0)])
def test_removing_a_gate_selector_first_is_a_race_too(pods: float, services: float, expected: int) -> None:
    target = gated()
    target.lag(pods=pods, services=services)
    select(target, OPEN)
    label_all(target, active=False)
    assert least(target) == expected


def test_removing_a_gate_labels_first_loses_everything() -> None:
    target = gated()
    label_all(target, active=False)
    target.clock.sleep(0.1)
    select(target, OPEN)
    assert least(target) == 0


@pytest.mark.parametrize(("pods", "services"), [(0.0, 0.0), (3.0, 0.0), (0.0, 3.0), (2.0, 1.0)])
def test_a_marker_service_makes_removing_a_gate_safe(pods: float, services: float) -> None:
    target = gated()
    target.lag(pods=pods, services=services)
    select(target, OPEN)
    helper_service(target, "rng-gatekeep-marker", {"nobody": "has-this"})
    wait_for_slices(target, "rng-gatekeep-marker", 0)
    label_all(target, active=False)
    assert least(target) == 6


def test_a_delay_turned_down_never_reorders() -> None:
    target = dockercoins().embedded()
    target.lag(services=5.0)
    select(target, {"app": "nobody"})
    target.lag(services=0.0)
    select(target, OPEN)
    assert least(target) == 6
    assert target.snapshot([]).service(NAMESPACE, "rng") is not None


def test_a_gate_added_with_the_same_set_writes_no_slice() -> None:
    target = dockercoins().embedded()
    label_all(target, active=True)
    target.clock.sleep(1)
    select(target, GATED)
    target.clock.sleep(5)
    assert len(target.history(NAMESPACE, "rng")) == 1


def halves(size: int, seed: int) -> EmbeddedCluster:
    """Two disjoint sets of ``size`` pods; rng has the first."""
    builder = cluster(NAMESPACE).nodes(3).service("rng", {"half": "a"})
    for half in "ab":
        builder.pods(*(f"{half}-{number}" for number in range(size)), labels={"all": "yes", "half": half})
    return builder.embedded(seed=seed)


def sizes(target: EmbeddedCluster, selector: Mapping[str, str]) -> list[int]:
    """How many were ready after each slice write of one switch, the state before included."""
    select(target, selector)
    target.clock.sleep(5)
    return [len(ready) for _, ready in target.history(NAMESPACE, "rng")]


@pytest.mark.parametrize("size", [50, 100])
def test_a_disjoint_switch_inside_one_slice_is_atomic(size: int) -> None:
    assert all(min(sizes(halves(size, seed), {"half": "b"})) == size for seed in range(10))


def test_a_disjoint_switch_over_two_slices_passes_through_a_mixture() -> None:
    lowest = [min(sizes(halves(101, seed), {"half": "b"})) for seed in range(20)]
    assert 2 in lowest
    assert set(lowest) <= {2, 101}


def test_widening_and_narrowing_are_monotone_over_several_slices() -> None:
    target = halves(150, seed=1)
    wider = sizes(target, {"all": "yes"})
    assert wider == sorted(wider)
    assert wider[-1] == 300
    narrower = sizes(target, {"half": "b"})[len(wider) - 1 :]
    assert narrower == sorted(narrower, reverse=True)
    assert narrower[-1] == 150


def test_widen_then_narrow_never_falls_below_either_set() -> None:
    for seed in range(10):
        target = halves(101, seed)
        sizes(target, {"all": "yes"})
        assert min(sizes(target, {"half": "b"})) == 101


def test_slices_are_never_repacked() -> None:
    builder = cluster(NAMESPACE).nodes(3).service("rng", OPEN)
    target = builder.pods(*(f"p-{number:03}" for number in range(250)), labels=OPEN).embedded()
    counts = [len(item.endpoints or ()) for item in target.snapshot([]).slices]
    assert sorted(counts) == [50, 100, 100]
    for pod in target.list_pods(NAMESPACE)[:190]:
        target.kill(pod.ref)
    target.clock.sleep(5)
    left = [len(item.endpoints or ()) for item in target.snapshot([]).slices]
    assert sum(left) == 60
    assert len(left) == 3


def test_the_same_seed_gives_the_same_history() -> None:
    assert sizes(halves(150, 3), {"half": "b"}) == sizes(halves(150, 3), {"half": "b"})
