"""What is remembered of isolated pods: a plan may neither forget what was taken off one, nor make it up.

The record gives back what it says was taken off. What a plan says of isolations becomes the record.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatekeep.model.objects import Pod
from gatekeep.model.plan import Change, GateTarget, Plan
from gatekeep.model.progress import Isolated
from gatekeep.model.snapshot import Snapshot
from gatekeep.proof.gates import reference
from gatekeep.proof.isolations import Isolations, edits_of, isolations_of
from gatekeep.proof.notes import ISOLATED, live_note, note_of
from gatekeep.proof.simulate import Timeline


def problem_of(plan: Plan, snapshot: Snapshot, _: Timeline, *, exact: bool) -> str | None:
    """Isolations that the plan makes up, or forgets: of a document, ``drift`` tells who was isolated since."""
    apart = isolations_of(plan, snapshot)
    lost = next(iter(forgotten(plan, apart)), None) if exact else None
    if lost is not None:
        return f"{lost[0].ref} is isolated by {lost[1].by}; the plan neither holds it nor gives back all it lacks"
    return next(filter(None, (_unknown_problem(gate, plan, apart) for gate in plan.gates)), None)


def _unknown_problem(gate: GateTarget, plan: Plan, apart: Isolations) -> str | None:
    """What is to be given back one day was taken off: by this plan, or as the record knows already."""
    name = reference(gate)
    releases = {
        change.uid: edits_of(change)
        for step in plan.steps if step.policy == name
        for change in step.changes if apart.released(step, change) is not None
    }  # fmt: skip
    for uid, entry in apart.held[name].items():
        known, said = apart.known[name].get(uid), entry.pod
        owners = {known.pod.owner} if known is not None else {""}
        if uid not in releases and said.owner not in (owners if said.labels else {"", *owners}):
            return f"{name} says that another controlled {said.name} than the record knows, before it was released"
        old = known.pod.labels if known is not None else {}
        for key, value in sorted(said.labels.items()):
            if old.get(key) != value and releases.get(uid, {}).get(key) != (value, None):
                return (
                    f"{name} says that {entry.isolation.name} took {key}={value} off {said.name}: neither does the "
                    "plan, nor does the record know of it"
                )
    return None


def forgotten(plan: Plan, apart: Isolations) -> Iterable[tuple[Pod, Isolated]]:
    """Pods that are recorded as isolated, and that ``plan`` neither holds, nor gives back all that they lack."""
    if not any(apart.known.values()):
        return
    pods, changes = {pod.uid: pod for pod in apart.snapshot.pods}, _changes_of(plan, apart)
    for name, entries in apart.known.items():
        for uid, entry in entries.items():
            pod, held, labels = pods.get(uid), apart.held[name].get(uid), entry.pod.labels
            if pod is None or (held is not None and (not labels or held.pod.labels == labels)):
                continue
            given, unmarked = _given_back(changes.get((name, uid), ()))
            lacks = {(key, value) for key, value in labels.items() if key not in pod.labels}
            stays = held is None and live_note(pod, ISOLATED) is not None and not unmarked
            if stays or not lacks <= given:
                yield pod, entry.isolation


def _changes_of(plan: Plan, apart: Isolations) -> dict[tuple[str, str], list[Change]]:
    """What the steps of each gate write on pods that the record holds, by gate and uid."""
    found: dict[tuple[str, str], list[Change]] = {}
    for step in plan.steps:
        known = apart.known.get(step.policy)
        for change in step.changes if known else ():
            if change.kind == "Pod" and known and change.uid in known:
                found.setdefault((step.policy, change.uid or ""), []).append(change)
    return found


def _given_back(changes: Iterable[Change]) -> tuple[set[tuple[str, object]], bool]:
    """The labels that changes add to a pod, and whether they take its mark off."""
    given: set[tuple[str, object]] = set()
    unmarked = False
    for change in changes:
        given.update((key, new) for key, (_, new) in edits_of(change).items() if isinstance(new, str))
        note = note_of(change.patch)
        unmarked = unmarked or (note is not None and note.key == ISOLATED and note.new is None)
    return given, unmarked
