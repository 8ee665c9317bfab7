"""Makes later pods carry a gate's label, or lose it, without restarting a pod: the steps and why they stand so.

The rules of the workload controllers that this rests on are in ``docs/design/0009-later-pods.md``. Nobody is restarted
while a workload is held still: a paused Deployment rolls nothing out, OnDelete replaces nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gatekeep.model.objects import Workload
from gatekeep.model.patches import FieldEdit, pointer, template_label
from gatekeep.model.plan import Hold, Match
from gatekeep.model.waits import AsLongAs, Bound, FieldWait, GateLabel, RevisionWait, Wait, WaitObject
from gatekeep.model.workloads import may_be_held
from gatekeep.planning.draft import Draft
from gatekeep.planning.edits import bound_in
from gatekeep.planning.task import GateTask

PAUSED = "/spec/paused"
STRATEGY = "/spec/updateStrategy"
GENERATION = "/metadata/generation"
OBSERVED = "/status/observedGeneration"
REVISION_HASH = "controller-revision-hash"
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
ON_DELETE: Mapping[str, Any] = {"type": "OnDelete"}
REVISIONED = ("DaemonSet", "StatefulSet")
"""Kinds whose pods are told apart by ControllerRevision."""

_HASH_POINTER = {"DaemonSet": pointer("metadata", "labels", REVISION_HASH), "StatefulSet": "/metadata/name"}
_COUNTED = {
    "DaemonSet": ("/status/updatedNumberScheduled", "/status/desiredNumberScheduled"),
    "StatefulSet": ("/status/updatedReplicas", "/status/replicas"),
}


def is_held(workload: Workload, holds: Mapping[str, Hold]) -> bool:
    """A run that was killed left it paused or set to OnDelete; the record knows it, and who wrote that says so too.

    A run that was killed before it held anything has recorded it all the same, and somebody else may hold it since.
    """
    hold = holds.get(workload.uid)
    if hold is None or not may_be_held(workload):
        return False
    if workload.kind == "Deployment":
        return workload.spec.paused
    return workload.spec.update_strategy == ON_DELETE and hold.strategy != ON_DELETE


def change_templates(
    draft: Draft,
    task: GateTask,
    label: GateLabel,
    workloads: Iterable[Workload],
    relabel: Callable[[], None] | None = None,
) -> None:
    """Brings the templates of ``workloads`` to ``label`` (value None: away) and restarts nobody.

    ``relabel`` adds the step on pods that has to stand while the workloads are held still and after all templates.
    """
    run = _Sequence(draft, task, label, tuple(workloads))
    run.hold()
    run.edit_replica_sets()
    run.find_revisions()
    draft.next_phase()
    if relabel is not None:
        relabel()
    run.mark_up_to_date()
    run.await_counted()
    draft.next_phase()
    run.release()
    draft.next_phase()


@dataclass
class _Sequence:
    """One pass over some workloads of one gate; ``revisions`` are names of bindings, by workload uid."""

    draft: Draft
    task: GateTask
    label: GateLabel
    workloads: tuple[Workload, ...]
    revisions: dict[str, list[tuple[str | Bound, str]]] = field(default_factory=dict)
    observed: dict[str, Bound | int] = field(default_factory=dict)
    template: dict[str, Bound | str] = field(default_factory=dict)

    def hold(self) -> None:
        """Pauses Deployments; sets the others to OnDelete and edits their templates in the same patch."""
        deployments = self._of("Deployment")
        paused = [item for item in deployments if not self._now(item).spec.paused]
        self._edit(
            paused,
            "a paused Deployment rolls nothing out",
            lambda item: [FieldEdit(PAUSED, None, True)],
            {"paused": GENERATION},
        )
        for kind in REVISIONED:
            binds = {"labelled": GENERATION}
            if kind == "DaemonSet":
                binds["template"] = pointer("metadata", "annotations", TEMPLATE_GENERATION)
            edited = [item for item in self._of(kind) if self._lacks(item) or not self._is_on_delete(item)]
            self._edit(edited, self._later_pods(), self._held_edits, binds)
        self.draft.next_phase()
        for item in deployments:
            self._await_observed(item, "else it would roll out when its ReplicaSets change")
        self.draft.next_phase()

    def edit_replica_sets(self) -> None:
        """Every ReplicaSet of a Deployment, so that an undo leads to the label too; bare ones beside them."""
        owners = self._of("Deployment")
        sets = [one for item in owners for one in self.draft.snapshot.replica_sets_of(item.uid)]
        lacking = [one for one in (*sets, *self._of("ReplicaSet")) if self._lacks(one)]
        match = None
        if owners and lacking:
            uids = tuple(sorted(item.uid for item in owners))
            match = Match(namespace=self.task.name.namespace, owner_uids=uids, gate=self.label)
        self._edit(lacking, self._later_pods(), lambda item: [self._label_edit(item)], {"labelled": GENERATION}, match)
        self.draft.next_phase()
        for one in (*sets, *self._of("ReplicaSet")):
            self._await_observed(one, "from here on " + self._later_pods())

    def find_revisions(self) -> None:
        """By content: the revision of today's pods with the label. Where there is none another writer was there."""
        for item in (*self._of("DaemonSet"), *self._of("StatefulSet")):
            carried_by_pods = self._carried(item)
            if not carried_by_pods:
                self._await_observed(item, "from here on " + self._later_pods())
            for carried in carried_by_pods:
                name = self._name(item, "revision")
                wait = RevisionWait(
                    object=ref(item), revision=carried, gate=self.label,
                    observed=self.observed.get(item.uid, item.metadata.generation),
                    bind={name: _HASH_POINTER[item.kind]}, except_labels=self._other_keys(item),
                    timeout_seconds=self.task.timeout_seconds,
                )  # fmt: skip
                self._await(wait, "by content: a change of another writer is never swallowed", _needed(carried))
                self.revisions.setdefault(item.uid, []).append((carried, name))

    def mark_up_to_date(self) -> None:
        """Today's pods are of that revision now: nothing else of them differs from it."""
        for item in (*self._of("DaemonSet"), *self._of("StatefulSet")):
            for carried, name in self.revisions.get(item.uid, ()):
                self.draft.mark_pods(
                    item, REVISION_HASH, carried, Bound(name=name),
                    reason="they are of that revision: same containers, same labels", policy=self.task.reference,
                )  # fmt: skip

    def await_counted(self) -> None:
        """The same caches that the controllers act on have the pods' labels.

        Not asked of a ReplicaSet whose Deployment a killed run held: it may have a label under way that no pod gets;
        nor of one with a pod that is isolated, which gets none either.
        """
        for item in self._of("Deployment"):
            for one in self.draft.snapshot.replica_sets_of(item.uid):
                apart = any(pod.uid in self.task.match.except_uids for pod in self.draft.snapshot.pods_of(one))
                if one.spec.replicas and not is_held(item, self.task.holds) and not apart:
                    wait = FieldWait(object=ref(one), path="/status/fullyLabeledReplicas",
                                     equals={"$field": "/status/replicas"},
                                     timeout_seconds=self.task.timeout_seconds)  # fmt: skip
                    self._await(wait, "the caches that its controllers act on are up to date")
        for item in (*self._of("DaemonSet"), *self._of("StatefulSet")):
            found = self.revisions.get(item.uid)
            if not found or not self._is_held_here(item):
                continue
            path, all_of = _COUNTED[item.kind]
            wait = FieldWait(object=ref(item), path=path, equals={"$field": all_of},
                             while_=self._unless_replaced(item, found[0][1]),
                             timeout_seconds=self.task.timeout_seconds)  # fmt: skip
            self._await(wait, "else its strategy would replace them", tuple(name for _, name in found))

    def release(self) -> None:
        """Resumes Deployments with the label in the same patch; gives the others their strategy back."""
        deployments = self._of("Deployment")
        self._edit(
            deployments,
            "its template equals that of its ReplicaSet: nothing to roll out",
            self._resuming_edits,
            {"resumed": GENERATION},
        )
        for kind in REVISIONED:
            held = [item for item in self._of(kind) if self._is_held_here(item)]
            self._edit(held, "its strategy as it was",
                       lambda item: [FieldEdit(STRATEGY, ON_DELETE, self._strategy(item))], {})  # fmt: skip
        self.draft.next_phase()
        for item in deployments:
            self._await_observed(item, "and rolls nothing out")

    def _later_pods(self) -> str:
        return "later pods are born with the label" if self.label.value else "later pods are born without the label"

    def _of(self, kind: str) -> list[Workload]:
        return [item for item in self.workloads if item.kind == kind]

    def _now(self, item: Workload) -> Workload:
        return self.draft.workload(item)

    def _lacks(self, item: Workload) -> bool:
        return self._now(item).spec.template.metadata.labels.get(self.label.key) != self.label.value

    def _label_edit(self, item: Workload) -> FieldEdit:
        old = self._now(item).spec.template.metadata.labels.get(self.label.key)
        return FieldEdit(template_label(self.label.key), old, self.label.value)

    def _is_on_delete(self, item: Workload) -> bool:
        return self._now(item).spec.update_strategy == ON_DELETE

    def _is_held_here(self, item: Workload) -> bool:
        """It is not OnDelete by its owner's choice."""
        return self._strategy(item) != ON_DELETE

    def _strategy(self, item: Workload) -> Mapping[str, Any]:
        hold = self.task.holds.get(item.uid)
        found = hold.strategy if hold is not None and is_held(item, self.task.holds) else item.spec.update_strategy
        return found if found is not None else {"type": "RollingUpdate"}

    def _held_edits(self, item: Workload) -> list[FieldEdit]:
        live = self._now(item).spec.update_strategy
        return [FieldEdit(STRATEGY, live, ON_DELETE), self._label_edit(item)]

    def _resuming_edits(self, item: Workload) -> list[FieldEdit]:
        return [FieldEdit(PAUSED, True, None), self._label_edit(item), *self._catching_up(item)]

    def _catching_up(self, item: Workload) -> Iterable[FieldEdit]:
        """A run that was killed between the ReplicaSets and their Deployment had another label under way."""
        sets = self.draft.snapshot.replica_sets_of(item.uid)
        present = next((one for one in sets if one.spec.replicas), sets[-1] if sets else item)
        for key in self._other_keys(item):
            old, new = (self._now(one).spec.template.metadata.labels.get(key) for one in (item, present))
            if old != new:
                yield FieldEdit(template_label(key), old, new)

    def _other_keys(self, item: Workload) -> tuple[str, ...]:
        """The labels that a killed run may have changed too, of a workload that it left held still."""
        if not is_held(item, self.task.holds):
            return ()
        wanted = {key for uid, key in self.task.templates if uid == item.uid} | {gate.key for gate in self.task.known}
        return tuple(sorted(wanted - {self.label.key}))

    def _carried(self, item: Workload) -> list[str | Bound]:
        """The revisions that its pods carry: one, but after a run that was killed while it marked them.

        A StatefulSet without pods says which revision the next one will be of; a DaemonSet does not.
        """
        pods = self.draft.snapshot.pods_of(item)
        found = {self.draft.labels(pod).get(REVISION_HASH) for pod in pods} or {item.status.update_revision}
        return [bound_in(value) for value in sorted(value for value in found if value)]

    def _unless_replaced(self, item: Workload, revision: str) -> AsLongAs:
        """Another writer's template would never let the count be full."""
        if item.kind == "StatefulSet":
            return AsLongAs(path="/status/updateRevision", equals=Bound(name=revision))
        generation = self.template.get(item.uid, item.metadata.annotations.get(TEMPLATE_GENERATION, ""))
        return AsLongAs(path=pointer("metadata", "annotations", TEMPLATE_GENERATION), equals=generation)

    def _name(self, item: Workload, what: str) -> str:
        """The number of the step that binds it keeps two passes over one workload apart."""
        return f"{item.kind.lower()}/{item.name}.{what}.{len(self.draft.steps) + 1}"

    def _edit(
        self,
        workloads: Sequence[Workload],
        reason: str,
        edits: Callable[[Workload], list[FieldEdit]],
        binds: Mapping[str, str],
        match: Match | None = None,
    ) -> None:
        named = {item.uid: {self._name(item, what): path for what, path in binds.items()} for item in workloads}
        for item in workloads:
            for what, name in zip(binds, named[item.uid], strict=True):
                if what == "template":
                    self.template[item.uid] = Bound(name=name)
                else:
                    self.observed[item.uid] = Bound(name=name)
        self.draft.edit_workloads(
            [(item, edits(item), named[item.uid]) for item in workloads],
            reason=reason, policy=self.task.reference, match=match,
        )  # fmt: skip

    def _await_observed(self, item: Workload, reason: str) -> None:
        """Of a workload that this plan did not write, the generation as it was listed."""
        seen = self.observed.get(item.uid, item.metadata.generation)
        wait = FieldWait(object=ref(item), path=OBSERVED, at_least=seen, timeout_seconds=self.task.timeout_seconds)
        self._await(wait, reason)

    def _await(self, wait: Wait, reason: str, requires: tuple[str, ...] = ()) -> None:
        self.draft.await_(wait, reason=reason, policy=self.task.reference, requires=requires)


def _needed(*values: str | Bound) -> tuple[str, ...]:
    """The names among ``values`` that must be bound by then."""
    return tuple(value.name for value in values if isinstance(value, Bound))


def ref(item: Workload) -> WaitObject:
    """The workload as a wait names it."""
    meta = item.metadata
    return WaitObject(
        api_version=item.api_version, kind=item.kind, namespace=meta.namespace, name=meta.name, uid=meta.uid
    )


def holds_of(workloads: Iterable[Workload], holds: Mapping[str, Hold]) -> tuple[Hold, ...]:
    """What a plan over ``workloads`` holds still on the way; a recorded hold keeps the strategy it began with."""
    found = []
    for item in workloads:
        if item.kind == "Deployment":
            found.append(Hold(kind=item.kind, name=item.name, uid=item.uid))
        elif item.kind in REVISIONED and (is_held(item, holds) or item.spec.update_strategy != ON_DELETE):
            strategy = holds[item.uid].strategy if is_held(item, holds) else item.spec.update_strategy
            found.append(Hold(kind=item.kind, name=item.name, uid=item.uid, strategy=strategy))
    return tuple(found)
