"""Plans that adopt and were tampered with, one way at a time: the proof must refuse each and say what would happen.

Aspects: Deployments (pause, ReplicaSets, the one patch) · revisions (OnDelete, marks, the count, the strategy) ·
births · whom templates belong to · tests of old values, one by one · bound values · what gates say · twins · runs that
were killed · what may go.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest

from gatekeep.model.patches import Op
from gatekeep.model.plan import Change, GateTarget, Match, Plan, Step
from gatekeep.model.selectors import LabelSelector
from gatekeep.model.waits import AsLongAs, Bound, RevisionWait
from tests.gates import plan, with_steps
from tests.proof.adoption import (
    KINDS,
    OLD,
    adopting,
    changed,
    each_change,
    fleet,
    good,
    index,
    killed,
    moved,
    old_set,
    only,
    refusal,
    waits,
    with_workloads,
    without,
    writes,
)

ACTIVE_PATH = "/labels/active"
HASH_PATH = "/labels/controller-revision-hash"
REPLACE = "would replace the {} pods of {} dockercoins/rng"
DEPLOYMENT, DAEMONSET, STATEFULSET = (
    REPLACE.format(3, "Deployment"), REPLACE.format(3, "DaemonSet"), REPLACE.format(2, "StatefulSet"),
)  # fmt: skip
PAUSE = writes("Deployment", "/spec/paused", value=True)
RESUME = writes("Deployment", ACTIVE_PATH)
SETS = writes("ReplicaSet")
LABEL = writes("Pod", ACTIVE_PATH)
MARK = writes("Pod", HASH_PATH)
COUNTED = {
    "DaemonSet": waits("DaemonSet", "/updatedNumberScheduled"),
    "StatefulSet": waits("StatefulSet", "/updatedReplicas"),
}


def held(kind: str) -> Callable[[Step], bool]:
    return writes(kind, ACTIVE_PATH)


def restored(kind: str) -> Callable[[Step], bool]:
    """The step that gives the strategy back: it writes nothing else."""
    return lambda step: writes(kind, "/updateStrategy")(step) and not held(kind)(step)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exact", [True, False])
def test_the_good_plan_holds(kind: str, exact: bool) -> None:
    found, snapshot = good(kind)
    assert refusal(found, snapshot, exact=exact) == ""


# Deployments


def test_a_pause_that_is_missing() -> None:
    found, snapshot = good("Deployment")
    waited = waits("Deployment", "/observedGeneration")
    steps = [step for step in found.steps if not PAUSE(step) and not waited(step)]
    resume = next(step for step in steps if RESUME(step))
    labelled = each_change(only(ACTIVE_PATH, binds=True))(resume)
    bad = with_steps(without_holds(found), [labelled if step is resume else step for step in steps])
    assert DEPLOYMENT in refusal(bad, snapshot)


def test_the_wait_for_the_pause() -> None:
    found, snapshot = good("Deployment")
    text = refusal(without_first(found, waits("Deployment", "/observedGeneration")), snapshot)
    assert "if the deployment controller sees step 2 on ReplicaSets of Deployment dockercoins/rng before step 1" in text
    assert DEPLOYMENT in text


def test_the_wait_for_the_pause_stands_too_late() -> None:
    found, snapshot = good("Deployment")
    waited = index(found, waits("Deployment", "/observedGeneration"))
    steps = list(found.steps)
    steps.insert(index(found, SETS), steps.pop(waited))
    assert DEPLOYMENT in refusal(with_steps(found, steps), snapshot)


@pytest.mark.parametrize("name", [OLD, "rng-"])
def test_a_replica_set_that_is_left_out(name: str) -> None:
    """Named or not, ``apply`` would label it, and the plan must say so; without the match nobody would."""
    found, snapshot = good("Deployment")

    def drop(step: Step) -> Step:
        others = tuple(item for item in step.changes if not is_named(item, name))
        assert len(others) < len(step.changes)
        return msgspec.structs.replace(step, changes=others)

    bad = changed(found, SETS, drop)
    gone = {item.name for step in found.steps if SETS(step) for item in step.changes if is_named(item, name)}
    bad = without(bad, lambda step: step.wait is not None and getattr(step.wait, "object", None) is not None
                  and step.wait.object.name in gone)  # type: ignore[union-attr]  # fmt: skip
    assert "does not name ReplicaSet dockercoins/rng-" in refusal(bad, snapshot)
    bad = changed(bad, SETS, lambda step: msgspec.structs.replace(step, match=None))
    assert "the step is not for all ReplicaSets of that" in refusal(bad, snapshot)


def is_named(item: Change, name: str) -> bool:
    return item.name == name if name == OLD else item.name != OLD


def test_a_match_for_replica_sets_of_nobody_or_of_others() -> None:
    found, snapshot = good("Deployment")
    match = found.steps[index(found, SETS)].match
    assert match is not None
    others: tuple[dict[str, Any], ...] = ({"owner_uids": ()}, {"owner_uids": ("else",)}, {"owner_uids": None})
    for edit in others:
        bad = changed(found, SETS, with_match(msgspec.structs.replace(match, **edit)))
        assert "the step is not for all ReplicaSets of that" in refusal(bad, snapshot)
    more = (*(match.owner_uids or ()), "else")
    bad = changed(found, SETS, with_match(msgspec.structs.replace(match, owner_uids=more)))
    assert "for the ReplicaSets of 'else', which is no Deployment" in refusal(bad, snapshot)
    bad = changed(found, SETS, with_match(msgspec.structs.replace(match, selector=LabelSelector())))
    assert "goes by their Deployments and by nothing else" in refusal(bad, snapshot)


def test_the_wait_for_the_replica_sets() -> None:
    found, snapshot = good("Deployment")
    text = refusal(without(found, waits("ReplicaSet", "/observedGeneration")), snapshot)
    assert "on Deployment dockercoins/rng before step 3 on its ReplicaSets" in text
    assert DEPLOYMENT in text


def test_the_wait_for_the_replica_set_that_has_the_pods() -> None:
    """That the controller has read another one of the same step says nothing."""
    found, snapshot = good("Deployment")
    seen = waits("ReplicaSet", "/observedGeneration")
    bad = without(found, lambda step: seen(step) and OLD not in str(msgspec.to_builtins(step.wait)))
    assert len(bad.steps) < len(found.steps)
    assert DEPLOYMENT in refusal(bad, snapshot)


def test_resumed_before_the_label() -> None:
    found, snapshot = good("Deployment")
    resume = found.steps[index(found, RESUME)]
    both = [each_change(only("/paused", binds=True))(resume), each_change(only(ACTIVE_PATH))(resume)]
    assert DEPLOYMENT in refusal(changed(found, RESUME, lambda _: both), snapshot)
    slower = changed(found, RESUME, lambda _: list(reversed(both)))
    assert refusal(slower, snapshot) == "", "the label, then the pause: nothing is seen in between that is not paused"


def test_resumed_without_the_label_or_labelled_and_left_paused() -> None:
    found, snapshot = good("Deployment")
    assert DEPLOYMENT in refusal(changed(found, RESUME, each_change(only("/paused", binds=True))), snapshot)
    bad = changed(found, RESUME, each_change(only(ACTIVE_PATH, binds=True)))
    assert "Deployment dockercoins/rng is left paused at the end" in refusal(bad, snapshot)


@pytest.mark.parametrize("before", [PAUSE, SETS])
def test_resumed_too_early(before: Callable[[Step], bool]) -> None:
    found, snapshot = good("Deployment")
    steps = list(found.steps)
    place = index(found, before)
    steps.insert(place + (before is PAUSE), steps.pop(index(found, RESUME)))
    bad = with_steps(found, [step for step in steps if not is_late_wait(step, "resumed")])
    assert refusal(bad, snapshot) != ""


def is_late_wait(step: Step, what: str) -> bool:
    return what in str(msgspec.to_builtins(step.wait)) if step.wait is not None else False


def test_the_label_of_a_deployment_that_is_not_paused() -> None:
    """Two patches, or one: without a pause the ReplicaSets come first or last, and either way pods go."""
    found, snapshot = good("Deployment")
    found = without_holds(without(found, PAUSE, lambda step: waits("Deployment", "/observedGeneration")(step)))
    label = each_change(only(ACTIVE_PATH))
    assert DEPLOYMENT in refusal(changed(found, RESUME, label), snapshot)
    assert DEPLOYMENT in refusal(moved(changed(found, RESUME, label), RESUME, SETS), snapshot)


# DaemonSets and StatefulSets


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet"])
class TestRevisions:
    def test_no_on_delete(self, kind: str) -> None:
        found, snapshot = good(kind)
        bad = changed(without(found, restored(kind)), held(kind), each_change(only(ACTIVE_PATH, binds=True)))
        assert pods_of(kind) in refusal(without_holds(bad), snapshot)

    def test_on_delete_after_the_label(self, kind: str) -> None:
        found, snapshot = good(kind)
        step = found.steps[index(found, held(kind))]
        halves = [each_change(only(ACTIVE_PATH, binds=True))(step), each_change(only("/updateStrategy"))(step)]
        assert pods_of(kind) in refusal(changed(found, held(kind), lambda _: halves), snapshot)
        halves = [each_change(only("/updateStrategy"))(step), each_change(only(ACTIVE_PATH, binds=True))(step)]
        assert refusal(changed(found, held(kind), lambda _: halves), snapshot) == "", "one object, one stream: in order"

    def test_restored_before_the_marks(self, kind: str) -> None:
        found, snapshot = good(kind)
        assert pods_of(kind) in refusal(moved(found, restored(kind), MARK), snapshot)

    def test_restored_before_the_count(self, kind: str) -> None:
        found, snapshot = good(kind)
        text = refusal(moved(found, restored(kind), COUNTED[kind]), snapshot)
        assert pods_of(kind) in text
        assert f"if the {kind.lower()} controller sees step" in text
        assert "on its pods" in text
        assert pods_of(kind) in refusal(without(found, COUNTED[kind]), snapshot)

    def test_counted_before_the_marks(self, kind: str) -> None:
        found, snapshot = good(kind)
        assert "can never be met" in refusal(moved(found, COUNTED[kind], MARK), snapshot)

    def test_no_marks(self, kind: str) -> None:
        found, snapshot = good(kind)
        assert "can never be met" in refusal(without(found, MARK), snapshot)
        assert pods_of(kind) in refusal(without(found, MARK, COUNTED[kind]), snapshot)

    def test_one_pod_without_its_mark(self, kind: str) -> None:
        found, snapshot = good(kind)
        bad = changed(found, MARK, lambda step: msgspec.structs.replace(step, changes=step.changes[1:]))
        assert "which its match would label" in refusal(bad, snapshot)

    def test_no_restore(self, kind: str) -> None:
        found, snapshot = good(kind)
        assert "is left with another update strategy than it had" in refusal(without(found, restored(kind)), snapshot)

    def test_another_strategy_back(self, kind: str) -> None:
        found, snapshot = good(kind)
        bad = changed(found, restored(kind), each_change(with_ops({"/spec/updateStrategy": {"type": "Recreate"}})))
        assert "writes another strategy than OnDelete and the one to give back" in refusal(bad, snapshot)

    def test_a_hold_that_is_not_on_delete(self, kind: str) -> None:
        found, snapshot = good(kind)
        other = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}}
        bad = changed(found, held(kind), each_change(with_ops({"/spec/updateStrategy": other})))
        assert "writes another strategy" in refusal(bad, snapshot)

    def test_no_look_for_the_revision(self, kind: str) -> None:
        found, snapshot = good(kind)
        assert "which no step before it binds" in refusal(without(found, waits(kind, "Revision")), snapshot)

    def test_a_look_for_the_revision_before_it_is_made(self, kind: str) -> None:
        """Where none is found the marks are left out, and the strategy would replace everybody."""
        found, snapshot = good(kind)
        for observed in (1, 0):
            bad = changed(found, waits(kind, "Revision"), with_wait(observed=observed))
            assert "before its controller has made it" in refusal(bad, snapshot)

    def test_a_look_for_another_revision(self, kind: str) -> None:
        found, snapshot = good(kind)
        wait = found.steps[index(found, waits(kind, "Revision"))].wait
        assert isinstance(wait, RevisionWait)
        for edit in ({"value": None}, {"value": "no"}, {"key": "lane"}):
            label = msgspec.structs.replace(wait.gate, **edit)
            text = refusal(changed(found, waits(kind, "Revision"), with_wait(gate=label)), snapshot)
            assert f"the template of {kind} dockercoins/rng does not have" in text
        bad = changed(found, waits(kind, "Revision"), with_wait(bind={"x": "/metadata/uid"}))
        assert refusal(bad, snapshot) != ""

    def test_marks_without_a_test(self, kind: str) -> None:
        found, snapshot = good(kind)
        bad = changed(found, MARK, each_change(lambda item: msgspec.structs.replace(
            item, patch=tuple(op for op in item.patch if op.op != "test" or op.path == "/metadata/uid"))))  # fmt: skip
        assert "must test uid and controller-revision-hash" in refusal(bad, snapshot)

    def test_marks_of_a_literal_revision(self, kind: str) -> None:
        """The newest may be another writer's: his change would be swallowed."""
        found, snapshot = good(kind)
        bad = changed(found, MARK, each_change(with_ops({"/metadata/labels/controller-revision-hash": "newest"})))
        assert "must test uid and controller-revision-hash" in refusal(bad, snapshot)
        step = found.steps[index(found, MARK)]
        assert step.match is not None
        assert step.match.gate is not None
        label = msgspec.structs.replace(step.match.gate, value="newest")
        match = msgspec.structs.replace(step.match, gate=label)
        bad = changed(bad, MARK, lambda item: msgspec.structs.replace(item, match=match, requires=()))
        assert "takes its value from a wait for a revision" in refusal(bad, snapshot)

    def test_marks_for_others(self, kind: str) -> None:
        found, snapshot = good(kind)
        step = found.steps[index(found, MARK)]
        assert step.match is not None
        for edit in ({"owner_uids": None}, {"owner_uids": ("else",)}, {"except_uids": ("else",)}):
            match = msgspec.structs.replace(step.match, **edit)
            assert refusal(changed(found, MARK, with_match(match)), snapshot) != ""
        assert step.match.gate is not None
        match = msgspec.structs.replace(step.match, gate=msgspec.structs.replace(step.match.gate, old=None))
        bad = changed(found, MARK, with_match(match))
        assert "of the revision it tests" in refusal(bad, snapshot)
        bad = changed(found, MARK, lambda item: msgspec.structs.replace(item, match=None))
        assert refusal(bad, snapshot) != ""

    def test_marks_that_do_not_require_the_revision(self, kind: str) -> None:
        found, snapshot = good(kind)
        bad = changed(found, MARK, lambda step: msgspec.structs.replace(step, requires=()))
        assert "may stay unbound, and does not require it" in refusal(bad, snapshot)

    def test_a_count_that_goes_by_something_else(self, kind: str) -> None:
        """A ``while`` that does not hold makes the wait say nothing."""
        found, snapshot = good(kind)
        for condition in (AsLongAs(path="/metadata/name", equals="rng"), AsLongAs(path="/spec/paused", equals=1)):
            bad = changed(found, COUNTED[kind], with_wait(while_=condition))
            assert pods_of(kind) in refusal(bad, snapshot)
        bad = changed(found, COUNTED[kind], with_wait(path="/status/numberReady"))
        assert pods_of(kind) in refusal(bad, snapshot)
        assert refusal(changed(found, COUNTED[kind], with_wait(while_=None)), snapshot) == ""

    def test_what_may_be_left_out_is_only_that(self, kind: str) -> None:
        found, snapshot = good(kind)
        name = found.steps[index(found, MARK)].requires
        for pick in (restored(kind), LABEL):
            bad = changed(found, pick, lambda step: msgspec.structs.replace(step, requires=name))
            assert "may not be left out" in refusal(bad, snapshot) or pick is LABEL
            assert refusal(bad, snapshot) != ""


