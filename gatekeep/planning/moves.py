"""The one general order: widen, prove, narrow, prove.

Rotations move through nested sets only: first the union, then the target, never through a mixture, because a Service
with more than one EndpointSlice is not switched atomically. Why each barrier stands where it stands:
``docs/design/0002-order-and-barriers.md``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping

import msgspec

from gatekeep.model.objects import Pod, Service
from gatekeep.model.policy import Gate
from gatekeep.model.waits import ExistsWait, GateLabel
from gatekeep.planning.draft import Draft, Edits, helper_body, helper_name
from gatekeep.planning.preflight import is_helper
from gatekeep.planning.task import GateTask, base_of, gated, gates_on, temporary_gate

SEEN = "prove that the endpoint controller has seen the labels"


def move(draft: Draft, task: GateTask) -> None:
    """Adds every step that ``task`` needs; none when all is as it should be.

    After a run that did not end, a marker comes first: its selectors may not have been read yet.
    """
    before, count, phase = created_helpers(draft), len(draft.steps), draft.phase
    if task.unsettled:
        _prove_selectors_read(draft, task)
    opening = len(draft.steps)
    _rotate(draft, task)
    if len(draft.steps) == opening:
        del draft.steps[count:]
        draft.phase = phase
        return
    helpers = [item for item in created_helpers(draft) if item not in before]
    draft.next_phase()
    draft.delete_helpers(helpers, reason="remove the helper Services", policy=task.reference)
    draft.next_phase()


def _rotate(draft: Draft, task: GateTask) -> None:
    if task.target is None:
        _retire(draft, task)
    else:
        if _keeps_key_only(draft, task, task.target):
            _switch(draft, task, temporary_gate(task.name.name))
        _switch(draft, task, task.target)
        _narrow(draft, task, task.target)
        _unlabel(draft, task, [gate for gate in task.known if gate != task.target])


def created_helpers(draft: Draft) -> list[tuple[str, str]]:
    """Namespace and name of every helper Service that the steps so far create."""
    return [
        (change.namespace, change.name) for step in draft.steps if step.action == "Create" for change in step.changes
    ]


def _keeps_key_only(draft: Draft, task: GateTask, target: Gate) -> bool:
    """Some Service requires the target's key with another value: no two-step order is safe, a second key is."""
    return any(
        gate.key == target.key and gate.value != target.value
        for service in task.services
        for gate in gates_on(draft.selector(service), task.known)
    )


def _switch(draft: Draft, task: GateTask, gate: Gate) -> None:
    """Brings the Services under ``gate``: label who joins, prove it, switch the selectors that lack it, confirm."""
    pending = [item for item in task.services if gates_on(draft.selector(item), task.known) != (gate,)]
    if task.target is not None and gate != task.target:
        pending = [item for item in pending if task.target.key in draft.selector(item)]
    union = _union(draft, task, pending)
    strangers = {pod.uid: (gate.key,) for pod in _strangers(draft, task, gate, pending, union)}
    joining = _needing(draft, task, gate, union)
    if strangers or any(gate.key in draft.labels(pod) for pod in joining):
        _prove_selectors_read(draft, task)
    _strip(draft, task, strangers, "take off a label that would let in who is to stay out")
    wanted = {item.name: gated(_base(draft, task, item), gate) for item in pending}
    if task.unsettled and joining:
        # A killed run may have taken this very label off a moment ago, and the controller may still see it there.
        if pending:
            _shadow(draft, task, pending, wanted)
        else:
            _confirm(draft, task, SEEN)
        draft.next_phase()
    _label(draft, task, gate, joining, switching=bool(pending))
    draft.next_phase()
    if pending:
        _shadow(draft, task, pending, wanted)
        draft.next_phase()
        _select(draft, task, pending, wanted, must_be_read=bool(_leaving(draft, task, gate)))
    elif joining or _leaving(draft, task, gate):
        # Who leaves goes only after who joins is in, labels that a killed run put on a moment ago included.
        _confirm(draft, task, SEEN)
    draft.next_phase()


