"""A failed check: whose canary is taken out, by which plan, and what is said when that fails.

The records are as a run leaves them whose check failed: aborted, with the policy that was wanted.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from gatekeep.cluster.embedded import EmbeddedCluster
from gatekeep.metrics.measurement import Measurement
from gatekeep.model.errors import CheckFailedError, RefusedError
from gatekeep.model.outcomes import Outcome
from gatekeep.model.plan import GateTarget, Plan
from gatekeep.model.policy import TrafficGate
from gatekeep.model.record import GateName, record_of
from gatekeep.operations.aborting import abort_failed
from gatekeep.operations.apply import apply_plan
from gatekeep.operations.plan import plan_gates
from gatekeep.operations.verify import require_applicable
from gatekeep.proof.verify import VerifiedPlan
from tests.builders import cluster
from tests.gates import NAMESPACE, located

WEB = GateName(NAMESPACE, "web")
BAD = Measurement((Decimal("0.5"),))


def policy(*steps: object, key: str = "active", name: str = "web") -> TrafficGate:
    """A canary over the Deployments NAME and NAME-next."""
    owners = {group: {"owners": [{"kind": "Deployment", "name": owner}]}
              for group, owner in (("stable", name), ("canary", f"{name}-next"))}  # fmt: skip
    spec = {
        "services": [name], "gate": {"key": key, "value": "yes"}, "adopt": "Reconcile",
        "rotation": {"canary": {**owners, "steps": list(steps)}},
        "checks": [{"name": "errors", "prometheus": {"query": "errors", "max": 0.01}}],
    }  # fmt: skip
    document = {
        "apiVersion": "gatekeep.dev/v1alpha1", "kind": "TrafficGate",
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec,
    }  # fmt: skip
    return msgspec.convert(document, TrafficGate)


def made(*names: str) -> EmbeddedCluster:
    builder = cluster(NAMESPACE)
    for name in names:
        builder.service(name, {"app": name}).deployment(name, 3, {"app": name, "version": "1"})
        builder.deployment(f"{name}-next", 3, {"app": name, "version": "2"})
    return builder.embedded()


class Runs:
    """Applies plans one after the other, each under a name of its own."""

    def __init__(self, source: EmbeddedCluster) -> None:
        self.source = source
        self.actions: list[str] = []

    def plan(self, *policies: TrafficGate) -> Plan:
        return plan_gates([located(item) for item in policies], self.source.snapshot([NAMESPACE]))

    def fails(self, plan: Plan) -> CheckFailedError:
        verified = require_applicable(plan, self.source.snapshot([NAMESPACE]), now=self.source.clock.now())
        with pytest.raises(CheckFailedError) as caught:
            self._apply(verified, "apply")
        return caught.value

    def abort(self, verified: VerifiedPlan) -> Outcome:
        return self._apply(verified, "abort")

    def _apply(self, verified: VerifiedPlan, action: str) -> Outcome:
        self.actions.append(action)
        name = f"run-{len(self.actions)}"
        return apply_plan(
            self.source, verified, identity="ci", run_id=name, action=action, measure=lambda query: BAD, workers=1
        )

    def serving(self, name: str = "web") -> list[str]:
        pods = self.source.list_pods(NAMESPACE)
        return sorted(pod.labels["version"] for pod in pods if pod.labels["app"] == name and "active" in pod.labels)


STEPS = ({"weight": 25}, {"check": "errors"}, {"weight": 100})


def test_the_canary_is_taken_out_by_a_plan_of_its_own() -> None:
    runs = Runs(made("web"))
    plan = runs.plan(policy(*STEPS))
    error = runs.fails(plan)
    assert runs.serving() == ["1", "1", "1", "2"]
    (found,) = abort_failed(runs.source, plan, error.message, runs.abort)
    assert (found.gate, found.error) == (WEB, None)
    assert found.plan is not None
    assert found.plan.proof.holds
    assert runs.serving() == ["1", "1", "1"]
    record = record_of(runs.source.snapshot([NAMESPACE]), WEB)
    assert record is not None
    assert record.progress is not None
    assert (record.progress.phase, record.progress.reason) == ("Aborted", error.message)
    assert [(run.action, run.outcome) for run in record.runs] == [("abort", "done"), ("apply", error.message)]
    assert record.wanted is None


def test_what_goes_wrong_is_handed_back() -> None:
    runs = Runs(made("web"))
    plan = runs.plan(policy(*STEPS))
    error = runs.fails(plan)

    def refuses(verified: VerifiedPlan) -> Outcome:
        raise RefusedError("somebody else was quicker")

    (found,) = abort_failed(runs.source, plan, error.message, refuses)
    assert found.plan is not None
    assert (found.outcome, str(found.error)) == (None, "somebody else was quicker")


def test_other_gates_are_left_alone() -> None:
    runs = Runs(made("web", "api"))
    other = policy(*STEPS, name="api", key="lane")
    first = runs.plan(other)
    abort_failed(runs.source, first, runs.fails(first).message, runs.abort)
    record = record_of(runs.source.snapshot([NAMESPACE]), GateName(NAMESPACE, "api"))
    plan = runs.plan(other, policy(*STEPS))
    error = runs.fails(plan)
    found = abort_failed(runs.source, plan, error.message, runs.abort)
    assert [item.gate for item in found] == [WEB]
    after = record_of(runs.source.snapshot([NAMESPACE]), GateName(NAMESPACE, "api"))
    assert record is not None
    assert after is not None
    assert after.progress == record.progress


def test_a_gate_that_the_plan_retires_is_left_alone() -> None:
    runs = Runs(made("web"))
    plan = runs.plan(policy(*STEPS))
    error = runs.fails(plan)
    retired = GateTarget(NAMESPACE, "web", "Retire", "active", "yes", ("web",))
    assert abort_failed(runs.source, msgspec.structs.replace(plan, gates=(retired,)), error.message, runs.abort) == ()


def test_the_record_says_at_which_step_the_check_failed() -> None:
    source = made("web")
    wanted = policy({"weight": 10}, {"pause": "1m"}, {"check": "errors"}, {"weight": 50}, {"pause": {}})
    runs = Runs(source)
    verified = require_applicable(runs.plan(wanted), source.snapshot([NAMESPACE]), now=source.clock.now())
    runs.abort(verified)
    source.clock.sleep(90)
    runs.fails(runs.plan(wanted))
    found = record_of(source.snapshot([NAMESPACE]), WEB)
    assert found is not None
    assert found.progress is not None
    assert (found.progress.phase, found.progress.step) == ("Aborted", 2)
