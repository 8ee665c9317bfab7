"""Loads policies, and what Git says about Services and workloads beside them, from files, folders or standard input."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import msgspec
import msgspec.inspect as mi

from gatekeep.model.plan import digest
from gatekeep.model.policy import API_VERSION, LOCAL_CONFIG, LocatedPolicy, Policy, Position, TrafficGate
from gatekeep.sources.check import check, close
from gatekeep.sources.choices import choice_problems
from gatekeep.sources.conflicts import conflicts
from gatekeep.sources.files import KUSTOMIZATIONS, find_files, has_kustomization, read_file
from gatekeep.sources.problems import DocumentErrors, Problem, file_error, shown
from gatekeep.sources.repository import LocatedManifest, LocatedNode, Repository
from gatekeep.sources.rollouts import unused_checks
from gatekeep.sources.semantics import policy_problems
from gatekeep.sources.tree import (
    POLICY_LIMITS,
    ListNode,
    MapNode,
    Node,
    Scalar,
    plain_data,
    position,
    read_documents,
    text_of,
    too_large,
)
from gatekeep.sources.tree import (
    place as place_of,
)

GROUP = API_VERSION.partition("/")[0]
MANIFEST_KINDS = frozenset(
    {"Pod", "Service", "Deployment", "ReplicaSet", "DaemonSet", "StatefulSet", "Job", "ReplicationController"}
)
_MANIFEST_VERSIONS = frozenset({"v1", "apps/v1", "batch/v1"})  # other groups have a Service too
STDIN = "-"
_MARK = re.compile(re.escape(GROUP) + r"/v[0-9]")  # a file with this text is taken for a policy file
_CLASSES: dict[str, type[Policy]] = {cls.__name__: cls for cls in get_args(Policy)}


@dataclass
class _Found:
    """What was read so far. ``places`` are the policies' positions as messages show them."""

    policies: list[LocatedPolicy] = field(default_factory=list)
    places: list[Position] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    manifests: list[LocatedManifest] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    synced: set[str] = field(default_factory=set)
    nodes: list[LocatedNode] = field(default_factory=list)
    others: list[LocatedNode] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    keep_nodes: bool = False


class _Place(NamedTuple):
    """How the file under the hand is called: in errors, and in positions that outlive the run."""

    shown: str
    lasting: str
    folder: str
    named: bool


def load_policies(
    paths: Sequence[Path | Literal["-"]], *, stdin: bytes | None = None, full_paths: bool = False
) -> Repository:
    """The policies in the files and folders ``paths``; ``-`` stands for ``stdin``.

    Positions and findings hold file names relative to the folder that was named, so that a plan is the same from
    every working directory; with ``full_paths`` they hold openable ones, as errors always do. Raises
    :class:`DocumentErrors` with every problem of every file.
    """
    repository, problems = read_repository(paths, stdin=stdin, full_paths=full_paths)
    if problems:
        raise DocumentErrors(problems)
    return repository


def read_repository(
    paths: Sequence[Path | Literal["-"]],
    *,
    stdin: bytes | None = None,
    full_paths: bool = False,
    keep_nodes: bool = False,
) -> tuple[Repository, tuple[Problem, ...]]:
    """As :func:`load_policies`, but what is wrong stands beside what could be read."""
    found = _Found(keep_nodes=keep_nodes)
    for path in paths:
        try:
            if str(path) == STDIN:
                _read(_stdin(stdin), _Place("stdin", "stdin", "", named=True), found)
            else:
                _read_path(Path(path), found, full_paths=full_paths)
        except DocumentErrors as error:
            found.problems.extend(error.problems)
    found.problems.extend(conflicts(zip(found.policies, found.places, strict=True)))
    repository = Repository(
        policies=tuple(found.policies),
        places=tuple(found.places),
        manifests=tuple(found.manifests),
        notes=(*found.notes, *_synced(found)),
        nodes=tuple(found.nodes),
        others=tuple(found.others),
        files=found.files,
    )
    return repository, tuple(found.problems)


def _stdin(data: bytes | None) -> bytes:
    if data is None:
        raise file_error("stdin", "nothing to read", "pipe the policies into the command")
    if len(data) > POLICY_LIMITS.size:
        raise too_large("stdin", POLICY_LIMITS.size)
    return data


def _read_path(path: Path, found: _Found, *, full_paths: bool) -> None:
    files, problems = find_files(path)
    found.problems.extend(problems)
    for file in files:
        if file.named or Path(file.relative).name not in KUSTOMIZATIONS:
            try:
                place = _Place(file.path, file.path if full_paths else file.relative, file.folder, file.named)
                _read(read_file(file, POLICY_LIMITS.size), place, found)
            except DocumentErrors as error:
                found.problems.extend(error.problems)


