"""Runs of a canary in plans written by hand: stages, checks, and what the record must not be told.

Aspects: several stages in one plan · forged checks · stages and progress that are none · pauses · going back · cost.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
import pytest

from gatekeep.model.objects import PodStatus
from gatekeep.model.plan import Change, GateTarget, Match, Plan, Step
from gatekeep.model.policy import TrafficGate
from gatekeep.model.progress import Progress, Stage
from gatekeep.model.record import Beginning, Run
from gatekeep.model.selectors import LabelSelector
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import CheckWait, DurationWait, EndpointsWait, GateLabel, Wait
from gatekeep.proof.verify import prove
from gatekeep.proof.weights import most_canary
from gatekeep.strategies.shares import shares
from tests.builders import cluster
from tests.gates import APPLIED, NAMESPACE, record, remembering, snapshot_of
from tests.proof.handmade import KEY, edit, holds, label, pods_of, reasons, refused, shown, target, written

LIVE = {"app": "web", KEY: "yes"}
ERRORS = {"name": "errors", "prometheus": {"query": "rate(errors[1m])", "max": 0.05, "for": "1m", "interval": "5s"}}
STEPS = [{"weight": 20}, {"check": "errors"}, {"weight": 50}, {"pause": {}}, {"weight": 100}]
CHECK = CheckWait(name="errors", query="rate(errors[1m])", max="0.05", for_seconds=60, interval_seconds=5,
                  timeout_seconds=600)  # fmt: skip


def policy(steps: Sequence[Any] = STEPS) -> TrafficGate:
    """A canary over two Deployments."""
    groups = {name: {"owners": [{"kind": "Deployment", "name": name}]} for name in ("stable", "canary")}
    document = {
        "apiVersion": "gatekeep.dev/v1alpha1",
        "kind": "TrafficGate",
        "metadata": {"name": "web", "namespace": NAMESPACE},
        "spec": {"services": ["web"], "gate": {"key": KEY, "value": "yes"}, "adopt": "Reconcile", "checks": [ERRORS],
                 "rotation": {"canary": {**groups, "steps": list(steps)}}},
    }  # fmt: skip
    return msgspec.convert(document, TrafficGate)


@cache
def fleet(count: int = 4) -> Snapshot:
    """A gated Service; all stable pods serve, and no canary pod."""
    builder = cluster().nodes(3).service("web", LIVE)
    builder.deployment("stable", count, {"app": "web", "track": "stable"}, pod_labels={KEY: "yes"})
    return snapshot_of(builder.deployment("canary", count, {"app": "web", "track": "canary"}))


def at(step: int, phase: Any = "Running", **fields: Any) -> Progress:
    """How far the run has come."""
    return Progress(run="one", phase=phase, step=step, **fields)


def rise(start: Snapshot, counts: Sequence[tuple[int, int]]) -> list[tuple[Change, ...] | EndpointsWait]:
    """From one share to the next, by number of stable and of canary pods: widen, prove, narrow, prove."""
    stable, canary = pods_of(start, "stable-"), pods_of(start, "canary-")
    had, new = len(stable), 0
    parts: list[tuple[Change, ...] | EndpointsWait] = []
    for keep, wanted in counts:
        parts.append(edit(canary[new:wanted], label(KEY, None, "yes")))
        parts.append(shown("web", LIVE, [*stable[:had], *canary[:wanted]]))
        if keep < had:
            parts.append(edit(stable[keep:had], label(KEY, "yes", None)))
            parts.append(shown("web", LIVE, [*stable[:keep], *canary[:wanted]]))
        had, new = keep, wanted
    return parts


def running(check: Wait | None = CHECK, **fields: Any) -> Plan:
    """Weight 20, a check, weight 50, and the pause."""
    found = {"progress": at(3, "Paused"), "stages": (Stage(2, at(1)), Stage(3, at(2))), **fields}
    parts = rise(fleet(), [(4, 1), (4, 4)])
    return written(fleet(), target(policy(), **found), *parts[:2], *([check] if check else []), *parts[2:])


def test_several_stages_hold() -> None:
    holds(running(), fleet())


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        ({"name": "latency"}, "the policy of its gate has no check latency"),
        ({"query": "vector(0)"}, "the check errors asks another query than its policy"),
        ({"max": "0.5"}, "the check errors has max 0.5, its policy 0.05"),
        ({"max": None, "min": "0"}, "the check errors has max None, its policy 0.05"),
        ({"min": "0"}, "the check errors has min 0, its policy None"),
        ({"for_seconds": 0}, "the check errors has for 0, its policy 60"),
        ({"interval_seconds": 60}, "the check errors has interval 60, its policy 5"),
        ({"failures": 99}, "the check errors has failures 99, its policy 3"),
        ({"timeout_seconds": 1}, "the check errors has timeout 1, its policy 600"),
        ({"max": None}, "the check errors has neither max nor min"),
        ({"max": "NaN"}, "the check errors has the bound 'NaN', which is no decimal number"),
        ({"max": "1_0"}, "the check errors has the bound '1_0'"),
        ({"max": "Infinity"}, "the check errors has the bound 'Infinity'"),
        ({"for_seconds": -1}, "the check errors asks every 5 seconds, for -1"),
        ({"interval_seconds": 0}, "the check errors asks every 0 seconds, for 60"),
        ({"failures": 0}, "the check errors fails after 0 measurements"),
        ({"timeout_seconds": 0}, "a wait lasts between 1 and 86400 seconds, not 0"),
        ({"name": ""}, "has no name, or asks nothing"),
        ({"query": ""}, "has no name, or asks nothing"),
    ],
)
def test_a_forged_check(edit: dict[str, Any], text: str) -> None:
    refused(running(msgspec.structs.replace(CHECK, **edit)), fleet(), "step 3: ", text)


def test_a_number_is_the_same_however_it_is_written() -> None:
    holds(running(msgspec.structs.replace(CHECK, max="5E-2")), fleet())


@pytest.mark.parametrize("instead", [None, DurationWait(seconds=60)])
def test_a_check_that_is_left_out(instead: Wait | None) -> None:
    refused(running(instead), fleet(), "says that the check errors, step 2 of its canary, is passed, and no step waits")


def test_a_check_that_comes_too_late() -> None:
    refused(running(stages=(Stage(2, at(2)),)), fleet(), "the check errors, step 2 of its canary, is passed")


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        ({"progress": None}, "says how far its run comes on the way, and not where it ends"),
        ({"stages": (Stage(3, at(1)), Stage(2, at(2)))}, "has a stage after step 2, behind one after step 3"),
        ({"stages": (Stage(0, at(1)),)}, "has a stage after step 0"),
        ({"stages": (Stage(6, at(1)),)}, "has a stage after step 6, behind one after step 0; the plan has 5 steps"),
        ({"stages": (Stage(2, at(2)), Stage(3, at(1)))}, "has done 1 steps of its run after step 3, 2 before"),
        ({"stages": (Stage(2, at(4)),)}, "has done 4 steps of its run after step 2, 0 before, 3 then"),
        ({"stages": (Stage(2, at(1, "Done")),)}, "is in another run, or at its end, after step 2"),
        ({"stages": (Stage(2, Progress(run="two", phase="Running", step=1)),)}, "is in another run, or at its end"),
        ({"stages": (Stage(2, at(1, since="2020-01-01T00:00:00Z")),)}, "a plan knows no time"),
        ({"progress": at(3, "Paused", since="2020-01-01T00:00:00Z")}, "a plan knows no time"),
        ({"progress": at(6, "Done")}, "has done 6 steps of its canary, which has 5"),
        ({"progress": at(3, "Done")}, "is done after 3 of the 5 steps of its canary"),
        ({"progress": at(2, "Paused"), "stages": ()}, "pauses after 2 steps of its canary, and no pause comes then"),
        ({"progress": at(5, "Paused")}, "pauses after 5 steps of its canary, and no pause comes then"),
        ({"progress": at(5, "Done")}, "goes past the pause that is step 4 of its canary"),
        ({"progress": at(-1, "Aborted"), "stages": ()}, "has come to step -1 of the run 'one', which is none"),
        ({"progress": Progress(run="", phase="Aborted"), "stages": ()}, "of the run '', which is none"),
    ],
)
def test_what_the_record_must_not_be_told(edits: dict[str, Any], text: str) -> None:
    refused(running(**edits), fleet(), "TrafficGate dockercoins/web ", text)


def recorded(progress: Progress | None, *before: Progress, count: int = 4) -> Snapshot:
    """The fleet with a record: where the run stands, and where earlier ones began."""
    runs = tuple(
        Run(id=str(number), plan="x", started=APPLIED, by="ci", before=Beginning(policy=policy(), progress=item))
        for number, item in enumerate(before)
    )
    return remembering(fleet(count), msgspec.structs.replace(record(policy()), progress=progress, runs=runs))


def resting(progress: Progress) -> Plan:
    """A plan that moves nobody but the run."""
    return written(fleet(), target(policy(), progress=progress), DurationWait(seconds=0))


def test_a_pause_at_which_the_run_stands_may_be_over() -> None:
    found = resting(at(5, "Done"))
    holds(found, recorded(at(3, "Paused", since=APPLIED)))
    holds(found, recorded(at(4)))
    refused(found, recorded(at(2)), "goes past the pause that is step 4")
    refused(found, recorded(Progress(run="two", phase="Paused", step=3)), "goes past the pause that is step 4")


def test_an_abort_and_what_stays_as_it_is() -> None:
    holds(resting(at(3, "Aborted", reason="errors")), fleet())
    standing = at(3, "Paused", since=APPLIED)
    holds(resting(standing), recorded(standing))
    refused(resting(at(3, "Paused", since="2020-01-01T00:00:00Z")), recorded(standing), "a plan knows no time")


def test_after_an_abort_a_run_begins_anew() -> None:
    """The checks that it passed before do not count."""
    start = recorded(at(3, "Aborted"))
    holds(running(), start)
    refused(running(None), start, "the check errors, step 2 of its canary, is passed")


def test_an_undo_leads_back_to_where_a_run_began() -> None:
    began = Progress(run="zero", phase="Done", step=5, since=APPLIED)
    found = resting(msgspec.structs.replace(began, run="one"))
    holds(found, recorded(at(3, "Paused", since=APPLIED), began))
    refused(found, recorded(at(3, "Paused", since=APPLIED)), "a plan knows no time")


def test_isolated_pods_are_left_out_by_those_who_join() -> None:
    """A match that labels leaves out by uid whom it must not let in; one that does not lets them in."""
    start, stable = fleet(), pods_of(fleet(), "stable-")
    out, back = edit(stable[:1], label(KEY, "yes", None)), [*stable[1:]]
    gate = GateLabel(key=KEY, value="yes")
    group = LabelSelector(match_labels={"track": "stable"})
    for uids, text in (((stable[0].uid,), ""), ((), "which its match would label")):
        match = Match(namespace=NAMESPACE, selector=group, except_uids=uids, gate=gate)
        found = written(start, target(policy(), progress=at(0, "Aborted")), out, shown("web", LIVE, back), ())
        join = Step(number=3, phase=3, action="Patch", reason="", policy=found.steps[0].policy, match=match)
        found = msgspec.structs.replace(found, steps=(*found.steps[:2], join))
        assert text in reasons(found, start)[0]
        assert bool(text) is bool(reasons(found, start)[0])
        assert bool(text) is bool(reasons(found, start)[1])


def all_in() -> Snapshot:
    """The fleet with everybody in rotation."""
    builder = cluster().nodes(3).service("web", LIVE)
    for name in ("stable", "canary"):
        builder.deployment(name, 4, {"app": "web", "track": name}, pod_labels={KEY: "yes"})
    return snapshot_of(builder)


TWO = (Stage(2, at(1)), Stage(4, at(2)))


def dip(stages: Sequence[Stage] = TWO, *, floor: int = 1, twice: bool = False) -> tuple[Plan, Snapshot]:
    """Three canary pods leave, as the weight of the first stage wants it, and join again for the second."""
    start = all_in()
    stable, canary = pods_of(start, "stable-"), pods_of(start, "canary-")
    rest = [*stable, *canary[:1]]
    off, on = edit(canary[1:], label(KEY, "yes", None)), edit(canary[1:], label(KEY, None, "yes"))
    parts: list[Any] = [off, shown("web", LIVE, rest), on, shown("web", LIVE, [*stable, *canary])]
    rules = policy([{"weight": 20}, {"weight": 50}, {"weight": 50}])
    gate = target(rules, progress=at(3, "Done"), stages=tuple(stages))
    return written(start, gate, *parts, *(parts if twice else ()), floors={"web": floor}), start


def test_before_and_after_are_those_of_each_stage() -> None:
    holds(*dip())
    refused(*dip(()), "Service dockercoins/web has 5 ready endpoints; at least 8 must stay")
    refused(*dip(twice=True), "Service dockercoins/web has 5 ready endpoints; at least 8 must stay")
    refused(*dip(floor=6), "Service dockercoins/web has 5 ready endpoints; at least 6 must stay")


def test_stages_are_for_the_steps_of_a_canary() -> None:
    """Else a forged plan could go down to the floor between any two steps."""
    found, start = dip()
    (gate,) = found.gates
    pool = msgspec.to_builtins(policy([{"weight": 20}]))
    pool["spec"]["rotation"] = {"pool": {}}
    bad = msgspec.structs.replace(found, gates=(msgspec.structs.replace(gate, policy=pool),))
    refused(bad, start, "comes from stage to stage, and its policy has no steps")
    refused(*dip((Stage(1, at(1)), Stage(2, at(1)))), "takes no step of its run between the steps 1 and 2 of the plan")


def test_who_is_in_for_one_stage_only_is_no_stranger() -> None:
    start, canary = fleet(), pods_of(fleet(), "canary-")
    parts = rise(start, [(4, 2)])
    off = edit(canary[:2], label(KEY, "yes", None))
    end = shown("web", LIVE, pods_of(start, "stable-"))
    rules = policy([{"weight": 33}, {"weight": 0}])
    for stages, text in (((Stage(2, at(1)),), ""), ((), "which it reaches neither before nor after")):
        found = written(start, target(rules, progress=at(2, "Done"), stages=stages), *parts, off, end)
        assert text in reasons(found, start)[0]
        assert bool(text) is bool(reasons(found, start)[0])


def test_many_stages_of_many_pods_take_seconds() -> None:
    start = fleet(1000)
    counts = [(1000, 50), (1000, 250), (1000, 1000), (600, 1000), (200, 1000), (0, 1000)]
    gate = target(policy([{"weight": 100}]), progress=at(1, "Done"))
    found = written(start, gate, *rise(start, counts))
    begin = time.monotonic()
    result = prove(found, start)
    assert time.monotonic() - begin < 4
    assert result.proof.holds, result.proof.counter_example
    assert result.least_ready == {(NAMESPACE, "web"): 1000}


def unused(gate: GateTarget) -> GateTarget:
    """The gate without what a run says."""
    return msgspec.structs.replace(gate, progress=None, stages=())


def test_a_plan_without_a_run_says_nothing_of_one() -> None:
    found = running()
    refused(msgspec.structs.replace(found, gates=(msgspec.structs.replace(found.gates[0], policy=None),)), fleet(), "")
    bad = msgspec.structs.replace(found, gates=(unused(found.gates[0]),))
    refused(bad, fleet(), "does not say how far the run of its canary comes")


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        ({"progress": at(0, "Aborted"), "stages": ()}, "4 canary and 4 stable pods in rotation after step 5"),
        ({"progress": at(2, "Running"), "stages": ()}, "at weight 20, where its run is then, there may be at most 1"),
        ({"stages": (Stage(2, at(0)), Stage(3, at(2)))}, "in rotation after step 2; at weight 0"),
        ({"stages": (Stage(2, at(1)), Stage(5, at(2)))}, "in rotation after step 5; at weight 20"),
        ({"progress": at(3, "Paused", former="green")}, "says that green was active before"),
    ],
)  # fmt: skip
def test_the_rotation_is_not_ahead_of_the_weight(edits: dict[str, Any], text: str) -> None:
    refused(running(**edits), fleet(), text)


def test_a_recorded_weight_is_no_weaker() -> None:
    """Who says that the run stays where it is, may not move its pods beyond that."""
    standing = at(2, since=APPLIED)
    found = running(progress=standing, stages=())
    refused(found, recorded(standing), "4 canary and 4 stable pods in rotation after step 5; at weight 20")


def test_one_weight_for_good() -> None:
    rules = msgspec.to_builtins(policy([{"weight": 20}]))
    groups = {name: rules["spec"]["rotation"]["canary"][name] for name in ("stable", "canary")}
    for weight, counts, text in ((20, (4, 1), ""), (20, (4, 2), "at most 1"), (0, (4, 1), "at most 0"),
                                 (100, (0, 4), ""), (99, (1, 4), ""), (50, (1, 4), "at most 1")):  # fmt: skip
        rules["spec"]["rotation"] = {"canary": {**groups, "weight": weight}}
        gate = target(msgspec.convert(rules, TrafficGate), progress=at(0, "Done"))
        found = written(fleet(), gate, *rise(fleet(), [counts]))
        for reason in reasons(found, fleet()):
            assert text in reason
            assert bool(text) is bool(reason)


def test_a_pod_that_died_is_no_fault_of_the_plan() -> None:
    found, start = running(), fleet()
    names = {pod.name for pod in pods_of(start, "stable-")[:2]}
    left = dataclasses.replace(start, pods=tuple(pod for pod in start.pods if pod.name not in names))
    assert prove(found, left, exact=False).proof.holds
    unready = tuple(
        msgspec.structs.replace(pod, status=PodStatus()) if pod.name in names else pod for pod in start.pods
    )
    assert prove(found, dataclasses.replace(start, pods=unready), exact=False).proof.holds


def test_the_bound_is_never_below_the_shares() -> None:
    for stable in range(1, 60):
        for canary in range(1, 60):
            for weight in range(101):
                found = shares(stable, canary, weight)
                bound = most_canary(found.stable, weight)
                assert bound is None or found.canary <= bound


def test_another_policy_does_not_go_on_with_the_recorded_run() -> None:
    other = policy([{"weight": 20}, {"pause": {}}, {"weight": 50}, {"pause": {}}, {"weight": 100}])
    for progress in (at(4), at(5, "Done", since=APPLIED)):
        found = written(fleet(), target(other, progress=progress), DurationWait(seconds=0))
        text = "goes on with the recorded run, which is of another policy"
        refused(found, recorded(progress), text)


def test_a_new_run_is_not_where_the_recorded_one_is() -> None:
    done = at(5, "Done", since=APPLIED)
    found = resting(msgspec.structs.replace(done, run="two"))
    refused(found, recorded(done), "a plan knows no time")
    other = resting(Progress(run="two", phase="Done", step=5))
    refused(other, recorded(at(5, "Done")), "goes past the pause that is step 4")


def test_an_undo_leads_back_under_the_policy_of_then() -> None:
    began = Progress(run="zero", phase="Done", step=5, since=APPLIED)
    start = recorded(at(3, "Paused", since=APPLIED), began)
    other = policy([{"weight": 20}, {"check": "errors"}, {"weight": 60}, {"pause": {}}, {"weight": 100}])
    gate = target(other, progress=msgspec.structs.replace(began, run="two"))
    refused(written(fleet(), gate, DurationWait(seconds=0)), start, "a plan knows no time")
