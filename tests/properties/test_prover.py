"""The proof against the brute force on plans that were tampered with.

Aspects: whatever the proof lets pass, no interleaving breaks (a wait that is never met stops a run, which is safe) ·
tampering never crashes the proof.
"""

from __future__ import annotations

import random

import msgspec
from hypothesis import assume, given
from hypothesis import strategies as st

from gatekeep.model.errors import RefusedError
from gatekeep.model.plan import Plan, Step
from gatekeep.model.waits import EndpointsWait, ExistsWait
from gatekeep.proof.verify import prove
from tests.gates import plan, remembering, retirement, with_steps
from tests.properties.bruteforce import NEVER_ENDS, actions_of, demands, violation, world_of
from tests.properties.worlds import Case, cases


@given(cases(), st.booleans(), st.data(), st.randoms(use_true_random=False))
def test_what_the_proof_lets_pass_no_interleaving_breaks(
    case: Case, retire: bool, data: st.DataObject, order: random.Random
) -> None:
    snapshot = remembering(case.snapshot, case.record) if case.record else case.snapshot
    try:
        good = retirement(snapshot, "g") if retire and case.record else plan(snapshot, case.policy)
    except RefusedError:
        assume(False)
        raise
    assume(len(good.steps) > 1)
    steps = list(good.steps)
    for _ in range(data.draw(st.integers(1, 3), label="times tampered")):
        steps = data.draw(tampered(steps))
    bad = claiming(with_steps(good, steps), case)
    if not prove(bad, snapshot).proof.holds:
        return
    before = world_of(snapshot)
    actions = actions_of(bad.steps, before, order)
    for demand in demands(before, before.after(actions), bad, snapshot):
        assert violation(before, actions, demand) in (None, NEVER_ENDS)


def claiming(bad: Plan, case: Case) -> Plan:
    """The plan with true claims about where it ends, so that only the way there is on trial."""
    before = world_of(case.snapshot)
    try:
        end = before.after(actions_of(bad.steps, before, random.Random(0)))
        claims = tuple(
            msgspec.structs.replace(item, after=tuple(sorted(end.matched(end.selectors[item.name]) & end.ready)))
            for item in bad.services
        )
    except KeyError:  # the plan does not even apply; the proof must say so
        return bad
    return msgspec.structs.replace(bad, services=claims)


@st.composite
def tampered(draw: st.DrawFn, steps: list[Step]) -> list[Step]:
    """Steps out of order, left out, done twice, merged, cut in half or waiting for something else."""
    if len(steps) < 2:
        return steps
    first, second = sorted(draw(st.lists(st.integers(0, len(steps) - 1), min_size=2, max_size=2, unique=True)))
    kind = draw(st.sampled_from(("swap", "move", "drop", "merge", "halve", "rewait", "drop")))
    result = list(steps)
    if kind == "swap":
        result[first], result[second] = result[second], result[first]
    elif kind == "move":
        result.insert(second, result.pop(first))
    elif kind == "drop":
        del result[first]
    elif kind == "merge" and steps[first].action == steps[second].action == "Patch":
        changes = (*steps[first].changes, *steps[second].changes)
        result[first] = msgspec.structs.replace(steps[first], changes=changes)
        del result[second]
    elif kind == "halve":
        changes = steps[first].changes[: len(steps[first].changes) // 2]
        if changes:
            result[first] = msgspec.structs.replace(steps[first], changes=changes, match=None)
    elif kind == "rewait" and isinstance(wait := steps[first].wait, EndpointsWait):
        others = [item.wait.service for item in steps if isinstance(item.wait, EndpointsWait | ExistsWait)]
        wait = msgspec.structs.replace(wait, service=draw(st.sampled_from(others)))
        result[first] = msgspec.structs.replace(steps[first], wait=wait)
    return result
