"""The flow of the commands that plan from a gate's record: promote, abort and retire."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from gatekeep.cli import carry_out, session
from gatekeep.cli.carry_out import Ways
from gatekeep.cli.options import ClusterFlags, OutputFlags, WriteFlags
from gatekeep.cli.planned import command_for, gate_name
from gatekeep.model.plan import Plan
from gatekeep.model.record import GateName

if TYPE_CHECKING:
    from gatekeep.model.snapshot import Snapshot


class Asked(NamedTuple):
    """The flags that these commands share."""

    gate: str
    namespace: str | None
    access: ClusterFlags
    output: OutputFlags
    writing: WriteFlags
    snapshot_file: str | None
    prometheus: str | None = None


def plan_and_apply(
    verb: str, asked: Asked, plan_of: Callable[[GateName, Snapshot], Plan], git: Callable[[Plan], str]
) -> int:
    """Looks, plans, shows, asks and applies as ``apply`` does; ``git`` says what Git has to say afterwards."""
    access, output, writing = asked.access, asked.output, asked.writing
    session.refuse_offline_writes(asked.snapshot_file, dry_run=writing.dry_run)
    name = gate_name(asked.gate, asked.namespace)
    if writing.dry_run:
        view = session.look(access, asked.snapshot_file, [name.namespace])
        return carry_out.show_and_stop(plan_of(name, view.snapshot), output, writing, access)
    with session.opened(access) as cluster:
        snapshot = cluster.snapshot([name.namespace])
        plan = plan_of(name, snapshot)
        ways = Ways(command_for(verb, str(name), access), access, verb, git(plan))
        return carry_out.plan_then_apply(cluster, plan, snapshot, output, writing, ways, prometheus=asked.prometheus)