def pods_of(kind: str) -> str:
    return DAEMONSET if kind == "DaemonSet" else STATEFULSET


def test_a_name_of_another_workload_is_no_reason_to_leave_a_step_out() -> None:
    found, snapshot = good("all")
    places = [place for place, step in enumerate(found.steps) if MARK(step)]
    first, second = (found.steps[place] for place in places)
    steps = list(found.steps)
    steps[places[1]] = msgspec.structs.replace(second, requires=(*second.requires, *first.requires))
    assert "may not be left out" in refusal(with_steps(found, steps), snapshot)


# Births


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"])
def test_pods_are_labelled_before_their_template(kind: str) -> None:
    found, snapshot = good(kind)
    text = refusal(moved(found, LABEL, SETS if kind == "Deployment" else held(kind)), snapshot)
    assert "may be born without active=yes after step" in text


@pytest.mark.parametrize("kind", ["DaemonSet", "StatefulSet", "ReplicaSet"])
def test_pods_are_labelled_before_the_template_is_seen(kind: str) -> None:
    found, snapshot = good(kind)
    seen = waits(kind, "/observedGeneration" if kind == "ReplicaSet" else "Revision")
    assert "may be born without active=yes" in refusal(moved(found, LABEL, seen), snapshot)


def test_labels_are_taken_off_before_the_templates() -> None:
    found, snapshot = good("retire")
    text = refusal(moved(found, LABEL, PAUSE), snapshot)
    assert "may be born with active after step" in text


