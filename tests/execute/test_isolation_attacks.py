"""Isolations under attack: what a hostile tester found, each with the way it went wrong."""

from __future__ import annotations

import msgspec
import pytest

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Op
from gatekeep.model.record import LARGEST_RECORD, Beginning, encode
from gatekeep.operations.runs import plan_undo
from tests.builders import cluster
from tests.execute.test_isolation import ADOPTING, FIRST, apply, asks, gated, held, inside, rules
from tests.execute.world import ALWAYS, bare, record, ref
from tests.gates import NAMESPACE, gate, isolation
from tests.gates import record as recording


def test_an_undo_of_a_detach_does_not_forget_what_was_taken_off() -> None:
    target = gated()
    apply(target, ADOPTING, isolation(pods={"names": [FIRST]}))
    apply(target, ADOPTING, isolation(pods={"names": [FIRST]}, mode="Detach"))
    found = record(target)
    assert found is not None
    with pytest.raises(RefusedError, match=f"{FIRST} was detached since"):
        plan_undo(found.runs[0].id, target.snapshot([NAMESPACE]))


def test_several_pods_come_back_and_as_many_go() -> None:
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"})
    target = built.deployment("rng", 4, {"app": "rng", "tier": "one"}).embedded(seed=3)
    names = sorted(pod.name for pod in target.list_pods(NAMESPACE))
    apply(target, ADOPTING, isolation(pods={"names": names[:3]}, mode="Detach"))
    assert len(inside(target)) == 4
    seen = len(target.history(NAMESPACE, "rng"))
    found = apply(target, ADOPTING)
    assert sum(item.rule == "surplus-pod" for item in found.findings) == 3
    assert inside(target) == set(names)
    assert min(len(ready) for _, ready in target.history(NAMESPACE, "rng")[seen:]) == 4


def test_pods_that_are_stuck_stay_known_under_one_name() -> None:
    built = cluster(NAMESPACE).nodes(3).service("rng", {"app": "rng"})
    built.deployment("rng", 2, {"app": "rng", "tier": "two"}).daemonset("rng", {"app": "rng", "tier": "one"})
    target = built.embedded()
    names = sorted(pod.name for pod in target.list_pods(NAMESPACE, {"tier": "one"}))
    apply(target, ADOPTING, isolation(pods={"names": names}, mode="Detach"))
    path = "/spec/template/metadata/annotations"
    target.patch(ObjectRef("DaemonSet", NAMESPACE, "rng"), (Op("add", path, {"restarted": "now"}),))
    target.clock.sleep(10 * ALWAYS)
    found = apply(target, ADOPTING, isolation(pods={"names": names[:1]}, mode="Detach"))
    assert "isolation-stuck" in rules(found)
    (entry,) = held(target)
    assert [pod.name for pod in entry.pods] == names
    assert all(pod.labels == {"tier": "one"} for pod in entry.pods)
    assert not set(names) & inside(target)


def test_a_pod_is_isolated_from_one_gate_at_a_time() -> None:
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}).service("other", {"app": "rng"})
    target = built.deployment("rng", 3, {"app": "rng"}).embedded()
    pod = min(pod.name for pod in target.list_pods(NAMESPACE))
    other = gate("other", services=["other"], label={"key": "blue", "value": "yes"})
    both = [isolation("ia", pods={"names": [pod]}), isolation("ib", gate="other", pods={"names": [pod]})]
    with pytest.raises(RefusedError, match="isolated from two gates"):
        asks(ADOPTING, other, *both)(target.snapshot([NAMESPACE]))
    apply(target, ADOPTING, other, both[0])
    with pytest.raises(RefusedError, match="isolated from two gates"):
        asks(other, both[1])(target.snapshot([NAMESPACE]))


def test_another_pod_of_the_name_is_not_meant() -> None:
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}).statefulset("db", 3, {"app": "rng"})
    target = built.embedded()
    wanted = isolation(pods={"names": ["db-0", "db-1"]})
    apply(target, ADOPTING, wanted)
    target.delete(ref("db-1"))
    target.clock.sleep(ALWAYS)
    for _ in range(2):
        apply(target, ADOPTING, wanted)
        assert inside(target) == {"db-1", "db-2"}
        assert not asks(ADOPTING, wanted)(target.snapshot([NAMESPACE])).writes


def test_a_selector_that_reaches_too_many() -> None:
    names = [f"p{number}" for number in range(501)]
    built = cluster(NAMESPACE).nodes(2).service("rng", {"app": "rng"}).pods(*names, labels={"app": "rng", "x": "y"})
    snapshot = built.pods("other", labels={"app": "rng"}).embedded().snapshot([NAMESPACE])
    with pytest.raises(RefusedError, match="would isolate 501 pods, and at most 500"):
        asks(gate(), isolation(pods={"selector": {"matchLabels": {"x": "y"}}}))(snapshot)


def test_a_record_that_grows_forgets_where_old_runs_began() -> None:
    policy = gate(name="g", pool={"selector": {"matchLabels": {"x": "y" * 60}}})
    first = recording(policy).runs[0]
    picked = tuple(f"{number:036d}" for number in range(4000))
    before = Beginning(policy=policy, picked=picked)
    runs = tuple(msgspec.structs.replace(first, id=str(number), before=before) for number in range(10))
    found = msgspec.structs.replace(recording(policy), runs=runs)
    (text,) = encode(found).values()
    assert len(text) <= LARGEST_RECORD
    assert text.count('"picked"') in range(1, 10)


def test_no_pod_of_the_record_is_lost_when_only_names_change() -> None:
    target = bare(seed=3)
    apply(target, ADOPTING, isolation(pods={"names": [FIRST]}))
    other = "rng-h5b5r"
    apply(target, ADOPTING, isolation(pods={"names": [other]}))
    assert [pod.name for pod in held(target)[0].pods] == [other]
    assert FIRST in inside(target)
