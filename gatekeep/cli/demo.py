"""``gatekeep demo``: the whole story on a cluster inside this process, with no API server and nothing to clean up."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from gatekeep.cli import options

if TYPE_CHECKING:
    from gatekeep.cluster.embedded import EmbeddedCluster
    from gatekeep.model.plan import Plan, Step
    from gatekeep.model.snapshot import Snapshot

NAMESPACE, SERVICE = "dockercoins", "rng"
LAG = 3.0
"""Seconds by which both watch streams of the endpoint controller run late: without barriers requests would be lost."""


@options.command("demo", "gatekeep demo")
def command() -> int:
    """Plan, apply, the wrong order refused, retire."""
    from gatekeep.cli.demo_data import demo_cluster, demo_policies
    from gatekeep.model.record import GateName
    from gatekeep.operations.plan import plan_gates, plan_retirement

    cluster = demo_cluster(LAG)
    _title(
        "A Service with two owners",
        f"Service {NAMESPACE}/{SERVICE} sends traffic to the pods of a Deployment and of a DaemonSet. A policy gates "
        'it: only pods labelled active: "yes" shall be in rotation. The cluster lives in this process, and both watch '
        f"streams of its endpoint controller run {LAG:.0f} s late.",
    )
    _command("gatekeep plan -f policies")
    snapshot = cluster.snapshot([NAMESPACE])
    plan = plan_gates(demo_policies(), snapshot)
    _show(plan)
    _command("gatekeep apply -f policies")
    _apply(cluster, plan, snapshot)

    _title(
        "The same steps in the wrong order",
        "First the selector, then the labels. Each step is right, and the end is the same; the way there is not.",
    )
    _refuse(wrong_order(plan), snapshot, cluster)

    _title("And back", "First the selector, then a proof that the endpoint controller has read it, then the labels.")
    _command(f"gatekeep retire {NAMESPACE}/{SERVICE}")
    snapshot = cluster.snapshot([NAMESPACE])
    retirement = plan_retirement(GateName(NAMESPACE, SERVICE), snapshot)
    _show(retirement)
    _apply(cluster, retirement, snapshot)
    return 0


def wrong_order(plan: Plan) -> Plan:
    """The plan with its selector edits moved to the front, numbered anew, and sealed as if nothing were wrong."""
    import msgspec

    from gatekeep.model.plan import sealed

    steps = sorted(plan.steps, key=lambda step: not _edits_selector(step))
    phases = list(dict.fromkeys(step.phase for step in steps))
    numbered = (
        msgspec.structs.replace(step, number=number, phase=phases.index(step.phase) + 1)
        for number, step in enumerate(steps, 1)
    )
    return sealed(msgspec.structs.replace(plan, steps=tuple(numbered)))


def _edits_selector(step: Step) -> bool:
    return step.action == "Patch" and any(change.kind == "Service" for change in step.changes)


def _show(plan: Plan) -> None:
    from gatekeep.cli.options import OutputFlags
    from gatekeep.cli.planned import show

    show(plan, OutputFlags())


def _apply(cluster: EmbeddedCluster, plan: Plan, snapshot: Snapshot) -> None:
    """Applies, and tells what the EndpointSlices really said meanwhile."""
    from gatekeep.cli.carry_out import apply_with_progress
    from gatekeep.cli.options import OutputFlags
    from gatekeep.cli.output import style_of, to_stdout
    from gatekeep.operations.verify import require_applicable
    from gatekeep.render.reports import outcome_text

    seen = len(cluster.history(NAMESPACE, SERVICE))
    verified = require_applicable(plan, snapshot, now=cluster.clock.now())
    outcome = apply_with_progress(cluster, verified, lock_timeout=60, stream=sys.stdout)
    to_stdout(outcome_text(outcome, plan, style_of(OutputFlags())))
    moments = cluster.history(NAMESPACE, SERVICE)[max(seen - 1, 0) :]
    least = min(len(ready) for _, ready in moments)
    to_stdout(f"  The EndpointSlices of {NAMESPACE}/{SERVICE} never held fewer than {least} ready pods meanwhile.\n")


def _refuse(plan: Plan, snapshot: Snapshot, cluster: EmbeddedCluster) -> None:
    from gatekeep.cli.options import OutputFlags
    from gatekeep.cli.output import style_of, to_stdout
    from gatekeep.operations.verify import verify_plan
    from gatekeep.render.steps import steps_text
    from gatekeep.render.text import verdict_text

    style = style_of(OutputFlags())
    proof = verify_plan(plan, snapshot, now=cluster.clock.now()).proof
    to_stdout("\n".join(["", *steps_text(plan.steps, style), "", *verdict_text(proof, style)]) + "\n")


def _title(title: str, text: str) -> None:
    from gatekeep.cli.options import OutputFlags
    from gatekeep.cli.output import style_of, to_stdout
    from gatekeep.render.layout import paragraph

    style = style_of(OutputFlags())
    rule = style.paint(f"\n=== {title} {'=' * max(style.width - len(title) - 5, 3)}", "bold")
    to_stdout("\n".join([rule, *paragraph(style.text(text), style)]) + "\n")


def _command(line: str) -> None:
    from gatekeep.cli.options import OutputFlags
    from gatekeep.cli.output import style_of, to_stdout

    to_stdout(f"\n{style_of(OutputFlags()).paint(f'$ {line}', 'cyan')}\n")