# Whom templates belong to


def test_a_template_outside_the_group() -> None:
    found, snapshot = good("Deployment")
    step = found.steps[index(found, LABEL)]
    assert step.match is not None
    match = msgspec.structs.replace(step.match, selector=LabelSelector(match_labels={"app": "else"}))
    bad = changed(found, LABEL, with_match(match))
    assert "no step puts that on the pods that it has" in refusal(bad, snapshot)


def test_a_key_that_a_workload_selects_by() -> None:
    found, snapshot = good("DaemonSet")
    other = next(item for item in snapshot.workloads if item.kind == "StatefulSet")
    selector = LabelSelector(match_labels={"app": "rng", "active": "yes"})
    spec = msgspec.structs.replace(other.spec, selector=selector)
    bad = with_workloads(snapshot, msgspec.structs.replace(other, spec=spec))
    assert "touches the label active, by which StatefulSet dockercoins/rng selects" in refusal(found, bad)


def test_a_template_label_of_no_gate() -> None:
    found, snapshot = good("DaemonSet")
    bad = changed(found, held("DaemonSet"), each_change(renamed("active", "lane")))
    assert refusal(bad, snapshot, exact=False) != ""
    bad = changed(found, held("DaemonSet"), each_change(renamed("active", "pod-template-hash")))
    assert "by which Kubernetes' own controllers live" in refusal(bad, snapshot)


