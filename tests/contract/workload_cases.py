"""What a change of a pod template does, and the ways to make one without a restart."""

from __future__ import annotations

from collections.abc import Callable

from gatekeep.model.patches import Op
from tests.contract.fleet import (
    ADD_LABEL,
    HASH,
    KEY,
    KINDS,
    LABEL,
    NODES,
    ON_DELETE,
    REMOVE_LABEL,
    Fleet,
    body,
    collisions,
)
from tests.contract.site import Case, Site

PAUSE = (Op("test", "/spec/paused", None), Op("add", "/spec/paused", True))
RESUME = Op("remove", "/spec/paused")
OFF = {KEY: ("yes", None)}
ON = {KEY: (None, "yes")}


def _template_edit_restarts(kind: str) -> Case:
    def case(site: Site) -> None:
        """Every pod is replaced by one with the label."""
        fleet = Fleet.start(site, kind)
        before = fleet.uids()
        fleet.patch(ADD_LABEL)
        fleet.rest()
        assert not fleet.uids() & before
        assert fleet.labels() == ["yes"] * NODES

    return case


def a_paused_deployment_takes_a_label_and_loses_it_without_restart(site: Site) -> None:
    """pause → ReplicaSets → pods → one patch of label and pause; and the same the other way round."""
    fleet = Fleet.start(site, "Deployment")
    before, sets = fleet.uids(), _names(fleet)
    fleet.patch(*PAUSE)
    fleet.replica_sets(ADD_LABEL)
    fleet.relabel(ON)
    fleet.fully_labelled()
    fleet.patch(Op("test", "/spec/paused", True), ADD_LABEL, RESUME)
    fleet.quiet()
    assert (fleet.uids(), _names(fleet), collisions(fleet.read())) == (before, sets, 0)
    assert fleet.labels() == ["yes"] * NODES
    fleet.patch(*PAUSE)
    fleet.replica_sets(REMOVE_LABEL)
    fleet.patch(Op("test", "/spec/paused", True), REMOVE_LABEL, RESUME)
    fleet.relabel(OFF)
    fleet.quiet()
    assert (fleet.uids(), _names(fleet), collisions(fleet.read())) == (before, sets, 0)
    assert fleet.labels() == [None] * NODES


def _on_delete_takes_a_label(kind: str) -> Case:
    def case(site: Site) -> None:
        """OnDelete → template → label and revision of each pod → all count as updated → strategy as before."""
        fleet = Fleet.start(site, kind)
        before, old = fleet.uids(), fleet.hash()
        strategy = fleet.read()["spec"]["updateStrategy"]
        fleet.patch(Op("test", "/spec/updateStrategy", strategy), ON_DELETE)
        fleet.patch(ADD_LABEL)
        new = fleet.hash()
        fleet.relabel({**ON, HASH: (old, new)})
        fleet.updated()
        fleet.patch(Op("replace", "/spec/updateStrategy", strategy))
        fleet.quiet()
        assert (fleet.uids(), fleet.labels()) == (before, ["yes"] * NODES)
        fleet.patch(ON_DELETE)
        fleet.patch(REMOVE_LABEL)
        assert fleet.hash() == old
        fleet.relabel({**OFF, HASH: (new, old)})
        fleet.updated()
        fleet.patch(Op("replace", "/spec/updateStrategy", strategy))
        fleet.quiet()
        assert (fleet.uids(), fleet.labels()) == (before, [None] * NODES)

    return case


def _on_delete_without_revision_restarts(kind: str) -> Case:
    def case(site: Site) -> None:
        """A label on the pods does not make them up to date."""
        fleet = Fleet.start(site, kind)
        before = fleet.uids()
        strategy = fleet.read()["spec"]["updateStrategy"]
        fleet.patch(ON_DELETE)
        fleet.patch(ADD_LABEL)
        fleet.relabel(ON)
        site.cluster.clock.sleep(1.0)
        assert fleet.uids() == before
        fleet.patch(Op("replace", "/spec/updateStrategy", strategy))
        fleet.rest()
        assert not fleet.uids() & before

    return case


def _killed_pod_comes_back_labelled(kind: str) -> Case:
    def case(site: Site) -> None:
        """While the rollout is held back, the others stay."""
        fleet = Fleet.start(site, kind)
        before = fleet.uids()
        if kind == "Deployment":
            fleet.patch(*PAUSE)
            fleet.replica_sets(ADD_LABEL)
        else:
            fleet.patch(ON_DELETE)
            fleet.patch(ADD_LABEL)
        new = fleet.kill()
        assert fleet.uids() - {new} < before
        assert [pod.uid for pod in fleet.pods() if pod.labels.get(KEY) == "yes"] == [new]

    return case


