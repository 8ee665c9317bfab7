"""Isolations on the embedded cluster: who goes out, who comes back, and what becomes of those in their place."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.durations import timestamp
from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Op
from gatekeep.model.plan import Plan
from gatekeep.model.policy import Policy
from gatekeep.model.progress import Isolated
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.plan import plan_gates
from tests.builders import cluster
from tests.execute.faults import Mortal
from tests.execute.world import (
    ALWAYS,
    Planner,
    bare,
    carry_out,
    colored,
    labels_of,
    proved,
    record,
    ref,
    run,
    sizes,
)
from tests.gates import NAMESPACE, gate, isolation, located, retirement

ADOPTING = gate(adopt="Template")
SET_POD, FIRST, SECOND = "rng-h5b5r", "rng-xs46cr7l7g-8lsc4", "rng-xs46cr7l7g-g59x4"


def asks(*policies: Policy, complete: bool = True) -> Planner:
    """The plan for what a folder holds, or else a single file."""

    def planner(snapshot: Snapshot) -> Plan:
        return plan_gates([located(policy) for policy in policies], snapshot, complete=complete)

    return planner


def gated(**options: Any) -> EmbeddedCluster:
    """The cluster with the gate on."""
    made = bare(seed=3, **options)
    run(made, asks(ADOPTING))
    made.clock.sleep(ALWAYS)
    return made


def apply(target: EmbeddedCluster, *policies: Policy, complete: bool = True) -> Plan:
    """Plans, applies, and lets everybody see it."""
    snapshot = target.snapshot([NAMESPACE])
    found = asks(*policies, complete=complete)(snapshot)
    carry_out(target, proved(found, snapshot))
    target.clock.sleep(ALWAYS)
    return found


def inside(target: EmbeddedCluster) -> set[str]:
    """Names of the pods that carry the gate label."""
    return {pod.name for pod in target.list_pods(NAMESPACE) if pod.labels.get("active") == "yes"}


def held(target: EmbeddedCluster) -> list[Isolated]:
    """The isolations on record."""
    found = record(target)
    return list(found.isolations) if found else []


def rules(found: Plan) -> set[str]:
    """The rules of a plan's findings."""
    return {item.rule for item in found.findings}


def mark(target: EmbeddedCluster, name: str) -> str:
    """What the pod's annotation says of its isolation."""
    return str((target.get(ref(name))["metadata"].get("annotations") or {}).get("gatekeep.dev/isolated", ""))


def owners(target: EmbeddedCluster, name: str) -> Sequence[str]:
    """The controllers of a pod."""
    return [item["name"] for item in target.get(ref(name))["metadata"].get("ownerReferences") or ()]


def test_a_pod_goes_out_keeps_its_owner_and_comes_back() -> None:
    target = gated()
    everybody = inside(target)
    wanted = isolation(pods={"names": [FIRST]}, expires="2030-01-01T00:00:00Z")
    apply(target, ADOPTING, wanted)
    assert inside(target) == everybody - {FIRST}
    assert '"reason": "a look inside"' in mark(target, FIRST)
    assert owners(target, FIRST) == ["rng-xs46cr7l7g"]
    assert [pod.name for item in held(target) for pod in item.pods] == [FIRST]
    assert not asks(ADOPTING, wanted)(target.snapshot([NAMESPACE])).writes
    apply(target, ADOPTING)
    assert (inside(target), mark(target, FIRST), held(target)) == (everybody, "", [])
    assert sizes(target) == [4, 3, 4]


@pytest.mark.parametrize(
    ("pods", "out"),
    [
        ({"names": [SET_POD, FIRST]}, {SET_POD, FIRST}),
        ({"selector": {"matchLabels": {"pod-template-hash": "xs46cr7l7g"}}}, {FIRST, SECOND}),
        ({"count": 1, "order": "MostRestarts"}, {SECOND}),
        ({"count": 1}, {"rng-mdq6j"}),
        ({"count": 2, "order": "Newest"}, {"rng-mdq6j", SET_POD}),
    ],
)
def test_who_goes_out(pods: dict[str, Any], out: set[str]) -> None:
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"})
    built.deployment("rng", 2, {"app": "rng"}).daemonset("rng", {"app": "rng", "tier": "one"})
    built.about(SECOND, restarts=4).about("rng-mdq6j", created="2025-12-03T00:00:00Z")
    target = built.embedded()
    everybody = {pod.name for pod in target.list_pods(NAMESPACE)}
    apply(target, ADOPTING, isolation(pods=pods))
    assert inside(target) == everybody - out