@pytest.mark.parametrize("path", ["/spec/replicas", "/spec/template/spec/hostNetwork", "/spec/updateStrategy/type",
                                  "/spec/template/metadata/annotations/x", "/metadata/labels/x"])  # fmt: skip
def test_any_other_field(path: str) -> None:
    found, snapshot = good("DaemonSet")
    more = (Op("test", path, None), Op("add", path, "x"))
    bad = changed(found, held("DaemonSet"), each_change(
        lambda item: msgspec.structs.replace(item, patch=(*item.patch, *more))))  # fmt: skip
    assert f"may not touch {path}" in refusal(bad, snapshot)


def test_what_is_controlled_by_somebody_else() -> None:
    found, snapshot = good("DaemonSet")
    item = next(item for item in snapshot.workloads if item.kind == "DaemonSet")
    sets = next(one for one in snapshot.workloads if one.kind == "ReplicaSet" and one.name != OLD)
    meta = msgspec.structs.replace(item.metadata, owner_references=sets.metadata.owner_references)
    bad = with_workloads(snapshot, msgspec.structs.replace(item, metadata=meta))
    assert "which would put its template back" in refusal(found, bad)


# Tests of old values


def guards_of(kind: str) -> list[tuple[int, int]]:
    """Every ``test`` in the first change of each step on workloads: the step's place and that of the operation."""
    found, _ = good(kind)
    return [
        (place, number)
        for place, step in enumerate(found.steps)
        if step.changes and step.changes[0].kind not in ("Service",)
        for number, op in enumerate(step.changes[0].patch)
        if op.op == "test"
    ]


