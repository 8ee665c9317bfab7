"""``gatekeep reconcile --once``: everything that ``apply`` does, for a CI job or a CronJob. It never asks."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from gatekeep.cli import options
from gatekeep.cli.options import ClusterFlags, OutputFlags, SourceFlags

if TYPE_CHECKING:
    from gatekeep.cluster.protocol import Cluster
    from gatekeep.model.outcomes import Reconciled
    from gatekeep.model.plan import Plan
    from gatekeep.model.record import GateName
    from gatekeep.sources.repository import Repository

# The first of these that a gate ended with is the command's own: what needs a person soonest stands first.
_WORST = (70, 77, 69, 6, 5, 4, 3, 65, 64, 75, 1)


@options.command(
    "reconcile",
    "gatekeep reconcile --once -f policies",
    "gatekeep reconcile --once -f policies --repository https://git.example.com/shop --prune -o json",
    notes="Each gate is planned, proved and applied by itself: one that is refused holds up no other. An isolation "
    "that has expired ends, and a pause that is over ends too. A pause that only promote ends stays.",
)
@click.option("--once", is_flag=True, required=True, help="Bring everything about once, then end.")
@options.policy_options
@options.output_options
@options.timeout_option
@options.prune_option
@options.prometheus_option
@options.lock_timeout_option
@options.detailed_option
@options.cluster_options
def command(
    access: ClusterFlags,
    output: OutputFlags,
    policies: SourceFlags,
    once: bool,
    timeout: int,
    prune: bool,
    prometheus: str | None,
    lock_timeout: int,
    detailed_exitcode: bool,
) -> int:
    """Gate by gate; what one of them ends with is in the report, and the worst of it is the exit code."""
    from gatekeep.cli import session
    from gatekeep.cli.output import emit, style_of
    from gatekeep.render.documents import report_json
    from gatekeep.render.reconciled import reconciled_text

    loaded = session.policies(policies.filenames)
    if prune:
        session.refuse_pruning(policies.filenames, policies.repository)
    namespaces = session.namespaces_of(loaded, policies.namespace)
    how = _How(access, policies, timeout, prometheus, lock_timeout)
    with session.opened(access) as cluster:
        found = list(_reconciled(cluster, loaded, namespaces, how))
        if prune and not any(item.stopped for item in found):
            places = session.any_namespace(policies.namespace)
            found.append(_one(cluster, "gates without a policy", loaded, places, how, prune=True))
    code = next((code for code in _WORST if any(item.exit_code == code for item in found)), 0)
    code = next((item.exit_code for item in found if item.stopped), code)
    changed = any(item.changed or item.paused for item in found)
    if code == 0 and detailed_exitcode and changed:
        code = 2
    if output.format == "json":
        emit(report_json("ReconcileReport", {"exitCode": code, "gates": found}), output)
    else:
        emit(reconciled_text(found, style_of(output)), output)
    return code


class _How(NamedTuple):
    """The flags that hold for every gate, and the gates that have a policy."""

    access: ClusterFlags
    policies: SourceFlags
    timeout: int
    prometheus: str | None
    lock_timeout: int
    elsewhere: tuple[GateName, ...] = ()


def _reconciled(cluster: Cluster, loaded: Repository, namespaces: Sequence[str], how: _How) -> Iterator[Reconciled]:
    """One answer for each gate that the policies name; a signal ends it."""
    parts = _by_gate(loaded)
    for gate, part in parts.items():
        if gate.namespace not in namespaces:
            continue
        found = _one(cluster, str(gate), part, [gate.namespace], how._replace(elsewhere=tuple(parts)))
        yield found
        if found.stopped:
            return


def _by_gate(loaded: Repository) -> dict[GateName, Repository]:
    """The policies of each gate: its own, and the isolations of its pods."""
    from gatekeep.model.policy import Isolation
    from gatekeep.model.record import GateName

    parts: dict[GateName, list[int]] = {}
    for number, item in enumerate(loaded.policies):
        policy = item.policy
        name = policy.spec.gate if isinstance(policy, Isolation) else policy.name
        parts.setdefault(GateName(policy.namespace, name), []).append(number)
    return {
        gate: dataclasses.replace(
            loaded,
            policies=tuple(loaded.policies[number] for number in numbers),
            places=tuple(loaded.places[number] for number in numbers),
        )
        for gate, numbers in sorted(parts.items())
    }


def _one(
    cluster: Cluster, name: str, part: Repository, namespaces: Sequence[str], how: _How, *, prune: bool = False
) -> Reconciled:
    """Plans, proves and applies; what goes wrong is the answer, not an end."""
    from gatekeep.cli.failures import say_error
    from gatekeep.model.errors import GatekeepError, SignalledError
    from gatekeep.model.outcomes import Reconciled

    try:
        return _applied(cluster, name, part, namespaces, how, prune=prune)
    except GatekeepError as error:
        say_error(error)
        code = error.signal_exit_code if isinstance(error, SignalledError) else error.exit_code
        stopped = isinstance(error, SignalledError) or hasattr(error.__cause__, "signal_number")
        return Reconciled(gate=name, exit_code=code, message=error.message, hint=error.hint, stopped=stopped)


def _applied(
    cluster: Cluster, name: str, part: Repository, namespaces: Sequence[str], how: _How, *, prune: bool
) -> Reconciled:
    from gatekeep.cli import carry_out
    from gatekeep.cli.planned import apply_command, plan_policies
    from gatekeep.model.errors import CheckFailedError
    from gatekeep.model.outcomes import Outcome, Reconciled
    from gatekeep.operations.verify import require_applicable
    from gatekeep.proof.verify import VerifiedPlan

    snapshot = cluster.snapshot(namespaces)
    plan = plan_policies(part, snapshot, how.policies, how.timeout, prune=prune, elsewhere=how.elsewhere)
    verified = require_applicable(plan, snapshot, now=cluster.clock.now())
    measure = carry_out.measuring(plan, how.prometheus)

    def apply(found: VerifiedPlan, action: str) -> Outcome:
        return carry_out.apply_with_progress(cluster, found, how.lock_timeout, measure=measure, action=action)

    try:
        outcome = apply(verified, "reconcile")
    except CheckFailedError as error:
        from gatekeep.cli.failed_check import taken_out

        ways = carry_out.Ways(apply_command(how.policies, how.access, OutputFlags()), how.access)
        raise taken_out(cluster, plan, error, ways, lambda found: apply(found, "abort")) from error
    runs = carry_out.runs_of(cluster, plan)
    return Reconciled(
        gate=name,
        exit_code=0,
        changed=outcome.wrote,
        paused=any(item.run.phase == "Paused" for item in runs),
        plan=plan.id,
        outcome=outcome,
        runs=runs,
        warnings=_warnings(plan),
    )


def _warnings(plan: Plan) -> tuple[str, ...]:
    """What nobody reads on a terminal, and somebody should know."""
    return tuple(f"{item.object}: {item.message} [{item.rule}]" for item in plan.findings if item.severity != "info")