def test_a_count_is_picked_once() -> None:
    target = gated()
    wanted = isolation(pods={"count": 1})
    apply(target, ADOPTING, wanted)
    out = {pod.name for pod in target.list_pods(NAMESPACE)} - inside(target)
    target.delete(ref(*out))
    target.clock.sleep(ALWAYS)
    found = apply(target, ADOPTING, wanted)
    assert "isolation-over" in rules(found)
    assert len(inside(target)) == 4
    assert held(target)[0].ended == "its pods are gone"
    assert not asks(ADOPTING, wanted)(target.snapshot([NAMESPACE])).writes
    apply(target, ADOPTING)
    assert held(target) == []


def test_a_pod_that_is_gone_or_never_was_resolves_itself() -> None:
    target = gated()
    found = apply(target, ADOPTING, isolation(pods={"names": ["rng-gone"]}))
    assert "isolation-over" in rules(found)
    assert len(inside(target)) == 4


def test_it_ends_when_it_expires_and_says_so() -> None:
    target = gated()
    end = timestamp(target.clock.now() + timedelta(hours=1))
    wanted = isolation(pods={"names": [FIRST]}, expires=end)
    apply(target, ADOPTING, wanted)
    assert FIRST not in inside(target)
    target.clock.sleep(3600)
    found = apply(target, ADOPTING, wanted)
    assert "isolation-over" in rules(found)
    assert FIRST in inside(target)
    assert held(target)[0].ended == f"expired at {end}"
    assert not asks(ADOPTING, wanted)(target.snapshot([NAMESPACE])).writes


def test_expired_before_it_began() -> None:
    target = gated()
    with pytest.raises(RefusedError, match="before it began"):
        asks(ADOPTING, isolation(pods={"count": 1}, expires="2020-01-01T00:00:00Z"))(target.snapshot([NAMESPACE]))


def test_it_needs_no_policy_beside_it_and_stays_when_only_a_file_is_named() -> None:
    target = gated()
    wanted = isolation(pods={"names": [FIRST]})
    apply(target, wanted, complete=False)
    assert FIRST not in inside(target)
    found = apply(target, ADOPTING, complete=False)
    assert FIRST not in inside(target)
    assert "isolation-without-policy" in rules(found)


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        ({"names": ["stranger"]}, "is not behind a Service of gate rng"),
        ({"names": [FIRST], "gate": "other"}, "there is no record of a gate dockercoins/other"),
    ],
)
def test_what_is_refused(pods: dict[str, Any], words: str) -> None:
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}).deployment("rng", 2, {"app": "rng"})
    target = built.pods("stranger", labels={"app": "other"}).embedded()
    name = pods.pop("gate", "rng")
    with pytest.raises(RefusedError, match=words):
        asks(ADOPTING, isolation(pods=pods, gate=name))(target.snapshot([NAMESPACE]))


def test_two_isolations_of_one_pod() -> None:
    target = gated()
    one, two = isolation("one", pods={"names": [FIRST]}), isolation("two", pods={"names": [FIRST]}, mode="Detach")
    with pytest.raises(RefusedError, match="isolated twice, by Isolation dockercoins/one and by"):
        asks(ADOPTING, one, two)(target.snapshot([NAMESPACE]))


def test_an_isolation_of_everybody_breaks_the_floor() -> None:
    target = gated()
    found = asks(ADOPTING, isolation(pods={"selector": {"matchLabels": {"app": "rng"}}}))(target.snapshot([NAMESPACE]))
    assert not found.proof.holds
    assert "at least 1" in str(found.proof.counter_example)


