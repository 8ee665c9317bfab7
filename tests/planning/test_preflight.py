"""What is refused before any plan is made: exit code 3, a sentence that says where, and one that says what to do.

Aspects: Services that are missing, by hand, ExternalName or govern a StatefulSet · keys that a controller, another
Service or the Service itself uses · two gates for one Service · a selector that would be empty · no record.
"""

from __future__ import annotations

import pytest

from gatekeep.model.errors import RefusedError
from gatekeep.model.policy import TrafficGate
from gatekeep.model.record import managed_labels
from gatekeep.model.snapshot import Snapshot
from tests.builders import ClusterBuilder, cluster, dockercoins
from tests.gates import gate, plan, record, remembering, retirement, snapshot_of

RNG = {"app": "rng"}


def refusal(builder: ClusterBuilder | Snapshot, *policies: TrafficGate) -> RefusedError:
    """Why there is no plan."""
    snapshot = builder if isinstance(builder, Snapshot) else snapshot_of(builder)
    with pytest.raises(RefusedError) as error:
        plan(snapshot, *(policies or (gate(),)))
    assert error.value.exit_code == 3
    return error.value


@pytest.mark.parametrize(
    ("builder", "message", "hint"),
    [
        (cluster(), "names a Service that does not exist", "namespace dockercoins has no Services"),
        (cluster().service("rgn", RNG), "names a Service that does not exist", "did you mean rgn?"),
        (cluster().service("zzz", RNG), "names a Service that does not exist", "Services in dockercoins: zzz"),
        (cluster().namespace("other").service("rng", RNG), "does not exist", "is the namespace right?"),
        (cluster().service("rng", RNG, type="ExternalName"), "ExternalName", "gate the Service that the name leads to"),
        (cluster().service("rng"), "has no selector", "give it a selector"),
        (
            cluster().service("rng", RNG, clusterIP="None").statefulset("rng", 1, RNG),
            "gives the pods of StatefulSet dockercoins/rng their DNS names",
            "gate a second, ordinary Service",
        ),
        (cluster().service("rng", {**RNG, "active": "no"}), "already requires active=no", "write the value 'no'"),
        (cluster().service("rng", {"active": "yes"}), "nothing but the gate", "selector of its own first"),
        (
            cluster().service("rng", RNG).deployment("web", 1, {"active": "yes"}),
            "stands in the selector of Deployment dockercoins/web",
            "choose a key that no workload selects by",
        ),
        (
            cluster().service("rng", RNG).service("web", {"active": "no"}),
            "another Service selects by the gate key active",
            "add web to spec.services",
        ),
    ],
)
def test_a_cluster_that_is_not_as_the_policy_needs_it(builder: ClusterBuilder, message: str, hint: str) -> None:
    error = refusal(builder)
    assert message in error.message
    assert hint in error.hint
    assert error.where.startswith("rng.yaml:1:1")


def test_what_is_not_refused() -> None:
    builder = dockercoins().service("headless", RNG, clusterIP="None").statefulset("other", 1, {"app": "other"})
    builder.service("left", {"active": "yes"}, labels=managed_labels("other"))
    builder.namespace("elsewhere").service("web", {"active": "yes"}).deployment("web", 1, {"active": "yes"})
    assert plan(snapshot_of(builder), gate(services=("headless", "rng"))).proof.holds


def test_two_gates_for_one_service() -> None:
    error = refusal(dockercoins(), gate("a"), gate("b", label=None))
    assert "two gates, dockercoins/a and dockercoins/b, want the same Service" in error.message
    assert error.where == "Service dockercoins/rng"


def test_retiring_what_was_never_recorded() -> None:
    snapshot = remembering(snapshot_of(dockercoins()), record(gate("web", services=("webui",))))
    with pytest.raises(RefusedError, match="no record of a gate dockercoins/rng") as error:
        retirement(snapshot)
    assert "dockercoins/web" in error.value.hint


def test_retiring_would_leave_no_selector() -> None:
    snapshot = snapshot_of(cluster().service("rng", {"active": "yes"}))
    with pytest.raises(RefusedError, match="selector would be empty"):
        retirement(remembering(snapshot, record(gate())))


def test_retiring_when_the_service_is_gone_needs_nothing() -> None:
    assert retirement(remembering(snapshot_of(cluster()), record(gate()))).steps == ()
