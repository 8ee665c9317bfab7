"""Cluster dumps: kinds kept and passed over · identity and what is missing · namespaces · JSON and YAML alike · pieces
of any size give the same items · errors with their place · any bytes give a snapshot or an error."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeep.model.errors import InvalidInputError
from gatekeep.model.snapshot import Snapshot
from gatekeep.sources.dumps import load_snapshot
from gatekeep.sources.pieces import items_of
from gatekeep.sources.problems import DocumentErrors

MANAGED = {"app.kubernetes.io/managed-by": "gatekeep"}


def item(kind: str, name: str, version: str = "v1", **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "dockercoins", **fields.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **fields}


ITEMS = [
    item("Pod", "rng-1", spec={"nodeName": "n1", "containers": [{"env": []}]}, metadata={"labels": {"app": "rng"}}),
    item("Service", "rng", spec={"selector": {"app": "rng"}, "ports": [{"port": 80, "targetPort": "http"}]}),
    item("EndpointSlice", "rng-x", "discovery.k8s.io/v1", endpoints=None),
    item("Deployment", "rng", "apps/v1", spec={"selector": {"matchLabels": {"app": "rng"}}}),
    item("DaemonSet", "rng", "apps/v1"),
    item("ConfigMap", "gatekeep-rng", metadata={"labels": MANAGED}),
    item("ConfigMap", "other"),
    item("Service", "rng", "serving.knative.dev/v1", spec="nothing we know"),
    item("Secret", "s", data={"a": "b"}),
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "u-1"}},
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "uid": "u-2"}},
    {"metadata": {"name": "n1"}, "kind": "Node", "apiVersion": "v1"},
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone"}},
]


def document(items: list[Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}


def loaded(path: Path, data: str | bytes) -> Snapshot:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return load_snapshot(path)


def test_kinds(tmp_path: Path) -> None:
    snapshot = loaded(tmp_path / "c.json", json.dumps(document(ITEMS)))
    assert [str(pod.ref) for pod in snapshot.pods] == ["Pod dockercoins/rng-1", "Pod default/alone"]
    assert [str(service.ref) for service in snapshot.services] == ["Service dockercoins/rng"]
    assert [str(workload.ref) for workload in snapshot.workloads] == [
        "Deployment dockercoins/rng",
        "DaemonSet dockercoins/rng",
    ]
    assert [len(snapshot.slices), len(snapshot.nodes)] == [1, 1]
    assert [one.metadata.name for one in snapshot.config_maps] == ["gatekeep-rng"]
    assert snapshot.nodes[0].metadata.namespace == ""
    assert snapshot.identity.uid == "u-1"
    assert snapshot.missing == {"replicasets", "statefulsets"}


def test_json_and_yaml_say_the_same(tmp_path: Path) -> None:
    expected = loaded(tmp_path / "c.json", json.dumps(document(ITEMS)))
    block = "apiVersion: v1\nkind: List\nitems:\n" + "".join(f"- {json.dumps(one)}\n" for one in ITEMS)
    assert loaded(tmp_path / "c.yaml", block) == expected
    assert loaded(tmp_path / "d.json", json.dumps(document(ITEMS), indent=4)) == expected


def test_without_kube_system_the_file_is_the_identity(tmp_path: Path) -> None:
    text = '{"kind": "List", "items": []}'
    snapshot = loaded(tmp_path / "c.json", text)
    assert snapshot.identity.uid == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert "nodes" in snapshot.missing
    assert "configmaps" not in snapshot.missing


def test_the_example_loads() -> None:
    snapshot = load_snapshot(Path(__file__).parents[2] / "examples/rng/cluster.yaml")
    assert snapshot.pods
    assert snapshot.services


@pytest.mark.parametrize(
    ("name", "data", "where", "said"),
    [
        ("c.json", b'{"kind": "List",\n "items": [{},,]}', "c.json:2:15", "not valid JSON"),
        ("c.json", b'{"kind": "List", "items": [', "c.json:1:28", "not valid JSON: Input data was truncated"),
        ("c.json", b'{"kind": "List", "items": ' + b"[" * 100_000, "c.json:1:", "maximum recursion depth"),
        ("c.json", b'{"kind": "PodList", "items": []}', "c.json:1:1", "found kind PodList"),
        ("c.json", b"{}", "c.json:1:1", "expected an object of kind List"),
        ("c.json", b'{"kind": "List", "items": 5}', "c.json:1:1", "Expected `array"),
        ("c.json", b'{"kind": "List", "items": [5]}', "c.json:1:1", "items[0] : Expected `object`"),
        ("c.json", b'{"kind": "List", "items": [{}, {"kind": "Pod"}]}', "c.json:1:1", "items[1] Pod: Object missing"),
        (
            "c.json",
            b'{"kind":"List","items":[{"kind":"Pod","metadata":{"name":"\xff"}}]}',
            "c.json:1:1",
            "items[0] Pod",
        ),
        ("c.yaml", b"kind: List\nitems:\n- {kind: Pod}\n", "c.yaml:3:3", "Pod: Object missing required field"),
        ("c.yaml", b"kind: List\nitems:\n- {kind: X, a: yes}\n", "c.yaml:3:16", "yes is a boolean to Kubernetes"),
        ("c.yaml", b"kind: List\nitems:\n- &x {}\n", "c.yaml:3:3", "anchor &x"),
        ("c.yaml", b"kind: PodList\nitems: []\n", "c.yaml:1:1", "expected an object of kind List"),
        ("c.yaml", b"", "c.yaml:1:1", "expected an object of kind List"),
        ("c.yaml", b"\x00", "c.yaml:1:1", "NUL"),
        ("c.yaml", b"#" * (16 * 2**20 + 1), "c.yaml:1:1", "YAML of more than 16 MiB"),
    ],
)
def test_errors_have_a_place(tmp_path: Path, name: str, data: bytes, where: str, said: str) -> None:
    with pytest.raises(DocumentErrors) as caught:
        loaded(tmp_path / name, data)
    assert caught.value.where.startswith(f"{tmp_path}/{where}")
    assert said in caught.value.message
    assert caught.value.exit_code == 65
    assert caught.value.hint


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DocumentErrors, match="no such file"):
        load_snapshot(tmp_path / "missing.json")
    with pytest.raises(DocumentErrors, match="no regular file"):
        load_snapshot(tmp_path)


def flat(data: bytes, piece: int) -> list[Any]:
    batches = items_of(io.BytesIO(data), "c.json", piece)
    return [msgspec.json.decode(raw) for batch in batches for raw in batch]


TRICKY: list[Any] = [
    {"apiVersion": "v1", "kind": "Pod", "metadata": {"owners": [{"apiVersion": "v1", "kind": "A"}] * 3}},
    {"kind": "X", "text": 'a string with }, {"kind": "Y"} and \\" and }'},
    {"metadata": {}, "items": [{"metadata": 1}, {"metadata": 2}]},
    {"apiVersion": "v1", "kind": "Empty"},
    {},
    [],
]


@given(
    st.lists(st.sampled_from(TRICKY), max_size=12),
    st.integers(1, 200),
    st.sampled_from([None, 0, 4]),
    st.permutations(["apiVersion", "items", "kind", "metadata"]),
)
def test_pieces_of_any_size_give_the_same_items(
    items: list[Any], piece: int, indent: int | None, order: list[str]
) -> None:
    whole = document(items)
    whole["metadata"] = {"items": [1, {"kind": "List"}]}
    data = json.dumps({key: whole[key] for key in order}, indent=indent).encode()
    assert flat(data, piece) == items


def test_a_long_list_comes_in_pieces() -> None:
    data = json.dumps(document([{"kind": "A", "n": number} for number in range(1000)])).encode()
    batches = [len(batch) for batch in items_of(io.BytesIO(data), "c.json", 1000)]
    assert sum(batches) == 1000
    assert len(batches) > 10


def test_a_mistake_in_a_late_piece_has_its_line() -> None:
    data = json.dumps(document([{"kind": "A", "n": number} for number in range(100)]), indent=1).encode()
    broken = data.replace(b'"n": 77', b'"n": 7.7.7')
    with pytest.raises(DocumentErrors) as caught:
        flat(broken, 200)
    assert caught.value.problems[0].position.line == data[: data.index(b'"n": 77')].count(b"\n") + 1


@given(st.binary(max_size=100) | st.binary(max_size=60).map(lambda data: b'{"kind":"List","items":[' + data))
def test_any_bytes_are_a_snapshot_or_invalid(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    try:
        where = loaded(path, data).identity.uid
    except InvalidInputError as error:
        where = error.where
    assert where
