"""What gatekeep asks of a cluster. ``kube`` and ``embedded`` answer it alike; one contract suite runs on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from gatekeep.model.objects import EndpointSlice, ObjectRef, Pod
from gatekeep.model.patches import Patch
from gatekeep.model.plan import Access
from gatekeep.model.snapshot import ClusterIdentity, Snapshot


class Clock(Protocol):
    """Time as the cluster sees it. An embedded cluster's clock is virtual: sleeping runs its controllers."""

    def now(self) -> datetime:
        """The API server's time, in UTC."""

    def monotonic(self) -> float:
        """Seconds since some start, never going back."""

    def sleep(self, seconds: float) -> None:
        """Lets ``seconds`` pass."""


class SliceWatch(Protocol):
    """The EndpointSlices of one Service, kept up to date."""

    def current(self) -> tuple[EndpointSlice, ...]:
        """The slices as last seen."""

    def wait(self, seconds: float) -> tuple[EndpointSlice, ...]:
        """The slices after the next change, or as they are after ``seconds`` without one."""


class Cluster(Protocol):
    """One cluster with one identity's permissions.

    Every method may raise :class:`UnreachableError` (69) and :class:`ForbiddenError` (77, naming verb and resource).
    """

    @property
    def clock(self) -> Clock:
        """The cluster's clock."""

    def identity(self) -> ClusterIdentity:
        """Which cluster this is."""

    def snapshot(self, namespaces: Sequence[str]) -> Snapshot:
        """Every kind gatekeep looks at, listed once, side by side, in ``namespaces``; none given means all."""

    def list_pods(self, namespace: str, selector: Mapping[str, str] | None = None) -> tuple[Pod, ...]:
        """A consistent list of the pods of a namespace that carry the labels of ``selector``."""

    def get(self, ref: ObjectRef) -> dict[str, Any]:
        """The object as plain data. Raises :class:`NotFoundError`."""

    def list_objects(self, kind: str, namespace: str, selector: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
        """The objects of a kind that carry the labels of ``selector``, as plain data."""

    def create(self, kind: str, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Creates an object and returns it. Raises :class:`AlreadyExistsError`."""

    def dry_run_create(self, kind: str, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What :meth:`create` would return, admission included; nothing is stored. Needs the permission to create."""

    def patch(self, ref: ObjectRef, patch: Patch) -> dict[str, Any]:
        """Applies a JSON Patch as field manager ``gatekeep``; returns the object, or at least its metadata.

        Safe to send again: patches carry ``test`` guards. Raises :class:`PatchRejectedError` when a guard fails (422,
        409) and :class:`NotFoundError`.
        """

    def delete(self, ref: ObjectRef, uid: str | None = None) -> None:
        """Deletes the object, if it still has that uid. Raises :class:`NotFoundError` or PatchRejectedError."""

    def watch_slices(self, namespace: str, service: str) -> AbstractContextManager[SliceWatch]:
        """The EndpointSlices of a Service, followed until the context ends."""

    def may(self, access: Access) -> bool:
        """Whether this identity has the permission."""