@pytest.mark.parametrize("kind", ["all", "retire"])
@pytest.mark.parametrize("side", ["patch", "undo"])
def test_without_one_of_its_tests(kind: str, side: str) -> None:
    found, snapshot = good(kind)
    cases = guards_of(kind)
    assert len(cases) > 20
    for place, number in cases:
        step = found.steps[place]
        item = step.changes[0]
        ops: tuple[Op, ...] = getattr(item, side)
        left = msgspec.structs.replace(item, **{side: (*ops[:number], *ops[number + 1 :])})
        edited = msgspec.structs.replace(step, changes=(left, *step.changes[1:]))
        steps = [*found.steps[:place], edited, *found.steps[place + 1 :]]
        assert refusal(with_steps(found, steps), snapshot) != "", (place, ops[number])


@pytest.mark.parametrize("pick", [held("DaemonSet"), SETS, RESUME, PAUSE, restored("StatefulSet")])
def test_an_undo_that_does_not_take_it_back(pick: Callable[[Step], bool]) -> None:
    found, snapshot = good("all")
    bad = changed(found, pick, each_change(lambda item: msgspec.structs.replace(item, undo=item.undo[:1])))
    assert "is not taken back by its undo" in refusal(bad, snapshot)


# Bound values


def test_a_value_that_nothing_binds() -> None:
    found, snapshot = good("all")
    for pick in (waits("Deployment", "/observedGeneration"), waits("DaemonSet", "Revision")):
        field = "observed" if pick(found.steps[index(found, waits("DaemonSet", "Revision"))]) else "at_least"
        bad = changed(found, pick, with_wait(**{field: Bound(name="nothing")}))
        assert "relies on 'nothing', which no step before it binds" in refusal(bad, snapshot)
    bad = changed(found, MARK, lambda step: msgspec.structs.replace(step, requires=("nothing",)))
    assert "requires 'nothing', which no step before it binds" in refusal(bad, snapshot)