def _needing(draft: Draft, task: GateTask, gate: Gate, uids: set[str]) -> list[Pod]:
    """Those of ``uids`` that do not carry ``gate`` yet."""
    return [
        pod
        for pod in draft.snapshot.pods_in(task.name.namespace)
        if pod.uid in uids and draft.labels(pod).get(gate.key) != gate.value
    ]


def _strangers(draft: Draft, task: GateTask, gate: Gate, pending: list[Service], wanted: set[str]) -> list[Pod]:
    """Who carries ``gate`` by chance: the switch would let them in, though neither rotation holds them."""
    switched = [item for item in task.services if item not in pending]
    entitled = {pod.uid for item in switched for pod in draft.matched(item.namespace, draft.selector(item))} | wanted
    return [
        pod
        for pod in (_behind(draft, task) if pending else ())
        if draft.labels(pod).get(gate.key) == gate.value and pod.uid not in entitled
    ]


def _retire(draft: Draft, task: GateTask) -> None:
    """Takes the gate off: selectors first, proof that they were read, then the labels."""
    pending = [item for item in task.services if gates_on(draft.selector(item), task.known)]
    if pending:
        wanted = {item.name: _base(draft, task, item) for item in pending}
        _select(draft, task, pending, wanted, must_be_read=False)
        draft.next_phase()
    _unlabel(draft, task, task.known)


def _select(
    draft: Draft,
    task: GateTask,
    services: list[Service],
    wanted: Mapping[str, Mapping[str, str]],
    *,
    must_be_read: bool,
) -> None:
    """Patches the selectors and confirms. Where the slices stay the same they prove nothing: then a marker does."""
    lost_a_key = any(set(draft.selector(item)) - set(wanted[item.name]) for item in services)
    silent = any(_same_rotation(draft, item, wanted[item.name]) for item in services)
    draft.select(wanted, services, reason="switch the selector", policy=task.reference)
    draft.next_phase()
    if lost_a_key or (silent and must_be_read):
        _marker(draft, task)
    _confirm(draft, task, "confirm the endpoints")


def _same_rotation(draft: Draft, service: Service, wanted: Mapping[str, str]) -> bool:
    """The switch changes nothing in the slices."""
    return draft.matched(service.namespace, draft.selector(service)) == draft.matched(service.namespace, wanted)


def _union(draft: Draft, task: GateTask, pending: list[Service]) -> set[str]:
    """Who must carry ``gate`` before the switch: the target where that is nested in what serves now, else both."""
    target = set(task.members)
    serving = {item.name: {pod.uid for pod in draft.matched(item.namespace, draft.selector(item))} for item in pending}
    reachable = {
        item.name: {pod.uid for pod in draft.matched(item.namespace, _base(draft, task, item))} for item in pending
    }
    if any(not (target & reachable[name] <= serving[name]) for name in serving):
        target = target.union(*serving.values())
    return target


def _label(draft: Draft, task: GateTask, gate: Gate, pods: list[Pod], *, switching: bool) -> None:
    """Before a switch the step stands even if nobody needs the label now: somebody may be born who does."""
    if not pods and not switching:
        return
    edits = {pod.uid: _edit(((gate.key, draft.labels(pod).get(gate.key), gate.value),)) for pod in pods}
    match = msgspec.structs.replace(task.match, gate=GateLabel(key=gate.key, value=gate.value))
    draft.label(edits, pods, reason="label the pods that join", policy=task.reference, match=match)


