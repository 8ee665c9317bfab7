"""What adoption relies on, by plain patches: how controllers take a label that goes into a running workload's template.

- a naive edit restarts every pod; the sequences restart none, also when what the controllers see is seconds late
- each wait has a purpose: without it, under lag, pods restart or a rollout begins
- scaling, dying pods and other people's rollouts in between are survived, and all pods end up with the label
- how revisions and ReplicaSets are named, and what `rollout undo` brings back
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial

import pytest

from tests.controlplane.stack import ControlPlane
from tests.e2e.raw_adoption import HASH, adopt, stamp, with_label
from tests.e2e.story import GATE
from tests.e2e.workloads import NODES, Workload, at_once, create, manifest, rounds

KINDS = ("Deployment", "DaemonSet", "StatefulSet")
REVISIONED = ("DaemonSet", "StatefulSet")
STEPS = {"Deployment": ("pause", "sets", "pods"), **dict.fromkeys(REVISIONED, ("strategy", "template", "pods"))}
LAGS = [{}, {"pods": 3.0}, {"workloads": 1.0}]
Make = Callable[..., list[Workload]]
Deed = Callable[[Workload], None]


@pytest.fixture
def make(control_plane: ControlPlane, namespace: str) -> Make:
    """Makes workloads of one kind, running, by name; three pods each unless said otherwise."""

    def made(kind: str, *names: str, replicas: int = 3) -> list[Workload]:
        return create(control_plane, namespace, *[manifest(kind, name, replicas) for name in names])

    return made


def settle(targets: list[Workload], lag: float = 0.0) -> None:
    """Lets everything that is late arrive, lateness and all, and the rollouts that come of it end.

    Turning the knob back first would hand over at once what a late controller still has to stumble on.
    """
    time.sleep(2 * lag + 1)
    targets[0].stack.lag(pods=0, services=0, workloads=0)
    for target in targets:
        target.wait_rollout()


def names(target: Workload) -> list[str]:
    """Names of a Deployment's ReplicaSets."""
    return [item["metadata"]["name"] for item in target.replica_sets()]


def kept(target: Workload, before: set[str]) -> int:
    """How many of the pods that were there still are."""
    return len(before & target.uids())


@pytest.mark.parametrize("kind", KINDS)
def test_a_naive_template_edit_restarts_everything(make: Make, kind: str) -> None:
    """The control experiment of all tests below."""
    [target] = make(kind, "naive")
    before = target.uids()
    target.edit_template()
    settle([target])
    assert (kept(target, before), target.labelled()) == (0, NODES)


def test_a_bare_replica_set_restarts_nothing_and_its_next_pod_has_the_label(make: Make) -> None:
    [target] = make("ReplicaSet", "bare")
    before = target.uids()
    target.edit_template()
    settle([target])
    assert (kept(target, before), target.labelled()) == (3, 0)
    target.replace_a_pod()
    settle([target])
    assert (kept(target, before), target.labelled()) == (2, 1)


@pytest.mark.parametrize("lag", LAGS, ids=lambda lag: "-".join(lag) or "idle")
@pytest.mark.parametrize("kind", KINDS)
def test_the_sequence_restarts_nothing(
    make: Make, control_plane: ControlPlane, kind: str, lag: dict[str, float]
) -> None:
    """Round after round with another key: after the first, a ReplicaSet's name is no longer its template's hash."""
    targets = make(kind, "first", "second", "third")
    before = [(target.uids(), names(target)) for target in targets]
    for number in range(1 if lag else rounds(2)):
        key = f"round-{number}"
        control_plane.lag(**lag)
        at_once(partial(adopt, target, key=key) for target in targets)
        settle(targets, max(lag.values(), default=0))
        assert [(target.uids(), names(target)) for target in targets] == before
        assert [target.labelled(key) for target in targets] == [NODES] * len(targets)
        assert [target.collisions() for target in targets] == [0] * len(targets)


@pytest.mark.parametrize("kind", REVISIONED)
@pytest.mark.parametrize("lag", [{}, {"workloads": 2.0}], ids=["idle", "workloads"])
def test_two_patches_of_one_object_need_no_wait_between_them(
    make: Make, control_plane: ControlPlane, kind: str, lag: dict[str, float]
) -> None:
    """OnDelete and the template come on one ordered stream: nobody sees the second without the first."""
    [target] = make(kind, "swift")
    before = target.uids()
    control_plane.lag(**lag)
    adopt(target, hurried=["strategy"])
    settle([target], max(lag.values(), default=0))
    assert (kept(target, before), target.labelled()) == (NODES, NODES)


@pytest.mark.parametrize("waits", [False, True], ids=["hurried", "waits"])
@pytest.mark.parametrize("kind", REVISIONED)
def test_the_barrier_before_the_restore(make: Make, control_plane: ControlPlane, kind: str, waits: bool) -> None:
    """A controller that sees the pods late takes them for pods of the old template."""
    targets = make(kind, "first", "second")
    before = [target.uids() for target in targets]
    control_plane.lag(pods=3)
    at_once(partial(adopt, target, hurried=[] if waits else ["pods"]) for target in targets)
    settle(targets, 3)
    lost = [NODES - kept(target, uids) for target, uids in zip(targets, before, strict=True)]
    assert (lost == [0, 0]) if waits else all(lost), lost


