"""Admission policies: created to stay, and awaited by a creation that is only tried out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatekeep.execute.context import Context, ref_of
from gatekeep.execute.fields import Unmet, poll, ref_of_wait
from gatekeep.execute.resend import resending
from gatekeep.execute.values import bind, value_of
from gatekeep.model.admission import BINDING, POLICY, probe
from gatekeep.model.errors import AlreadyExistsError, RefusedError
from gatekeep.model.plan import Change, Step
from gatekeep.model.waits import AdmissionWait

KINDS = frozenset({POLICY, BINDING})
_PAUSES = (0.1, 0.1)


def create(context: Context, step: Step) -> None:
    """Creates policies and bindings. One that stands already with the same content (an answer got lost) is kept."""
    for change in step.changes:
        context.check()
        _create_one(context, change)


def _create_one(context: Context, change: Change) -> None:
    ref, body = ref_of(change), dict(change.object or {})
    try:
        found = context.send(lambda: context.cluster.create(change.kind, change.namespace, body))
    except AlreadyExistsError as error:
        found = context.get(ref)
        if not _holds(found, body):
            raise RefusedError(
                "an object of that name exists, and its content is not what the plan asks for", where=str(ref),
                hint=f"look at it (kubectl get {change.kind.lower()} {change.name} -o yaml); delete or rename it",
            ) from error  # fmt: skip
    bind(context.bound, change.bind, found, str(ref))


def _holds(found: Any, wanted: Any) -> bool:
    """Everything that is wanted is there; what the API server added does not count."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(_holds(found.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list | tuple):
        return (
            isinstance(found, list | tuple)
            and len(found) == len(wanted)
            and all(map(_holds, found, wanted))
        )  # fmt: skip
    return bool(found == wanted)


def await_admission(context: Context, step: Step, wait: AdmissionWait) -> None:
    """Returns once a pod of the owner, created in a dry run, has the label as later pods are to have it."""
    body = probe(wait)
    key, value = wait.gate.key, value_of(wait.gate.value, context.bound)
    namespace = wait.owner.namespace

    def look() -> Unmet | None:
        clock = context.cluster.clock
        born = resending(clock, lambda: context.cluster.dry_run_create("Pod", namespace, body))
        found = (born["metadata"].get("labels") or {}).get(key)
        if found == value:
            return None
        return Unmet(
            f"a pod of {ref_of_wait(wait.owner)} that is born now has the label {key}={found!r}, expected {value!r}"
        )

    hint = "does the API server serve MutatingAdmissionPolicy v1 (1.36 or newer)? A longer --timeout waits longer"
    poll(context, step, wait.timeout_seconds, look, pauses=_PAUSES, hint=hint)