def a_paused_deployment_scales_and_makes_no_replica_set(site: Site) -> None:
    """Pods that come meanwhile have the labels of the ReplicaSet."""
    fleet = Fleet.start(site, "Deployment")
    before, sets = fleet.uids(), _names(fleet)
    fleet.patch(*PAUSE)
    fleet.replica_sets(ADD_LABEL)
    fleet.patch(Op("replace", "/spec/replicas", 5))
    site.until(lambda: len(fleet.pods()) == 5, "a paused Deployment scales")
    assert before < fleet.uids()
    assert fleet.labels().count("yes") == 2
    fleet.patch(Op("replace", "/spec/template/spec/containers/0/image", "registry.invalid/rng:2"))
    site.cluster.clock.sleep(1.0)
    assert _names(fleet) == sets
    assert fleet.status("updatedReplicas") in (None, 0)


def a_deployment_resumed_too_early_rolls_out_and_counts_a_collision(site: Site) -> None:
    """No ReplicaSet has its template any more, and the name of the new one is taken."""
    fleet = Fleet.start(site, "Deployment")
    before = fleet.uids()
    fleet.patch(*PAUSE)
    fleet.replica_sets(ADD_LABEL)
    fleet.relabel(ON)
    fleet.fully_labelled()
    fleet.patch(RESUME)
    fleet.rest()
    assert not fleet.uids() & before
    assert fleet.labels() == [None] * NODES
    assert collisions(fleet.read()) == 1
    assert len(_names(fleet)) == 2


def a_replica_set_takes_a_label_without_restart(site: Site) -> None:
    """A template that changes touches no pod; a later pod has it; fully labelled is who carries it all."""
    fleet = Fleet.start(site, "ReplicaSet")
    before = fleet.uids()
    assert fleet.status("fullyLabeledReplicas") == NODES
    fleet.patch(ADD_LABEL)
    site.until(lambda: fleet.status("fullyLabeledReplicas") in (None, 0), "no pod carries the new label")
    assert fleet.uids() == before
    fleet.relabel(ON)
    site.until(lambda: bool(fleet.status("fullyLabeledReplicas") == NODES), "all pods carry the new label")
    assert fleet.uids() == before
    new = fleet.kill()
    assert fleet.uids() - {new} < before
    assert fleet.labels() == ["yes"] * NODES


def _generation_follows_the_spec(kind: str) -> Case:
    def case(site: Site) -> None:
        """Labels of the workload and its status do not count; the template's own number counts templates only."""
        fleet = Fleet.start(site, kind)
        first = fleet.read()
        fleet.patch(Op("add", "/metadata/labels", {"team": "a"}))
        assert fleet.read()["metadata"]["generation"] == first["metadata"]["generation"]
        delay = fleet.patch(Op("add", "/spec/minReadySeconds", 1))
        assert delay["metadata"]["generation"] == first["metadata"]["generation"] + 1
        labelled = fleet.patch(ADD_LABEL)
        assert labelled["metadata"]["generation"] == first["metadata"]["generation"] + 2
        assert fleet.patch()["metadata"]["generation"] == labelled["metadata"]["generation"]
        if kind == "DaemonSet":
            numbers = [_template_generation(item) for item in (first, delay, labelled)]
            assert numbers == ["1", "1", "2"]
            replaced = fleet.patch(Op("replace", "/metadata/annotations", {"note": "x"}))
            assert _template_generation(replaced) == "2"

    return case


def _template_generation(daemon_set: dict[str, dict[str, dict[str, str]]]) -> str:
    return daemon_set["metadata"]["annotations"]["deprecated.daemonset.template.generation"]


def _names(fleet: Fleet) -> list[str]:
    return [item["metadata"]["name"] for item in fleet.owned("ReplicaSet")]


def _each(make: Callable[[str], Case], kinds: tuple[str, ...] = KINDS) -> dict[str, Case]:
    return {f"{make.__name__.lstrip('_')}: {kind}": make(kind) for kind in kinds}


HISTORIES = ("DaemonSet", "StatefulSet")
CASES: dict[str, Case] = {
    **_each(_template_edit_restarts),
    **_each(_on_delete_takes_a_label, HISTORIES),
    **_each(_on_delete_without_revision_restarts, HISTORIES),
    **_each(_killed_pod_comes_back_labelled),
    **_each(_generation_follows_the_spec),
    **{
        case.__name__: case
        for case in (
            a_paused_deployment_takes_a_label_and_loses_it_without_restart,
            a_paused_deployment_scales_and_makes_no_replica_set,
            a_deployment_resumed_too_early_rolls_out_and_counts_a_collision,
            a_replica_set_takes_a_label_without_restart,
        )
    },
}
__all__ = ["CASES", "LABEL", "body"]
