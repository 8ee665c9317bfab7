"""Applying a verified plan: access, locks, record, steps, record."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from gatekeep.cluster.protocol import Cluster
from gatekeep.execute import history, lease, runner
from gatekeep.execute.context import Context, Stop, StoppedError
from gatekeep.execute.resend import resending
from gatekeep.metrics.measurement import Measure
from gatekeep.model.durations import timestamp
from gatekeep.model.errors import ForbiddenError, GatekeepError, IncompleteError, SignalledError
from gatekeep.model.events import Listener, Note, ignore
from gatekeep.model.outcomes import Outcome, ServiceOutcome
from gatekeep.model.plan import Access, GateTarget, Plan
from gatekeep.model.record import GateName, Run
from gatekeep.operations.verify import require_applicable, stale
from gatekeep.proof import drift
from gatekeep.proof.verify import VerifiedPlan

WORKERS = 32
_SHOWN = 240


def never_stop() -> int | None:
    """No signal ever comes."""
    return None


def apply_plan(
    cluster: Cluster,
    verified: VerifiedPlan,
    *,
    identity: str,
    run_id: str,
    listener: Listener = ignore,
    lock_timeout: float = 60.0,
    stop: Stop = never_stop,
    workers: int = WORKERS,
    measure: Measure | None = None,
    action: str = "apply",
) -> Outcome:
    """Carries out a plan that has been proved; nothing is written unless all of it may be.

    ``identity`` says who runs this, ``run_id`` tells runs apart, ``lock_timeout`` is in seconds; ``measure`` asks the
    checks' queries; ``action`` is what the record calls the run. Raises what the contract names: 77 access, 75 lock, 3
    or 4 before the first write, 5 or 6 after it.
    """
    plan = verified.plan
    start = cluster.clock.monotonic()
    if not plan.writes and all(_is_recorded(cluster, gate) for gate in plan.gates):
        return Outcome(run_id=run_id, wrote=False, seconds=0.0, steps=0)
    check_access(cluster, plan.access)
    if (number := stop()) is not None:
        raise SignalledError(number)
    context = Context(cluster, plan, listener, stop, workers, measure=measure)
    try:
        _lock(context, identity, run_id, lock_timeout)
        if _still_needed(context):
            _run(context, identity, run_id, action)
    except StoppedError as error:
        raise SignalledError(error.signal_number) from error
    finally:
        _release(context)
    return Outcome(
        run_id=run_id,
        wrote=context.wrote,
        seconds=cluster.clock.monotonic() - start,
        steps=len(plan.steps),
        services=tuple(_outcome(context, plan)),
        skipped=tuple(context.skipped),
        added=tuple(context.added),
    )


def check_access(cluster: Cluster, wanted: Sequence[Access]) -> None:
    """Raises :class:`ForbiddenError` that names every permission this identity lacks."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda item: resending(cluster.clock, lambda: cluster.may(item)), wanted))
    missing = [item for item, allowed in zip(wanted, answers, strict=True) if not allowed]
    if not missing:
        return
    verbs: dict[tuple[str, str], list[str]] = {}
    for item in missing:
        verbs.setdefault((item.namespace, item.resource), []).append(item.verb)
    names = "; ".join(f"{', '.join(found)} {resource} in {place}" for (place, resource), found in verbs.items())
    hint = "ask for the permission; nothing was written"
    if any(item.resource == "services" and item.verb == "create" for item in missing):
        hint = (
            "without it no shadow Service can be made and the switch cannot be proved. Either grant it, or use the "
            "steady selector: put the gate key into the Service in Git and label the pods; then only labels move"
        )
    raise ForbiddenError(f"this identity may not: {names}", hint=hint)


def _is_recorded(cluster: Cluster, gate: GateTarget) -> bool:
    record, _ = history.read(cluster, GateName(gate.namespace, gate.name))
    return history.is_current(gate, record)


def _lock(context: Context, identity: str, run_id: str, timeout: float) -> None:
    for gate in sorted(context.plan.gates, key=lambda item: (item.namespace, item.name)):
        name = GateName(gate.namespace, gate.name)
        holder = f"{identity} ({run_id})"
        context.locks.append(
            lease.acquire(
                context.cluster,
                name,
                holder=holder,
                plan_id=context.plan.id,
                timeout=timeout,
                listener=context.listener,
                check=context.check,
            )
        )


