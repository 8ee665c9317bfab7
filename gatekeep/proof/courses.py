"""How each workload goes through a plan, and how far its controller must have read by then.

A controller of workloads reads several independent, ordered streams: one of each kind that it lives by. A view is how
much of two of them it has seen: of the workload's own, and of what it owns (ReplicaSets of a Deployment, pods of the
others). Reused from ``streams``: ``View.services`` is its own, ``View.pods`` what it owns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gatekeep.model.objects import Workload
from gatekeep.model.plan import Plan
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import FieldWait, RevisionWait, Wait
from gatekeep.proof.bindings import Binding, bindings_of, name_in
from gatekeep.proof.simulate import Timeline, WorkloadWrites
from gatekeep.proof.streams import Seen, View, least, reachable

OBSERVED = "/status/observedGeneration"


@dataclass(frozen=True)
class Course:
    """One workload as it is after each step that writes it; first as it is at the start (step 0)."""

    versions: tuple[tuple[int, Workload], ...]

    @property
    def start(self) -> Workload:
        return self.versions[0][1]

    @property
    def end(self) -> Workload:
        return self.versions[-1][1]

    def at(self, step: int) -> Workload:
        """As it is in the cluster after ``step``."""
        return [item for number, item in self.versions if number <= step][-1]

    def edits(self, value_of: Callable[[Workload], object]) -> list[int]:
        """The steps that change ``value_of`` it."""
        pairs = zip(self.versions, self.versions[1:], strict=False)
        return [step for (_, old), (step, new) in pairs if value_of(old) != value_of(new)]


@dataclass(frozen=True)
class Scene:
    """A plan, what it starts from and leads to, and the workloads that it writes."""

    plan: Plan
    snapshot: Snapshot
    timeline: Timeline
    courses: Mapping[str, Course]
    bindings: Mapping[str, Binding]

    def course(self, item: Workload) -> Course:
        """The workload's, which may be that it stays as it is."""
        return self.courses.get(item.uid) or Course(((0, item),))

    def observed(self, wait: Wait) -> tuple[str, int] | None:
        """Whose controller must have read which step's write of it, once ``wait`` is met; step 0 is the start."""
        if isinstance(wait, FieldWait) and wait.path == OBSERVED:
            uid, asked = wait.object.uid, wait.at_least
        elif isinstance(wait, RevisionWait):
            uid, asked = wait.object.uid, wait.observed
        else:
            return None
        name = name_in(asked)
        if name is not None:
            return uid, self.bindings[name].step
        live = self.snapshot.workload_index.get(uid)
        known = live is not None and isinstance(asked, int) and asked >= live.metadata.generation
        return (uid, 0) if known else None


def scene(plan: Plan, snapshot: Snapshot, timeline: Timeline) -> Scene:
    """Every workload that ``plan`` writes, by uid."""
    found: dict[str, list[tuple[int, Workload]]] = {}
    for moment in timeline.moments:
        if isinstance(moment, WorkloadWrites):
            for uid, item in moment.workloads.items():
                found.setdefault(uid, [(0, snapshot.workload_index[uid])]).append((moment.step, item))
    courses = {uid: Course(tuple(versions)) for uid, versions in found.items()}
    return Scene(plan, snapshot, timeline, courses, bindings_of(plan))


@dataclass
class Reading:
    """How far one controller may have read: what is written of both streams, and what is proved."""

    possible: Callable[[View], bool] = lambda _: True
    own: list[Seen] = field(default_factory=list)
    owned: list[Seen] = field(default_factory=list)
    proved: tuple[View, ...] = (View(frozenset(), frozenset()),)

    def views(self) -> Sequence[View]:
        """Every view that is possible now."""
        return [view for view in reachable(self.owned, self.own, self.proved) if self.possible(view)]

    def keep(self, met: Callable[[View], bool]) -> bool:
        """What a wait shows: the controller was at a view that is ``met``, and is there or further on.

        False when there is none: the wait can never be met.
        """
        kept = least(view for view in self.views() if met(view))
        if kept:
            self.proved = kept
        return bool(kept)


def version_in(course: Course, seen: Seen) -> Workload:
    """The workload as a controller that has read these atoms knows it."""
    uid = course.start.uid
    return next((item for step, item in reversed(course.versions) if (step, uid) in seen), course.start)


def order(controller: str, name: str, owned: str, view: View, reading: Reading) -> str:
    """What the controller has seen before what, by the steps of the plan; ``owned`` is what the other stream is of."""
    own_seen, own_late = _split(reading.own, view.services)
    owned_seen, owned_late = _split(reading.owned, view.pods)
    if owned_seen and own_late:
        late = f"{_step(min(own_late))} on {name}"
        return f"if {controller} sees {_step(max(owned_seen))} on {owned} of {name} before {late}"
    if own_seen and owned_late:
        return f"if {controller} sees {_step(max(own_seen))} on {name} before {_step(min(owned_late))} on its {owned}"
    if own_seen or owned_seen:
        return f"once {controller} sees {_step(max(own_seen + owned_seen))} on {name}"
    return f"as {controller} sees {name} when the plan begins"


def _split(steps: Sequence[Seen], seen: Seen) -> tuple[list[int], list[int]]:
    """The steps of which something was seen, and those of which something was not."""
    atoms = [atom for step in steps for atom in step]
    return [atom[0] for atom in atoms if atom in seen], [atom[0] for atom in atoms if atom not in seen]


def _step(number: int) -> str:
    return f"step {number}" if number else "what an earlier run wrote"