def test_retiring_waits_until_nobody_is_isolated() -> None:
    target = gated()
    apply(target, ADOPTING, isolation(pods={"names": [FIRST]}))
    with pytest.raises(RefusedError, match=f"isolates {FIRST}"):
        retirement(target.snapshot([NAMESPACE]))


def test_a_detached_pod_is_replaced_kept_and_comes_back_for_its_replacement() -> None:
    target = gated(pod_lag=2.0)
    before = inside(target)
    apply(target, ADOPTING, isolation(pods={"names": [FIRST]}, mode="Detach"))
    assert owners(target, FIRST) == []
    assert '"labels": {"tier": "one"}' in mark(target, FIRST)
    (replacement,) = inside(target) - before
    assert held(target)[0].pods[0].labels == {"tier": "one"}
    found = apply(target, ADOPTING)
    assert {item.message for item in found.findings if item.rule == "surplus-pod"} == {
        f"{FIRST} comes back to its controller, which deletes {replacement} for it, after that has left the rotation"
    }
    assert inside(target) == before
    assert (owners(target, FIRST), mark(target, FIRST), held(target)) == (["rng-xs46cr7l7g"], "", [])
    assert min(sizes(target)) == 3  # only while the replacement was on its way


def test_a_pod_that_does_not_serve_is_the_one_that_goes() -> None:
    target = gated()
    apply(target, ADOPTING, isolation(pods={"names": [FIRST]}, mode="Detach"))
    everybody = inside(target)
    target.set_ready(ref(FIRST), False)
    target.clock.sleep(ALWAYS)
    found = apply(target, ADOPTING)
    assert any("has enough pods that serve and deletes it" in item.message for item in found.findings)
    assert inside(target) == everybody == {pod.name for pod in target.list_pods(NAMESPACE)}


def test_a_pod_of_an_old_version_goes_without_having_joined() -> None:
    target = gated()
    apply(target, ADOPTING, isolation(pods={"names": [FIRST]}, mode="Detach"))
    roll(target, "Deployment")
    everybody = inside(target)
    apply(target, ADOPTING)
    assert inside(target) == everybody == {pod.name for pod in target.list_pods(NAMESPACE)}


def test_a_daemonset_that_went_on_does_not_get_its_old_pod_back() -> None:
    target = gated()
    apply(target, ADOPTING, isolation(pods={"names": [SET_POD]}, mode="Detach"))
    roll(target, "DaemonSet")
    everybody = inside(target)
    found = apply(target, ADOPTING)
    assert "isolation-stuck" in rules(found)
    assert inside(target) == everybody
    assert owners(target, SET_POD) == []
    assert "isolation-stuck" in rules(asks(ADOPTING)(target.snapshot([NAMESPACE])))
    target.delete(ref(SET_POD))
    apply(target, ADOPTING)
    assert held(target) == []


def roll(target: EmbeddedCluster, kind: str) -> None:
    """A rollout from its beginning to its end."""
    path = "/spec/template/metadata/annotations"
    target.patch(ObjectRef(kind, NAMESPACE, "rng"), (Op("add", path, {"restarted": "now"}),))
    target.clock.sleep(10 * ALWAYS)


def test_a_label_that_a_service_selects_by_comes_back_with_the_gate() -> None:
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}).daemonset("rng", {"app": "rng"})
    target = built.embedded()
    names = {pod.name for pod in target.list_pods(NAMESPACE)}
    apply(target, ADOPTING, isolation(pods={"names": [SET_POD]}, mode="Detach"))
    assert target.get(ref(SET_POD))["metadata"]["labels"].get("app") is None
    assert len(inside(target)) == 2
    found = apply(target, ADOPTING)
    assert "surplus-pod" in rules(found)
    assert inside(target) == names


def test_the_adopter_is_named() -> None:
    """Without its hash the pod would be the DaemonSet's, and without app it would still be another one's."""
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}).daemonset("rng", {"app": "rng"})
    built.deployment("rng", 2, {"app": "rng", "x": "y"}).daemonset("all", {"x": "y"})
    target = built.embedded()
    pod = next(pod.name for pod in target.list_pods(NAMESPACE) if pod.name.count("-") == 2)
    with pytest.raises(RefusedError) as caught:
        asks(ADOPTING, isolation(pods={"names": [pod]}, mode="Detach"))(target.snapshot([NAMESPACE]))
    assert "without pod-template-hash it would be taken by DaemonSet dockercoins/all" in str(caught.value)
    assert "without app it would be taken by" in str(caught.value)


