"""The last look before a write that takes pods out of rotation: does the floor hold on the cluster as it is now?

The proof was made on a snapshot; pods may have died since. That is not the plan's fault, but a step that would leave a
Service below its floor, or below what it has when that is less, is not taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from gatekeep.execute.context import Context
from gatekeep.execute.meddling import refuse_meddling
from gatekeep.model import patches
from gatekeep.model.endpoints import counts_as_ready, is_local
from gatekeep.model.errors import UnsafeError
from gatekeep.model.events import WaitProgress
from gatekeep.model.objects import Pod, Service
from gatekeep.model.plan import Change, Plan, ServiceForecast, Step
from gatekeep.model.selectors import matches_map
from gatekeep.model.waits import EndpointsWait

_LOOK_SECONDS = 1.0


def check_floor(context: Context, step: Step, changes: Sequence[Change]) -> None:
    """Returns once ``changes``, all that ``step`` is about to write, leave as many ready endpoints as was planned.

    Pods that are to stay may have died since, and their successors are on the way: who leaves waits for them, no longer
    than the next wait would. Raises :class:`UnsafeError` when a floor would break, or when they do not come.
    """
    if not _narrows(changes):
        return
    clock = context.cluster.clock
    start = reported = clock.monotonic()
    while (lack := _lack(context, step, changes)) is not None:
        waited = clock.monotonic() - start
        if waited >= lack.timeout_seconds:
            raise _refusal(
                step,
                lack.service,
                f"{lack.ready} ready endpoints, {lack.planned} were planned: pods that are to stay are gone or unready "
                f"and nobody took their place in {lack.timeout_seconds} s",
            )
        if clock.monotonic() - reported >= _LOOK_SECONDS:
            reported = clock.monotonic()
            context.listener(WaitProgress(number=step.number, seen=lack.ready, expected=lack.planned, seconds=waited))
        context.check()
        clock.sleep(_LOOK_SECONDS)


class _Lack(NamedTuple):
    """A Service that would have fewer ready endpoints than planned, and how long to wait for them."""

    service: Service
    ready: int
    planned: int
    timeout_seconds: int


def _lack(context: Context, step: Step, changes: Sequence[Change]) -> _Lack | None:
    selectors = _selectors_after(changes)
    labels = _labels_after(changes)
    pods: dict[str, tuple[Pod, ...]] = {}
    previews = {(gate.namespace, gate.preview) for gate in context.plan.gates}
    for forecast in context.plan.services:
        key = (forecast.namespace, forecast.name)
        if key in previews or forecast.namespace not in {change.namespace for change in changes}:
            continue
        if forecast.namespace not in pods:
            pods[forecast.namespace] = context.list_pods(forecast.namespace)
        service = context.service(*key)
        now, then = _check(step, forecast, service, selectors, labels, pods[forecast.namespace])
        wait = _next_wait(context.plan, step, key)
        if wait is not None and then < min(len(wait.pods), now):
            refuse_meddling(context, pods[forecast.namespace])
            return _Lack(service, then, min(len(wait.pods), now), wait.timeout_seconds)
    return None


def _next_wait(plan: Plan, step: Step, key: tuple[str, str]) -> EndpointsWait | None:
    """What the plan predicts for the Service once the step is done."""
    later = (item.wait for item in plan.steps[step.number :] if isinstance(item.wait, EndpointsWait))
    return next((wait for wait in later if (wait.namespace, wait.service) == key), None)


def _narrows(changes: Sequence[Change]) -> bool:
    """A selector is patched, or labels are taken off."""
    return any(
        change.kind == "Service"
        or any(op.op in ("remove", "replace") and patches.is_label(op.path) for op in change.patch)
        for change in changes
    )


def _check(
    step: Step,
    forecast: ServiceForecast,
    service: Service,
    selectors: Mapping[tuple[str, str], Mapping[str, str]],
    labels: Mapping[str, Mapping[str, str | None]],
    pods: tuple[Pod, ...],
) -> tuple[int, int]:
    """How many ready endpoints the Service has now, and then."""
    live = service.spec.selector or {}
    wanted = selectors.get((service.namespace, service.name), live)
    ready = [pod for pod in pods if counts_as_ready(pod, service)]
    now = [pod for pod in ready if matches_map(live, pod.labels)]
    then = [pod for pod in ready if matches_map(wanted, _edited(pod, labels.get(pod.uid)))]
    required = min(forecast.floor, len(now))
    if len(then) < required:
        raise _refusal(
            step,
            service,
            f"{len(then)} ready endpoints, at least {required} must stay: pods died or changed since the plan was made "
            f"({len(forecast.before)} were ready then, {len(now)} are now)",
        )
    if is_local(service) and (bare := _nodes(now) - _nodes(then) - _given_up(forecast, ready)):
        raise _refusal(
            step,
            service,
            f"no ready endpoint on node {min(bare)}; its traffic policy is Local, so every node that has one keeps one",
        )
    return len(now), len(then)


def _nodes(pods: Iterable[Pod]) -> set[str]:
    return {pod.spec.node_name for pod in pods}


def _given_up(forecast: ServiceForecast, ready: Iterable[Pod]) -> set[str]:
    """Nodes that the plan itself, and so its proof, leaves without an endpoint: none that it began with."""
    known = {*forecast.before, *forecast.after}
    return _nodes(pod for pod in ready if pod.name not in known) - _nodes(pod for pod in ready if pod.name in known)


def _refusal(step: Step, service: Service, what: str) -> UnsafeError:
    return UnsafeError(
        f"step {step.number} would leave {service.ref} with {what}",
        where=str(service.ref),
        hint="plan again; the new plan takes the pods as they are",
    )


def _selectors_after(changes: Sequence[Change]) -> dict[tuple[str, str], Mapping[str, str]]:
    found: dict[tuple[str, str], Mapping[str, str]] = {}
    for change in changes:
        if change.kind != "Service":
            continue
        tested = next(op.value for op in change.patch if op.op == "test" and op.path == "/spec/selector")
        after = patches.apply({"metadata": {"uid": change.uid}, "spec": {"selector": dict(tested)}}, change.patch)
        found[change.namespace, change.name] = after["spec"]["selector"]
    return found


def _labels_after(changes: Sequence[Change]) -> dict[str, dict[str, str | None]]:
    found: dict[str, dict[str, str | None]] = {}
    for change in changes:
        if change.kind != "Pod" or change.uid is None:
            continue
        found[change.uid] = patches.written_labels(change.patch)
    return found


def _edited(pod: Pod, edits: Mapping[str, str | None] | None) -> Mapping[str, str]:
    if not edits:
        return pod.labels
    labels = {key: value for key, value in pod.labels.items() if key not in edits}
    labels.update((key, value) for key, value in edits.items() if value is not None)
    return labels
