"""The one general order: widen, prove, narrow, prove.

Rotations move through nested sets only: first the union, then the target, never through a mixture, because a Service
with more than one EndpointSlice is not switched atomically. Why each barrier stands where it stands:
``docs/design/0002-order-and-barriers.md``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from gatekeep.model.matching import in_match
from gatekeep.model.objects import Pod, Service
from gatekeep.model.plan import Match
from gatekeep.model.policy import Gate
from gatekeep.model.selectors import LabelSelector
from gatekeep.model.waits import GateLabel
from gatekeep.planning.admitting import admit
from gatekeep.planning.adoption import change_templates
from gatekeep.planning.barriers import (
    SEEN,
    base,
    behind,
    confirm,
    created_helpers,
    marker,
    prove_selectors_read,
    prove_unlabelled,
    shadow,
)
from gatekeep.planning.draft import Draft, Edits
from gatekeep.planning.giving import lacking, let_go, restore, retract
from gatekeep.planning.preflight import is_helper
from gatekeep.planning.task import GateTask, Sparing, gated, gates_on, temporary_gate


def move(draft: Draft, task: GateTask) -> None:
    """Adds every step that ``task`` needs; none when all is as it should be.

    After a run that did not end, a marker comes first: its selectors may not have been read yet.
    """
    before, count, phase = created_helpers(draft), len(draft.steps), draft.phase
    if task.unsettled:
        prove_selectors_read(draft, task)
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
        if task.holds_new:
            retract(draft, task, task.target.key)
        if _keeps_key_only(draft, task, task.target):
            _switch(draft, task, temporary_gate(task.name.name))
        _switch(draft, task, task.target)
        retract(draft, task, task.target.key)
        _narrow(draft, task, task.target)
        _unlabel(draft, task, [gate for gate in task.known if gate != task.target])
    let_go(draft, task)


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
    strangers = _strangers(draft, task, gate, pending, union)
    joining = _needing(draft, task, gate, union)
    if strangers or any(gate.key in draft.labels(pod) for pod in joining):
        prove_selectors_read(draft, task)
    _strip(draft, task, gate, strangers, "take off a label that would let in who is to stay out")
    wanted = {item.name: gated(base(draft, task, item), gate) for item in pending}
    if task.unsettled and joining:
        # A killed run may have taken this very label off a moment ago, and the controller may still see it there.
        if pending:
            shadow(draft, task, pending, wanted)
        else:
            confirm(draft, task, SEEN)
        draft.next_phase()
    adopting = lacking(draft, task, gate.key, gate.value)
    admits = gate == task.target and admit(draft, task)
    stands = bool(pending or adopting or admits)
    if adopting:
        label = GateLabel(key=gate.key, value=gate.value)
        change_templates(draft, task, label, adopting, lambda: _label(draft, task, gate, joining, stands=stands))
    else:
        _label(draft, task, gate, joining, stands=stands)
    draft.next_phase()
    if pending:
        shadow(draft, task, pending, wanted)
        draft.next_phase()
        _select(draft, task, pending, wanted, must_be_read=bool(_leaving(draft, task, gate)))
    elif joining or _leaving(draft, task, gate):
        # Who leaves goes only after who joins is in, labels that a killed run put on a moment ago included.
        confirm(draft, task, SEEN)
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
        for pod in (behind(draft, task) if pending else ())
        if draft.labels(pod).get(gate.key) == gate.value and pod.uid not in entitled
    ]


def _retire(draft: Draft, task: GateTask) -> None:
    """Takes the gate off: selectors first, proof that they were read, then the labels."""
    pending = [item for item in task.services if gates_on(draft.selector(item), task.known)]
    if pending:
        wanted = {item.name: base(draft, task, item) for item in pending}
        _select(draft, task, pending, wanted, must_be_read=False)
        draft.next_phase()
    restore(draft, task)
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
        marker(draft, task)
    confirm(draft, task, "confirm the endpoints")


def _same_rotation(draft: Draft, service: Service, wanted: Mapping[str, str]) -> bool:
    """The switch changes nothing in the slices."""
    return draft.matched(service.namespace, draft.selector(service)) == draft.matched(service.namespace, wanted)


def _union(draft: Draft, task: GateTask, pending: list[Service]) -> set[str]:
    """Who must carry ``gate`` before the switch: the target where that is nested in what serves now, else both."""
    target = set(task.members)
    serving = {item.name: {pod.uid for pod in draft.matched(item.namespace, draft.selector(item))} for item in pending}
    reachable = {
        item.name: {pod.uid for pod in draft.matched(item.namespace, base(draft, task, item))} for item in pending
    }
    if any(not (target & reachable[name] <= serving[name]) for name in serving):
        target = target.union(*serving.values())
    return target


def _label(draft: Draft, task: GateTask, gate: Gate, pods: list[Pod], *, stands: bool) -> None:
    """Before a switch, and where templates change, it stands even if nobody needs it now: somebody may be born."""
    if not pods and not stands:
        return
    edits = {pod.uid: _edit(((gate.key, draft.labels(pod).get(gate.key), gate.value),)) for pod in pods}
    match = msgspec.structs.replace(task.match, gate=GateLabel(key=gate.key, value=gate.value))
    whole = [pod for pod in pods if in_match(match, draft.labels(pod), draft.snapshot.owner_uids(pod))]
    picked = [pod for pod in pods if pod not in whole] if len(whole) < len(pods) else []
    draft.label(edits, picked, reason="label the pods that were picked", policy=task.reference)
    draft.label(edits, whole, reason="label the pods that join", policy=task.reference, match=match)


def _narrow(draft: Draft, task: GateTask, gate: Gate) -> None:
    """Takes the label off the pods that leave, and waits until they are out."""
    leaving = _leaving(draft, task, gate)
    if not leaving:
        return
    members = msgspec.structs.replace(task.match, namespace="", gate=None)
    match = None
    if task.strips and not task.holds_new and any(pod.uid not in task.match.except_uids for pod in leaving):
        match = _carriers(draft, task, gate, [members], _picked(draft, task))
    _strip(draft, task, gate, leaving, "take the label off the pods that leave", match)
    draft.next_phase()
    confirm(draft, task, "confirm that they are out of rotation")
    draft.next_phase()


def _leaving(draft: Draft, task: GateTask, gate: Gate) -> list[Pod]:
    return [
        pod
        for pod in behind(draft, task)
        if draft.labels(pod).get(gate.key) == gate.value and pod.uid not in task.members
    ]


def _unlabel(draft: Draft, task: GateTask, gates: Iterable[Gate]) -> None:
    """Takes off the labels of gates that no selector requires any more; those that were there before a gate stay.

    Without a switch in this plan nothing shows that the last one was read, so then a marker comes first.
    """
    needed = {pair for item in draft.snapshot.services_in(task.name.namespace) for pair in draft.selector(item).items()
              if not is_helper(item)}  # fmt: skip
    unused = [gate for gate in gates if (gate.key, gate.value) not in needed]
    stale = [gate for gate in unused if _carrying(draft, task, gate) or _is_given(draft, task, gate.key)]
    if not stale:
        return
    prove_selectors_read(draft, task)
    gone = []
    for gate in stale:
        retract(draft, task, gate.key)
        if pods := _carrying(draft, task, gate):
            match = _spared_carriers(draft, task, gate, task.strips) if task.strips else None
            _strip(draft, task, gate, pods, "take off the label that no selector requires now", match)
            gone.append(gate)
    draft.next_phase()
    prove_unlabelled(draft, task, gone)


def _picked(draft: Draft, task: GateTask) -> tuple[str, ...]:
    """Members that were picked by number: the match does not know them, and they keep their label."""
    owners = draft.snapshot.owner_uids
    found = (pod for pod in behind(draft, task) if pod.uid in task.members)
    return tuple(sorted(pod.uid for pod in found if not in_match(task.match, draft.labels(pod), owners(pod))))


def _is_given(draft: Draft, task: GateTask, key: str) -> bool:
    """Later pods get the label still, and should not."""
    return bool(lacking(draft, task, key, None)) or any(item.key == key for item in task.withdrawn)


def _carrying(draft: Draft, task: GateTask, gate: Gate) -> list[Pod]:
    """Who carries ``gate`` and did not before gatekeep put it there."""
    temporary = gate == temporary_gate(task.name.name)
    return [
        pod
        for pod in behind(draft, task)
        if draft.labels(pod).get(gate.key) == gate.value and (temporary or pod.uid not in task.kept)
    ]


def _spared_carriers(draft: Draft, task: GateTask, gate: Gate, spared: Sparing) -> Match:
    """Whoever carries ``gate`` by gatekeep's hand; nobody had the temporary one before it."""
    if gate == temporary_gate(task.name.name):
        return _carriers(draft, task, gate, ())
    owners = [Match(owner_uids=spared.owner_uids)] if spared.owner_uids else []
    return _carriers(draft, task, gate, owners, spared.pod_uids)


def _carriers(draft: Draft, task: GateTask, gate: Gate, but: Sequence[Match], spared: tuple[str, ...] = ()) -> Match:
    """Whoever carries ``gate`` behind the gate's Services when the step is taken, born since the plan included."""
    return Match(
        namespace=task.name.namespace,
        selector=LabelSelector(match_labels={gate.key: gate.value}),
        any_of=tuple(Match(selector=LabelSelector(match_labels=base(draft, task, item))) for item in task.services),
        except_=tuple(but) or None,
        except_uids=spared,
        gate=GateLabel(key=gate.key, value=None),
    )


def _strip(
    draft: Draft, task: GateTask, gate: Gate, pods: Sequence[Pod], reason: str, match: Match | None = None
) -> None:
    """Takes the label of ``gate`` off ``pods``."""
    edit = _edit(((gate.key, gate.value, None),))
    draft.label({pod.uid: edit for pod in pods}, pods, reason=reason, policy=task.reference, match=match)


@functools.lru_cache(maxsize=256)
def _edit(moves: tuple[tuple[str, str | None, str | None], ...]) -> Edits:
    """Key, old and new value; one object for all pods that move alike."""
    return {key: (old, new) for key, old, new in moves}
