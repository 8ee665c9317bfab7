"""The barriers of a plan: what proves that the endpoint controller has seen what came before.

Why each one proves what it does: ``docs/design/0002-order-and-barriers.md``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from gatekeep.model.objects import Pod, Service
from gatekeep.model.policy import Gate
from gatekeep.model.waits import ExistsWait
from gatekeep.planning.draft import Draft
from gatekeep.planning.helpers import helper_body, helper_name
from gatekeep.planning.task import GateTask, base_of, gated

SEEN = "prove that the endpoint controller has seen the labels"


def created_helpers(draft: Draft) -> list[tuple[str, str]]:
    """Namespace and name of every helper Service that the steps so far create."""
    return [
        (change.namespace, change.name)
        for step in draft.steps
        if step.action == "Create"
        for change in step.changes
        if change.kind == "Service"
    ]


def shadow(
    draft: Draft,
    task: GateTask,
    pending: Sequence[Service],
    wanted: Mapping[str, Mapping[str, str]],
    reason: str = SEEN,
) -> None:
    """The barrier on the pod stream: the same controller must resolve the new selector as predicted."""
    shadows = [(item, _unused_name(draft, item, "shadow")) for item in pending]
    draft.create_helpers(
        [helper_body(item, name, wanted[item.name], task.name.name) for item, name in shadows],
        reason="ask the endpoint controller what the new selector reaches",
        policy=task.reference,
    )
    for item, name in shadows:
        draft.await_endpoints(
            item, wanted[item.name], name=name, timeout_seconds=task.timeout_seconds, reason=reason,
            policy=task.reference,
        )  # fmt: skip


def marker(draft: Draft, task: GateTask) -> None:
    """The barrier on the service stream: Services travel in order, so a marker with slices proves what came before."""
    service = task.services[0]
    name = _unused_name(draft, service, "marker")
    draft.create_helpers(
        [helper_body(service, name, draft.selector(service), task.name.name)],
        reason="mark the place in the service stream",
        policy=task.reference,
    )
    draft.await_exists(
        service.namespace, name, timeout_seconds=task.timeout_seconds,
        reason="prove that the endpoint controller has read the selector", policy=task.reference,
    )  # fmt: skip


def _unused_name(draft: Draft, service: Service, suffix: str) -> str:
    """A helper's name that neither this plan nor the snapshot knows.

    What a killed run left goes first, but its EndpointSlices may outlive it and would answer for a helper of its name.
    """
    used = {*created_helpers(draft), *draft.snapshot.service_index}
    for number in itertools.count(1):
        name = helper_name(service.name, suffix if number == 1 else f"{suffix}-{number}")
        if (service.namespace, name) not in used:
            return name
    raise AssertionError


def confirm(draft: Draft, task: GateTask, reason: str) -> None:
    """The slices of every Service of the gate hold what its selector predicts."""
    for service in task.services:
        draft.await_endpoints(
            service, draft.selector(service), name=service.name, reason=reason, policy=task.reference,
            timeout_seconds=task.timeout_seconds,
        )  # fmt: skip


def prove_selectors_read(draft: Draft, task: GateTask) -> None:
    """Before a label goes or changes: a selector may rely on it that a killed run replaced and nobody has read yet."""
    if not any(step.wait and isinstance(step.wait, ExistsWait) for step in draft.steps):
        marker(draft, task)
        draft.next_phase()


def prove_unlabelled(draft: Draft, task: GateTask, gates: Iterable[Gate]) -> None:
    """No selector tells whether these labels are gone, so a shadow that still asks for them must come out empty.

    Else the next plan that puts such a label back, within the lag of the pod stream, could take what the controller
    saw before for what it sees after.
    """
    for gate in gates:
        wanted = {item.name: gated(base(draft, task, item), gate) for item in task.services}
        shadow(draft, task, task.services, wanted, "prove that the endpoint controller has seen the labels go")


def behind(draft: Draft, task: GateTask) -> list[Pod]:
    """Every pod that a Service of the gate would reach without the gate, by name."""
    found: dict[str, Pod] = {}
    for service in task.services:
        found.update((pod.uid, pod) for pod in draft.matched(service.namespace, base(draft, task, service)))
    return sorted(found.values(), key=lambda pod: pod.name)


def base(draft: Draft, task: GateTask, service: Service) -> dict[str, str]:
    """The Service's selector after the steps so far, without the gate."""
    return base_of(draft.selector(service), task.known)
