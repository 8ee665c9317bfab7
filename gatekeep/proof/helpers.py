"""The Services that a plan may create and delete: headless helpers, for a moment, and each one that it creates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gatekeep.model.objects import Service
from gatekeep.model.plan import Change, Plan, Step, canonical
from gatekeep.model.record import GATE_LABEL, MANAGED_BY, managed_labels
from gatekeep.model.snapshot import Snapshot
from gatekeep.proof.gates import reference

_UID = "/metadata/uid"
_Key = tuple[str, str]


@dataclass
class Helpers:
    """The helpers of one plan, step by step: which bindings stand, and which were ever used."""

    plan: Plan
    snapshot: Snapshot
    _bound: dict[str, _Key] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)

    def creation_problem(self, step: Step, change: Change) -> str | None:
        """Why ``change`` may not create what it would."""
        where = f"Service {change.namespace}/{change.name}"
        if change.uid is not None or change.patch or change.undo:
            return f"the creation of {where} does more than create"
        if not self._is_helper(step, change):
            return (
                f"{where} is to be created, and is no helper of gatekeep: that is headless, and has nothing but a "
                "selector and the ports and address families of a Service of its gate"
            )
        bind = dict(change.bind or {})
        if list(bind.values()) != [_UID] or "" in bind or bind.keys() & self._used:
            return f"the creation of {where} must bind its uid to one name of its own"
        self._used.update(bind)
        self._bound.update(dict.fromkeys(bind, (change.namespace, change.name)))
        return None

    def deletion_problem(self, step: Step, change: Change, live: Service | None) -> str | None:
        """A plan deletes what it created, or what another run of gatekeep left."""
        where = f"Service {change.namespace}/{change.name}"
        if change.undo or change.object is not None or change.bind is not None or len(change.patch) > 1:
            return f"the deletion of {where} does more than delete"
        if not change.patch or (change.patch[0].op, change.patch[0].path) != ("test", _UID):
            return f"the deletion of {where} has no test of its uid"
        wanted = change.patch[0].value
        if isinstance(wanted, dict):
            return self._release(where, change, wanted)
        nameless = not wanted and (live is None or live.metadata.uid)
        if not isinstance(wanted, str) or nameless or wanted != change.uid:
            return f"the deletion of {where} has no test of its uid"
        labels = live.metadata.labels if live is not None else None
        if labels is not None and not (are_helper_labels(labels) and _name_in(step) == labels[GATE_LABEL]):
            return f"{where} is to be deleted, and is no helper of gatekeep of this gate"
        return None

    def left(self) -> str | None:
        """A helper that the plan creates and does not delete."""
        for namespace, name in self._bound.values():
            return f"Service {namespace}/{name} is created and never deleted again"
        return None

    def _release(self, where: str, change: Change, wanted: Mapping[str, Any]) -> str | None:
        name = wanted.get("$bound")
        known = isinstance(name, str) and self._bound.get(name) == (change.namespace, change.name)
        if not known or len(wanted) > 1 or change.uid is not None:
            return f"the deletion of {where} relies on {name!r}, which no step before it binds to it"
        del self._bound[str(name)]
        return None

    def _is_helper(self, step: Step, change: Change) -> bool:
        spec = (change.object or {}).get("spec")
        selector = spec.get("selector") if isinstance(spec, dict) else None
        if not isinstance(selector, dict) or not selector:
            return False
        if not all(isinstance(value, str) for value in selector.values()):
            return False
        try:
            found = canonical(change.object)
        except (OverflowError, RecursionError):  # a number, or a depth, that no Service has
            return False
        bodies = (_body(service, change, selector, _name_in(step)) for service in self._served(step, change))
        return any(found == canonical(body) for body in bodies)

    def _served(self, step: Step, change: Change) -> Iterable[Service]:
        """The Services for which the helper may stand: those of its gate, or (without gates) of its namespace."""
        if not self.plan.gates:
            return self.snapshot.services_in(change.namespace)
        names = [(gate.namespace, name) for gate in self.plan.gates if reference(gate) == step.policy
                 for name in (*gate.services, gate.preview)]  # fmt: skip
        return [item for key in names if key[0] == change.namespace and (item := self.snapshot.service(*key))]


def are_helper_labels(labels: Mapping[str, Any]) -> bool:
    """A shadow or marker Service of gatekeep's own carries them."""
    return labels.get(MANAGED_BY) == "gatekeep" and GATE_LABEL in labels


def _name_in(step: Step) -> str:
    return step.policy.rpartition("/")[2]


def _body(service: Service, change: Change, selector: Mapping[str, str], gate: str) -> dict[str, Any]:
    """The one helper there may be of this name with this selector."""
    real = service.spec
    optional = {
        "ports": msgspec.to_builtins(real.ports),
        "ipFamilies": real.ip_families,
        "ipFamilyPolicy": real.ip_family_policy,
        "publishNotReadyAddresses": real.publish_not_ready_addresses,
    }
    spec = {"clusterIP": "None", "selector": selector, **{key: value for key, value in optional.items() if value}}
    metadata = {"name": change.name, "namespace": change.namespace, "labels": managed_labels(gate)}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
