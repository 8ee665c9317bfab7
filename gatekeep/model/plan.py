"""The plan document: ordered steps and the predicted endpoints after each.

The same classes write and read it. The bytes are the same on every run: keys are sorted, there is no clock in it, and
``id`` is the SHA-256 of the document without ``id`` as RFC 8785 writes it. Field by field: ``docs/plan-document.md``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from gatekeep.model.errors import InvalidInputError
from gatekeep.model.patches import Patch, is_label
from gatekeep.model.progress import Isolated, Progress, Stage
from gatekeep.model.selectors import LabelSelector
from gatekeep.model.waits import CheckWait, GateLabel, Part, Wait

API_VERSION = "gatekeep.dev/v1alpha1"

Severity = Literal["error", "warning", "info"]
Action = Literal["Patch", "Create", "Delete", "Wait"]


class PolicySource(Part, frozen=True):
    """Where a policy came from; ``file`` is relative to the folder that was named."""

    kind: str
    namespace: str
    name: str
    file: str
    line: int
    digest: str


class Source(Part, frozen=True):
    repository: str | None = None
    revision: str | None = None
    policies: tuple[PolicySource, ...] = ()


class ClusterSource(Part, frozen=True):
    """The cluster the plan is for: the uid of kube-system, a snapshot's digest, or null where it may not be read."""

    uid: str | None = None
    server: str = ""
    version: str = ""


class Match(Part, frozen=True, omit_defaults=True):
    """Whoever a labelling step is for, born since the plan included: pods, or the ReplicaSets of a Deployment.

    An object matches by namespace AND selector AND (where given) an owner's uid, anywhere in its chain of controllers,
    AND one of ``anyOf`` AND none of ``except``, unless its uid is one of ``exceptUids``. The nested parts have neither
    namespace nor ``gate``, the label that the step writes: on pods their own, on ReplicaSets that of their template.
    """

    namespace: str = ""
    selector: LabelSelector | None = None
    owner_uids: tuple[str, ...] | None = None
    any_of: tuple[Match, ...] | None = None
    except_: tuple[Match, ...] | None = msgspec.field(default=None, name="except")
    except_uids: tuple[str, ...] = ()
    gate: GateLabel | None = None