@pytest.mark.parametrize("waits", [False, True], ids=["hurried", "waits"])
@pytest.mark.parametrize(
    ("hurried", "late"), [(["pause"], "deployments"), (["sets", "pods"], "replicasets")], ids=["pause", "sets"]
)
def test_the_waits_of_a_deployment(
    make: Make, control_plane: ControlPlane, hurried: Collection[str], late: str, waits: bool
) -> None:
    """A controller with an old view begins a rollout, of which a ReplicaSet without the label may stay.

    On the very first adoption the name of the ReplicaSet, which is taken, hides this: hence a second one.
    """
    targets = make("Deployment", "first", "second")
    at_once(partial(adopt, target) for target in targets)
    settle(targets)
    before = [names(target) for target in targets]
    control_plane.lag(**{late: 2.0})
    at_once(partial(adopt, target, key="again", hurried=[] if waits else hurried) for target in targets)
    settle(targets, 2)
    begun = [names(target) != earlier for target, earlier in zip(targets, before, strict=True)]
    assert begun == [not waits] * 2


def scale(target: Workload) -> None:
    """Scales to five, as an autoscaler does."""
    target.scale(5)


def roll(target: Workload) -> None:
    """Somebody else's rollout."""
    target.set_image("rng:2")


@pytest.mark.parametrize(
    ("kind", "deed", "stays", "pods"),
    [
        *((kind, scale, 3, 5) for kind in ("Deployment", "StatefulSet")),
        *((kind, Workload.replace_a_pod, 2, 3) for kind in KINDS),
        *((kind, roll, 0, 3) for kind in KINDS),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_others_act_in_between(make: Make, kind: str, deed: Deed, stays: int, pods: int) -> None:
    """After every step once: what the others wanted happens, and every pod has the label in the end."""
    targets = make(kind, *STEPS[kind])
    before = [target.uids() for target in targets]
    at_once(partial(_adopt_with, target, deed) for target in targets)
    settle(targets)
    assert [kept(target, uids) for target, uids in zip(targets, before, strict=True)] == [stays] * 3
    assert [(len(target.pods()), target.labelled()) for target in targets] == [(pods, pods)] * 3


def _adopt_with(target: Workload, deed: Deed) -> None:
    """Adopts; somebody does something after the step that the workload is named after.

    Another image is another template: its pods are new and labelled, and nothing is left to wait for. When it came
    before the label no revision is the old one plus the label, and no pod may be called one of it.
    """
    late = deed is roll and target.kind in REVISIONED
    first = late and target.name == "strategy"
    adopt(
        target,
        hurried=["template", "pods"] if first else ["pods"] if late else [],
        without=["pods"] if first else [],
        then={target.name: partial(deed, target)},
    )


@pytest.mark.parametrize("kind", REVISIONED)
def test_revisions_have_content_name_and_number(make: Make, kind: str) -> None:
    [target] = make(kind, "web")
    adopt(target)
    settle([target])
    old, new = target.revisions()
    assert (old["revision"], new["revision"]) == (1, 2)
    assert new["data"] == with_label(old, GATE[0])
    label = HASH if kind == "DaemonSet" else "controller.kubernetes.io/hash"
    for revision in (old, new):
        assert revision["metadata"]["name"] == f"web-{revision['metadata']['labels'][label]}"
    assert {pod["metadata"]["labels"][HASH] for pod in target.pods()} == {stamp(new)}
    if kind == "StatefulSet":
        assert target.get()["status"]["updateRevision"] == stamp(new)


@pytest.mark.parametrize("kind", REVISIONED)
def test_undo_past_the_adoption_takes_the_label_away(make: Make, kind: str) -> None:
    """A revision cannot be changed, so that history has no label; a restart and a later undo keep it."""
    [target] = make(kind, "web")
    adopt(target)
    settle([target])
    seen = []
    for act in (target.restart, target.undo, partial(target.undo, 1)):
        act()
        settle([target])
        seen.append(target.labelled())
    assert seen == [3, 3, 0]


def test_every_replica_set_has_the_label_so_that_undo_keeps_it(make: Make) -> None:
    [target] = make("Deployment", "web")
    roll(target)
    target.wait_rollout()
    adopt(target)
    settle([target])
    sets = target.replica_sets()
    assert [item["metadata"]["name"] for item in sets] == [
        f"web-{item['metadata']['labels']['pod-template-hash']}" for item in sets
    ]
    for act, image in ((target.undo, "rng"), (target.restart, "rng"), (partial(target.undo, 2), "rng:2")):
        act()
        settle([target])
        images = {pod["spec"]["containers"][0]["image"] for pod in target.pods()}
        assert (images, target.labelled()) == ({image}, 3)


def test_a_deployment_without_pods_is_adopted_too(make: Make) -> None:
    [target] = make("Deployment", "web", replicas=0)
    before = names(target)
    adopt(target)
    target.scale(3)
    settle([target])
    assert (names(target), target.labelled(), target.collisions()) == (before, 3, 0)
