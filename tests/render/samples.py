"""A small plan, written by hand: render is tested without planning."""

from __future__ import annotations

from gatekeep.model.patches import label_patch, selector_patch, uid_guard
from gatekeep.model.plan import (
    Change,
    ClusterSource,
    Finding,
    GateTarget,
    Match,
    Plan,
    PolicySource,
    Proof,
    ServiceForecast,
    Source,
    Step,
    sealed,
)
from gatekeep.model.selectors import LabelSelector
from gatekeep.model.waits import EndpointsWait, ExistsWait

PODS = ("rng-a", "rng-b", "rng-c")
LIVE = {"app": "rng"}
GATED = {"active": "yes", "app": "rng"}
POLICY = "TrafficGate shop/rng"


def label(name: str, old: str | None = None, new: str | None = "yes") -> Change:
    """The change that moves the gate label of one pod."""
    return Change(
        api_version="v1",
        kind="Pod",
        namespace="shop",
        name=name,
        uid=f"uid-{name}",
        patch=label_patch(f"uid-{name}", {"active": (old, new)}),
        undo=label_patch(f"uid-{name}", {"active": (new, old)}),
    )


def select(before: dict[str, str], after: dict[str, str]) -> Change:
    """The change of the Service's selector."""
    return Change(
        api_version="v1",
        kind="Service",
        namespace="shop",
        name="rng",
        uid="uid-svc",
        patch=selector_patch("uid-svc", before, after),
        undo=selector_patch("uid-svc", after, before),
    )


def shadow() -> Change:
    """The change that creates the shadow Service."""
    body = {"metadata": {"name": "rng-shadow", "namespace": "shop"}, "spec": {"clusterIP": "None", "selector": GATED}}
    return Change("v1", "Service", "shop", "rng-shadow", None, (), (), object=body, bind={"r1": "/metadata/uid"})


def without_shadow() -> Change:
    """The change that deletes it."""
    return Change("v1", "Service", "shop", "rng-shadow", None, (uid_guard({"$bound": "r1"}),), ())


def step(number: int, phase: int, action: str, reason: str, *changes: Change, **fields: object) -> Step:
    """One step of the gate's policy."""
    return Step(number, phase, action, reason, POLICY, changes=changes, **fields)  # type: ignore[arg-type]


def sample(**fields: object) -> Plan:
    """The plan that gates Service shop/rng; ``fields`` replace parts of it."""
    everyone = Match("shop", LabelSelector({"app": "rng"}))
    steps = (
        step(1, 1, "Patch", "label the pods that join", *map(label, PODS), match=everyone),
        step(2, 2, "Create", "ask what the new selector reaches", shadow()),
        step(3, 2, "Wait", "the labels were seen", wait=EndpointsWait("shop", "rng-shadow", GATED, PODS)),
        step(4, 3, "Patch", "switch the selector", select(LIVE, GATED)),
        step(5, 3, "Wait", "the selector was read", wait=ExistsWait("shop", "rng-marker", 30)),
        step(6, 4, "Delete", "clean up", without_shadow()),
    )
    parts: dict[str, object] = {
        "source": Source(policies=(PolicySource("TrafficGate", "shop", "rng", "rng.yaml", 3, "sha256:0"),)),
        "cluster": ClusterSource("uid-cluster", "https://10.0.0.1", "v1.36.1"),
        "steps": steps,
        "services": (ServiceForecast("shop", "rng", PODS, PODS, 2, 3),),
        "findings": (
            Finding("warning", "later-pods", "pods born later stay out", object=POLICY),
            Finding("info", "mixed-owners", "2 owners", object="Service shop/rng", file="rng.yaml", line=9),
        ),
        "access": (),
        "proof": Proof(True, 1234),
        "gates": (GateTarget("shop", "rng", "Gate", "active", "yes", ("rng",)),),
    }
    return sealed(Plan(**(parts | fields)))  # type: ignore[arg-type]
