"""Two runs that know nothing of each other: the second looks again once it has the lock.

* plans made of one snapshot and applied one after the other: the second is stale (3), the floor holds
* a run stopped between the selectors of two Services: the same policy, the old one and retiring all lead on
"""

from __future__ import annotations

import pytest

from gatekeep.model.errors import IncompleteError, RefusedError
from gatekeep.model.policy import TrafficGate
from tests.builders import dockercoins
from tests.execute.world import carry_out, helpers, proved, run
from tests.gates import NAMESPACE, gate, plan, retirement

DEPLOYMENT = {"owners": [{"kind": "Deployment", "name": "rng"}]}
DAEMONSET = {"owners": [{"kind": "DaemonSet", "name": "rng"}]}


def test_the_second_of_two_plans_is_stale() -> None:
    made = dockercoins().embedded()
    run(made, lambda snapshot: plan(snapshot, gate()))
    snapshot = made.snapshot([NAMESPACE])
    first, second = (plan(snapshot, gate(pool=pool)) for pool in (DEPLOYMENT, DAEMONSET))
    carry_out(made, proved(first, snapshot))
    with pytest.raises(RefusedError, match="the plan is stale") as refusal:
        carry_out(made, proved(second, snapshot))
    assert "left the rotation since the plan was made" in str(refusal.value)
    assert min(len(ready) for _, ready in made.history(NAMESPACE, "rng")) == 3
    assert not helpers(made)


def test_two_first_plans_do_not_settle_for_each_other() -> None:
    made = dockercoins().embedded()
    snapshot = made.snapshot([NAMESPACE])
    first, second = plan(snapshot, gate()), plan(snapshot, gate(pool=DEPLOYMENT))
    carry_out(made, proved(first, snapshot))
    with pytest.raises(RefusedError, match="the plan is stale"):
        carry_out(made, proved(second, snapshot))


def test_the_same_plan_twice_writes_once() -> None:
    made = dockercoins().embedded()
    snapshot = made.snapshot([NAMESPACE])
    found = proved(plan(snapshot, gate()), snapshot)
    assert carry_out(made, found).wrote
    assert not carry_out(made, found).wrote


def shared(value: str = "yes") -> TrafficGate:
    """One gate on two Services over the same pods."""
    return gate(services=["rng", "rng-admin"], label={"key": "active", "value": value})


@pytest.mark.parametrize("way", ["on", "old", "retire"])
def test_a_run_stopped_between_two_selectors_leads_on(way: str) -> None:
    made = dockercoins().service("rng-admin", {"app": "rng"}).embedded()
    run(made, lambda snapshot: plan(snapshot, shared()))
    switches: list[int] = []

    def stop_in_the_switch(verb: str, ref: object, count: int) -> None:
        name = getattr(ref, "name", "")
        if verb == "patch" and name == "rng-admin":
            switches.append(count)
            raise RefusedError("denied by an admission policy")

    made.before_write(stop_in_the_switch)
    with pytest.raises(IncompleteError):
        run(made, lambda snapshot: plan(snapshot, shared("sure")))
    assert switches
    made._hooks.before.clear()
    follow = {"on": lambda s: plan(s, shared("sure")), "old": lambda s: plan(s, shared()), "retire": retirement}[way]
    run(made, follow)
    assert not helpers(made)
    assert all(len(ready) >= 6 for _, ready in made.history(NAMESPACE, "rng"))