def _read(data: bytes, place: _Place, found: _Found) -> None:
    """Adds what one file holds. Raises :class:`DocumentErrors` when nothing of it can be used."""
    text = text_of(data, place.shown)
    found.files.setdefault(place.lasting, place.shown)
    try:
        documents = read_documents(text, place.shown)
    except DocumentErrors as error:
        if place.named or _MARK.search(text):
            raise
        found.notes.append(_skipped(error, place))
        return
    before = len(found.policies), len(found.problems)
    for node in _expanded(documents):
        _take(node, place, found)
    if place.named and before == (len(found.policies), len(found.problems)):
        hint = f"a policy begins with: apiVersion: {API_VERSION}"
        found.problems.extend(file_error(place.shown, "no policy in this file", hint).problems)


def _skipped(error: DocumentErrors, place: _Place) -> Problem:
    first = error.problems[0]
    message = f"not read, so nothing is known of what it would change: {first.message}"
    where = Position(place.lasting, first.position.line, first.position.column)
    return Problem(where, message, rule="manifest-unreadable")


def _expanded(documents: Sequence[Node]) -> Iterator[Node]:
    """The documents, with those that a ``kind: List`` holds in its place."""
    for node in documents:
        items = node.get("items") if isinstance(node, MapNode) and _text(node, "kind") == "List" else None
        if isinstance(items, ListNode):
            yield from _expanded(items.items)
        else:
            yield node


def _take(node: Node, place: _Place, found: _Found) -> None:
    if not isinstance(node, MapNode):
        return
    version, kind = _text(node, "apiVersion"), _text(node, "kind")
    if version.partition("/")[0] == GROUP or kind in _CLASSES:
        problems = _header_problems(node, version, kind, place.shown) or _add_policy(node, kind, place, found)
        found.problems.extend(problems)
    elif version and kind:
        found.synced.add(place.folder)
        if found.keep_nodes:
            found.others.append(LocatedNode(node, place.shown, place.folder))
        if kind in MANIFEST_KINDS and version in _MANIFEST_VERSIONS:
            found.manifests.append(LocatedManifest(plain_data(node), position(node, place.lasting)))


def _header_problems(node: MapNode, version: str, kind: str, file: str) -> list[Problem]:
    known = tuple(_CLASSES)
    if kind not in _CLASSES:
        entry = node.entries.get("kind")
        where = position(entry[1] if entry else node, file)
        message = f"kind: expected {' or '.join(known)}, found {shown(kind) or 'none'}"
        return [Problem(where, message, close(kind, known))]
    if version != API_VERSION:
        entry = node.entries.get("apiVersion")
        where = position(entry[1] if entry else node, file)
        said = f"{shown(version)} is not served; served: {API_VERSION}" if version else "missing"
        message = f"apiVersion: {said}"
        return [Problem(where, message, f"write apiVersion: {API_VERSION}")]
    return []


def _add_policy(node: MapNode, kind: str, place: _Place, found: _Found) -> list[Problem]:
    """Decodes a policy; the problems that keep it from being one."""
    cls = _CLASSES[kind]
    content = check(node, mi.type_info(cls), place.shown, kind)
    if problems := [*choice_problems(cls, node, place.shown), *content]:
        return sorted(problems, key=lambda problem: (problem.position.line, problem.position.column))
    try:
        policy = msgspec.convert(plain_data(node), cls)
    except msgspec.ValidationError as error:  # what only msgspec knows
        return [Problem(position(node, place.shown), str(error), "gatekeep schema prints the fields and their types")]
    if problems := list(policy_problems(policy, node, place.shown)):
        return problems
    where = position(node, place.lasting)
    found.policies.append(LocatedPolicy(policy, where, digest(msgspec.to_builtins(policy))))
    found.places.append(position(node, place.shown))
    found.folders.append(place.folder)
    found.notes.extend(_unused_checks(policy, node, place.lasting))
    if found.keep_nodes:
        found.nodes.append(LocatedNode(node, place.shown, place.folder))
    return []


def _unused_checks(policy: Policy, node: Node, file: str) -> Iterator[Problem]:
    """A check that somebody wrote and nobody asks."""
    if not isinstance(policy, TrafficGate):
        return
    for index in unused_checks(policy.spec):
        message = f"no step of the canary asks the check {policy.spec.checks[index].name}"
        yield Problem(place_of(node, file, "spec", "checks", index), message, rule="unused-check")


def _synced(found: _Found) -> Iterator[Problem]:
    """Policies that ``kubectl apply``, Argo CD or Flux would try to send to a cluster, which has no such kind."""
    for located, folder in zip(found.policies, found.folders, strict=True):
        marked = located.policy.metadata.annotations.get(LOCAL_CONFIG) == "true"
        if not marked and (folder in found.synced or (folder and has_kustomization(folder))):
            message = f'a sync may read this policy, and no cluster knows its kind; annotate {LOCAL_CONFIG}: "true"'
            yield Problem(located.position, message, rule="local-config")


def _text(node: MapNode, key: str) -> str:
    value = node.get(key)
    return value.text if isinstance(value, Scalar) else ""
