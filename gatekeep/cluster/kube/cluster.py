"""A real API server behind gatekeep's :class:`~gatekeep.cluster.protocol.Cluster`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Self

import msgspec

from gatekeep.cluster.kube import raw
from gatekeep.cluster.kube.calls import JSON, JSON_PATCH, METADATA_ONLY, Caller
from gatekeep.cluster.kube.clock import ServerClock
from gatekeep.cluster.kube.failures import Request, not_kubernetes
from gatekeep.cluster.kube.lists import list_all
from gatekeep.cluster.kube.login import Login
from gatekeep.cluster.kube.observe import snapshot
from gatekeep.cluster.kube.options import KubeOptions
from gatekeep.cluster.kube.paths import collection, member, query, resource_of
from gatekeep.cluster.kube.target import target
from gatekeep.cluster.kube.transport import SILENCE_SECONDS, Answer, Transport
from gatekeep.cluster.kube.watch import SliceFollower
from gatekeep.model.errors import ForbiddenError, NotFoundError
from gatekeep.model.objects import ObjectRef, Pod
from gatekeep.model.patches import Patch
from gatekeep.model.plan import Access
from gatekeep.model.snapshot import ClusterIdentity, Snapshot
from gatekeep.model.workloads import FIELD_MANAGER

_ESCAPES = tuple((char.encode(), f"\\u{ord(char):04x}".encode()) for char in "<>&\u2028\u2029")

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_AS_MANAGER = query(fieldManager=FIELD_MANAGER)
_AS_MANAGER_STRICT = query(fieldManager=FIELD_MANAGER, fieldValidation="Strict")
_DRY_RUN = query(dryRun="All", fieldManager=FIELD_MANAGER, fieldValidation="Strict")


def connect(options: KubeOptions, *, rng: random.Random | None = None) -> KubeCluster:
    """The cluster that ``options`` and the kubeconfig name. Nothing is sent yet.

    ``rng`` spreads retries. Raises :class:`UsageError` and, for an exec plugin without success, ForbiddenError.
    """
    from gatekeep.cluster.kube.config import load  # the official client takes 0.13 s to import

    return KubeCluster(load(options), request_timeout=options.request_timeout, rng=rng)


class KubeCluster:
    """One API server with one identity's permissions; safe to use from many threads. Close it, or use ``with``."""

    def __init__(
        self,
        login: Login,
        *,
        request_timeout: float | None = None,
        rng: random.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = ServerClock()
        silence = SILENCE_SECONDS if request_timeout is None else request_timeout or None
        self._transport = Transport(target(login), silence, self._clock.observe)
        self._caller = Caller(self._transport, rng or random.Random(), sleep)
        self._identity: tuple[ClusterIdentity, frozenset[str]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections; requests under way end by themselves."""
        self._transport.close()

    @property
    def clock(self) -> ServerClock:
        """This machine's clock, corrected when the server's differs by more than two seconds."""
        return self._clock

    @property
    def namespace(self) -> str:
        """The context's namespace, for commands without ``-n``."""
        return self._transport.target.namespace

    @property
    def server(self) -> str:
        """The server's URL without credentials."""
        return self._transport.target.url

    def identity(self) -> ClusterIdentity:
        """Which cluster this is, asked for once; the uid is None and the version empty where they may not be read."""
        return self._identify()[0]

    def snapshot(self, namespaces: Sequence[str]) -> Snapshot:
        """Every kind gatekeep looks at, listed once, side by side, in ``namespaces``; none given means all."""
        found = snapshot(self._caller, namespaces, self._identify)
        return replace(found, time=self._clock.now())  # only the answers to the lists say what the server's time is

    def raw_objects(
        self, namespaces: Sequence[str], report: Callable[[str, str], None] = lambda plural, reason: None
    ) -> Iterator[dict[str, Any]]:
        """All objects that a snapshot file holds, as the server gives them; see :func:`raw.raw_objects`."""
        return raw.raw_objects(self._caller, namespaces, report)

    def list_pods(self, namespace: str, selector: Mapping[str, str] | None = None) -> tuple[Pod, ...]:
        """A consistent list of the pods of a namespace that carry the labels of ``selector``."""
        return tuple(list_all(self._caller, resource_of("Pod"), namespace, Pod, labels=selector).items)

    def list_objects(self, kind: str, namespace: str, selector: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
        """The objects of a kind that carry the labels of ``selector``, as plain data with apiVersion and kind."""
        resource = resource_of(kind)
        found = list_all(self._caller, resource, namespace, dict[str, Any], labels=selector).items
        return tuple({"apiVersion": resource.api_version, "kind": kind, **item} for item in found)

    def get(self, ref: ObjectRef) -> dict[str, Any]:
        """The object as plain data. Raises :class:`NotFoundError`."""
        path, request = _member("get", ref)
        return self._object(request, self._caller.call("GET", path, request))

    def create(self, kind: str, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Creates an object and returns it.

        Raises :class:`AlreadyExistsError`, also when a first try was cut off after it had been carried out.
        """
        return self._post(kind, namespace, body, _AS_MANAGER_STRICT)

    def dry_run_create(self, kind: str, namespace: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What :meth:`create` would return, admission included; nothing is stored."""
        return self._post(kind, namespace, body, _DRY_RUN)

    def patch(self, ref: ObjectRef, patch: Patch) -> dict[str, Any]:
        """Applies a JSON Patch as field manager ``gatekeep``; returns the object, of a pod only its metadata.

        Sent again when the connection is cut. Raises :class:`PatchRejectedError` when a guard fails (422, 409), also
        when the first try had been applied: look at the object then. Raises :class:`NotFoundError`.
        """
        path, request = _member("patch", ref)
        pod = ref.kind == "Pod"
        path += _AS_MANAGER if pod else _AS_MANAGER_STRICT
        accept = METADATA_ONLY if pod else JSON
        body = encode_patch(patch)
        answer = self._caller.call("PATCH", path, request, body=body, content_type=JSON_PATCH, accept=accept)
        return self._object(request, answer)

    def delete(self, ref: ObjectRef, uid: str | None = None) -> None:
        """Deletes the object, if it still has that uid; its dependents follow in the background.

        Raises :class:`NotFoundError` and, for another uid, :class:`PatchRejectedError`.
        """
        path, request = _member("delete", ref)
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        self._caller.call("DELETE", path, request, body=msgspec.json.encode(options))

    def watch_slices(self, namespace: str, service: str) -> SliceFollower:
        """The EndpointSlices of a Service, followed until the context ends."""
        return SliceFollower(self._caller, namespace, service)

    def may(self, access: Access) -> bool:
        """Whether this identity has the permission (SelfSubjectAccessReview)."""
        resource, _, subresource = access.resource.partition("/")
        asked = {
            "namespace": access.namespace,
            "verb": access.verb,
            "group": access.group,
            "resource": resource,
            "subresource": subresource,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        request = Request("create", "selfsubjectaccessreviews", namespaced=False)
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = self._object(request, self._caller.call("POST", path, request, body=msgspec.json.encode(review)))
        return bool(answer.get("status", {}).get("allowed", False))

    def _post(self, kind: str, namespace: str, body: Mapping[str, Any], parameters: str) -> dict[str, Any]:
        resource = resource_of(kind)
        name = str(body.get("metadata", {}).get("name", ""))
        request = Request("create", resource.plural, namespace, name, resource.namespaced)
        path = collection(resource, namespace) + parameters
        return self._object(request, self._caller.call("POST", path, request, body=msgspec.json.encode(body)))

    def _identify(self) -> tuple[ClusterIdentity, frozenset[str]]:
        """The identity, and what of it may not be read: ``namespaces``, ``version``."""
        if self._identity is None:
            with ThreadPoolExecutor(1) as thread:
                version = thread.submit(self._read, self._version)
                found = self._read(lambda: raw.kube_system(self._caller))
            uid, told = found.get("metadata", {}).get("uid"), version.result().get("gitVersion", "")
            unknown = frozenset(name for name, known in (("namespaces", uid), ("version", told)) if not known)
            self._identity = ClusterIdentity(uid=uid, server=self.server, version=told), unknown
        return self._identity

    def _version(self) -> dict[str, Any]:
        request = Request("get", "/version", namespaced=False)
        return self._object(request, self._caller.call("GET", "/version", request))

    @staticmethod
    def _read(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return ask()
        except (ForbiddenError, NotFoundError):
            return {}

    def _object(self, request: Request, answer: Answer) -> dict[str, Any]:
        try:
            return _OBJECT.decode(answer.body)
        except msgspec.MsgspecError as error:
            raise not_kubernetes(self.server, request, error) from error


def encode_patch(patch: Patch) -> bytes:
    """The patch as the API server's own JSON: ``test`` compares bytes, and Go escapes five characters.

    They are ``<``, ``>``, ``&``, U+2028 and U+2029, and stand only inside JSON strings; all others stay as they are.
    """
    encoded = msgspec.json.encode(patch)
    for char, escape in _ESCAPES:
        encoded = encoded.replace(char, escape)
    return encoded


def _member(verb: str, ref: ObjectRef) -> tuple[str, Request]:
    resource = resource_of(ref.kind)
    request = Request(verb, resource.plural, ref.namespace, ref.name, resource.namespaced)
    return member(resource, ref.namespace, ref.name), request
