"""What the deployment controller makes of a plan: a Deployment that it sees not paused must still find its ReplicaSet.

It takes the oldest ReplicaSet whose template is the Deployment's, ``pod-template-hash`` left out; where it finds none
it makes one, and replaces every pod: ``FindNewReplicaSet`` and ``EqualIgnoreHash`` in
https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/controller/deployment/util/deployment_util.go. Deployments and
ReplicaSets reach it on two streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gatekeep.model.objects import Workload
from gatekeep.proof.courses import Course, Reading, Scene, order, version_in
from gatekeep.proof.simulate import Barrier, WorkloadWrites
from gatekeep.proof.streams import Seen, View
from gatekeep.proof.templates import labels_of, with_value

_HASH_LABEL = "pod-template-hash"
Content = tuple[Mapping[str, str], Mapping[str, str], object]


@dataclass
class Rollout:
    """One Deployment and the ReplicaSets that its template may ever equal; ``present`` is the one that it is at."""

    scene: Scene
    own: Course
    sets: tuple[Course, ...]
    keys: frozenset[str]
    present: str | None
    states: int = 0

    def problem(self) -> str | None:
        """The first reachable view in which the controller would replace pods; None when there is none."""
        reading = Reading(self._is_possible)
        reading.own.extend(self._before((self.own,)))
        reading.owned.extend(self._before(self.sets))
        for moment in self.scene.timeline.moments:
            match moment:
                case WorkloadWrites(step, written):
                    own, owned = _atoms(step, written, (self.own,)), _atoms(step, written, self.sets)
                    reading.own.extend([own] if own else [])
                    reading.owned.extend([owned] if owned else [])
                    if (own or owned) and (problem := self._look(reading)):
                        return problem
                case Barrier(step, wait) if (seen := self.scene.observed(wait)) is not None:
                    if not reading.keep(lambda view, seen=seen: self._has_seen(view, reading, *seen)):  # type: ignore[misc]
                        return f"the wait of step {step} can never be met"
                case _:
                    pass
        return self._look(reading)

    def _look(self, reading: Reading) -> str | None:
        views = reading.views()
        self.states += len(views)
        return next(filter(None, (self._replaces(view, reading) for view in views)), None)

    def _replaces(self, view: View, reading: Reading) -> str | None:
        own = version_in(self.own, view.services)
        if own.spec.paused:
            return None
        sets = [version_in(item, view.pods) for item in self.sets]
        if self.present is None:
            settled = all(_labels(one, self.keys) == _labels(own, self.keys) for one in sets if one.spec.replicas)
            return None if settled else self._sentence(view, reading, None)
        found = next((item for item in sets if content(item) == content(own)), None)
        return None if found is not None and found.uid == self.present else self._sentence(view, reading, found)

    def _sentence(self, view: View, reading: Reading, other: Workload | None) -> str:
        pods = sum(len(self.scene.snapshot.pods_of(item.start)) for item in self.sets)
        ref = self.own.start.ref
        outcome = f"finds no ReplicaSet with its template and would replace the {pods} pods of {ref}"
        if other is not None:
            outcome = f"takes the older {other.ref}, whose template is the same then, "
            outcome += f"and would replace the {pods} pods of {ref}"
        return f"{order('the deployment controller', str(ref), 'ReplicaSets', view, reading)}, it {outcome}"

    def _has_seen(self, view: View, reading: Reading, uid: str, step: int) -> bool:
        """The stream was read as far as that write: all steps before it, and of its own step that write."""
        if uid == self.own.start.uid:
            return _read(view.services, reading.own, uid, step)
        known = self.scene.snapshot.workload_index.get(uid)
        return known is None or known.kind != "ReplicaSet" or _read(view.pods, reading.owned, uid, step)

    def _before(self, courses: Iterable[Course]) -> list[Seen]:
        """What a killed run wrote is a write like any other: it may not have been read yet."""
        atoms = frozenset((0, item.start.uid) for item in courses if item.versions[0][0] < 0)
        return [atoms] if atoms else []

    def _is_possible(self, view: View) -> bool:
        """A killed run had its pause read before it wrote ReplicaSets."""
        held = self.own.versions[0][0] < 0
        return not held or not any(step == 0 for step, _ in view.pods) or (0, self.own.start.uid) in view.services


def rollouts(scene: Scene) -> Iterable[Rollout]:
    """Every Deployment that the plan writes, itself or one of its ReplicaSets."""
    for item in sorted(scene.snapshot.workloads, key=lambda one: one.ref):
        if item.kind != "Deployment":
            continue
        sets = scene.snapshot.replica_sets_of(item.uid)
        if item.uid in scene.courses or any(one.uid in scene.courses for one in sets):
            yield _rollout(scene, item, sets)


def _rollout(scene: Scene, item: Workload, sets: Sequence[Workload]) -> Rollout:
    own, courses = scene.course(item), [scene.course(one) for one in sets]
    keys = touched_keys((own, *courses))
    alike = [one for one in courses if content(one.start, keys) == content(item, keys)]
    with_pods = [one for one in courses if one.start.spec.replicas and one not in alike]
    if item.spec.paused:
        courses = [_held(one, item, keys) for one in alike]
        present = next((one for one in alike if one.start.spec.replicas), alike[0] if alike else None)
        own = Course(((-1, with_value(item, "/spec/paused", None)), *own.versions))
    else:
        courses = alike
        present = next((one for one in alike if content(one.start) == content(item)), None)
    found = present.start.uid if present is not None else None
    return Rollout(scene, own, tuple(courses if found else [*courses, *with_pods]), keys, found)


def _held(course: Course, owner: Workload, keys: frozenset[str]) -> Course:
    """A ReplicaSet of a Deployment that a killed run left paused: where the two differ, that run has labelled it."""
    before = course.start
    for key in keys:
        before = with_value(before, f"/spec/template/metadata/labels/{_escaped(key)}", labels_of(owner).get(key))
    return course if before == course.start else Course(((-1, before), *course.versions))


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def touched_keys(courses: Iterable[Course]) -> frozenset[str]:
    """The template labels that some step changes."""
    found: set[str] = set()
    for course in courses:
        for (_, old), (_, new) in zip(course.versions, course.versions[1:], strict=False):
            found.update(key for key, _ in labels_of(old).items() ^ labels_of(new).items())
    return frozenset(found)


def content(item: Workload, but: Iterable[str] = ()) -> Content:
    """A template as the controller compares it, these labels left out as well."""
    template = item.spec.template
    left_out = {_HASH_LABEL, *but}
    labels = {key: value for key, value in template.metadata.labels.items() if key not in left_out}
    return labels, template.metadata.annotations, template.spec


def _labels(item: Workload, keys: Iterable[str]) -> dict[str, str | None]:
    return {key: labels_of(item).get(key) for key in keys}


def _atoms(step: int, written: Mapping[str, Workload], courses: Iterable[Course]) -> Seen:
    return frozenset((step, item.start.uid) for item in courses if item.start.uid in written)


def _read(seen: Seen, steps: Sequence[Seen], uid: str, step: int) -> bool:
    return all(
        (number, part) in seen for atoms in steps for number, part in atoms
        if number < step or (number == step and part == uid)
    )  # fmt: skip