@pytest.mark.parametrize(("kind", "words"), [("StatefulSet", "cannot replace it"), ("bare", "no controller owns it")])
def test_pods_that_cannot_be_detached(kind: str, words: str) -> None:
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"})
    built = (
        built.statefulset("db", 2, {"app": "rng"})
        if kind == "StatefulSet"
        else built.pods("db-0", "db-1", labels={"app": "rng"})
    )
    with pytest.raises(RefusedError, match=words):
        asks(ADOPTING, isolation(pods={"names": ["db-0"]}, mode="Detach"))(built.embedded().snapshot([NAMESPACE]))


@pytest.mark.parametrize("mode", ["Gate", "Detach"])
@pytest.mark.parametrize("comes_back", [False, True])
def test_a_run_that_is_killed_at_any_write_is_gone_on_with(mode: str, comes_back: bool) -> None:
    wanted = isolation(pods={"names": [FIRST]}, mode=mode)
    policies = [ADOPTING] if comes_back else [ADOPTING, wanted]
    for number in range(1, 40):
        target = gated()
        if comes_back:
            apply(target, ADOPTING, wanted)
        mortal = Mortal(target, before=number)
        killed = mortal.run(functools.partial(run, target, asks(*policies)))
        target.clock.sleep(ALWAYS)
        apply(target, *policies)
        assert (FIRST in inside(target)) == comes_back
        assert len(inside(target)) == (3 if mode == "Gate" and not comes_back else 4)
        assert bool(held(target)) != comes_back
        assert bool(mark(target, FIRST)) != comes_back
        assert not asks(*policies)(target.snapshot([NAMESPACE])).writes
        if not killed:
            return
    raise AssertionError("a run takes fewer writes than that")


def test_labels_are_the_pods_own_while_it_is_out() -> None:
    target = gated()
    apply(target, ADOPTING, isolation(pods={"names": [FIRST]}))
    assert labels_of(target, [FIRST], "tier") == {FIRST: "one"}


def test_a_pod_of_the_idle_colour_can_be_detached() -> None:
    colors = colored("green", preview={"service": "rng-admin"})
    target = bare(seed=3)
    run(target, asks(colors))
    target.clock.sleep(ALWAYS)
    apply(target, colors, isolation(pods={"names": [FIRST]}, mode="Detach"))
    assert owners(target, FIRST) == []
    apply(target, colors)
    assert held(target) == []


def test_a_node_keeps_its_last_pod_where_traffic_stays_on_the_node() -> None:
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}, internalTrafficPolicy="Local")
    target = built.daemonset("rng", {"app": "rng"}).embedded()
    found = asks(ADOPTING, isolation(pods={"names": [SET_POD]}))(target.snapshot([NAMESPACE]))
    assert not found.proof.holds
    assert "on node node" in str(found.proof.counter_example)


def test_a_disruption_budget_does_not_protect_the_rotation() -> None:
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}).deployment("rng", 3, {"app": "rng"})
    target = built.budget("rng", {"app": "rng"}, minAvailable=2).embedded()
    pod = min(pod.name for pod in target.list_pods(NAMESPACE))
    found = asks(ADOPTING, isolation(pods={"names": [pod]}))(target.snapshot([NAMESPACE]))
    (budget,) = [item for item in found.findings if item.rule == "budget-counts-isolated"]
    assert budget.object == f"PodDisruptionBudget {NAMESPACE}/rng"


def test_two_gates_with_one_key_are_refused() -> None:
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}).service("other", {"app": "rng"})
    snapshot = built.deployment("rng", 3, {"app": "rng"}).embedded().snapshot([NAMESPACE])
    with pytest.raises(RefusedError, match="use one key, active"):
        asks(ADOPTING, gate("other", services=["other"]))(snapshot)
