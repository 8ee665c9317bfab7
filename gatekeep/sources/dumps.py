"""Reads a cluster from a file: the ``kind: List`` that ``kubectl get … -o json`` and ``gatekeep snapshot`` print.

A dump of 100,000 pods has hundreds of megabytes. Its items are decoded straight into the classes of the model, piece
by piece, so the file is never in memory as a whole.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gatekeep.model.admission import API_VERSION, BINDING, POLICY
from gatekeep.model.objects import (
    AdmissionObject,
    Budget,
    ConfigMap,
    EndpointSlice,
    Node,
    ObjectMeta,
    Pod,
    Service,
    Workload,
)
from gatekeep.model.snapshot import ClusterIdentity, Snapshot
from gatekeep.sources import tree
from gatekeep.sources.files import open_regular, printable, unreadable
from gatekeep.sources.pieces import UNDECODABLE, items_of
from gatekeep.sources.problems import DocumentErrors, Problem, file_error, missing_file, quoted, shown
from gatekeep.sources.redact import MANAGED_BY, SYSTEM_NAMESPACE, dump_snapshot
from gatekeep.sources.scalars import readings

__all__ = ["dump_snapshot", "load_snapshot"]

_KIND = re.compile(rb'\{\s*"apiVersion"\s*:\s*"([^"\\]*)"\s*,\s*"kind"\s*:\s*"([A-Za-z]*)"')


class _Type(msgspec.Struct, rename="camel"):
    """What any object says of itself."""

    kind: str = ""
    api_version: str = ""


class _Namespace(msgspec.Struct):
    metadata: ObjectMeta


class _Kind(NamedTuple):
    api_version: str
    plural: str
    cls: type[Any]
    namespaced: bool = True


_KINDS = {
    "Pod": _Kind("v1", "pods", Pod),
    "Service": _Kind("v1", "services", Service),
    "EndpointSlice": _Kind("discovery.k8s.io/v1", "endpointslices", EndpointSlice),
    "Deployment": _Kind("apps/v1", "deployments", Workload),
    "ReplicaSet": _Kind("apps/v1", "replicasets", Workload),
    "DaemonSet": _Kind("apps/v1", "daemonsets", Workload),
    "StatefulSet": _Kind("apps/v1", "statefulsets", Workload),
    "Node": _Kind("v1", "nodes", Node, namespaced=False),
    "ConfigMap": _Kind("v1", "configmaps", ConfigMap),
    "Namespace": _Kind("v1", "namespaces", _Namespace, namespaced=False),
    "PodDisruptionBudget": _Kind("policy/v1", "poddisruptionbudgets", Budget),
    POLICY: _Kind(API_VERSION, "mutatingadmissionpolicies", AdmissionObject, namespaced=False),
    BINDING: _Kind(API_VERSION, "mutatingadmissionpolicybindings", AdmissionObject, namespaced=False),
}
_WORKLOADS = tuple(kind for kind, about in _KINDS.items() if about.cls is Workload)
# A cluster that gatekeep has not touched yet has none worth keeping, and many a cluster has no budgets.
_NEVER_MISSING = ("ConfigMap", "Namespace", POLICY, BINDING, "PodDisruptionBudget")
_DECODE = {kind: msgspec.json.Decoder(about.cls).decode for kind, about in _KINDS.items()}
_decode_type = msgspec.json.Decoder(_Type).decode

_Objects = dict[str, list[Any]]


def load_snapshot(path: Path) -> Snapshot:
    """The cluster that the ``kind: List`` in ``path`` (a file or a pipe, JSON or YAML) describes.

    ``missing`` names each kind of which it holds no object. The identity is the uid of the Namespace kube-system, or
    else ``sha256:…`` of the file's bytes. Raises :class:`DocumentErrors`. YAML may have 16 MiB; JSON has no limit.
    """
    file = printable(path)
    try:
        with open_regular(str(path), file, pipe=True, follow=True) as stream:
            hashed = _Hashed(stream)
            if stream.peek(1).lstrip()[:1] == b"{":
                objects = _from_json(hashed, file)
            else:
                objects = _from_yaml(hashed.read(tree.DUMP_LIMITS.size + 1), file)
    except FileNotFoundError as error:
        raise missing_file(file, "no such file", "make one with: gatekeep snapshot --out FILE") from error
    except OSError as error:
        raise unreadable(file, error) from error
    return _snapshot(objects, hashed.digest())


class _Hashed:
    """Reads a stream and hashes what was read, so that a pipe need not be read twice."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream
        self._sum = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most ``size``."""
        data = self._stream.read(size)
        self._sum.update(data)
        return data

    def digest(self) -> str:
        """``sha256:…`` of everything read so far."""
        return f"sha256:{self._sum.hexdigest()}"


def _snapshot(objects: _Objects, digest: str) -> Snapshot:
    uids = [one.metadata.uid for one in objects["Namespace"] if one.metadata.name == SYSTEM_NAMESPACE]
    absent = (about.plural for kind, about in _KINDS.items() if kind not in _NEVER_MISSING and not objects[kind])
    return Snapshot(
        identity=ClusterIdentity(uid=next(filter(None, uids), digest)),
        pods=tuple(objects["Pod"]),
        services=tuple(objects["Service"]),
        slices=tuple(objects["EndpointSlice"]),
        workloads=tuple(one for kind in _WORKLOADS for one in objects[kind]),
        nodes=tuple(objects["Node"]),
        config_maps=tuple(one for one in objects["ConfigMap"] if one.metadata.labels.get(MANAGED_BY) == "gatekeep"),
        admission=tuple(
            one
            for kind in (POLICY, BINDING)
            for one in objects[kind]
            if one.metadata.labels.get(MANAGED_BY) == "gatekeep"
        ),
        budgets=tuple(objects["PodDisruptionBudget"]),
        missing=frozenset(absent),
    )


def _from_json(stream: _Hashed, file: str) -> _Objects:
    objects: _Objects = defaultdict(list)
    count = 0
    for batch in items_of(stream, file):
        for raw in batch:
            kind = ""
            try:
                version, kind = _kind(raw)
                if _wanted(version, kind):
                    objects[kind].append(_placed(_DECODE[kind](raw), kind))
            except UNDECODABLE as error:
                raise file_error(file, f"items[{count}] {kind}: {error}", _hint(kind)) from error
            count += 1
    return objects


def _kind(raw: msgspec.Raw) -> tuple[str, str]:
    """apiVersion and kind of an item. kubectl and Go write them first, so most items need no reading for it."""
    if match := _KIND.match(raw):
        return match[1].decode(), match[2].decode()
    said = _decode_type(raw)
    return said.api_version, said.kind


def _wanted(version: str, kind: str) -> bool:
    """True for the kinds that are kept; a Knative Service is not the Service meant here."""
    return kind in _KINDS and version in (_KINDS[kind].api_version, "")


def _placed(item: Any, kind: str) -> Any:
    """``item``; without a namespace it is in ``default``, where kubectl would have put it."""
    if item.metadata.namespace or not _KINDS[kind].namespaced:
        return item
    return msgspec.structs.replace(item, metadata=msgspec.structs.replace(item.metadata, namespace="default"))


def _from_yaml(data: bytes, file: str) -> _Objects:
    if len(data) > tree.DUMP_LIMITS.size:
        message = f"YAML of more than {tree.DUMP_LIMITS.size // tree.MEBIBYTE} MiB"
        raise file_error(file, message, "write the dump as JSON: kubectl get … -o json")
    documents = tree.read_documents(tree.text_of(data, file), file, tree.DUMP_LIMITS)
    node = documents[0] if documents else None
    items = node.get("items") if isinstance(node, tree.MapNode) else None
    kind = node.get("kind") if isinstance(node, tree.MapNode) else None
    if not isinstance(items, tree.ListNode) or not isinstance(kind, tree.Scalar) or kind.value != "List":
        raise file_error(file, "expected an object of kind List with items", "make one with: gatekeep snapshot")
    if problems := list(_ambiguous(items, file)):
        raise DocumentErrors(problems)
    objects: _Objects = defaultdict(list)
    for item in items.items:
        _take_yaml(item, objects, file)
    return objects


def _take_yaml(node: tree.Node, objects: _Objects, file: str) -> None:
    kind = ""
    try:
        data = tree.plain_data(node)
        said = msgspec.convert(data, _Type)
        kind = said.kind
        if _wanted(said.api_version, kind):
            objects[kind].append(_placed(msgspec.convert(data, _KINDS[kind].cls), kind))
    except msgspec.ValidationError as error:
        where = tree.position(node, file)
        raise DocumentErrors([Problem(where, f"{kind or 'item'}: {error}", _hint(kind))]) from error


def _ambiguous(node: tree.Node, file: str) -> Iterator[Problem]:
    """Unquoted words, such as ``yes``, that are text here and would be something else in the cluster."""
    if isinstance(node, tree.ListNode):
        for item in node.items:
            yield from _ambiguous(item, file)
    elif isinstance(node, tree.MapNode):
        for _, value in node.entries.values():
            yield from _ambiguous(value, file)
    elif node.plain and isinstance(node.value, str) and (seen := readings(node.text).kubernetes) != "string":
        message = f"{shown(node.text)} is a {seen} to Kubernetes"
        yield Problem(tree.position(node, file), message, f"write {quoted(node.text)}")


def _hint(kind: str) -> str:
    return f"compare it with: kubectl get {kind.lower() or 'pod'} NAME -o json"
