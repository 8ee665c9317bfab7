"""The one step that writes a label Kubernetes' own controllers live by: it marks pods as of a revision.

A DaemonSet's or StatefulSet's pods *are* of the revision whose template is theirs with the label, as the pods have it.
Which revision that is, is looked up by content at run time (a ``Revision`` wait), never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping

from gatekeep.model.objects import Pod, controller_of
from gatekeep.model.patches import Op, Patch, pointer
from gatekeep.model.plan import Change, Match, Plan, Step
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import Bound, GateLabel, RevisionWait
from gatekeep.proof.bindings import name_in

REVISION_HASH = "controller-revision-hash"
_PATH = pointer("metadata", "labels", REVISION_HASH)
_UID = "/metadata/uid"


def is_relabel(step: Step) -> bool:
    """The step marks pods as of another revision."""
    return step.match is not None and step.match.gate is not None and step.match.gate.key == REVISION_HASH


def revision_waits(plan: Plan) -> dict[str, RevisionWait]:
    """The wait that looks up each revision, by the name it is bound to."""
    waits = [step.wait for step in plan.steps if isinstance(step.wait, RevisionWait)]
    return {name: wait for wait in waits for name in wait.bind}


def problem_of(
    step: Step, waits: Mapping[str, RevisionWait], pods: Mapping[str, Pod], snapshot: Snapshot
) -> str | None:
    """Why ``step`` may not mark pods as it does; None when it may."""
    match, name = step.match, name_in(step.match.gate.value) if step.match and step.match.gate else None
    if match is None or step.action != "Patch" or name is None or name not in waits:
        return f"{REVISION_HASH} may only be written by a step that takes its value from a wait for a revision"
    if step.requires != (name,):
        return f"a step that marks pods as of {name!r} requires that, and nothing else"
    wait = waits[name]
    owner = wait.object
    if match not in _matches_for(wait, match):
        return f"its match must be for all pods of {owner.kind} {owner.namespace}/{owner.name} of the revision it tests"
    old, new = _plain(wait.revision), {"$bound": name}
    for change in step.changes:
        where = f"Pod {change.namespace}/{change.name}"
        if not _is_exactly(change, old, new):
            return f"the patch of {where} must test uid and {REVISION_HASH}, and write nothing but that; so its undo"
        pod = pods.get(change.uid or "")
        if pod is None:
            continue
        if (pod.namespace, pod.name) != (change.namespace, change.name):
            return f"the uid {change.uid} is that of {pod.ref}, not of {where}"
        controller = controller_of(pod.metadata)
        if controller is None or controller.uid != owner.uid:
            return f"{where} is not controlled by {owner.kind} {owner.namespace}/{owner.name}"
    return None


def _matches_for(wait: RevisionWait, match: Match) -> tuple[Match, ...]:
    """The one match there may be."""
    value = match.gate.value if match.gate is not None else None
    label = GateLabel(key=REVISION_HASH, value=value, old=wait.revision)
    return (Match(namespace=wait.object.namespace, owner_uids=(wait.object.uid,), gate=label),)


def _plain(revision: str | Bound) -> object:
    return {"$bound": revision.name} if isinstance(revision, Bound) else revision


def _is_exactly(change: Change, old: object, new: object) -> bool:
    return (
        bool(change.uid)
        and change.object is None
        and change.bind is None
        and _moves(change.patch, change.uid, old, new)
        and _moves(change.undo, change.uid, new, old)
    )


def _moves(patch: Patch, uid: str | None, old: object, new: object) -> bool:
    return patch == (Op("test", _UID, uid), Op("test", _PATH, old), Op("replace", _PATH, new))
