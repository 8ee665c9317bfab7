"""``gatekeep apply``: a saved plan as it stands, or plan, show and ask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gatekeep.cli import options
from gatekeep.cli.options import ClusterFlags, OutputFlags, SourceFlags, WriteFlags

if TYPE_CHECKING:
    from gatekeep.model.plan import Plan
    from gatekeep.model.snapshot import Snapshot

# What the document decides; a flag that would change it must not be passed over in silence.
_DECIDED = {
    "policies_filenames": "-f",
    "policies_namespace": "-n",
    "policies_repository": "--repository",
    "policies_revision": "--revision",
    "timeout": "--timeout",
    "prune": "--prune",
}


@options.command(
    "apply",
    "gatekeep apply plan.json",
    "gatekeep apply -f policies",
    notes="A saved plan is its own approval: it is proved again, checked against the cluster, and applied unasked.",
)
@click.argument("plan", required=False)
@options.policy_options
@options.dry_snapshot_option
@options.write_options
@options.plan_output_options
@options.timeout_option
@options.prune_option
@options.prometheus_option
@options.cluster_options
@click.pass_context
def command(
    context: click.Context,
    access: ClusterFlags,
    output: OutputFlags,
    policies: SourceFlags,
    writing: WriteFlags,
    plan: str | None,
    snapshot_file: str | None,
    timeout: int,
    prune: bool,
    prometheus: str | None,
) -> int:
    """Chooses between the saved plan and a new one."""
    from gatekeep.cli import carry_out, session
    from gatekeep.cli.planned import apply_command, plan_policies

    session.refuse_offline_writes(snapshot_file, dry_run=writing.dry_run)
    if plan is not None:
        _refuse_decided(context)
        return _apply_saved(plan, access, output, writing, snapshot_file, prometheus)
    loaded = session.policies(policies.filenames)
    if prune:
        session.refuse_pruning(policies.filenames, policies.repository)
        namespaces = session.any_namespace(policies.namespace)
    else:
        namespaces = session.namespaces_of(loaded, policies.namespace)

    def planned(snapshot: Snapshot) -> Plan:
        return plan_policies(loaded, snapshot, policies, timeout, prune=prune)

    if writing.dry_run:
        return carry_out.show_and_stop(
            planned(session.look(access, snapshot_file, namespaces).snapshot), output, writing, access
        )
    with session.opened(access) as cluster:
        snapshot = cluster.snapshot(namespaces)
        ways = carry_out.Ways(apply_command(policies, access, OutputFlags()), access)
        return carry_out.plan_then_apply(
            cluster, planned(snapshot), snapshot, output, writing, ways, prometheus=prometheus
        )


def _refuse_decided(context: click.Context) -> None:
    from gatekeep.cli.failures import usage

    for name, flag in _DECIDED.items():
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise usage(f"{flag} has no place beside a saved plan", "leave one of the two out")


def _apply_saved(
    path: str,
    access: ClusterFlags,
    output: OutputFlags,
    writing: WriteFlags,
    snapshot_file: str | None,
    prometheus: str | None,
) -> int:
    """Proves, compares with the cluster, and applies the very steps of the document."""
    from gatekeep.cli import carry_out, session
    from gatekeep.operations.verify import require_applicable

    document = session.saved_plan(path)
    namespaces = session.plan_namespaces(document)
    if writing.dry_run:
        view = session.look(access, snapshot_file, namespaces)
        require_applicable(document, view.snapshot, now=view.now)
        return carry_out.show_and_stop(document, output, writing, access)
    carry_out.refuse_views(output)
    with session.opened(access) as cluster:
        verified = require_applicable(document, cluster.snapshot(namespaces), now=cluster.clock.now())
        measure = carry_out.measuring(document, prometheus)
        ways = carry_out.Ways("gatekeep apply -f POLICIES, those that the plan was made from", access)
        if document.writes:
            carry_out.announce(document, cluster)
        return carry_out.carry_out(cluster, document, verified, output, writing, ways, measure=measure)
