"""What stands around the templates: labels taken off by a match, policies at admission, and the record.

* whoever matches loses the label, but for those who keep it, and never below the floor
* policies are created once, awaited by a dry run, and deleted by uid
* the record knows what is held before anything is
"""

from __future__ import annotations

import msgspec
import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.execute import history
from gatekeep.model.admission import BINDING, POLICY, LabelPolicy, PolicyBinding, binding_body, policy_body
from gatekeep.model.errors import IncompleteError, NotFoundError, NotSettledError, RefusedError, UnsafeError
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import delete_guard
from gatekeep.model.plan import Adopted, Change, GateTarget, Hold, Match, Plan, ServiceForecast, Source, Step
from gatekeep.model.record import GateName, Record, Run
from gatekeep.model.selectors import LabelSelector
from gatekeep.model.waits import AdmissionWait, GateLabel
from tests.builders import cluster
from tests.execute.adoptions import KEY, LABELS, NAMESPACE, Draft, Object, carry_out, pods, ref, shop, wait_object
from tests.gates import gate

GATED = {**LABELS, KEY: "yes"}
OFF = GateLabel(KEY, None)
NAME = "gatekeep-shop-rng"


def labelled() -> EmbeddedCluster:
    """Four pods that carry the label, behind a Service that asks for it."""
    built = cluster(NAMESPACE).nodes(1).service("rng", GATED)
    return built.pods("rng-1", "rng-2", "rng-3", "rng-4", labels=GATED).embedded()


def strip(made: EmbeddedCluster, *kept: str, match: Match | None = None, floor: int = 0) -> Plan:
    """One step that takes the label off whoever carries it, and names nobody."""
    keeping = tuple(pod.uid for pod in pods(made) if pod.name in kept)
    found = match or Match(NAMESPACE, LabelSelector({KEY: "yes"}), except_uids=keeping, gate=OFF)
    draft = Draft(made, "Pod", "yes", None)
    draft.patch([], match=found)
    names = tuple(pod.name for pod in pods(made))
    forecast = ServiceForecast(NAMESPACE, "rng", names, kept, floor, floor)
    return msgspec.structs.replace(draft.plan(), services=(forecast,))


def carriers(made: EmbeddedCluster) -> set[str]:
    return {pod.name for pod in pods(made) if KEY in pod.labels}


def test_whoever_matches_loses_the_label_but_for_those_who_keep_it() -> None:
    made = labelled()
    run = carry_out(made, strip(made, "rng-1", "rng-3"), workers=4)
    assert carriers(made) == {"rng-1", "rng-3"}
    assert sorted(run.context.added) == ["rng-2", "rng-4"]


def test_only_those_with_the_old_value_lose_the_label() -> None:
    made = labelled()
    made.edit(ref("Pod", "rng-2"), lambda data: data["metadata"]["labels"].update({KEY: "maybe"}))
    carry_out(made, strip(made, match=Match(NAMESPACE, gate=GateLabel(KEY, None, "maybe"))))
    assert carriers(made) == {"rng-1", "rng-3", "rng-4"}


def test_nobody_loses_the_label_when_the_floor_would_break() -> None:
    made = labelled()
    plan = strip(made, "rng-1", floor=2)
    with pytest.raises(UnsafeError, match="would leave Service shop/rng with 1 ready endpoints, at least 2 must stay"):
        carry_out(made, plan)
    assert len(carriers(made)) == 4


def test_who_is_born_while_labels_are_taken_off_is_not_taken_below_the_floor() -> None:
    """The first look found enough; the pod that was to stay dies, and the newborn is the last."""
    made = labelled()
    plan = strip(made, "rng-1", floor=1)

    def act(verb: str, target: ObjectRef, count: int) -> None:
        if count == 3:
            new = made.get(ref("Pod", "rng-1"))
            new["metadata"] = {"name": "rng-5", "namespace": NAMESPACE, "labels": GATED}
            new["status"].update(podIP="10.9.9.9", podIPs=[{"ip": "10.9.9.9"}])
            made.add(new)
            made.kill(ref("Pod", "rng-1"))

    made.after_write(act)
    with pytest.raises(IncompleteError, match="would leave Service shop/rng with 0 ready endpoints"):
        carry_out(made, plan)
    assert carriers(made) == {"rng-5"}