def test_a_value_of_another_object() -> None:
    found, snapshot = good("all")
    other = Bound(name=next(iter(found.steps[index(found, held("DaemonSet"))].changes[0].bind or ())))
    bad = changed(found, waits("StatefulSet", "Revision"), with_wait(observed=other))
    assert "is no generation of StatefulSet dockercoins/rng" in refusal(bad, snapshot)


def test_a_name_that_is_bound_twice_or_to_anything() -> None:
    found, snapshot = good("all")
    first = found.steps[index(found, PAUSE)].changes[0].bind
    bad = changed(found, SETS, each_change(lambda item: msgspec.structs.replace(item, bind=first)))
    assert "which is no name of its own" in refusal(bad, snapshot)
    bad = changed(found, SETS, each_change(
        lambda item: msgspec.structs.replace(item, bind={**(item.bind or {}), "x": "/spec/template"})))  # fmt: skip
    assert "binds more than generations" in refusal(bad, snapshot)


def test_a_wait_for_an_object_that_is_not_there() -> None:
    found, snapshot = good("all")
    wait = found.steps[index(found, waits("DaemonSet", "Revision"))].wait
    assert isinstance(wait, RevisionWait)
    for edit in ({"uid": "else"}, {"name": "else"}, {"namespace": "else"}):
        item = msgspec.structs.replace(wait.object, **edit)
        bad = changed(found, waits("DaemonSet", "Revision"), with_wait(object=item))
        assert "does not exist" in refusal(bad, snapshot)
    bad = changed(found, waits("DaemonSet", "Revision"), with_wait(
        object=msgspec.structs.replace(wait.object, kind="Deployment")))  # fmt: skip
    assert "has no revisions" in refusal(bad, snapshot)


# What gates say


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet"])
def test_holds_that_are_not_said_or_not_so(kind: str) -> None:
    found, snapshot = good(kind)
    assert "does not say that it holds" in refusal(without_holds(found), snapshot)
    hold = found.gates[0].holds[0]
    twice = with_gate(found, holds=(hold, msgspec.structs.replace(hold, uid="else")))
    assert "and no step does" in refusal(twice, snapshot)
    other = with_gate(found, holds=(msgspec.structs.replace(hold, strategy={"type": "Recreate"}),))
    assert "remembers another update strategy" in refusal(other, snapshot)


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"])
def test_adoptions_that_are_not_said_or_not_so(kind: str) -> None:
    found, snapshot = good(kind)
    item = found.gates[0].adopted[0]
    assert "does not say that later pods of" in refusal(with_gate(found, adopted=()), snapshot)
    other = msgspec.structs.replace(item, value="no")
    assert "not its label" in refusal(with_gate(found, adopted=(other,)), snapshot)
    if kind in ("Deployment", "DaemonSet"):
        stray = next(one for one in fleet().workloads if one.kind == "StatefulSet")
        more = msgspec.structs.replace(item, kind=stray.kind, name=stray.name, uid=stray.uid)
        text = refusal(with_gate(found, adopted=(item, more)), snapshot)
        assert "and its template does not" in text


