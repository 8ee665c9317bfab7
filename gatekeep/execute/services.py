"""Steps on Services: helpers come and go, and selectors are switched behind a barrier that still holds."""

from __future__ import annotations

from collections.abc import Mapping

from gatekeep.execute import barriers
from gatekeep.execute.context import Context, last_label_step, ref_of, resending, resolved
from gatekeep.execute.labels import admit_newborn
from gatekeep.model.errors import AlreadyExistsError, NotFoundError, PatchRejectedError, RefusedError
from gatekeep.model.events import Note
from gatekeep.model.objects import ObjectRef
from gatekeep.model.plan import Change, EndpointsWait, Step
from gatekeep.model.record import GATE_LABEL, MANAGED_BY

_ROUNDS = 10


def create(context: Context, step: Step) -> None:
    """Creates helper Services and remembers their uids."""
    leader = barriers.leader(context)
    for change in step.changes:
        context.check()
        context.wrote = True
        _create_one(context, change)
        context.leaders[change.namespace, change.name] = leader


def _create_one(context: Context, change: Change) -> None:
    body = dict(change.object or {})
    ref = ref_of(change)

    def send() -> None:
        try:
            answer: Mapping[str, object] = context.cluster.create("Service", change.namespace, body)
        except AlreadyExistsError:
            answer = _own(context, ref, body)
        metadata = answer["metadata"]
        assert isinstance(metadata, Mapping)
        context.helpers[change.namespace, change.name] = str(metadata["uid"])

    resending(context, send)
    for name in change.bind or {}:
        context.bound[name] = context.helpers[change.namespace, change.name]


def _own(context: Context, ref: ObjectRef, body: Mapping[str, object]) -> Mapping[str, object]:
    """A helper that stands already: ours when it is exactly what we would create (an answer got lost), else refused."""
    live = context.cluster.get(ref)
    labels = live["metadata"].get("labels") or {}
    wanted = body["metadata"]
    assert isinstance(wanted, Mapping)
    same_gate = labels.get(GATE_LABEL) == wanted["labels"][GATE_LABEL]
    if labels.get(MANAGED_BY) != "gatekeep" or not same_gate:
        raise RefusedError("a Service of that name exists, and it is not gatekeep's", where=str(ref),
                           hint="rename it; gatekeep needs the name for a moment")  # fmt: skip
    # What a run killed a moment ago left may have been resolved with older labels: only a new one proves anything.
    context.cluster.delete(ref, live["metadata"]["uid"])
    return context.cluster.create("Service", ref.namespace, body)


def delete(context: Context, step: Step) -> None:
    """Deletes helper Services; one that is gone already needs nothing."""
    for change in step.changes:
        context.wrote = True
        patch = resolved(change.patch, context.bound)
        uid = next(op.value for op in patch if op.path == "/metadata/uid")
        _delete_one(context, ref_of(change), str(uid))


def _delete_one(context: Context, ref: ObjectRef, uid: str) -> None:
    try:
        resending(context, lambda: context.cluster.delete(ref, uid))
    except (NotFoundError, PatchRejectedError):
        context.listener(Note(message=f"{ref} was gone already"))
    context.helpers.pop((ref.namespace, ref.name), None)


def remove_helpers(context: Context) -> None:
    """Leaves no helper Service behind, however the run ended."""
    for (namespace, name), uid in list(context.helpers.items()):
        _delete_one(context, ObjectRef("Service", namespace, name), uid)


def select(context: Context, step: Step) -> None:
    """Switches selectors, behind a barrier that is repeated until nobody new is left out and the leader is the same."""
    _renew_barrier(context, step)
    for change in step.changes:
        context.check()
        context.wrote = True
        _select_one(context, change)


def _select_one(context: Context, change: Change) -> None:
    ref = ref_of(change)
    try:
        resending(context, lambda: _patch(context, ref, change))
    except NotFoundError as error:
        raise RefusedError("the Service is gone", where=str(ref), hint="plan again") from error
    except PatchRejectedError as error:
        service = context.service(change.namespace, change.name)
        if service.metadata.uid == change.uid and _as_wanted(change, dict(service.spec.selector or {})):
            return
        raise RefusedError(
            f"the selector changed since the plan was made: it is {dict(service.spec.selector or {})} now",
            where=str(ref),
            hint="plan again, and look at who writes this Service",
        ) from error


def _patch(context: Context, ref: ObjectRef, change: Change) -> None:
    context.cluster.patch(ref, change.patch)


def _as_wanted(change: Change, live: dict[str, str]) -> bool:
    """The undo starts from exactly what this patch leads to."""
    return any(op.op == "test" and op.path == "/spec/selector" and op.value == live for op in change.undo)


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