def _shadow(
    draft: Draft, task: GateTask, pending: list[Service], wanted: Mapping[str, Mapping[str, str]], reason: str = SEEN
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


def _marker(draft: Draft, task: GateTask) -> None:
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


def _confirm(draft: Draft, task: GateTask, reason: str) -> None:
    for service in task.services:
        draft.await_endpoints(
            service, draft.selector(service), name=service.name, reason=reason, policy=task.reference,
            timeout_seconds=task.timeout_seconds,
        )  # fmt: skip


def _narrow(draft: Draft, task: GateTask, gate: Gate) -> None:
    """Takes the label off the pods that leave, and waits until they are out."""
    leaving = _leaving(draft, task, gate)
    if not leaving:
        return
    _strip(draft, task, {pod.uid: (gate.key,) for pod in leaving}, "take the label off the pods that leave")
    draft.next_phase()
    _confirm(draft, task, "confirm that they are out of rotation")
    draft.next_phase()


def _leaving(draft: Draft, task: GateTask, gate: Gate) -> list[Pod]:
    return [
        pod
        for pod in _behind(draft, task)
        if draft.labels(pod).get(gate.key) == gate.value and pod.uid not in task.members
    ]


def _unlabel(draft: Draft, task: GateTask, gates: Iterable[Gate]) -> None:
    """Takes off the labels of gates that no selector requires any more; those that were there before a gate stay.

    Without a switch in this plan nothing shows that the last one was read, so then a marker comes first.
    """
    found: dict[str, tuple[str, ...]] = {}
    temporary = temporary_gate(task.name.name)
    needed = {pair for item in draft.snapshot.services_in(task.name.namespace) for pair in draft.selector(item).items()
              if not is_helper(item)}  # fmt: skip
    unused = [gate for gate in gates if (gate.key, gate.value) not in needed]
    for pod in _behind(draft, task):
        labels = draft.labels(pod)
        stale = [gate for gate in unused if labels.get(gate.key) == gate.value]
        keys = {gate.key for gate in stale if gate == temporary or pod.uid not in task.kept}
        if keys:
            found[pod.uid] = tuple(sorted(keys))
    if not found:
        return
    _prove_selectors_read(draft, task)
    _strip(draft, task, found, "take off the label that no selector requires now")
    draft.next_phase()
    _prove_unlabelled(draft, task, [gate for gate in unused if any(gate.key in keys for keys in found.values())])


def _prove_unlabelled(draft: Draft, task: GateTask, gates: Iterable[Gate]) -> None:
    """No selector tells whether these labels are gone, so a shadow that still asks for them must come out empty.

    Else the next plan that puts such a label back, within the lag of the pod stream, could take what the controller
    saw before for what it sees after.
    """
    for gate in gates:
        wanted = {item.name: gated(_base(draft, task, item), gate) for item in task.services}
        _shadow(draft, task, list(task.services), wanted, "prove that the endpoint controller has seen the labels go")


def _prove_selectors_read(draft: Draft, task: GateTask) -> None:
    """Before a label goes or changes: a selector may rely on it that a killed run replaced and nobody has read yet."""
    if not any(step.wait and isinstance(step.wait, ExistsWait) for step in draft.steps):
        _marker(draft, task)
        draft.next_phase()


def _strip(draft: Draft, task: GateTask, keys: Mapping[str, tuple[str, ...]], reason: str) -> None:
    """Removes labels; ``keys`` by pod uid."""
    pods = [pod for pod in draft.snapshot.pods_in(task.name.namespace) if pod.uid in keys]
    edits = {pod.uid: _edit(tuple([(key, draft.labels(pod)[key], None) for key in keys[pod.uid]])) for pod in pods}
    draft.label(edits, pods, reason=reason, policy=task.reference)


@functools.lru_cache(maxsize=256)
def _edit(moves: tuple[tuple[str, str | None, str | None], ...]) -> Edits:
    """Key, old and new value; one object for all pods that move alike."""
    return {key: (old, new) for key, old, new in moves}


def _behind(draft: Draft, task: GateTask) -> list[Pod]:
    """Every pod that a Service of the gate would reach without the gate, by name."""
    found: dict[str, Pod] = {}
    for service in task.services:
        found.update((pod.uid, pod) for pod in draft.matched(service.namespace, _base(draft, task, service)))
    return sorted(found.values(), key=lambda pod: pod.name)


def _base(draft: Draft, task: GateTask, service: Service) -> dict[str, str]:
    return base_of(draft.selector(service), task.known)
