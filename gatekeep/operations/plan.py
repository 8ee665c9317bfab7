"""Plans, made and proved: of policies, and of taking a gate off."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import NamedTuple

from gatekeep.gitops.templates import Manifests
from gatekeep.model.errors import RefusedError
from gatekeep.model.plan import Finding, Plan, PolicySource, Source
from gatekeep.model.policy import Isolation, LocatedPolicy, Position, TrafficGate
from gatekeep.model.record import GateName, Record, record_of, records_in
from gatekeep.model.snapshot import Snapshot
from gatekeep.operations.finish import finish
from gatekeep.planning.courses import gate_course, retire_course
from gatekeep.planning.task import GateCourse, Wanted


def plan_gates(
    policies: Sequence[LocatedPolicy],
    snapshot: Snapshot,
    *,
    timeout_seconds: int = 300,
    revision: str | None = None,
    repository: str | None = None,
    findings: Sequence[Finding] = (),
    manifests: Manifests = (),
    expires_at: str | None = None,
    prune: bool = False,
    complete: bool = False,
    elsewhere: Collection[GateName] = (),
) -> Plan:
    """The plan that brings all ``policies`` about, with its proof, which may not hold.

    ``findings`` are those of reading the policies; they stand in the plan too. ``manifests`` are what Git
    says beside them. ``elsewhere`` are gates that have a policy too, and plans of their own. ``complete`` says that the
    policies are all of a folder: an isolation that is not among them is over. ``prune`` retires the recorded gates of
    this ``repository`` that no policy names any more. Raises :class:`RefusedError` when the cluster is not as a policy
    needs it.
    """
    pairs = [
        (_course(item, record, snapshot, timeout_seconds), record)
        for item, record in _asked(policies, snapshot, complete=complete)
    ]
    named = {course.name for course, _ in pairs}
    if prune:
        pairs.extend(_pruned(named, snapshot, repository, timeout_seconds))
    _refuse_shared([course for course, _ in pairs])
    _refuse_isolated_twice([course for course, _ in pairs], snapshot)
    source = Source(repository=repository, revision=revision, policies=tuple(_source(located) for located in policies))
    found = (*findings, *_without_policy({course.name for course, _ in pairs}, elsewhere, snapshot, repository))
    return finish(pairs, snapshot, source=source, findings=found, manifests=manifests, expires_at=expires_at)


class _Asked(NamedTuple):
    """What is asked for one gate, and where it is written."""

    wanted: Wanted
    position: Position
    isolations: Mapping[str, Position]


def _asked(
    policies: Sequence[LocatedPolicy], snapshot: Snapshot, *, complete: bool
) -> Iterable[tuple[_Asked, Record | None]]:
    """One entry for each gate that is named: by its policy, or by an isolation of a gate that is recorded."""
    gates = {GateName(item.policy.namespace, item.policy.name): (item.policy, item.position)
             for item in policies if isinstance(item.policy, TrafficGate)}  # fmt: skip
    isolations: dict[GateName, list[tuple[Isolation, Position]]] = {}
    for item in policies:
        if isinstance(item.policy, Isolation):
            gate = GateName(item.policy.namespace, item.policy.spec.gate)
            isolations.setdefault(gate, []).append((item.policy, item.position))
    for gate in sorted(gates.keys() | isolations.keys()):
        record = record_of(snapshot, gate)
        held = tuple(policy for policy, _ in isolations.get(gate, ()))
        places = {f"Isolation {one.namespace}/{one.name}": where for one, where in isolations.get(gate, ())}
        if gate in gates:
            policy, position = gates[gate]
            yield _Asked(Wanted(policy=policy, isolations=held, complete=complete), position, places), record
        elif record is None:
            raise no_record(gate, snapshot, where=str(isolations[gate][0][1]))
        else:
            policy = record.wanted or record.policy
            yield _Asked(Wanted(policy=policy, isolations=held), isolations[gate][0][1], places), record


def _refuse_isolated_twice(courses: Sequence[GateCourse], snapshot: Snapshot) -> None:
    """A pod has one mark, and what is taken off it is given back once: so one gate isolates it at a time."""
    named = {course.name for course in courses}
    holders = [(course.name, item) for course in courses for item in course.apart.standing]
    holders += [(gate, item) for gate, record in sorted(records_in(snapshot).items()) if gate not in named
                for item in record.isolations]  # fmt: skip
    first: dict[str, tuple[GateName, str]] = {}
    for gate, item in holders:
        for pod in item.pods:
            other, by = first.setdefault(pod.uid, (gate, item.by))
            if other != gate:
                raise RefusedError(
                    f"the pod {pod.name} is isolated from two gates, {other} by {by} and {gate} by {item.by}",
                    where=item.by,
                    hint="isolate it from one of them at a time",
                )


def _pruned(
    named: set[GateName], snapshot: Snapshot, repository: str | None, timeout_seconds: int
) -> Iterable[tuple[GateCourse, Record | None]]:
    """The gates whose policy came from this very repository and is not there any more."""
    for gate, record in sorted(records_in(snapshot).items()):
        if gate not in named and repository is not None and record.repository == repository:
            yield retire_course(gate, record, snapshot, timeout_seconds), record


def _without_policy(
    named: set[GateName], elsewhere: Collection[GateName], snapshot: Snapshot, repository: str | None
) -> Iterable[Finding]:
    """Recorded gates of the same namespaces that no policy names: their policy was deleted, or lies elsewhere."""
    namespaces = {name.namespace for name in named}
    for gate, record in sorted(records_in(snapshot).items()):
        if gate in named or gate in elsewhere or gate.namespace not in namespaces:
            continue
        came = f"Its policy came from {record.repository}. " if record.repository not in (None, repository) else ""
        yield Finding(
            severity="warning",
            rule="gate-without-policy",
            object=f"TrafficGate {gate}",
            message=f"this gate stands in the cluster, but no policy here names it. {came}If its policy was deleted: "
            f"gatekeep retire {gate}, or apply --prune with the --repository that it came from",
        )


def plan_retirement(
    gate: GateName, snapshot: Snapshot, *, timeout_seconds: int = 300, expires_at: str | None = None
) -> Plan:
    """The plan that takes ``gate`` off. Raises :class:`RefusedError` when no record of it exists."""
    record = require_record(gate, snapshot)
    return finish([(retire_course(gate, record, snapshot, timeout_seconds), record)], snapshot, expires_at=expires_at)


def require_record(gate: GateName, snapshot: Snapshot) -> Record:
    """The record of ``gate``. Raises :class:`RefusedError` when there is none."""
    record = record_of(snapshot, gate)
    if record is None:
        raise no_record(gate, snapshot)
    return record


def no_record(gate: GateName, snapshot: Snapshot, where: str = "") -> RefusedError:
    """The refusal that names the gates that are recorded."""
    known = ", ".join(str(name) for name in sorted(records_in(snapshot)))
    hint = f"recorded gates: {known}" if known else "gatekeep status shows the gates that are recorded"
    return RefusedError(f"there is no record of a gate {gate}", where=where, hint=hint)


def _course(asked: _Asked, record: Record | None, snapshot: Snapshot, timeout_seconds: int) -> GateCourse:
    try:
        return gate_course(asked.wanted, record, snapshot, timeout_seconds)
    except RefusedError as error:
        position = asked.isolations.get(error.where, asked.position)
        where = f"{position}: {error.where}" if error.where else str(position)
        raise RefusedError(error.message, where=where, hint=error.hint) from error


def _refuse_shared(courses: Sequence[GateCourse]) -> None:
    """Two gates on one Service, or with one key in one namespace, would want opposite things of one pod."""
    services: dict[tuple[str, str], GateName] = {}
    keys: dict[tuple[str, str], GateName] = {}
    for course in courses:
        for service in (item for task in (course.task, *course.previews) for item in task.services):
            other = services.setdefault((service.namespace, service.name), course.name)
            if other != course.name:
                raise RefusedError(
                    f"two gates, {other} and {course.name}, want the same Service",
                    where=str(service.ref),
                    hint="leave the Service in one policy only",
                )
        target = course.task.target
        if (
            target is not None
            and (other := keys.setdefault((course.name.namespace, target.key), course.name)) != course.name
        ):
            raise RefusedError(
                f"gates {other} and {course.name} use one key, {target.key}: what one puts on, the other takes off",
                where=f"TrafficGate {course.name}",
                hint="give each gate a key of its own, or let one policy name the Services of both",
            )


def _source(located: LocatedPolicy) -> PolicySource:
    policy = located.policy
    return PolicySource(
        kind=type(policy).__name__,
        namespace=policy.namespace,
        name=policy.name,
        file=PurePath(located.position.file).as_posix(),
        line=located.position.line,
        digest=located.digest,
    )