class Change(Part, frozen=True, omit_defaults=True):
    """One object and the patch for it; ``undo`` is the inverse of that patch alone.

    ``uid`` is null for an object that the plan itself creates.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str | None
    patch: Patch
    undo: Patch
    object: Mapping[str, Any] | None = None
    bind: Mapping[str, str] | None = None


class Step(Part, frozen=True, omit_defaults=True):
    """One patch, creation or deletion (on one or many objects, in parallel), or one wait. Numbers count from 1.

    ``requires`` are names that must be bound by then; where one is not, the step is left out, and that is reported.
    """

    number: int
    phase: int
    action: Action
    reason: str
    policy: str
    requires: tuple[str, ...] = ()
    match: Match | None = None
    changes: tuple[Change, ...] = ()
    wait: Wait | None = None

    @property
    def picks(self) -> bool:
        """It labels pods that were picked by name or by number: nobody else may take the place of one that is gone."""
        nobody = self.match is None or self.match.any_of == ()
        adds = (op.op == "add" and is_label(op.path)
                for change in self.changes if change.kind == "Pod" for op in change.patch)  # fmt: skip
        return self.action == "Patch" and nobody and any(adds)


class ServiceForecast(Part, frozen=True):
    """Names of the ready pods before and after; ``floor`` and ``leastReady`` in number of pods."""

    namespace: str
    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    floor: int
    least_ready: int


class Finding(Part, frozen=True, omit_defaults=True):
    """Something a reader should know. ``rule`` is a stable id; ``object`` is ``Kind namespace/name``."""

    severity: Severity
    rule: str
    message: str
    object: str = ""
    file: str = ""
    line: int = 0


class Access(Part, frozen=True):
    """One permission that applying the plan needs."""

    verb: str
    group: str
    resource: str
    namespace: str


class Proof(Part, frozen=True):
    """The verdict over every reachable state; ``states`` counts those that were looked at."""

    holds: bool
    states: int
    counter_example: str | None = None


class Adopted(Part, frozen=True, omit_defaults=True):
    """A workload whose later pods carry the label by gatekeep's hand, through its template or through admission.

    ``Taken`` is the opposite: its template had the label before, and gatekeep took it off.
    """

    kind: str
    name: str
    uid: str
    key: str
    value: str
    by: Literal["Template", "Admission", "Taken"] = "Template"


class Hold(Part, frozen=True, omit_defaults=True):
    """A workload that the plan holds still for a moment: a Deployment is paused, the others are set to OnDelete.

    ``strategy`` is the updateStrategy to give back; None for a Deployment.
    """

    kind: str
    name: str
    uid: str
    strategy: Mapping[str, Any] | None = None


class GateTarget(Part, frozen=True, omit_defaults=True):
    """What applying the plan makes of one gate, for the record: ``policy`` is the whole document, absent on retiring.

    ``kept`` are uids of pods that carried the gate label before the gate existed; ``adopted`` the workloads whose later
    pods carry it once the plan is done; ``holds`` what the plan holds still on the way. ``progress`` is how far the
    run has come then, ``stages`` how far on the way; ``isolations`` are those that stand then, Detach ones from the
    start. ``preview`` is the Service of the colour that is not active; it may have no endpoint on the way. ``picked``
    are uids of members that were picked by number when the plan was made, at most 1,000.
    """

    namespace: str
    name: str
    action: Literal["Gate", "Retire"]
    key: str
    value: str
    services: tuple[str, ...]
    policy: Mapping[str, Any] | None = None
    kept: tuple[str, ...] = ()
    adopted: tuple[Adopted, ...] = ()
    holds: tuple[Hold, ...] = ()
    progress: Progress | None = None
    stages: tuple[Stage, ...] = ()
    isolations: tuple[Isolated, ...] = ()
    preview: str = ""
    picked: tuple[str, ...] = ()


class Plan(Part, frozen=True):
    """A plan with its prediction and proof. A stored verdict is never trusted: readers prove it again."""

    source: Source
    cluster: ClusterSource
    steps: tuple[Step, ...]
    services: tuple[ServiceForecast, ...]
    findings: tuple[Finding, ...]
    access: tuple[Access, ...]
    proof: Proof
    gates: tuple[GateTarget, ...] = ()
    api_version: str = API_VERSION
    kind: str = "Plan"
    id: str = ""
    expires_at: str | None = None

    @property
    def writes(self) -> bool:
        """False when there is nothing to do."""
        return any(step.changes or isinstance(step.wait, CheckWait) for step in self.steps)


def document(plan: Plan) -> dict[str, Any]:
    """The plan as plain data, without the fields that are absent."""
    data: dict[str, Any] = msgspec.to_builtins(plan)
    for step in data["steps"]:
        step.setdefault("changes", [])
    if data["expiresAt"] is None:
        del data["expiresAt"]
    return data


def canonical(data: object) -> bytes:
    """RFC 8785 for the data gatekeep writes: UTF-8, keys sorted, no spaces; all numbers are integers."""
    return msgspec.json.encode(data, order="sorted")


def digest(data: object) -> str:
    """``sha256:`` and the SHA-256 of the canonical form."""
    return "sha256:" + hashlib.sha256(canonical(data)).hexdigest()


def sealed(plan: Plan) -> Plan:
    """The plan with its id."""
    return msgspec.structs.replace(plan, id=content_id(plan))


def content_id(plan: Plan) -> str:
    """The id that fits the plan's content; the document is never held whole, it may be large."""
    found = hashlib.sha256()
    for piece in _canonical_pieces(plan, with_id=False):
        found.update(piece)
    return "sha256:" + found.hexdigest()


def to_json(plan: Plan) -> str:
    """The document as people and tools read it: canonical order, indented by 2, with a final newline."""
    return msgspec.json.format(b"".join(_canonical_pieces(plan, with_id=True)), indent=2).decode() + "\n"


_NO_STEPS = b'"steps":[]}'
_NO_CHANGES = b'"changes":[]'


def _canonical_pieces(plan: Plan, *, with_id: bool) -> Iterator[bytes]:
    """The canonical document in pieces: ``steps`` sorts last of all, ``changes`` right behind ``action``."""
    shell = document(msgspec.structs.replace(plan, steps=()))
    if not with_id:
        del shell["id"]
    yield canonical(shell)[: -len(_NO_STEPS)] + b'"steps":['
    for index, step in enumerate(plan.steps):
        frame = {**msgspec.to_builtins(msgspec.structs.replace(step, changes=())), "changes": []}
        before, after = canonical(frame).split(_NO_CHANGES, 1)
        yield (b"," if index else b"") + before + b'"changes":['
        for number, change in enumerate(step.changes):
            yield (b"," if number else b"") + canonical(change)
        yield b"]" + after
    yield b"]}"


def from_json(text: bytes, where: str) -> Plan:
    """The plan in ``text``. Raises :class:`InvalidInputError` when it is none."""
    try:
        plan = msgspec.json.decode(text, type=Plan)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInputError(
            f"expected a plan document: {error}",
            where=where,
            hint="make one with: gatekeep plan -o json --out FILE",
        ) from error
    if plan.kind != "Plan" or plan.api_version != API_VERSION:
        raise InvalidInputError(
            f"expected apiVersion {API_VERSION} and kind Plan, found {plan.api_version} and {plan.kind}",
            where=where,
        )
    if plan.expires_at is not None and not _is_time(plan.expires_at):
        raise InvalidInputError(
            f"expiresAt: expected a time with a zone, such as 2026-12-01T12:00:00Z, found {plan.expires_at!r}",
            where=where,
        )
    return plan


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
