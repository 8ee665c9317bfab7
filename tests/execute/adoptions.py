"""Plans that bring a label into a workload's template, or take it off, by hand: no planner, no proof, no lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.cluster.protocol import Cluster
from gatekeep.execute import runner
from gatekeep.execute.context import Context
from gatekeep.model.events import Event, Note
from gatekeep.model.objects import ObjectRef, Pod
from gatekeep.model.patches import FieldEdit, field_patch, label_patch, pointer, template_label, undo_field_patch
from gatekeep.model.plan import Change, ClusterSource, Match, Plan, Proof, Source, Step
from gatekeep.model.selectors import LabelSelector
from gatekeep.model.waits import AsLongAs, Bound, FieldWait, GateLabel, RevisionWait, Wait, WaitObject
from tests.builders import cluster

NAMESPACE = "shop"
LABELS = {"app": "rng"}
KEY = "active"
HASH = "controller-revision-hash"
OBSERVED = "/status/observedGeneration"
GENERATION = "/metadata/generation"
TEMPLATE = pointer("metadata", "annotations", "deprecated.daemonset.template.generation")
ON_DELETE = {"type": "OnDelete"}
PODS = 3
KINDS = ("Deployment", "DaemonSet", "StatefulSet")
ALWAYS = 60.0
"""Seconds after which every rollout of these tests is over."""

Object = dict[str, Any]


def shop(kind: str, **options: Any) -> EmbeddedCluster:
    """One workload with three pods, at rest."""
    built = cluster(NAMESPACE).nodes(PODS)
    match kind:
        case "Deployment":
            built.deployment("rng", PODS, LABELS)
        case "DaemonSet":
            built.daemonset("rng", LABELS)
        case "StatefulSet":
            built.statefulset("rng", PODS, LABELS)
    made = built.embedded(seed=5, **options)
    made.clock.sleep(ALWAYS)
    return made


def ref(kind: str, name: str = "rng") -> ObjectRef:
    """An object of the shop."""
    return ObjectRef(kind, NAMESPACE, name)


def pods(made: EmbeddedCluster) -> tuple[Pod, ...]:
    """The pods that are not going."""
    return tuple(pod for pod in made.list_pods(NAMESPACE) if pod.metadata.deletion_timestamp is None)


def uids(made: EmbeddedCluster) -> set[str]:
    """Their uids, once everything that was due has happened."""
    made.clock.sleep(ALWAYS)
    return {pod.uid for pod in pods(made)}


def values(made: EmbeddedCluster) -> set[str | None]:
    """The values of the gate label on pods, and in all templates of the workload."""
    templates = [item for kind in (*KINDS, "ReplicaSet") for item in made.list_objects(kind, NAMESPACE, {})]
    found = {item["spec"]["template"]["metadata"]["labels"].get(KEY) for item in templates}
    return found | {pod.labels.get(KEY) for pod in pods(made)}


def set_image(made: EmbeddedCluster, kind: str, image: str = "registry.invalid/rng:2") -> None:
    """Another writer wants a new image."""
    made.edit(ref(kind), lambda data: data["spec"]["template"]["spec"]["containers"][0].update(image=image))


@dataclass
class Draft:
    """Collects steps; ``old`` and ``new`` are the values of the gate label, None for absent."""

    made: EmbeddedCluster
    kind: str
    old: str | None = None
    new: str | None = "yes"
    steps: list[Step] = field(default_factory=list)

    @property
    def item(self) -> Object:
        """The workload as it is."""
        return self.made.get(ref(self.kind))

    @property
    def gate(self) -> GateLabel:
        return GateLabel(KEY, self.new)

    def patch(self, edits: Iterable[Change], *, match: Match | None = None, requires: tuple[str, ...] = ()) -> None:
        """A step that writes."""
        self._add(Step(len(self.steps) + 1, 1, "Patch", "", "", requires, match, tuple(edits)))

    def wait(self, wait: Wait, *, requires: tuple[str, ...] = ()) -> None:
        """A step that waits."""
        self._add(Step(len(self.steps) + 1, 1, "Wait", "", "", requires, wait=wait))

    def observed(self, item: Object, name: str, timeout: int = 30) -> None:
        """Waits until the controller has seen the generation that was bound to ``name``."""
        self.wait(FieldWait(wait_object(item), OBSERVED, at_least=Bound(name), timeout_seconds=timeout))

    def label_edit(self) -> FieldEdit:
        """The gate label of a template."""
        return FieldEdit(template_label(KEY), self.old, self.new)

    def label_pods(self) -> None:
        """The ordinary labelling step."""
        match = Match(NAMESPACE, LabelSelector(LABELS), gate=self.gate)
        changes = [
            Change("v1", "Pod", NAMESPACE, pod.name, pod.uid, label_patch(pod.uid, {KEY: (self.old, self.new)}), ())
            for pod in pods(self.made)
        ]
        self.patch(changes, match=match)

    def plan(self) -> Plan:
        """The steps so far, as a plan."""
        return Plan(Source(), ClusterSource(), tuple(self.steps), (), (), (), Proof(True, 1))

    def _add(self, step: Step) -> None:
        self.steps.append(step)


def wait_object(item: Object) -> WaitObject:
    """The object as a wait names it."""
    meta = item["metadata"]
    return WaitObject(item["apiVersion"], item["kind"], NAMESPACE, meta["name"], meta["uid"])


def change(item: Object, edits: list[FieldEdit], **bind: str) -> Change:
    """The guarded patch of a workload; ``bind`` names values ``a_b`` as ``a.b``."""
    uid = item["metadata"]["uid"]
    names = {name.replace("_", "."): path for name, path in bind.items()}
    patch, undo = field_patch(uid, edits), undo_field_patch(uid, edits)
    return Change(item["apiVersion"], item["kind"], NAMESPACE, item["metadata"]["name"], uid, patch, undo, bind=names)


def deployment(draft: Draft) -> Plan:
    """Pause, ReplicaSets, pods, resume; each but the last with its wait."""
    item = draft.item
    sets = draft.made.list_objects("ReplicaSet", NAMESPACE, {})
    draft.patch([change(item, [FieldEdit("/spec/paused", None, True)], rng_paused=GENERATION)])
    draft.observed(item, "rng.paused")
    names = {one["metadata"]["name"]: f"set{number}_labelled" for number, one in enumerate(sets)}
    match = Match(NAMESPACE, owner_uids=(item["metadata"]["uid"],), gate=draft.gate)
    draft.patch(
        [change(one, [draft.label_edit()], **{names[one["metadata"]["name"]]: GENERATION}) for one in sets], match=match
    )
    for number, one in enumerate(sets):
        draft.observed(one, f"set{number}.labelled")
    draft.label_pods()
    for one in sets:
        draft.wait(
            FieldWait(wait_object(one), "/status/fullyLabeledReplicas", equals={"$field": "/status/replicas"},
                      timeout_seconds=30)
        )  # fmt: skip
    draft.patch([change(item, [FieldEdit("/spec/paused", True, None), draft.label_edit()], rng_resumed=GENERATION)])
    draft.observed(item, "rng.resumed")
    return draft.plan()


def revisioned(draft: Draft) -> Plan:
    """OnDelete and template, the revision, pods and their marks, the strategy back."""
    item = draft.item
    daemon = draft.kind == "DaemonSet"
    strategy, uid = item["spec"]["updateStrategy"], item["metadata"]["uid"]
    binds = {"rng_labelled": GENERATION, **({"rng_template": TEMPLATE} if daemon else {})}
    draft.patch([change(item, [FieldEdit("/spec/updateStrategy", strategy, ON_DELETE), draft.label_edit()], **binds)])
    carried = pods(draft.made)[0].labels[HASH]
    path = pointer("metadata", "labels", HASH) if daemon else "/metadata/name"
    seen = Bound("rng.labelled")
    draft.wait(RevisionWait(wait_object(item), carried, draft.gate, seen, {"rng.revision": path}, timeout_seconds=30))
    draft.label_pods()
    bound = {"$bound": "rng.revision"}
    edit = [FieldEdit(pointer("metadata", "labels", HASH), carried, bound)]
    marks = [
        Change("v1", "Pod", NAMESPACE, pod.name, pod.uid, field_patch(pod.uid, edit), ()) for pod in pods(draft.made)
    ]
    match = Match(
        NAMESPACE, LabelSelector({HASH: carried}), owner_uids=(uid,), gate=GateLabel(HASH, Bound("rng.revision"))
    )
    draft.patch(marks, match=match, requires=("rng.revision",))
    counted, of = ("updatedNumberScheduled", "desiredNumberScheduled") if daemon else ("updatedReplicas", "replicas")
    unless = AsLongAs(TEMPLATE, Bound("rng.template")) if daemon else AsLongAs("/status/updateRevision",
                                                                              Bound("rng.revision"))  # fmt: skip
    draft.wait(
        FieldWait(wait_object(item), f"/status/{counted}", equals={"$field": f"/status/{of}"}, while_=unless,
                  timeout_seconds=30),
        requires=("rng.revision",),
    )  # fmt: skip
    draft.patch([change(item, [FieldEdit("/spec/updateStrategy", ON_DELETE, strategy)])])
    return draft.plan()


SEQUENCES: Mapping[str, Callable[[Draft], Plan]] = {
    "Deployment": deployment,
    "DaemonSet": revisioned,
    "StatefulSet": revisioned,
}
PAIRS = {"joins": (None, "yes"), "leaves": ("yes", None)}


def adoption(made: EmbeddedCluster, kind: str, old: str | None = None, new: str | None = "yes") -> Plan:
    """The whole sequence for the workload of the shop."""
    return SEQUENCES[kind](Draft(made, kind, old, new))


@dataclass
class Run:
    """What is left of a run: its context, and what it said."""

    context: Context
    events: list[Event]

    @property
    def notes(self) -> str:
        """All notes, one a line."""
        return "\n".join(event.message for event in self.events if isinstance(event, Note))


def carry_out(
    target: Cluster,
    plan: Plan,
    listener: Callable[[Event], None] = lambda event: None,
    stop: Callable[[], int | None] = lambda: None,
    workers: int = 1,
) -> Run:
    """Runs every step."""
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        listener(event)

    context = Context(target, plan, listen, stop, workers)
    made = Run(context, events)
    runner.run(context)
    return made


def make_again(made: EmbeddedCluster, kind: str) -> None:
    """Somebody deletes the workload and creates it again."""
    old = made.get(ref(kind))
    made.kill(ref(kind))
    metadata = {"name": "rng", "namespace": NAMESPACE, "labels": old["metadata"]["labels"]}
    made.add({**old, "metadata": metadata})


def end(made: EmbeddedCluster, kind: str) -> None:
    """Somebody deletes the workload."""
    made.kill(ref(kind))


def failure_of(kind: type[Exception], act: Callable[[], object]) -> str:
    """What the failure says."""
    with pytest.raises(kind) as failure:
        act()
    return str(failure.value)