# Twins


def test_an_older_replica_set_that_would_be_the_same() -> None:
    """Of equal ones the controller takes the oldest, and would move all pods there."""
    found, snapshot = good("Deployment")
    old = next(item for item in snapshot.workloads if item.name == OLD)
    assert refusal(found, with_workloads(snapshot, old)) == ""
    present = old_set(snapshot, OLD).spec.template
    meta = msgspec.structs.replace(present.metadata, labels={**present.metadata.labels, "active": "yes"})
    twin = old_set(snapshot, OLD, metadata=meta)
    bad = without_change(found, OLD)
    text = refusal(bad, with_workloads(snapshot, twin))
    assert f"takes the older ReplicaSet dockercoins/{OLD}" in text
    assert DEPLOYMENT in text
    younger = msgspec.structs.replace(
        twin, metadata=msgspec.structs.replace(twin.metadata, creation_timestamp="2030-01-01T00:00:00Z")
    )
    assert refusal(bad, with_workloads(snapshot, younger)) == ""


# Runs that were killed


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet"])
def test_what_a_killed_run_left_is_let_go_only_where_the_record_knows_it(kind: str) -> None:
    policy = adopting(kind)
    found, start = good(kind)
    left = killed(found, 1, start, policy)
    onward = plan(left, policy)
    unknown = dataclasses.replace(left, config_maps=())
    text = refusal(onward, unknown)
    assert "no run of gatekeep paused it" in text or "writes another strategy" in text


# What may go


def test_barriers_that_only_save_time() -> None:
    """They say what another wait says, or what no rule needs; the plan without them is accepted."""
    found, snapshot = good("all")
    for pick in (waits("ReplicaSet", "/fullyLabeledReplicas"), lambda step: is_late_wait(step, "resumed")):
        assert index(found, pick)
        assert refusal(without(found, pick), snapshot) == ""


# Ways to tamper


def without_first(found: Plan, pick: Callable[[Step], bool]) -> Plan:
    place = index(found, pick)
    return with_steps(found, [*found.steps[:place], *found.steps[place + 1 :]])


def without_change(found: Plan, name: str) -> Plan:
    """No step writes or awaits the object of that name."""
    kept = []
    for step in found.steps:
        changes = tuple(item for item in step.changes if item.name != name)
        if step.wait is None or name not in str(msgspec.to_builtins(step.wait)):
            kept.append(msgspec.structs.replace(step, changes=changes))
    return with_steps(found, kept)


def with_gate(found: Plan, **edits: Any) -> Plan:
    gates: Iterable[GateTarget] = (msgspec.structs.replace(item, **edits) for item in found.gates)
    return msgspec.structs.replace(found, gates=tuple(gates))


def without_holds(found: Plan) -> Plan:
    return with_gate(found, holds=())


def with_match(match: Match) -> Callable[[Step], Step]:
    return lambda step: msgspec.structs.replace(step, match=match)


def with_wait(**edits: Any) -> Callable[[Step], Step]:
    def edit(step: Step) -> Step:
        assert step.wait is not None
        return msgspec.structs.replace(step, wait=msgspec.structs.replace(step.wait, **edits))

    return edit


def with_ops(values: dict[str, Any]) -> Callable[[Change], Change]:
    """Other values in what a patch writes, and in what its undo tests."""

    def edit(item: Change) -> Change:
        patch = tuple(Op(op.op, op.path, values[op.path]) if op.op != "test" and op.path in values else op
                      for op in item.patch)  # fmt: skip
        undo = tuple(Op(op.op, op.path, values[op.path]) if op.op == "test" and op.path in values else op
                     for op in item.undo)  # fmt: skip
        return msgspec.structs.replace(item, patch=patch, undo=undo)

    return edit


def renamed(old: str, new: str) -> Callable[[Change], Change]:
    """Another label key."""

    def ops(patch: tuple[Op, ...]) -> tuple[Op, ...]:
        return tuple(Op(op.op, op.path.replace(f"/{old}", f"/{new}"), op.value) for op in patch)

    return lambda item: msgspec.structs.replace(item, patch=ops(item.patch), undo=ops(item.undo))
