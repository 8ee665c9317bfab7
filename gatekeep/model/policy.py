"""Policy documents: the classes that decode them are the ones the JSON Schema is made from.

A policy says which pods of a Service take part in rotation. The meaning of every field is in ``docs/policies.md``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from gatekeep.model.selectors import LabelSelector

API_VERSION = "gatekeep.dev/v1alpha1"
LOCAL_CONFIG = "config.kubernetes.io/local-config"

WorkloadKind = Literal["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job", "ReplicationController"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
PERCENT = r"^(100|[1-9]?[0-9])%$"
DURATION = r"^(?=.)([0-9]{1,9}d)?([0-9]{1,9}h)?([0-9]{1,9}m)?([0-9]{1,9}s)?$"
Duration = Annotated[str, msgspec.Meta(pattern=DURATION)]
PREVIEW_VALUE = "preview"


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Strict: an unknown field is an error."""


class Metadata(_Document, frozen=True):
    name: Name
    namespace: Name
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    annotations: Mapping[str, str] = msgspec.field(default_factory=dict)


class Gate(_Document, frozen=True):
    """A label key and value that the Service selector requires."""

    key: str
    value: str


class Owner(_Document, frozen=True):
    """A workload by kind and name, in the policy's namespace."""

    kind: WorkloadKind
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]


class Group(_Document, frozen=True):
    """Pods by owner AND selector, or a union of groups without some others; ``{}`` is everyone."""

    owners: tuple[Owner, ...] | None = None
    selector: LabelSelector | None = None
    any_of: tuple[Group, ...] | None = None
    except_: tuple[Group, ...] | None = msgspec.field(default=None, name="except")


Weight = Annotated[int, msgspec.Meta(ge=0, le=100)]


class Indefinite(_Document, frozen=True):
    """``{}``: a pause that only ``promote`` ends."""


class CanaryStep(_Document, frozen=True):
    """Exactly one of a weight to move to, a pause (a duration, or until promoted), and a check to pass, by name."""

    weight: Weight | None = None
    pause: Duration | Indefinite | None = None
    check: Name | None = None


class Canary(_Document, frozen=True):
    """Two groups that share the rotation: ``weight`` percent of its pods, by their number, are of ``canary``.

    Exactly one of ``weight``, which holds for good, and ``steps``, which a run takes one after the other.
    """

    stable: Group
    canary: Group
    weight: Weight | None = None
    steps: Annotated[tuple[CanaryStep, ...], msgspec.Meta(min_length=1)] | None = None


class Preview(_Document, frozen=True):
    """The Service of the colour that is not active: it requires the gate's key with the value ``preview``."""

    service: Name


class BlueGreen(_Document, frozen=True):
    """Groups of which one is in rotation as a whole.

    ``drain`` is how long the colour that left is to be let alone, for connections that last.
    """

    colors: Annotated[Mapping[Name, Group], msgspec.Meta(min_length=2)]
    active: Name
    preview: Preview | None = None
    drain: Duration | None = None


class Rotation(_Document, frozen=True):
    """Exactly one strategy."""

    pool: Group | None = None
    canary: Canary | None = None
    blue_green: BlueGreen | None = None


class PrometheusCheck(_Document, frozen=True):
    """A query whose every series must lie within ``max`` and ``min``, at least one of them given, for ``for``.

    It is asked every ``interval``. No data, NaN and no answer are not passed, but no failure either; ``failures``
    measurements out of bounds, or no success within ``timeout``, fail the check.
    """

    query: Annotated[str, msgspec.Meta(min_length=1)]
    max: Decimal | None = None
    min: Decimal | None = None
    for_: Duration = msgspec.field(default="0s", name="for")
    interval: Duration = "10s"
    timeout: Duration = "10m"
    failures: Annotated[int, msgspec.Meta(ge=1)] = 3


class Check(_Document, frozen=True):
    """Something measured that a canary has to pass. Where it is asked is the operator's, never the policy's."""

    name: Name
    prometheus: PrometheusCheck


class Floor(_Document, frozen=True):
    """The least number of ready endpoints: a number, or a percentage of the pods ready when the plan is made."""

    min_ready: Annotated[int, msgspec.Meta(ge=0)] | Annotated[str, msgspec.Meta(pattern=PERCENT)] = 1


class TrafficGateSpec(_Document, frozen=True):
    services: Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
    rotation: Rotation
    gate: Gate | None = None
    new_pods: Literal["Join", "Hold"] = "Join"
    admit: Annotated[int, msgspec.Meta(ge=0)] | Literal["All"] = 0
    adopt: Literal["Template", "Admission", "Reconcile"] = "Template"
    floor: Floor = Floor()
    checks: tuple[Check, ...] = ()


class TrafficGate(_Document, frozen=True, tag_field="kind", tag="TrafficGate"):
    """Which pods of one or several Services take part in rotation."""

    api_version: Literal["gatekeep.dev/v1alpha1"]
    metadata: Metadata
    spec: TrafficGateSpec

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def gate(self) -> Gate:
        """The gate as written, or ``{key: gatekeep.dev/NAME, value: open}``."""
        return self.spec.gate or Gate(key=f"gatekeep.dev/{self.metadata.name}", value="open")


class PodChoice(_Document, frozen=True):
    """Exactly one of names, a selector, and a count, which is picked once, in ``order`` (default Newest)."""

    names: Annotated[tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=253)], ...],
                     msgspec.Meta(min_length=1)] | None = None  # fmt: skip
    selector: LabelSelector | None = None
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    order: Literal["Newest", "MostRestarts"] | None = None


Mode = Literal["Gate", "Detach"]


class IsolationSpec(_Document, frozen=True):
    gate: Name
    pods: PodChoice
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    mode: Mode = "Gate"
    expires: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class Isolation(_Document, frozen=True, tag_field="kind", tag="Isolation"):
    """Pods pulled out of a gate's rotation for a while, to be looked at."""

    api_version: Literal["gatekeep.dev/v1alpha1"]
    metadata: Metadata
    spec: IsolationSpec

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        return self.metadata.namespace


Policy = TrafficGate | Isolation


class Position(msgspec.Struct, frozen=True):
    """A place in a file; line and column count from 1, and are 0 where there is no file to count in."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class LocatedPolicy(msgspec.Struct, frozen=True):
    """A policy, where it stands, and the digest of its content (``sha256:…``, of the canonical JSON)."""

    policy: Policy
    position: Position
    digest: str


def floor_of(floor: Floor, ready: int) -> int:
    """The floor in number of endpoints, when ``ready`` pods are ready as the plan is made; percents round up."""
    if isinstance(floor.min_ready, int):
        return floor.min_ready
    percent = int(re.sub("%", "", floor.min_ready))
    return math.ceil(ready * percent / 100)
