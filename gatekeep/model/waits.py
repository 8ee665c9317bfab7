"""What a step of a plan may wait for, and values that only the cluster can give. See ``docs/plan-document.md``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

DEFAULT_TIMEOUT_SECONDS = 300


class Part(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=False):
    """A newer gatekeep may add fields; an older one reads past them."""


class Bound(Part, frozen=True):
    """A value that only the cluster can give: the one that an earlier step bound to this name."""

    name: str = msgspec.field(name="$bound")


class GateLabel(Part, frozen=True, omit_defaults=True):
    """What a step brings a label to on whoever matches: ``value`` None takes it off.

    With ``old`` only whoever has that value now matches.
    """

    key: str
    value: str | Bound | None
    old: str | Bound | None = None


class EndpointsWait(Part, frozen=True, tag_field="type", tag="Endpoints"):
    """Met when the slices of the Service hold exactly the ready pods that match ``selector`` in a list made after the
    last write. ``pods`` is the prediction, by name."""

    namespace: str
    service: str
    selector: Mapping[str, str]
    pods: tuple[str, ...]
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS


class ExistsWait(Part, frozen=True, tag_field="type", tag="Exists"):
    """Met when the Service has any EndpointSlice: the service stream was read as far as its creation."""

    namespace: str
    service: str
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS


class WaitObject(Part, frozen=True):
    """The object that a wait looks at; another one of its name does not count."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str


class AsLongAs(Part, frozen=True):
    """A wait is asked only as long as the field at ``path`` is ``equals``: else another writer has moved on."""

    path: str
    equals: str | int | Bound


class FieldWait(Part, frozen=True, tag_field="type", tag="Field", omit_defaults=True):
    """Met when the field at ``path`` (a JSON pointer) is what is asked; a number that is absent counts as 0.

    ``atLeast`` is a number or bound; ``equals`` a value, bound, or ``{"$field": pointer}``, another field of the same
    object as it is then.
    """

    object: WaitObject
    path: str
    at_least: int | Bound | None = None
    equals: Any = None
    while_: AsLongAs | None = msgspec.field(default=None, name="while")
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS


class RevisionWait(Part, frozen=True, tag_field="type", tag="Revision", omit_defaults=True):
    """Met when the controller of a DaemonSet or StatefulSet has read generation ``observed`` or a later one.

    Then the ControllerRevision whose template is that of ``revision`` (as pods carry it in
    ``controller-revision-hash``) with the label ``gate`` is looked up, and values of it are bound. Where there is none,
    another writer changed the template: nothing is bound, and the steps that require it are left out. ``exceptLabels``
    do not count in the comparison: gate labels that a killed run may have changed as well.
    """

    object: WaitObject
    revision: str | Bound
    gate: GateLabel
    observed: int | Bound
    bind: Mapping[str, str]
    except_labels: tuple[str, ...] = ()
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS


class AdmissionWait(Part, frozen=True, tag_field="type", tag="Admission", omit_defaults=True):
    """Met when a pod of ``owner`` with ``labels``, created in a dry run, has the label ``gate`` (None: lacks it)."""

    owner: WaitObject
    labels: Mapping[str, str]
    gate: GateLabel
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS


class DurationWait(Part, frozen=True, tag_field="type", tag="Duration"):
    """Met after so many seconds."""

    seconds: int
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS


class CheckWait(Part, frozen=True, tag_field="type", tag="Check", omit_defaults=True):
    """Met when every series of a Prometheus query has lain within its bounds for ``forSeconds`` on end.

    It is asked every ``intervalSeconds``; ``max`` and ``min`` are decimal numbers as text. ``failures`` measurements
    out of bounds fail it, and so does the timeout; no data, NaN and no answer are neither.
    """

    name: str
    query: str
    max: str | None = None
    min: str | None = None
    for_seconds: int = 0
    interval_seconds: int = 10
    failures: int = 3
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS


ServiceWait = EndpointsWait | ExistsWait
"""What the endpoint controller answers."""

Wait = EndpointsWait | ExistsWait | FieldWait | RevisionWait | AdmissionWait | DurationWait | CheckWait
