"""Keeps the record of a gate: what was applied, by whom, and the last runs. Written only under the gate's lock."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import msgspec

from gatekeep.cluster.protocol import Cluster
from gatekeep.execute.resend import resending
from gatekeep.model.errors import AlreadyExistsError, NotFoundError
from gatekeep.model.objects import ConfigMap, ObjectRef
from gatekeep.model.patches import Op, uid_guard
from gatekeep.model.plan import Adopted, GateTarget, Hold, Source
from gatekeep.model.policy import Gate, Position, TrafficGate
from gatekeep.model.progress import Isolated, Progress
from gatekeep.model.record import (
    Beginning,
    GateName,
    Record,
    Run,
    decode,
    encode,
    managed_labels,
    object_name,
    with_run,
)

DONE = "done"
"""The outcome of a run that did all it set out to do."""


def read(cluster: Cluster, gate: GateName) -> tuple[Record | None, str]:
    """The gate's record and its ConfigMap's uid; None and "" where there is none."""
    try:
        config_map = msgspec.convert(resending(cluster.clock, lambda: cluster.get(_ref(gate))), ConfigMap)
    except NotFoundError:
        return None, ""
    return decode(config_map), config_map.metadata.uid


def is_current(target: GateTarget, record: Record | None) -> bool:
    """The record says already what applying ``target`` would make it say, and no run is under way or was cut short."""
    if target.action == "Retire":
        return record is None
    if record is None:
        return False
    settled = not record.pending and record.wanted is None and bool(record.runs) and record.runs[0].outcome == DONE
    if not settled or record.holds or set(record.adopted) != set(target.adopted):
        return False
    if _timeless(record.progress, record.isolations) != _timeless(target.progress, target.isolations):
        return False
    return record.policy == policy_of(target) and record.gate == _gate(target)


def _timeless(progress: Progress | None, isolations: Iterable[Isolated]) -> tuple[Progress | Isolated | None, ...]:
    """As a plan has it: there is no clock in a plan."""
    items = (progress, *isolations)
    return tuple(item if item is None else msgspec.structs.replace(item, since="") for item in items)


def begin(cluster: Cluster, target: GateTarget, run: Run, source: Source) -> Record:
    """Writes that ``run`` is under way, before it writes anything else.

    Until it is done, every gate that may stand on a Service stays remembered, and so do all workloads whose later pods
    may carry the label, and all that may be held still. Of two holds on one workload the plan's counts: it was made of
    the record and of the cluster.
    """
    gate = GateName(target.namespace, target.name)
    old, uid = read(cluster, gate)
    wanted = _gate(target)
    if target.action == "Retire":
        if old is None:
            raise NotFoundError("the record is gone", where=str(_ref(gate)))
        record = msgspec.structs.replace(old, adopted=_adopted(old, target), holds=_holds(old, target))
        run = msgspec.structs.replace(run, before=_beginning(old, target))
    else:
        run = msgspec.structs.replace(run, before=_beginning(old, target))
        gates = {wanted: None} | ({old.gate: None} | dict.fromkeys(old.pending) if old else {})
        record = Record(
            policy=old.policy if old else policy_of(target),
            wanted=policy_of(target),
            source=_position(target, source) or (old.source if old else None),
            repository=source.repository if _position(target, source) or not old else old.repository,
            gate=old.gate if old else wanted,
            pending=tuple(gate for gate in gates if not old or gate != old.gate) if old else (),
            kept=target.kept,
            adopted=_adopted(old, target),
            holds=_holds(old, target),
            progress=_begun(old, target, run.started),
            isolations=_isolations_begun(old, target, run.started),
            runs=old.runs if old else (),
        )
    record = with_run(record, run)
    _write(cluster, gate, record, uid)
    return record


def end(cluster: Cluster, target: GateTarget, run: Run, *, done: bool) -> None:
    """Writes how ``run`` ended; only a run that is done settles which gate stands."""
    gate = GateName(target.namespace, target.name)
    record, uid = read(cluster, gate)
    if record is None:
        return
    if done:
        record = msgspec.structs.replace(
            record,
            gate=_gate(target),
            pending=(),
            policy=policy_of(target),
            wanted=None,
            adopted=target.adopted,
            holds=(),
            progress=_dated(target.progress, record.progress, run.ended),
            isolations=tuple(_isolation_dated(item, record, run.ended) for item in target.isolations),
        )
        run = msgspec.structs.replace(run, selectors=_selectors(cluster, target))
    _write(cluster, gate, with_run(record, run), uid)


def advance(cluster: Cluster, gate: GateName, progress: Progress, now: str) -> None:
    """Writes how far a run that is under way has come; ``now`` is RFC 3339."""
    record, uid = read(cluster, gate)
    if record is not None:
        _write(cluster, gate, msgspec.structs.replace(record, progress=_dated(progress, record.progress, now)), uid)


def _beginning(old: Record | None, target: GateTarget) -> Beginning:
    """Where a run begins; one that goes on after another that did not end, where that one began."""
    if old is None:
        return Beginning()
    if old.runs and old.runs[0].outcome != DONE and old.runs[0].before is not None:
        return old.runs[0].before
    return Beginning(policy=old.policy, progress=old.progress, picked=target.picked, isolations=old.isolations)


def _begun(old: Record | None, target: GateTarget, now: str) -> Progress | None:
    """Where the run stands as it begins: whoever comes after one that was killed goes on from there, never back.

    An abort counts from its beginning, and so does that a pause is over.
    """
    former, wanted = old.progress if old is not None else None, target.progress
    if wanted is None or wanted.phase == "Aborted":
        return _dated(wanted, former, now)
    if former is None or former.run != wanted.run or former.phase == "Aborted":
        return _dated(msgspec.structs.replace(wanted, phase="Running", step=0, since=""), former, now)
    if former.phase == "Paused" and wanted.step > former.step:
        return _dated(msgspec.structs.replace(former, phase="Running", step=former.step + 1), former, now)
    return former


def _dated(progress: Progress | None, former: Progress | None, now: str) -> Progress | None:
    """Since when the run is where it is."""
    if progress is None:
        return None
    same = former is not None and (former.run, former.phase, former.step) == (
        progress.run,
        progress.phase,
        progress.step,
    )
    since = former.since if former is not None and same and former.since else now
    return msgspec.structs.replace(progress, since=since)


def _isolations_begun(old: Record | None, target: GateTarget, now: str) -> tuple[Isolated, ...]:
    """Until the run is done everybody stays known who was isolated, and everybody who will be."""
    former = {item.name: item for item in old.isolations} if old is not None else {}
    wanted = {item.name: item for item in target.isolations}
    found = []
    for name in sorted(former.keys() | wanted.keys()):
        item = wanted.get(name) or former[name]
        pods = {pod.uid: pod for pod in (*(former[name].pods if name in former else ()), *item.pods)}
        since = former[name].since if name in former else now
        found.append(msgspec.structs.replace(item, pods=tuple(pods.values()), since=since))
    return tuple(found)


def _isolation_dated(item: Isolated, record: Record, now: str) -> Isolated:
    former = next((one for one in record.isolations if one.name == item.name), None)
    since = former.since if former is not None and former.since else now
    return msgspec.structs.replace(item, since=since)


def _selectors(cluster: Cluster, target: GateTarget) -> dict[str, dict[str, str]]:
    """The selectors as the run left them: what an undo must find again."""
    found = {}
    for name in target.services:
        ref = ObjectRef("Service", target.namespace, name)
        try:
            service = resending(cluster.clock, functools.partial(cluster.get, ref))
        except NotFoundError:
            continue
        found[name] = dict((service.get("spec") or {}).get("selector") or {})
    return found


def forget(cluster: Cluster, target: GateTarget) -> None:
    """Removes the record of a retired gate."""
    gate = GateName(target.namespace, target.name)
    _, uid = read(cluster, gate)
    try:
        if uid:
            resending(cluster.clock, lambda: cluster.delete(_ref(gate), uid))
    except NotFoundError:
        return


def policy_of(target: GateTarget) -> TrafficGate:
    """The policy that the plan carries for the record."""
    return msgspec.convert(target.policy, TrafficGate)


def _adopted(old: Record | None, target: GateTarget) -> tuple[Adopted, ...]:
    return tuple(dict.fromkeys((*(old.adopted if old else ()), *target.adopted)))


def _holds(old: Record | None, target: GateTarget) -> tuple[Hold, ...]:
    return tuple({hold.uid: hold for hold in (*(old.holds if old else ()), *target.holds)}.values())


def _position(target: GateTarget, source: Source) -> Position | None:
    for item in source.policies:
        if item.kind == "TrafficGate" and (item.namespace, item.name) == (target.namespace, target.name):
            return Position(file=item.file, line=item.line, column=1)
    return None


def _gate(target: GateTarget) -> Gate:
    return Gate(key=target.key, value=target.value)


def _ref(gate: GateName) -> ObjectRef:
    return ObjectRef("ConfigMap", gate.namespace, object_name(gate.name))


def _write(cluster: Cluster, gate: GateName, record: Record, uid: str) -> None:
    ref, data = _ref(gate), encode(record)
    if not uid:
        metadata = {"name": ref.name, "namespace": ref.namespace, "labels": managed_labels(gate.name)}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        try:
            resending(cluster.clock, lambda: cluster.create("ConfigMap", ref.namespace, body))
            return
        except AlreadyExistsError:  # the answer to creating it got lost: nobody else writes it under the lock
            uid = str(cluster.get(ref)["metadata"]["uid"])
    patch = (uid_guard(uid), Op("add", "/data", data))
    resending(cluster.clock, lambda: cluster.patch(ref, patch))