def test_a_label_that_somebody_puts_back_stops_the_run() -> None:
    made = labelled()

    def act(verb: str, target: ObjectRef, count: int) -> None:
        made.edit(target, lambda data: data["metadata"]["labels"].update({KEY: "yes"}))

    made.after_write(act)
    with pytest.raises(IncompleteError, match="the label active is 'yes', this run left None"):
        carry_out(made, strip(made))


def create(kind: str, body: Object) -> Change:
    name = body["metadata"]["name"]
    return Change(body["apiVersion"], kind, "", name, None, (), (), object=body, bind={f"{kind}.uid": "/metadata/uid"})


def policy(value: str = "yes") -> Object:
    return policy_body(LabelPolicy(name=NAME, key=KEY, value=value, kind="Deployment", workload="rng", gate="rng"))


def binding() -> Object:
    return binding_body(PolicyBinding(name=NAME, policy=NAME, namespace=NAMESPACE, gate="rng"))


def admission(made: EmbeddedCluster, value: str | None = "yes", *, creates: bool = True) -> Plan:
    """Policy, binding, and the wait for their effect."""
    draft = Draft(made, "Deployment")
    changes = [create(POLICY, policy()), create(BINDING, binding())] if creates else []
    steps = [Step(number, 1, "Create", "", "", changes=(change,)) for number, change in enumerate(changes, 1)]
    wait = AdmissionWait(wait_object(draft.item), LABELS, GateLabel(KEY, value), 5)
    steps.append(Step(len(steps) + 1, 1, "Wait", "", "", wait=wait))
    return msgspec.structs.replace(draft.plan(), steps=tuple(steps))


def test_policies_are_created_and_awaited_and_stay() -> None:
    made = shop("Deployment")
    run = carry_out(made, admission(made))
    live = made.get(ObjectRef(POLICY, "", NAME))
    assert run.context.bound[f"{POLICY}.uid"] == live["metadata"]["uid"]
    assert not run.context.helpers
    made.kill(pods(made)[0].ref)
    made.clock.sleep(5.0)
    assert [pod.labels.get(KEY) for pod in pods(made)].count("yes") == 1


def test_a_policy_that_stands_already_is_kept_and_its_uid_is_bound() -> None:
    made = shop("Deployment")
    uid = made.create(POLICY, "", policy())["metadata"]["uid"]
    run = carry_out(made, admission(made))
    assert run.context.bound[f"{POLICY}.uid"] == uid


def test_a_policy_of_that_name_with_other_content_is_refused() -> None:
    made = shop("Deployment")
    made.create(POLICY, "", policy("other"))
    with pytest.raises(RefusedError, match="its content is not what the plan asks for") as failure:
        carry_out(made, admission(made))
    assert f"kubectl get mutatingadmissionpolicy {NAME}" in failure.value.hint
    assert made.get(ObjectRef(POLICY, "", NAME))["spec"] == policy("other")["spec"]


def test_an_effect_that_does_not_come_ends_the_wait_with_what_was_found() -> None:
    made = shop("Deployment")
    with pytest.raises(NotSettledError, match="has the label active=None, expected 'yes', after 5 s"):
        carry_out(made, admission(made, creates=False))
    assert made.list_objects("Pod", NAMESPACE, {KEY: "yes"}) == ()


def test_a_policy_is_deleted_by_uid_and_its_end_awaited() -> None:
    made = shop("Deployment")
    carry_out(made, admission(made))
    uid = made.get(ObjectRef(BINDING, "", NAME))["metadata"]["uid"]
    plan = admission(made, None, creates=False)
    gone = Change("admissionregistration.k8s.io/v1", BINDING, "", NAME, uid, delete_guard(uid), ())
    steps = (Step(1, 1, "Delete", "", "", changes=(gone,)), msgspec.structs.replace(plan.steps[0], number=2))
    carry_out(made, msgspec.structs.replace(plan, steps=steps))
    with pytest.raises(NotFoundError):
        made.get(ObjectRef(BINDING, "", NAME))
    made.get(ObjectRef(POLICY, "", NAME))


