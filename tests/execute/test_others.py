"""Others act while a plan is applied: at every step's begin and end, and before every write.

* another writer changes the selector, or a pod's gate label: the run stops where it would rely on that, with a message
  that names object and field, leaves no helper, and does not write over what the other one wrote
* pods die, are born without the label, lose their readiness, between plan and apply and at every moment of it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.model.errors import GatekeepError, IncompleteError, PatchRejectedError, RefusedError, UnsafeError
from gatekeep.model.objects import ObjectRef
from gatekeep.model.plan import Plan, Step
from gatekeep.model.waits import EndpointsWait, ExistsWait
from tests.execute.faults import NEVER, Moments
from tests.execute.world import (
    ALWAYS,
    RED,
    RNG,
    STORIES,
    Story,
    bare,
    carry_out,
    helpers,
    holder,
    keeps_floor,
    picture,
    proved,
    ref,
    run,
    sizes,
    wants,
)
from tests.gates import DEPLOYMENT_ONLY, NAMESPACE, gate

some_stories = pytest.mark.parametrize("name", ["add", "join", "leave", "swap", "key-and-swap", "value", "retire"])
Act = Callable[[EmbeddedCluster], object]


def moments(story: Story, **options: Any) -> range:
    """The numbers of all moments of an undisturbed run."""
    made = story.start(**options)
    counter = Moments(made, NEVER, lambda: None)
    run(made, story.planner, listener=counter.listen)
    return range(1, counter.count + 1)


def disturbed(story: Story, number: int, act: Act, **options: Any) -> tuple[EmbeddedCluster, Moments, Plan, Any]:
    """A run during which ``act`` happens at one moment; its error, or None."""
    made = story.start(**options)
    snapshot = made.snapshot([NAMESPACE])
    found = story.planner(snapshot)
    moment = Moments(made, number, lambda: act(made))
    verified = proved(found, snapshot)
    if number == 0:
        act(made)
    try:
        carry_out(made, verified, listener=moment.listen)
    except GatekeepError as error:
        return made, moment, found, error
    return made, moment, found, None


def later(found: Plan, moment: Moments) -> list[Step]:
    """The steps that had not begun at that moment."""
    return [step for step in found.steps if moment.at is None or step.number > moment.at.number]


def select_more(made: EmbeddedCluster) -> None:
    """Another writer narrows the selector by a label that every pod has."""
    made.edit(RNG, lambda data: data["spec"]["selector"].update(tier="one"))


@some_stories
def test_another_writer_changes_the_selector(name: str) -> None:
    for number in (0, *moments(STORIES[name])):
        made, moment, found, error = disturbed(STORIES[name], number, select_more)
        assert helpers(made) == []
        assert holder(made) == ""
        assert keeps_floor(made, STORIES[name])
        assert made.get(RNG)["spec"]["selector"]["tier"] == "one"
        if any(relies_on_selector(step) for step in later(found, moment)):
            assert isinstance(error, RefusedError | IncompleteError), (number, error)
            assert "Service dockercoins/rng: " in str(error)
            assert "selector" in str(error)
            assert "'tier': 'one'" in str(error) or "gained tier=one" in str(error)


def relies_on_selector(step: Step) -> bool:
    """Waits for, or patches, the Service itself."""
    waits = isinstance(step.wait, EndpointsWait | ExistsWait) and step.wait.service == "rng"
    return waits or any(change.kind == "Service" and change.name == "rng" for change in step.changes)


@some_stories
def test_another_writer_changes_a_label(name: str) -> None:
    story = STORIES[name]
    first = story.planner(story.start().snapshot([NAMESPACE]))
    [step, *_] = [step for step in first.steps for change in step.changes if change.kind == "Pod"]
    pod = step.changes[-1].name
    key = step.changes[-1].patch[-1].path.rpartition("/")[2].replace("~1", "/")

    def act(made: EmbeddedCluster) -> None:
        made.edit(ref(pod), lambda data: data["metadata"]["labels"].update({key: "somebody"}))

    for number in (0, *moments(story)):
        made, moment, found, error = disturbed(story, number, act)
        assert helpers(made) == []
        assert holder(made) == ""
        assert keeps_floor(made, story, less=1)
        labels = {item.name: item.labels for item in made.list_pods(NAMESPACE)}
        if any(relies_on_label(item, pod, key) for item in later(found, moment)):
            assert isinstance(error, RefusedError | IncompleteError), (number, error)
            assert f"Pod dockercoins/{pod}: " in str(error)
            assert f"the label {key} " in str(error)
            assert "is 'somebody'" in str(error)
            assert labels[pod][key] == "somebody"


def relies_on_label(step: Step, pod: str, key: str) -> bool:
    """Writes the label, or waits for the pods that have it, this one among them."""
    writes = any(change.name == pod and any(op.path.endswith(key) for op in change.patch) for change in step.changes)
    waits = isinstance(step.wait, EndpointsWait) and key in step.wait.selector and pod in step.wait.pods
    return writes or waits


def kill_one(made: EmbeddedCluster) -> None:
    """A pod of the Deployment dies; its ReplicaSet makes another."""
    made.kill(ref(first_pod(made)))


def pause_one(made: EmbeddedCluster) -> None:
    """A pod loses its readiness."""
    made.set_ready(ref(first_pod(made)), False)


def first_pod(made: EmbeddedCluster) -> str:
    """A pod that every rotation of these stories holds, where one does."""
    return next(pod.name for pod in made.list_pods(NAMESPACE) if "pod-template-hash" in pod.labels)


def bear_one(made: EmbeddedCluster) -> None:
    """The Deployment grows by one."""
    made.edit(ObjectRef("Deployment", NAMESPACE, "rng"), lambda data: data["spec"].update(replicas=3))


@pytest.mark.parametrize("act", [kill_one, pause_one, bear_one])
@pytest.mark.parametrize("name", ["add", "join", "leave", "swap", "key-and-swap", "retire"])
def test_pods_come_and_go_at_every_moment(name: str, act: Act) -> None:
    story = STORIES[name]
    lags = {"pod_lag": 3.0, "service_lag": 1.0}
    for number in (0, *moments(story, **lags)):
        made, _, _, error = disturbed(story, number, act, **lags)
        assert error is None or isinstance(error, IncompleteError | UnsafeError), (number, error)
        assert helpers(made) == []
        assert holder(made) == ""
        assert keeps_floor(made, story, less=1)
        made.clock.sleep(ALWAYS)
        if name != "retire":
            run(made, story.planner)
            assert not story.planner(made.snapshot([NAMESPACE])).writes
        assert helpers(made) == []
        assert picture(made).selectors == story.end().selectors


def test_pods_of_the_match_that_die_leave_the_switch_undone_below_the_floor() -> None:
    made = bare()
    names = [pod.name for pod in made.list_pods(NAMESPACE) if "pod-template-hash" in pod.labels]

    def act() -> None:
        for name in names:
            made.set_ready(ref(name), False)

    moment = Moments(made, 6, act)
    with pytest.raises(IncompleteError, match="with 0 ready endpoints, at least 2 must stay"):
        run(made, wants(gate(pool=DEPLOYMENT_ONLY, min_ready=2)), listener=moment.listen)
    assert made.get(RNG)["spec"]["selector"] == {"app": "rng"}
    assert helpers(made) == []
    assert min(sizes(made)) == 2


def test_pods_that_stay_and_die_keep_the_others_in() -> None:
    made = bare()
    run(made, wants(gate()))
    snapshot = made.snapshot([NAMESPACE])
    found = proved(wants(gate(pool=DEPLOYMENT_ONLY, min_ready=2))(snapshot), snapshot)
    made.set_ready(ref(first_pod(made)), False)
    with pytest.raises(UnsafeError, match="has 1 ready endpoint; at least 2 must stay"):
        carry_out(made, found)
    assert set(active(made).values()) == {"yes"}


def active(made: EmbeddedCluster) -> dict[str, str | None]:
    """The value of the gate label, by pod."""
    return {pod.name: pod.labels.get("active") for pod in made.list_pods(NAMESPACE)}


def test_one_label_that_may_not_be_written_stops_the_parallel_writes() -> None:
    made = bare(pod_lag=3.0)
    denied = made.list_pods(NAMESPACE)[0].name

    def deny(verb: str, target: ObjectRef, count: int) -> None:
        if verb == "patch" and target == ref(denied):
            raise PatchRejectedError("denied by a policy (HTTP 422)")

    made.before_write(deny)
    with pytest.raises((IncompleteError, RefusedError), match="denied by a policy"):
        run(made, wants(gate()), workers=4)
    assert active(made)[denied] is None
    assert made.get(RNG)["spec"]["selector"] == {"app": "rng"}
    assert holder(made) == ""


def test_a_service_of_the_shadows_name_that_is_not_gatekeeps_is_left_alone() -> None:
    made = bare()
    body = {"metadata": {"name": "rng-gatekeep-shadow", "namespace": NAMESPACE}, "kind": "Service", "apiVersion": "v1",
            "spec": {"selector": {"app": "other"}, "ports": [{"port": 80}]}}  # fmt: skip
    moment = Moments(made, 3, lambda: made.add(body))
    with pytest.raises(IncompleteError, match="a Service of that name exists, and it is not gatekeep's"):
        run(made, wants(gate()), listener=moment.listen)
    assert made.get(ObjectRef("Service", NAMESPACE, "rng-gatekeep-shadow"))["spec"]["selector"] == {"app": "other"}


def test_a_service_that_is_deleted_stops_the_run() -> None:
    made = bare()
    moment = Moments(made, 10, lambda: made.kill(RNG))
    with pytest.raises(IncompleteError, match="Service dockercoins/rng"):
        run(made, wants(gate(label=RED)), listener=moment.listen)
    assert helpers(made) == []
