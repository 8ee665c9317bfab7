"""The lock: one Lease for each gate, held while its plan is applied.

A Lease whose holder has not renewed it for 30 seconds is free, by the API server's clock, so a workstation whose own
clock is wrong neither steals a lock nor waits for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gatekeep.cluster.protocol import Cluster
from gatekeep.execute.resend import resending
from gatekeep.model.errors import (
    AlreadyExistsError,
    LockHeldError,
    NotFoundError,
    PatchRejectedError,
    UnreachableError,
)
from gatekeep.model.events import Listener, Note
from gatekeep.model.objects import ObjectRef
from gatekeep.model.patches import Op, uid_guard
from gatekeep.model.record import GateName, managed_labels, object_name

DURATION_SECONDS = 30
RENEW_SECONDS = 10
_PATIENCE_SECONDS = 20
"""How long the Lease may stay as it is when the API server does not answer: it is ours for 30."""
_POLL_SECONDS = 1.0
PLAN_ANNOTATION = "gatekeep.dev/plan"


@dataclass
class Lock:
    """A held Lease. Only the thread that took it may renew or release it. ``lost`` once another run has it."""

    cluster: Cluster
    gate: GateName
    holder: str
    uid: str
    renewed: float
    lost: bool = False

    @property
    def ref(self) -> ObjectRef:
        """The Lease."""
        return ObjectRef("Lease", self.gate.namespace, object_name(self.gate.name))

    def keep(self) -> None:
        """Renews the Lease when it is due. Raises :class:`LockHeldError` when another run has taken it."""
        clock = self.cluster.clock
        idle = clock.monotonic() - self.renewed
        if idle < RENEW_SECONDS:
            return
        try:
            self._patch({"/spec/renewTime": _stamp(clock.now())})
        except UnreachableError:
            if idle < _PATIENCE_SECONDS:
                return
            raise
        self.renewed = clock.monotonic()

    def release(self) -> None:
        """Frees the Lease at once; does nothing to one that another run has."""
        if not self.lost:
            resending(self.cluster.clock, lambda: self._patch({"/spec/holderIdentity": ""}))

    def delete(self) -> None:
        """Removes the Lease, as retiring a gate does; does nothing to one that another run has."""
        try:
            if not self.lost:
                resending(self.cluster.clock, lambda: self.cluster.delete(self.ref, self.uid))
        except NotFoundError:
            return

    def _patch(self, values: dict[str, str]) -> None:
        guard = (uid_guard(self.uid), Op("test", "/spec/holderIdentity", self.holder))
        patch = (*guard, *(Op("add", path, value) for path, value in values.items()))
        try:
            try:
                self.cluster.patch(self.ref, patch)
            except PatchRejectedError:  # perhaps only a conflict with a writer of another field: ask once more
                self.cluster.patch(self.ref, patch)
        except (PatchRejectedError, NotFoundError) as error:
            self.lost = True
            raise LockHeldError(
                "this run has lost its lock to another one", where=str(self.ref), hint="gatekeep status"
            ) from error


def acquire(
    cluster: Cluster,
    gate: GateName,
    *,
    holder: str,
    plan_id: str,
    timeout: float,
    listener: Listener,
    check: Callable[[], None],
) -> Lock:
    """Takes the gate's Lease, waiting up to ``timeout`` seconds. Raises :class:`LockHeldError`.

    ``holder`` must be unique to the run. ``check`` is called while waiting: it keeps other locks and notices signals.
    """
    deadline = cluster.clock.monotonic() + timeout
    told = False
    while True:
        taken = resending(cluster.clock, lambda: _try(cluster, gate, holder, plan_id))
        if isinstance(taken, Lock):
            return taken
        if cluster.clock.monotonic() >= deadline:
            raise LockHeldError(
                f"the lock of gate {gate} is held by {taken}",
                where=str(ObjectRef("Lease", gate.namespace, object_name(gate.name))),
                hint="wait for that run, or try again with a longer --lock-timeout; a dead holder's lock is free "
                f"after {DURATION_SECONDS} s",
            )
        if not told:
            listener(Note(message=f"waiting for the lock of gate {gate}, held by {taken}"))
            told = True
        check()
        cluster.clock.sleep(_POLL_SECONDS)


def _try(cluster: Cluster, gate: GateName, holder: str, plan_id: str) -> Lock | str:
    """The lock, or who holds it."""
    ref = ObjectRef("Lease", gate.namespace, object_name(gate.name))
    try:
        live = cluster.get(ref)
    except NotFoundError:
        return _create(cluster, gate, ref, holder, plan_id)
    spec = live.get("spec") or {}
    if spec.get("holderIdentity") == holder:  # the answer to taking it got lost
        return Lock(cluster, gate, holder, live["metadata"]["uid"], cluster.clock.monotonic())
    if spec.get("holderIdentity") and not _is_dead(spec, cluster.clock.now()):
        plan = (live["metadata"].get("annotations") or {}).get(PLAN_ANNOTATION, "")
        return f"{spec['holderIdentity']} since {spec.get('acquireTime', 'an unknown time')}" + (
            f" (plan {plan[:19]}…)" if plan else ""
        )
    return _take_over(cluster, gate, ref, live, holder, plan_id)


def _create(cluster: Cluster, gate: GateName, ref: ObjectRef, holder: str, plan_id: str) -> Lock | str:
    body = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            "labels": managed_labels(gate.name),
            "annotations": {PLAN_ANNOTATION: plan_id},
        },
        "spec": _spec(cluster, holder),
    }
    try:
        created = cluster.create("Lease", ref.namespace, body)
    except AlreadyExistsError:
        return "a run that started at the same moment"
    return Lock(cluster, gate, holder, created["metadata"]["uid"], cluster.clock.monotonic())


def _take_over(
    cluster: Cluster, gate: GateName, ref: ObjectRef, live: dict[str, Any], holder: str, plan_id: str
) -> Lock | str:
    spec, uid = live.get("spec") or {}, live["metadata"]["uid"]
    patch = (
        uid_guard(uid),
        Op("test", "/spec/holderIdentity", spec.get("holderIdentity")),
        Op("test", "/spec/renewTime", spec.get("renewTime")),
        Op("add", "/metadata/annotations", {PLAN_ANNOTATION: plan_id}),
        Op("add", "/spec", _spec(cluster, holder)),
    )
    try:
        cluster.patch(ref, patch)
    except (PatchRejectedError, NotFoundError) as error:
        return f"a run that was faster ({error.message})"
    return Lock(cluster, gate, holder, uid, cluster.clock.monotonic())


def _spec(cluster: Cluster, holder: str) -> dict[str, object]:
    now = _stamp(cluster.clock.now())
    return {
        "holderIdentity": holder,
        "leaseDurationSeconds": DURATION_SECONDS,
        "acquireTime": now,
        "renewTime": now,
    }


def _is_dead(spec: dict[str, Any], now: datetime) -> bool:
    try:
        renewed = datetime.fromisoformat(spec.get("renewTime") or "")
        return (now - renewed).total_seconds() > DURATION_SECONDS
    except (TypeError, ValueError):  # nobody who holds it wrote that
        return True


def _stamp(moment: datetime) -> str:
    """A Kubernetes MicroTime."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
