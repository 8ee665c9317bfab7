"""What gatekeep remembers of a gate: one ConfigMap ``gatekeep-NAME`` in the gate's namespace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import ConfigMap, ObjectRef
from gatekeep.model.plan import Adopted, Hold
from gatekeep.model.policy import Gate, Position, TrafficGate
from gatekeep.model.progress import Isolated, Progress
from gatekeep.model.snapshot import Snapshot

MANAGED_BY = "app.kubernetes.io/managed-by"
GATE_LABEL = "gatekeep.dev/gate"
RECORD_KEY = "record.json"
KEPT_RUNS = 10
LARGEST_RECORD = 768 * 1024
"""In bytes; a ConfigMap holds 1 MiB, and a patch of it must fit into a request."""


class GateName(NamedTuple):
    """Names a gate: ``NAMESPACE/NAME``."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Beginning(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Where a run began: the policy that stood (None: no gate), how far its run had come, and who was isolated.

    ``picked`` are uids of members that were picked by number, at most 1,000 of them.
    """

    policy: TrafficGate | None = None
    progress: Progress | None = None
    picked: tuple[str, ...] = ()
    isolations: tuple[Isolated, ...] = ()


class Run(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One run of a command that writes. Times are RFC 3339 in UTC.

    ``before`` is where it began; ``selectors`` are those of the gate's Services as it left them, by Service.
    """

    id: str
    plan: str
    started: str
    by: str
    action: str = "apply"
    outcome: str = "running"
    ended: str = ""
    before: Beginning | None = None
    selectors: Mapping[str, Mapping[str, str]] = msgspec.field(default_factory=dict)


class Record(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The policy as last applied, the gate that may stand on Services, and the last runs, newest first.

    ``wanted`` is the policy of a run under way, or of one that was killed; absent once a run is done.
    ``pending`` are the other gates that may stand on a Service while a run is under way, or after one that was killed.
    ``kept`` are uids of pods that carried the gate label before the gate existed; retiring leaves those labels alone.
    ``adopted`` are the workloads whose later pods carry the label by gatekeep's hand, ``holds`` those that a run under
    way, or one that was killed, may hold still. ``repository`` is where the policy came from, as given. ``progress`` is
    how far the run of a canary or a blue/green switch has come; ``isolations`` who is out of rotation, and why.
    """

    policy: TrafficGate
    gate: Gate
    pending: tuple[Gate, ...] = ()
    wanted: TrafficGate | None = None
    source: Position | None = None
    repository: str | None = None
    kept: tuple[str, ...] = ()
    adopted: tuple[Adopted, ...] = ()
    holds: tuple[Hold, ...] = ()
    progress: Progress | None = None
    isolations: tuple[Isolated, ...] = ()
    runs: tuple[Run, ...] = ()


def object_name(gate: str) -> str:
    """The name of a gate's ConfigMap and Lease."""
    return f"gatekeep-{gate}"


def managed_labels(gate: str) -> dict[str, str]:
    """The labels on everything gatekeep creates; what a killed run left is found by them."""
    return {MANAGED_BY: "gatekeep", GATE_LABEL: gate}


def services_of(record: Record) -> tuple[str, ...]:
    """Names of every Service on which the gate may stand."""
    wanted = record.wanted.spec.services if record.wanted else ()
    return tuple(dict.fromkeys((*record.policy.spec.services, *wanted)))


def records_in(snapshot: Snapshot) -> dict[GateName, Record]:
    """Every gate's record in ``snapshot``. Raises :class:`RefusedError` when one cannot be read."""
    return {
        GateName(item.metadata.namespace, item.metadata.name.removeprefix("gatekeep-")): decode(item)
        for item in snapshot.config_maps
        if RECORD_KEY in item.data
    }


def record_of(snapshot: Snapshot, gate: GateName) -> Record | None:
    """The gate's record in ``snapshot``, or None. Raises :class:`RefusedError` when it cannot be read."""
    for config_map in snapshot.config_maps:
        if config_map.metadata.namespace == gate.namespace and config_map.metadata.name == object_name(gate.name):
            return decode(config_map)
    return None


def decode(config_map: ConfigMap) -> Record:
    """The record in a ConfigMap. Raises :class:`RefusedError` when somebody edited it beyond reading."""
    where = str(ObjectRef("ConfigMap", config_map.metadata.namespace, config_map.metadata.name))
    try:
        return msgspec.json.decode(config_map.data.get(RECORD_KEY, ""), type=Record)
    except msgspec.DecodeError as error:
        raise RefusedError(
            f"expected gatekeep's record in {RECORD_KEY}: {error}",
            where=where,
            hint=f"restore it, or delete the ConfigMap to start afresh: kubectl -n {config_map.metadata.namespace} "
            f"delete configmap {config_map.metadata.name}",
        ) from error


def encode(record: Record) -> dict[str, str]:
    """The ConfigMap data that holds ``record``: of one that is too large the oldest runs forget where they began."""
    while True:
        text = msgspec.json.format(msgspec.json.encode(record), indent=2)
        remembering = [number for number, run in enumerate(record.runs) if number and run.before is not None]
        if len(text) <= LARGEST_RECORD or not remembering:
            return {RECORD_KEY: text.decode()}
        runs = list(record.runs)
        runs[remembering[-1]] = msgspec.structs.replace(runs[remembering[-1]], before=None)
        record = msgspec.structs.replace(record, runs=tuple(runs))


def with_run(record: Record, run: Run) -> Record:
    """``record`` with ``run`` first; a run of the same id is replaced, and only the last 10 stay."""
    others = tuple(item for item in record.runs if item.id != run.id)
    return msgspec.structs.replace(record, runs=(run, *others)[:KEPT_RUNS])