def _still_needed(context: Context) -> bool:
    """Under the lock: what was proved before somebody was asked, or another run was waited for, must still be so.

    False when another run has brought about just this. Raises as :func:`require_applicable` does, and
    :class:`RefusedError` when the rotation is another than the plan starts from.
    """
    cluster, plan = context.cluster, context.plan
    namespaces = sorted({item.namespace for item in plan.services} | {gate.namespace for gate in plan.gates})
    snapshot = resending(cluster.clock, lambda: cluster.snapshot(namespaces))
    if plan.writes and drift.fulfilled(plan, snapshot) and all(_is_recorded(cluster, gate) for gate in plan.gates):
        context.listener(Note(message="another run has done just this already; nothing is left to do"))
        return False
    if changed := (*drift.stale(plan, snapshot, cluster.clock.now()), *drift.moved(plan, snapshot)):
        raise stale(changed)
    require_applicable(plan, snapshot, now=cluster.clock.now())
    return True


def _run(context: Context, identity: str, run_id: str, action: str) -> None:
    runs: list[tuple[GateTarget, Run]] = []
    try:
        for gate in context.plan.gates:
            runs.append((gate, _begun(context, gate, identity, run_id, action)))  # noqa: PERF401 (each counts once it stands)
        runner.run(context)
    except BaseException as error:
        outcome = error.message if isinstance(error, GatekeepError) else type(error).__name__
        for gate, run in runs:
            _note_failure(context, gate, run, outcome[:_SHOWN])
        raise
    _settle(context, runs)


def _begun(context: Context, gate: GateTarget, identity: str, run_id: str, action: str) -> Run:
    run = Run(
        id=run_id,
        plan=context.plan.id,
        started=_now(context.cluster),
        by=identity,
        action="retire" if gate.action == "Retire" else action,
    )
    return history.begin(context.cluster, gate, run, context.plan.source).runs[0]


def _settle(context: Context, runs: Sequence[tuple[GateTarget, Run]]) -> None:
    """Every step is done: now the records say so, or are gone."""
    failed: list[GatekeepError] = []
    for gate, run in runs:
        try:
            _require_lock(context, gate)
            if gate.action == "Retire":
                history.forget(context.cluster, gate)
            else:
                history.end(context.cluster, gate, _ended(context, run, history.DONE), done=True)
        except GatekeepError as error:
            failed.append(error)
    if failed:
        raise IncompleteError(
            f"every step is done, but the record could not be written: {failed[0].message}",
            where=failed[0].where,
            hint="the traffic is as planned; the same command again only writes the record",
        ) from failed[0]


def _require_lock(context: Context, gate: GateTarget) -> None:
    for lock in context.locks:
        if lock.gate == GateName(gate.namespace, gate.name):
            lock.keep()


def _note_failure(context: Context, gate: GateTarget, run: Run, outcome: str) -> None:
    """Says in the record how the run ended, unless the record is another run's by now."""
    try:
        _require_lock(context, gate)
        history.end(context.cluster, gate, _ended(context, run, outcome), done=False)
    except GatekeepError as error:
        context.listener(Note(message=f"the record could not be written: {error.message}"))


def _ended(context: Context, run: Run, outcome: str) -> Run:
    return msgspec.structs.replace(run, ended=_now(context.cluster), outcome=outcome)


def _release(context: Context) -> None:
    retired = {(gate.namespace, gate.name) for gate in context.plan.gates if gate.action == "Retire"}
    for lock in reversed(context.locks):
        try:
            if lock.gate in retired and not _record_stands(context.cluster, lock.gate):
                lock.delete()
            else:
                lock.release()
        except GatekeepError as error:
            context.listener(Note(message=f"the lock was not released: {error.message}"))


def _record_stands(cluster: Cluster, gate: GateName) -> bool:
    return history.read(cluster, gate)[0] is not None


def _now(cluster: Cluster) -> str:
    return timestamp(cluster.clock.now())


def _outcome(context: Context, plan: Plan) -> list[ServiceOutcome]:
    """Of a preview Service nobody looks while the colours change places: there the prediction counts as well."""
    found = []
    previews = {(gate.namespace, gate.preview) for gate in plan.gates}
    for service in plan.services:
        seen = context.ready.get((service.namespace, service.name), [])
        before = len(service.before)
        unseen = [service.least_ready] if context.wrote and (service.namespace, service.name) in previews else []
        found.append(
            ServiceOutcome(
                namespace=service.namespace,
                name=service.name,
                before=before,
                least=min([before, *seen, *unseen]),
                after=seen[-1] if seen else before,
            )
        )
    return found
