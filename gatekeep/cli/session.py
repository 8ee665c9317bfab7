"""Where a command gets its cluster, its snapshot, its policies and its saved plan from."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gatekeep.cli.failures import usage
from gatekeep.cli.options import ClusterFlags
from gatekeep.model.durations import parse_time
from gatekeep.model.errors import InvalidInputError, UsageError
from gatekeep.model.plan import Plan, from_json
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import ServiceWait

if TYPE_CHECKING:
    from gatekeep.cluster.kube import KubeCluster
    from gatekeep.sources.problems import Problem
    from gatekeep.sources.repository import Repository

LARGEST_PLAN = 512 * 1024 * 1024


@dataclass(frozen=True)
class View:
    """A snapshot that says when it was taken, or what time ``--now`` gives it."""

    snapshot: Snapshot

    @property
    def now(self) -> datetime:
        """The snapshot's time."""
        assert self.snapshot.time is not None, "every cluster and look() give it one"
        return self.snapshot.time


@contextmanager
def opened(access: ClusterFlags) -> Iterator[KubeCluster]:
    """The cluster that kubectl's flags name, closed at the end."""
    from gatekeep.cluster.kube import KubeOptions, connect

    with connect(KubeOptions(**access._asdict())) as cluster:
        yield cluster


def look(
    access: ClusterFlags, snapshot_file: str | None, namespaces: Sequence[str], now: datetime | None = None
) -> View:
    """What a read-only command looks at: the file, or the cluster listed once."""
    if snapshot_file is not None:
        from gatekeep.sources.dumps import load_snapshot

        return View(replace(load_snapshot(Path(snapshot_file)), time=now or datetime.now(UTC)))
    with _advised(), opened(access) as cluster:
        return View(cluster.snapshot(namespaces))


@contextmanager
def _advised() -> Iterator[None]:
    """Who only looks needs no cluster."""
    try:
        yield
    except UsageError as error:
        hint = "; ".join(part for part in (error.hint, "without a cluster, give --snapshot FILE") if part)
        raise UsageError(error.message, where=error.where, hint=hint) from error


def policies(filenames: Sequence[str], *, full_paths: bool = False) -> Repository:
    """The policies that ``-f`` names. Raises every mistake in them at once."""
    from gatekeep.sources.policies import load_policies

    return load_policies(_paths(filenames), stdin=_stdin(filenames), full_paths=full_paths)


def repository(filenames: Sequence[str]) -> tuple[Repository, tuple[Problem, ...]]:
    """What the files that ``-f`` names hold, with the places of everything, and what is wrong in them."""
    from gatekeep.sources.policies import read_repository

    return read_repository(_paths(filenames), stdin=_stdin(filenames), full_paths=True, keep_nodes=True)


def _paths(filenames: Sequence[str]) -> list[Path | Literal["-"]]:
    return ["-" if name == "-" else Path(name) for name in filenames]


def _stdin(filenames: Sequence[str]) -> bytes | None:
    from gatekeep.sources.tree import POLICY_LIMITS

    return sys.stdin.buffer.read(POLICY_LIMITS.size + 1) if "-" in filenames else None


def namespaces_of(repository: Repository, namespace: str | None) -> tuple[str, ...]:
    """The namespaces that the policies speak of, narrowed by ``-n``. Raises when none is left."""
    found = tuple(sorted({item.policy.namespace for item in repository.policies}))
    if not found:
        raise usage("no policy was found", "name a folder with policies: -f FOLDER; gatekeep lint says what it reads")
    if namespace is not None and namespace not in found:
        raise usage(f"no policy is for namespace {namespace}", f"they are for: {', '.join(found)}")
    return found if namespace is None else (namespace,)


def any_namespace(namespace: str | None) -> tuple[str, ...]:
    """Where ``--prune`` looks: a policy that is gone does not say where its gate stands. None given means all."""
    return () if namespace is None else (namespace,)


def refuse_pruning(filenames: Sequence[str], repository: str | None) -> None:
    """Only a whole folder shows that a policy is gone, and only the repository's name whose policy it was."""
    if not repository:
        raise usage(
            "--prune needs --repository: gates whose policies came from another repository stay",
            "name it as in earlier applies; gates that were applied without it are retired by gatekeep retire",
        )
    for name in filenames:
        if name == "-" or not Path(name).is_dir():
            raise usage(f"--prune needs a folder, and {name} is none", "name the whole folder of policies with -f")


def saved_plan(path: str) -> Plan:
    """The plan document in a file, or on stdin for ``-``. Nothing in it is trusted yet."""
    where = "stdin" if path == "-" else path
    try:
        if path == "-":
            text = sys.stdin.buffer.read(LARGEST_PLAN + 1)
        else:
            with Path(path).open("rb") as stream:
                text = stream.read(LARGEST_PLAN + 1)
    except OSError as error:
        raise InvalidInputError(
            f"cannot read the plan: {error.strerror}",
            where=where,
            hint="make one with: gatekeep plan -o json --out FILE",
        ) from error
    if len(text) > LARGEST_PLAN:
        raise InvalidInputError("expected a plan of at most 512 MB", where=where)
    try:
        plan = from_json(text, where)
    except RecursionError as error:
        raise InvalidInputError("expected a plan document: it is nested too deeply", where=where) from error
    if plan.expires_at is not None and parse_time(plan.expires_at) is None:
        raise InvalidInputError(f"expected a time with its zone in expiresAt, found {plan.expires_at!r}", where=where)
    return plan


def plan_namespaces(plan: Plan) -> tuple[str, ...]:
    """Every namespace that the plan reads or writes."""
    found = {change.namespace for step in plan.steps for change in step.changes}
    found |= {step.match.namespace for step in plan.steps if step.match is not None}
    found |= {step.wait.namespace for step in plan.steps if isinstance(step.wait, ServiceWait)}
    found |= {service.namespace for service in plan.services}
    found |= {gate.namespace for gate in plan.gates}
    return tuple(sorted(found - {""}))


def refuse_foreign_clock(snapshot_file: str | None, now: datetime | None) -> None:
    """A cluster has a clock of its own."""
    if now is not None and snapshot_file is None:
        raise usage("--now replaces the clock only with --snapshot", "leave it out, or name a file with --snapshot")


def refuse_offline_writes(snapshot_file: str | None, *, dry_run: bool) -> None:
    """A file is no cluster."""
    if snapshot_file is not None and not dry_run:
        raise usage("--snapshot is a cluster that cannot be written to", "add --dry-run, or leave it out")
