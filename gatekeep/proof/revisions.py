"""What the controller of a DaemonSet or StatefulSet makes of a plan: a strategy other than OnDelete replaces pods.

It replaces every pod whose ``controller-revision-hash`` is not that of the template it sees: ``IsPodUpdated`` in
https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/daemon/util/daemonset_util.go, and
https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/statefulset/stateful_set_control.go. The workload
and its pods reach it on two streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gatekeep.model.objects import Workload
from gatekeep.model.waits import FieldWait, RevisionWait, Wait
from gatekeep.proof.bindings import TEMPLATE_GENERATION, name_in, placeholders, text
from gatekeep.proof.courses import Course, Reading, Scene, order, version_in
from gatekeep.proof.labels import with_label
from gatekeep.proof.relabel import REVISION_HASH
from gatekeep.proof.simulate import Barrier, PodWrites, WorkloadWrites
from gatekeep.proof.streams import View
from gatekeep.proof.templates import labels_of

_COUNTED = {
    "DaemonSet": ("/status/updatedNumberScheduled", "/status/desiredNumberScheduled"),
    "StatefulSet": ("/status/updatedReplicas", "/status/replicas"),
}
Marks = tuple[tuple[int, str | None], ...]
"""The revision that a group of pods carries: at the start (step 0), and after each step that marks them."""


@dataclass
class Replacement:
    """One DaemonSet or StatefulSet and the revisions that its pods carry.

    ``content`` are the labels of the template that each revision stands for. A revision is that of the template at the
    start, but where the strategy is OnDelete by then: nothing tells how old the pods are, so they stand for none.
    """

    scene: Scene
    own: Course
    groups: tuple[Marks, ...]
    values: Mapping[str, str]
    content: dict[str | None, Mapping[str, str]] = field(default_factory=dict)
    states: int = 0

    def problem(self) -> str | None:
        """The first reachable view in which the controller would replace pods; None when there is none."""
        reading = Reading()
        uid = self.own.start.uid
        for moment in self.scene.timeline.moments:
            problem = None
            match moment:
                case WorkloadWrites(step, written) if uid in written:
                    reading.own.append(frozenset([(step, uid)]))
                    problem = self._look(reading)
                case PodWrites(step, _) if any(step == number for group in self.groups for number, _ in group):
                    reading.owned.append(frozenset([(step, uid)]))
                    problem = self._look(reading)
                case Barrier(step, wait):
                    problem = self._pass(reading, step, wait)
                case _:
                    pass
            if problem:
                return problem
        return self._look(reading)

    def _pass(self, reading: Reading, step: int, wait: Wait) -> str | None:
        if isinstance(wait, RevisionWait | FieldWait) and wait.object.uid != self.own.start.uid:
            return None
        seen = self.scene.observed(wait)
        if seen is not None and not reading.keep(lambda view: _has_read(view, reading, seen[1])):
            return f"the wait of step {step} can never be met"
        if isinstance(wait, RevisionWait):
            return self._find(reading, step, wait)
        if isinstance(wait, FieldWait) and self._counts(wait, step) and not reading.keep(self._is_settled):
            return f"the wait of step {step} can never be met: not all pods of {self.own.start.ref} are marked by then"
        return None

    def _find(self, reading: Reading, step: int, wait: RevisionWait) -> str | None:
        """Binds the revision that the pods are of; where it may not be found yet, the rest would be left out."""
        ref, now = self.own.start.ref, labels_of(self.own.at(step))
        if any(labels_of(version_in(self.own, view.services)) != now for view in reading.views()):
            return f"step {step} may look for the revision of {ref} before its controller has made it"
        before = self.content.get(text(wait.revision, self.values))
        value = wait.gate.value
        if before is not None and with_label(before, wait.gate.key, None if value is None else str(value)) != now:
            return f"step {step} looks for a revision that is not the one of the template of {ref}"
        self.content.update((self.values[name], now) for name in wait.bind)
        return None

    def _counts(self, wait: FieldWait, step: int) -> bool:
        """The wait asks whether all pods are up to date, and goes on asking while the template is this plan's."""
        path, whole = _COUNTED[self.own.start.kind]
        if wait.path != path or wait.equals != {"$field": whole}:
            return False
        if wait.while_ is None:
            return True
        name = name_in(wait.while_.equals)
        if self.own.start.kind == "StatefulSet":
            current = name is not None and self.content.get(self.values.get(name)) == labels_of(self.own.at(step))
            return wait.while_.path == "/status/updateRevision" and current
        edits = [number for number in self.own.edits(labels_of) if number < step]
        if wait.while_.path != TEMPLATE_GENERATION:
            return False
        if name is None:
            annotations = self.own.start.metadata.annotations
            return not edits and wait.while_.equals == annotations.get(TEMPLATE_GENERATION.rpartition("/")[2])
        binding = self.scene.bindings[name]
        same = (binding.source, binding.uid) == ("template", self.own.start.uid)
        return same and binding.step >= max(edits, default=0)

    def _is_settled(self, view: View) -> bool:
        """Every pod is seen at the revision of the template that is seen."""
        wanted = labels_of(version_in(self.own, view.services))
        return all(self.content.get(_mark_in(group, view)) == wanted for group in self.groups)

    def _look(self, reading: Reading) -> str | None:
        views = reading.views()
        self.states += len(views)
        for view in views:
            own = version_in(self.own, view.services)
            if not is_on_delete(own) and not self._is_settled(view):
                return self._sentence(view, reading)
        return None

    def _sentence(self, view: View, reading: Reading) -> str:
        start = self.own.start
        pods = len(self.scene.snapshot.pods_of(start))
        when = order(f"the {start.kind.lower()} controller", str(start.ref), "pods", view, reading)
        return f"{when}, it would replace the {pods} pods of {start.ref}"


def is_on_delete(item: Workload) -> bool:
    """The controller replaces nobody."""
    return (item.spec.update_strategy or {}).get("type") == "OnDelete"


def replacements(scene: Scene) -> Iterable[Replacement]:
    """Every DaemonSet and StatefulSet that the plan writes."""
    values = placeholders(scene.plan)
    for course in sorted(scene.courses.values(), key=lambda one: one.start.ref):
        if course.start.kind not in _COUNTED:
            continue
        groups = _groups(scene, course.start)
        content = {} if is_on_delete(course.start) else {group[0][1]: labels_of(course.start) for group in groups}
        yield Replacement(scene, course, groups, values, dict(content))


def _groups(scene: Scene, item: Workload) -> tuple[Marks, ...]:
    """Its pods, those that are marked alike together."""
    writes = [(moment.step, moment.labels) for moment in scene.timeline.moments if isinstance(moment, PodWrites)]
    found: dict[Marks, None] = {}
    for pod in scene.snapshot.pods_of(item):
        marks = [(0, pod.labels.get(REVISION_HASH))]
        for step, labels in writes:
            mark = labels[pod.uid].get(REVISION_HASH) if pod.uid in labels else marks[-1][1]
            if mark != marks[-1][1]:
                marks.append((step, mark))
        found[tuple(marks)] = None
    return tuple(found)


def _mark_in(group: Marks, view: View) -> str | None:
    seen = {step for step, _ in view.pods}
    return next((mark for step, mark in reversed(group) if step in seen), group[0][1])


def _has_read(view: View, reading: Reading, step: int) -> bool:
    return all(atom in view.services for atoms in reading.own for atom in atoms if atom[0] <= step)
