"""A counter-example in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gatekeep.proof.classes import PodClass
from gatekeep.proof.explore import Violation
from gatekeep.proof.simulate import ServiceKey
from gatekeep.proof.streams import Atom


def sentence(violation: Violation, classes: Mapping[int, PodClass]) -> str:
    """``if the endpoint controller sees X before Y, Service rng has 0 ready endpoints``."""
    name = f"Service {violation.service[0]}/{violation.service[1]}"
    if violation.unmet:
        return f"the wait of step {violation.unmet} can never be met: the slices never show what the plan predicts"
    if violation.stranger:
        outcome = f"{name} reaches pod {violation.stranger}, which it reaches neither before nor after the plan"
    elif violation.node:
        outcome = (
            f"{name} has {_endpoints(violation.ready)} on node {violation.node}; its traffic policy is Local, so every "
            "node that has one must keep one"
        )
    else:
        outcome = f"{name} has {_endpoints(violation.ready)}; at least {violation.required} must stay"
    return f"{_condition(violation, classes)}, {outcome}"


def _endpoints(count: int) -> str:
    return f"{count} ready endpoint{'' if count == 1 else 's'}"


def _condition(violation: Violation, classes: Mapping[int, PodClass]) -> str:
    seen = _atoms(violation.seen, violation.service, classes)
    unseen = _atoms(violation.unseen, violation.service, classes)
    if violation.mixture:
        return "if the endpoint controller writes one EndpointSlice of the change before the other"
    if seen and unseen:
        return f"if the endpoint controller sees {seen} before {unseen}"
    if seen:
        return f"once the endpoint controller sees {seen}"
    return "as the plan begins"


def _atoms(atoms: Sequence[Atom], service: ServiceKey, classes: Mapping[int, PodClass]) -> str:
    """What was seen of the pods and of the Service itself; its helpers only mark places in the stream."""
    pods = [part for _, part in atoms if isinstance(part, int)]
    parts = [f"the selector of Service {service[0]}/{service[1]}"] if any(p == service for _, p in atoms) else []
    if pods:
        names = sorted(name for number in dict.fromkeys(pods) for name in classes[number].names)
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        parts.append(f"the label of pod {names[0]}{more}")
    return " and ".join(parts)
