"""Steps on Services: helpers come and go, and selectors are switched behind a barrier that still holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatekeep.execute import barriers
from gatekeep.execute.context import Context, last_label_step, ref_of
from gatekeep.execute.floor import check_floor
from gatekeep.execute.labels import admit_newborn
from gatekeep.execute.values import resolved
from gatekeep.model.errors import (
    AlreadyExistsError,
    GatekeepError,
    NotFoundError,
    PatchRejectedError,
    RefusedError,
)
from gatekeep.model.events import Note
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Patch
from gatekeep.model.plan import Change, Step
from gatekeep.model.record import GATE_LABEL, MANAGED_BY
from gatekeep.model.waits import EndpointsWait

_ROUNDS = 10
_ATTEMPTS = 3
_AGAIN_SECONDS = 0.1


def create(context: Context, step: Step) -> None:
    """Creates helper Services and remembers their uids."""
    leader = barriers.leader(context)
    for change in step.changes:
        context.check()
        _create_one(context, change)
        context.leaders[change.namespace, change.name] = leader


def _create_one(context: Context, change: Change) -> None:
    body = dict(change.object or {})
    ref = ref_of(change)
    key = (change.namespace, change.name)

    def send() -> Mapping[str, Any]:
        try:
            return context.cluster.create("Service", change.namespace, body)
        except AlreadyExistsError:
            _remove_older(context, ref, body)
            return context.cluster.create("Service", change.namespace, body)

    context.helpers[key] = ""
    try:
        context.helpers[key] = str(context.send(send)["metadata"]["uid"])
    except RefusedError:
        del context.helpers[key]
        raise
    for name in change.bind or {}:
        context.bound[name] = context.helpers[key]


def _remove_older(context: Context, ref: ObjectRef, body: Mapping[str, Any]) -> None:
    """Removes a helper of that name that stands already, if it is this gate's (an answer got lost); else refuses.

    What a run killed a moment ago left may have been resolved with older labels: only a new one proves anything.
    """
    live = _helper(context, ref, body["metadata"]["labels"][GATE_LABEL])
    if live is None:
        raise RefusedError("a Service of that name exists, and it is not gatekeep's", where=str(ref),
                           hint="rename it; gatekeep needs the name for a moment")  # fmt: skip
    context.cluster.delete(ref, live["metadata"]["uid"])


def _helper(context: Context, ref: ObjectRef, gate: str) -> dict[str, Any] | None:
    """The Service of that name, if it is a helper of ``gate``. Raises :class:`NotFoundError`."""
    live = context.cluster.get(ref)
    labels = live["metadata"].get("labels") or {}
    return live if labels.get(MANAGED_BY) == "gatekeep" and labels.get(GATE_LABEL) == gate else None


def delete(context: Context, step: Step) -> None:
    """Deletes helper Services; one that is gone already needs nothing."""
    for change in step.changes:
        context.check()
        patch = resolved(change.patch, context.bound)
        uid = next(op.value for op in patch if op.path == "/metadata/uid")
        _delete_one(context, ref_of(change), str(uid))


def _delete_one(context: Context, ref: ObjectRef, uid: str) -> None:
    for _ in range(_ATTEMPTS):
        try:
            context.send(lambda: context.cluster.delete(ref, uid))
            break
        except (NotFoundError, PatchRejectedError) as error:
            refused = error
            if not _stands(context, ref, uid):
                context.listener(Note(message=f"{ref} was gone already"))
                break
            context.cluster.clock.sleep(_AGAIN_SECONDS)
    else:
        raise RefusedError(f"the API server refuses the deletion: {refused.message}", where=str(ref)) from refused
    context.helpers.pop((ref.namespace, ref.name), None)


def _stands(context: Context, ref: ObjectRef, uid: str) -> bool:
    try:
        return bool(context.get(ref)["metadata"]["uid"] == uid)
    except NotFoundError:
        return False


def remove_helpers(context: Context) -> None:
    """Leaves no helper Service behind, however the run ended; what cannot be removed now is said."""
    for (namespace, name), uid in list(context.helpers.items()):
        ref = ObjectRef("Service", namespace, name)
        try:
            uid = uid or _unanswered(context, ref)
            if uid:
                _delete_one(context, ref, uid)
        except GatekeepError as error:
            context.listener(Note(message=f"{ref} is left behind, the next run removes it: {error.message}"))


def _unanswered(context: Context, ref: ObjectRef) -> str:
    """The uid of a helper whose creation was not answered; "" when it was not created."""
    bodies = [change.object or {} for step in context.plan.steps for change in step.changes if ref_of(change) == ref]
    gate = next((body["metadata"]["labels"][GATE_LABEL] for body in bodies if body), "")
    try:
        live = _helper(context, ref, gate)
    except NotFoundError:
        return ""
    return str(live["metadata"]["uid"]) if live else ""


def select(context: Context, step: Step) -> None:
    """Switches selectors, behind a barrier that is repeated until nobody new is left out and the leader is the same."""
    _renew_barrier(context, step)
    check_floor(context, step, step.changes)
    for change in step.changes:
        context.check()
        _select_one(context, change)


def _select_one(context: Context, change: Change) -> None:
    ref = ref_of(change)
    for _ in range(_ATTEMPTS):
        try:
            context.send(lambda: context.cluster.patch(ref, change.patch))
            return
        except NotFoundError as error:
            raise RefusedError("the Service is gone", where=str(ref), hint="plan again") from error
        except PatchRejectedError as error:
            rejected = error
            if _is_settled(context, change, error):
                return
            context.cluster.clock.sleep(_AGAIN_SECONDS)
    raise RefusedError(f"the API server refuses the patch: {rejected.message}", where=str(ref)) from rejected


def _is_settled(context: Context, change: Change, error: PatchRejectedError) -> bool:
    """The selector is as wanted already. False when it is as the patch expects it, so try again; else raises."""
    service = context.service(change.namespace, change.name)
    live = dict(service.spec.selector or {})
    if service.metadata.uid == change.uid:
        if _tests(change.undo, live):  # the undo starts from exactly what the patch leads to
            return True
        if _tests(change.patch, live):
            return False
    raise RefusedError(
        f"the selector changed since the plan was made: it is {live} now",
        where=str(service.ref),
        hint="plan again, and look at who writes this Service",
    ) from error


def _tests(patch: Patch, selector: dict[str, str]) -> bool:
    return any(op.op == "test" and op.path == "/spec/selector" and op.value == selector for op in patch)


def _renew_barrier(context: Context, step: Step) -> None:
    shadows = _shadows(context, step)
    if not shadows:
        return
    labelling = last_label_step(context.plan, step)
    for _ in range(_ROUNDS):
        newborn = labelling is not None and admit_newborn(context, labelling)
        leader = barriers.leader(context)
        moved = any(context.leaders[wait.namespace, wait.service] != leader for _, wait in shadows)
        if not newborn and not moved:
            return
        reason = "pods were born meanwhile" if newborn else "kube-controller-manager has a new leader"
        context.listener(Note(message=f"{reason}: proving again before step {step.number}"))
        for waiting, wait in shadows:
            _prove_again(context, waiting, wait)
    raise RefusedError(
        f"step {step.number}: the pods do not come to rest, so the switch cannot be proved",
        hint="wait for the rollout to end, then apply again",
    )


def _shadows(context: Context, step: Step) -> list[tuple[Step, EndpointsWait]]:
    """The waits on shadow Services that stand right before this switch."""
    found: list[tuple[Step, EndpointsWait]] = []
    for earlier in reversed([item for item in context.plan.steps if item.number < step.number]):
        wait = earlier.wait
        if not isinstance(wait, EndpointsWait) or (wait.namespace, wait.service) not in context.helpers:
            break
        found.append((earlier, wait))
    return found


def _prove_again(context: Context, waiting: Step, wait: EndpointsWait) -> None:
    """A new shadow, so that what is seen was resolved after this moment and by the present leader."""
    change = next(
        change
        for step in context.plan.steps
        for change in step.changes
        if step.action == "Create" and (change.namespace, change.name) == (wait.namespace, wait.service)
    )
    context.check()
    _delete_one(context, ref_of(change), context.helpers[wait.namespace, wait.service])
    context.leaders[wait.namespace, wait.service] = barriers.leader(context)
    _create_one(context, change)
    barriers.wait_for(context, waiting)