def test_a_policy_that_is_still_to_be_deleted_is_a_step_that_is_left() -> None:
    """Unlike a helper Service: what stays changes what later pods carry."""
    made = shop("Deployment")
    plan = admission(made)
    uid = made.create(POLICY, "", policy())["metadata"]["uid"]
    wait = msgspec.structs.replace(plan.steps[2], number=1)
    gone = Change("admissionregistration.k8s.io/v1", POLICY, "", NAME, uid, delete_guard(uid), ())
    steps = (wait, Step(2, 1, "Delete", "", "", changes=(gone,)))
    with pytest.raises(Exception, match="after 5 s") as failure:
        carry_out(made, msgspec.structs.replace(plan, steps=steps))
    assert not isinstance(failure.value, NotSettledError)
    made.get(ObjectRef(POLICY, "", NAME))


ADOPTED = Adopted("Deployment", "rng", "uid-1", KEY, "yes")
OTHER = Adopted("DaemonSet", "rng", "uid-2", KEY, "yes")
ROLLING = Hold("DaemonSet", "rng", "uid-2", {"type": "RollingUpdate"})


def target(**fields: object) -> GateTarget:
    """What a plan makes of the gate."""
    wanted = {"namespace": NAMESPACE, "name": "rng", "action": "Gate", "key": KEY, "value": "yes", "services": ("rng",)}
    found = msgspec.to_builtins(gate(namespace=NAMESPACE))
    return GateTarget(**{**wanted, "policy": found, **fields})


def run_of(number: int, outcome: str = "running") -> Run:
    return Run(f"run-{number}", "sha256:0", "2026-01-01T00:00:00Z", "ci", outcome=outcome)


def recorded(made: EmbeddedCluster) -> Record:
    record, _ = history.read(made, GateName(NAMESPACE, "rng"))
    assert record is not None
    return record


def test_the_record_knows_what_may_be_held_until_a_run_is_done() -> None:
    made = shop("Deployment")
    first = target(adopted=(OTHER,), holds=(ROLLING,))
    history.begin(made, first, run_of(1), Source(repository="https://git.example/shop"))
    assert (recorded(made).holds, recorded(made).adopted) == ((ROLLING,), (OTHER,))
    assert recorded(made).repository == "https://git.example/shop"
    history.end(made, first, run_of(1, "killed"), done=False)
    newer = Hold("DaemonSet", "rng", "uid-2", {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}})
    history.begin(made, target(adopted=(ADOPTED,)), run_of(2), Source())
    assert recorded(made).holds == (ROLLING,)
    later = target(adopted=(ADOPTED,), holds=(newer,))  # a plan knows the record, and what its owner wrote since
    history.begin(made, later, run_of(2), Source())
    assert recorded(made).holds == (newer,)
    assert set(recorded(made).adopted) == {ADOPTED, OTHER}
    assert not history.is_current(later, recorded(made))
    history.end(made, later, run_of(2, history.DONE), done=True)
    assert (recorded(made).holds, recorded(made).adopted) == ((), (ADOPTED,))
    assert history.is_current(later, recorded(made))
    assert not history.is_current(first, recorded(made))


def test_a_retirement_remembers_what_it_holds_too() -> None:
    made = shop("Deployment")
    history.begin(made, target(adopted=(ADOPTED,)), run_of(1), Source())
    history.end(made, target(adopted=(ADOPTED,)), run_of(1, history.DONE), done=True)
    history.begin(made, target(action="Retire", policy=None, holds=(ROLLING,)), run_of(2), Source())
    assert (recorded(made).holds, recorded(made).adopted) == ((ROLLING,), (ADOPTED,))
