"""Barriers: waits that prove what the endpoint controller has seen. A sleep proves nothing.

The proof of a barrier holds for the kube-controller-manager that made it. Where the leader's Lease may be read, a
change of leader between a barrier and the switch that relies on it repeats the barrier.
"""

from __future__ import annotations

from gatekeep.execute.context import Context
from gatekeep.execute.meddling import refuse_meddling
from gatekeep.model.endpoints import (
    CONTROLLER,
    MANAGED_BY_LABEL,
    counts_as_ready,
    is_ready,
    port_names,
    ready_in_slices,
)
from gatekeep.model.errors import ForbiddenError, GatekeepError, NotFoundError, RefusedError
from gatekeep.model.events import WaitProgress
from gatekeep.model.objects import EndpointSlice, ObjectRef, Pod, Service
from gatekeep.model.plan import Step
from gatekeep.model.waits import EndpointsWait, ExistsWait

_LOOK_SECONDS = 1.0
REPORT_SECONDS = 1.0
_LEADER = ObjectRef("Lease", "kube-system", "kube-controller-manager")


class WaitTimeoutError(GatekeepError):
    """A wait was not met in time; the message says what was seen last."""


def wait_for(context: Context, step: Step) -> None:
    """Returns once the wait of ``step`` is met. Raises :class:`WaitTimeoutError`."""
    match step.wait:
        case EndpointsWait():
            _await_endpoints(context, step, step.wait)
        case ExistsWait():
            _await_slices(context, step, step.wait)
        case None:
            pass


def leader(context: Context) -> str | None:
    """Who leads kube-controller-manager, and since which transition; None where that may not be read."""
    try:
        spec = context.get(_LEADER).get("spec") or {}
    except (NotFoundError, ForbiddenError):
        return None
    return f"{spec.get('holderIdentity')}#{spec.get('leaseTransitions', 0)}"


def _await_endpoints(context: Context, step: Step, wait: EndpointsWait) -> None:
    clock = context.cluster.clock
    start = reported = clock.monotonic()
    service = _selecting(context, wait)
    ports = port_names(service)
    with context.cluster.watch_slices(wait.namespace, wait.service) as watch:
        expected, hidden = _listed(context, service, wait)
        listed, slices = clock.monotonic(), _own(watch.current(), service)
        while True:
            seen = ready_in_slices(slices, wait.service, ports=ports, not_ready_uids=hidden)
            if seen == expected and _managed(slices):
                break
            now = clock.monotonic()
            if now - start >= wait.timeout_seconds:
                raise _timeout(step, wait, len(seen), len(expected))
            if now - reported >= REPORT_SECONDS:
                reported = now
                context.listener(progress(step, len(seen), len(expected), now - start))
            context.check()
            slices = _own(watch.wait(_LOOK_SECONDS), service)
            if clock.monotonic() - listed >= _LOOK_SECONDS:
                service = _selecting(context, wait)
                expected, hidden = _listed(context, service, wait)
                listed = clock.monotonic()
    if any(item.namespace == wait.namespace and item.name == wait.service for item in context.plan.services):
        context.saw(wait.namespace, wait.service, len(seen))


def _selecting(context: Context, wait: EndpointsWait) -> Service:
    """The Service of the wait. Raises :class:`RefusedError` when another writer changed its selector."""
    service = context.service(wait.namespace, wait.service)
    live = dict(service.spec.selector or {})
    if live != wait.selector:
        raise RefusedError(
            f"somebody else changed the selector while this run was under way: it is {live} now, expected "
            f"{dict(wait.selector)}",
            where=str(service.ref),
            hint="plan again, and look at who writes this Service",
        )
    return service


def _listed(context: Context, service: Service, wait: EndpointsWait) -> tuple[frozenset[str], frozenset[str]]:
    """Uids of the ready pods in a list made now, and of those that publishNotReadyAddresses would pass off as ready.

    Whoever is in the list but not in the prediction, or the other way round, came, went, or was changed by another
    writer; the last stops the run.
    """
    pods = context.list_pods(service.namespace, wait.selector)
    if {pod.name for pod in pods if counts_as_ready(pod, service)} != set(wait.pods):
        refuse_meddling(context, context.list_pods(service.namespace))
    expected = frozenset(pod.uid for pod in pods if counts_as_ready(pod, service))
    hidden = frozenset(pod.uid for pod in pods if not _serves(pod)) if _publishes_all(service) else frozenset()
    return expected, hidden


def _publishes_all(service: Service) -> bool:
    return service.spec.publish_not_ready_addresses


def _serves(pod: Pod) -> bool:
    return is_ready(pod) and pod.metadata.deletion_timestamp is None


def _managed(slices: tuple[EndpointSlice, ...]) -> bool:
    """The endpoint controller has written at least one slice, a placeholder for nobody included."""
    return any(item.metadata.labels.get(MANAGED_BY_LABEL) == CONTROLLER for item in slices)


def _await_slices(context: Context, step: Step, wait: ExistsWait) -> None:
    clock = context.cluster.clock
    start = reported = clock.monotonic()
    service = context.service(wait.namespace, wait.service)
    with context.cluster.watch_slices(wait.namespace, wait.service) as watch:
        slices = _own(watch.current(), service)
        while not _managed(slices):
            now = clock.monotonic()
            if now - start >= wait.timeout_seconds:
                raise WaitTimeoutError(
                    f"step {step.number}: Service {wait.namespace}/{wait.service} has no EndpointSlice after "
                    f"{wait.timeout_seconds} s: the endpoint controller does not answer",
                    hint="is kube-controller-manager running?",
                )
            if now - reported >= REPORT_SECONDS:
                reported = now
                context.listener(progress(step, 0, 1, now - start))
            context.check()
            slices = _own(watch.wait(_LOOK_SECONDS), service)


def _own(slices: tuple[EndpointSlice, ...], service: Service) -> tuple[EndpointSlice, ...]:
    """Only the slices of this very Service: those of a deleted one of the same name live on for a moment."""
    uid = service.metadata.uid
    return tuple(item for item in slices if any(owner.uid == uid for owner in item.metadata.owner_references))


def progress(step: Step, seen: int, expected: int, seconds: float) -> WaitProgress:
    """How far a wait is."""
    return WaitProgress(number=step.number, seen=seen, expected=expected, seconds=seconds)


def _timeout(step: Step, wait: EndpointsWait, seen: int, expected: int) -> WaitTimeoutError:
    return WaitTimeoutError(
        f"step {step.number}: the EndpointSlices of Service {wait.namespace}/{wait.service} list {seen} ready pods "
        f"after {wait.timeout_seconds} s, expected the {expected} that match",
        hint="is kube-controller-manager running, and does it keep up? A longer --timeout waits longer",
    )
