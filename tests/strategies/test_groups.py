"""Who a policy means.

Aspects: everyone · owners by Deployment, DaemonSet and chain · selectors · owners AND selector · anyOf and except · an
owner that does not exist · several Services · a group that contradicts the Service · Jobs known by their pods only.
"""

from __future__ import annotations

from typing import Any

import pytest

from gatekeep.model.errors import RefusedError
from gatekeep.model.snapshot import names
from gatekeep.strategies.question import Question
from gatekeep.strategies.rotation import desired_rotation
from tests.builders import cluster
from tests.gates import DAEMONSET_ONLY, DEPLOYMENT_ONLY, gate, snapshot_of

RNG = {"app": "rng"}


def members(pool: dict[str, Any], *bases: dict[str, str]) -> set[str]:
    """Kinds of the pods that the pool holds: each pod is named after what owns it."""
    builder = cluster().nodes(2).service("rng", RNG).deployment("rng", 1, RNG, pod_labels={"tier": "a"})
    builder.daemonset("rng-ds", RNG).pods("single", labels={**RNG, "tier": "b"}).pods("api", labels={"app": "api"})
    builder.object(JOB_POD)
    snapshot = snapshot_of(builder)
    rotation = desired_rotation(Question(policy=gate(pool=pool), bases=bases or (RNG,), snapshot=snapshot))
    found = names(pod for pod in snapshot.pods if pod.uid in rotation.members)
    return {"daemonset" if name.startswith("rng-ds") else "deployment" if name.startswith("rng-") else name
            for name in found}  # fmt: skip


JOB_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "job",
        "namespace": "dockercoins",
        "uid": "job-pod",
        "labels": RNG,
        "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "job", "controller": True}],
    },
}
EVERYONE = {"deployment", "daemonset", "single", "job"}
DAEMONSET = {"owners": [{"kind": "DaemonSet", "name": "rng-ds"}]}
TIER_A = {"selector": {"matchLabels": {"tier": "a"}}}


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ({}, EVERYONE),
        (DEPLOYMENT_ONLY, {"deployment"}),
        (DAEMONSET, {"daemonset"}),
        ({"owners": [{"kind": "Job", "name": "j"}]}, {"job"}),
        ({"owners": [*DEPLOYMENT_ONLY["owners"], *DAEMONSET["owners"]]}, {"deployment", "daemonset"}),
        ({"owners": []}, set()),
        (TIER_A, {"deployment"}),
        ({"selector": {}}, EVERYONE),
        ({"selector": {"matchLabels": {"app": "api"}}}, set()),
        ({"selector": {"matchExpressions": [{"key": "tier", "operator": "Exists"}]}}, {"deployment", "single"}),
        ({**DAEMONSET, **TIER_A}, set()),
        ({"anyOf": [DAEMONSET, TIER_A]}, {"daemonset", "deployment"}),
        ({"anyOf": []}, set()),
        ({"except": [DAEMONSET]}, EVERYONE - {"daemonset"}),
        ({"anyOf": [{}], "except": [TIER_A, DAEMONSET]}, {"single", "job"}),
        ({"anyOf": [{"except": [DAEMONSET]}], "except": [TIER_A]}, {"single", "job"}),
    ],
)
def test_pools(pool: dict[str, Any], expected: set[str]) -> None:
    assert members(pool) == expected


def test_several_services_share_the_pool() -> None:
    assert members({}, RNG, {"app": "api"}) == EVERYONE | {"api"}
    assert members(TIER_A, RNG, {"app": "api"}) == {"deployment"}
    assert members({"selector": {"matchLabels": {"app": "api"}}}, RNG, {"app": "api"}) == {"api"}


@pytest.mark.parametrize(
    ("owner", "hint"),
    [
        ({"kind": "DaemonSet", "name": "rng-sd"}, "did you mean DaemonSet rng-ds?"),
        ({"kind": "StatefulSet", "name": "rng"}, "create the StatefulSet first"),
    ],
)
def test_an_owner_that_does_not_exist(owner: dict[str, str], hint: str) -> None:
    with pytest.raises(RefusedError, match=f"{owner['kind']} dockercoins/{owner['name']}") as error:
        members({"anyOf": [{"owners": [owner]}]})
    assert hint in error.value.hint


def test_an_owner_of_the_same_name_elsewhere_is_another() -> None:
    builder = cluster().service("rng", RNG).namespace("other").daemonset("rng", RNG)
    with pytest.raises(RefusedError):
        desired_rotation(Question(policy=gate(pool=DAEMONSET_ONLY), bases=(RNG,), snapshot=snapshot_of(builder)))
