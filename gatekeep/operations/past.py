"""The runs that the records remember, newest first."""

from __future__ import annotations

from datetime import datetime

from gatekeep.model.errors import RefusedError
from gatekeep.model.outcomes import PastRun
from gatekeep.model.record import GateName, Run, records_in
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.plan import require_record
from gatekeep.operations.standing import run_status, seconds_between, seconds_since, strategy_of


def past_runs(snapshot: Snapshot, *, gate: GateName | None = None, namespace: str | None = None) -> tuple[PastRun, ...]:
    """The recorded runs, newest first: of one gate, of all in a namespace, or of all there are.

    Raises :class:`RefusedError` when the gate has no record.
    """
    records = {gate: require_record(gate, snapshot)} if gate is not None else records_in(snapshot)
    found = [
        _past(name, run, snapshot.time)
        for name, record in sorted(records.items())
        if namespace in (None, name.namespace)
        for run in record.runs
    ]
    # Of one second, a record's own order counts: ids of runs are not in order within it.
    return tuple(sorted(found, key=lambda item: item.started, reverse=True))


def _past(gate: GateName, run: Run, now: datetime | None) -> PastRun:
    before = run.before
    policy = before.policy if before is not None else None
    return PastRun(
        namespace=gate.namespace,
        name=gate.name,
        id=run.id,
        action=run.action,
        by=run.by,
        plan=run.plan,
        outcome=run.outcome,
        started=run.started,
        ended=run.ended,
        age=seconds_since(run.started, now),
        seconds=seconds_between(run.started, run.ended),
        known=before is not None,
        strategy=strategy_of(policy) if policy is not None else "",
        began=run_status(policy, before.progress, None) if before is not None and policy is not None else None,
        isolated=sum(len(item.pods) for item in before.isolations) if before is not None else 0,
    )


def run_to_undo(run_id: str | None, snapshot: Snapshot, namespace: str | None) -> PastRun:
    """The run of that id, or the last one. Raises :class:`RefusedError` where none is, or it is not clear which."""
    runs = past_runs(snapshot, namespace=namespace)
    found = [item for item in runs if run_id in (None, item.id)]
    if not found:
        what = f"no run {run_id} is recorded" if run_id else "no run is recorded"
        raise RefusedError(what, hint="gatekeep history lists the runs that are")
    places = sorted({item.namespace for item in runs})
    if run_id is None and len(places) > 1:
        raise RefusedError(
            f"runs are recorded in {len(places)} namespaces ({', '.join(places[:6])}): which one is to be undone?",
            hint="say -n NAMESPACE for the last one there, or name the run; gatekeep history lists them",
        )
    return found[0]
