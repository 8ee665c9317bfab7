"""A patch of a workload may touch three things, and each only as carefully as if another writer were at it, too.

These are the pause of a Deployment, the update strategy of a DaemonSet or StatefulSet, and a gate's label in a pod
template. What the controllers make of it is another question (``workloads``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from gatekeep.model import patches
from gatekeep.model.errors import PatchRejectedError, RefusedError
from gatekeep.model.objects import Workload, controller_of
from gatekeep.model.patches import Op, Patch
from gatekeep.model.plan import Change, Hold, Step
from gatekeep.model.record import records_in
from gatekeep.model.selectors import value_problems
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import AdmissionWait, FieldWait, RevisionWait
from gatekeep.model.workloads import may_be_held
from gatekeep.proof import templates
from gatekeep.proof.bindings import GENERATION, REVISION_PATHS, TEMPLATE_GENERATION, Binding, name_in
from gatekeep.proof.templates import ON_DELETE, PAUSED, STRATEGY, labels_of

_UID = "/metadata/uid"
KeyProblem = Callable[[str, str], str | None]


def recorded_holds(snapshot: Snapshot) -> dict[str, Hold]:
    """What the records say that a run which did not end may hold still, by uid, unless somebody else does."""
    try:
        records = records_in(snapshot)
    except RefusedError:
        return {}
    found = {hold.uid: hold for record in records.values() for hold in record.holds}
    live = snapshot.workload_index
    return {uid: hold for uid, hold in found.items() if uid in live and may_be_held(live[uid])}


@dataclass
class WorkloadGuards:
    """The guards of one plan: ``live`` are the workloads after the steps so far, ``key_problem`` says of a namespace
    and a label key why no plan may write it."""

    snapshot: Snapshot
    live: MutableMapping[str, Workload]
    holds: Mapping[str, Hold]
    key_problem: KeyProblem

    def change_problem(self, step: Step, change: Change) -> str | None:
        """Why ``change`` may not be made; None when it may."""
        where = f"{change.kind} {change.namespace}/{change.name}"
        if step.action != "Patch" or change.object is not None or not change.uid:
            return f"no plan may do more to {where} than patch it by its uid"
        live = self.live.get(change.uid)
        if live is not None and (live.kind, live.metadata.namespace, live.name) != tuple(where_of(change)):
            return f"the uid {change.uid} is that of {live.ref}, not of {where}"
        known = {GENERATION, TEMPLATE_GENERATION} if change.kind == "DaemonSet" else {GENERATION}
        if set((change.bind or {}).values()) - known:
            return f"the patch of {where} binds more than generations"
        for word, patch in (("patch", change.patch), ("undo", change.undo)):
            if problem := self._patch_problem(change, patch):
                return f"the {word} of {where} {problem}"
        if live is None:
            return None if change.kind == "ReplicaSet" else f"{where} does not exist"  # a ReplicaSet may be gone
        return self._owner_problem(step, live) or self._effect_problem(change, live)

    def match_problem(self, step: Step) -> str | None:
        """Why the match of a step on ReplicaSets is none: it is for all those of Deployments, and for nobody else."""
        match = step.match
        if match is None or match.gate is None:
            return "a match says which label to put on"
        if match.selector is not None or match.any_of is not None or match.except_ is not None or match.gate.old:
            return "a match of ReplicaSets goes by their Deployments and by nothing else"
        for uid in match.owner_uids or ("",):
            owner = self.live.get(uid)
            if owner is None or owner.kind != "Deployment" or owner.metadata.namespace != match.namespace:
                return f"its match is for the ReplicaSets of {uid!r}, which is no Deployment"
        value = match.gate.value
        if not (value is None or isinstance(value, str)) or value_problems(value or ""):
            return f"{match.gate.key}={value} is no valid label"
        wanted = {(patches.template_label(match.gate.key), value)}
        for change in step.changes:
            if _written(change.patch) != wanted:
                return f"the match writes {match.gate.key}={value}, the patch of {change.name} another label"
        return self.key_problem(match.namespace, match.gate.key)

    def wait_problem(self, step: Step, bindings: Mapping[str, Binding]) -> str | None:
        """A wait asks for an object of the snapshot, and for generations of that very object."""
        wait = step.wait
        if isinstance(wait, FieldWait | RevisionWait):
            item, asked = wait.object, wait.at_least if isinstance(wait, FieldWait) else wait.observed
        elif isinstance(wait, AdmissionWait):
            item, asked = wait.owner, None
        else:
            return None
        live = self.live.get(item.uid)
        if live is None and item.kind == "ReplicaSet":
            return None
        if live is None or (live.kind, live.metadata.namespace, live.name) != (item.kind, item.namespace, item.name):
            return f"{item.kind} {item.namespace}/{item.name} with the uid {item.uid} does not exist"
        name = name_in(asked)
        if name is not None and (bindings[name].source, bindings[name].uid) != ("generation", item.uid):
            return f"{name!r} is no generation of {live.ref}"
        return self._revision_problem(wait, live) if isinstance(wait, RevisionWait) else None

    def _revision_problem(self, wait: RevisionWait, live: Workload) -> str | None:
        if list(wait.bind.values()) != [REVISION_PATHS[live.kind]]:
            return f"a revision of {live.ref} is bound by one name, from {REVISION_PATHS[live.kind]}"
        value = wait.gate.value
        if not (value is None or isinstance(value, str)) or labels_of(live).get(wait.gate.key) != value:
            return f"the template of {live.ref} does not have {wait.gate.key}={value} then"
        return None

    def _patch_problem(self, change: Change, patch: Patch) -> str | None:
        if not patch or patch[0] != Op("test", _UID, change.uid):
            return "does not begin with a test of its uid"
        tested: set[str] = set()
        for op in patch[1:]:
            if problem := self._op_problem(change, op):
                return problem
            if op.op == "test":
                tested.add(op.path)
            elif op.path not in tested:
                return f"writes {op.path} without a test of its old value: it would overwrite another writer"
            else:
                tested.remove(op.path)
        return None

    def _op_problem(self, change: Change, op: Op) -> str | None:
        written = op.value if op.op in ("add", "replace") else None
        if op.path == PAUSED and change.kind == "Deployment":
            return None if op.op in ("test", "remove") or written is True else "may only pause, or resume"
        if op.path == STRATEGY and change.kind in ("DaemonSet", "StatefulSet"):
            if op.op == "test" or (op.op == "replace" and self._may_be_strategy(change.uid or "", written)):
                return None
            return "writes another strategy than OnDelete and the one to give back"
        if templates.is_template_label(op.path):
            if written is not None and (not isinstance(written, str) or value_problems(written)):
                return "writes a value that is no label value"
            problem = self.key_problem(change.namespace, templates.label_in(op.path))
            return f"touches the label {templates.label_in(op.path)}, {problem}" if problem else None
        return f"may not touch {op.path}"

    def _may_be_strategy(self, uid: str, strategy: Any) -> bool:
        start = self.snapshot.workload_index.get(uid)
        hold = self.holds.get(uid)
        before = start.spec.update_strategy if start is not None else None
        allowed = (ON_DELETE, before, hold.strategy if hold else before)
        return any(templates.same_strategy(strategy, one) for one in allowed)

    def _owner_problem(self, step: Step, live: Workload) -> str | None:
        """A controller above would put the template back; a Deployment is the one that is reckoned with."""
        owner = controller_of(live.metadata)
        if owner is None:
            return None
        above = self.live.get(owner.uid)
        if live.kind != "ReplicaSet" or above is None or above.kind != "Deployment":
            return f"{live.ref} is controlled by {owner.kind} {owner.name}, which would put its template back"
        if step.match is None or owner.uid not in (step.match.owner_uids or ()):
            return f"{live.ref} is of {above.ref}, and the step is not for all ReplicaSets of that"
        return None

    def _effect_problem(self, change: Change, live: Workload) -> str | None:
        """The patch applies, and its undo takes it back; ``live`` then holds the outcome."""
        before = templates.document_of(live)
        try:
            if patches.apply(patches.apply(before, change.patch), change.undo) != before:
                return f"the patch of {live.ref} is not taken back by its undo"
            self.live[live.uid] = templates.patched(live, change.patch)
        except PatchRejectedError as error:
            return f"the patch of {live.ref} does not apply, or its undo does not: {error.message}"
        return None


def where_of(change: Change) -> Iterable[str]:
    """What names the object of a change."""
    return (change.kind, change.namespace, change.name)


def _written(patch: Patch) -> set[tuple[str, Any]]:
    return {(op.path, None if op.op == "remove" else op.value) for op in patch if op.op != "test"}
