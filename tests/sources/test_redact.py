"""What ``gatekeep snapshot`` writes: no env anywhere · no last-applied annotation · managedFields where they are needed
· no foreign ConfigMaps, Namespaces or Secrets · the order of items · what is written can be read back."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from gatekeep.sources.dumps import dump_snapshot, load_snapshot

SECRET = "hunter2"
CONTAINER = {"name": "c", "image": "i", "env": [{"name": "P", "value": SECRET}], "envFrom": [{"secretRef": SECRET}]}
POD_SPEC = {
    "containers": [CONTAINER, {"name": "d"}],
    "initContainers": [CONTAINER],
    "ephemeralContainers": [CONTAINER],
    "nodeName": "n1",
}
TEMPLATE = {"metadata": {"labels": {"app": "rng"}}, "spec": POD_SPEC}
APPLIED = {"kubectl.kubernetes.io/last-applied-configuration": SECRET, "kept": "yes"}
FIELDS = [{"manager": "kubectl", "fieldsV1": {"f:spec": {"f:env": {f'k:{{"name":"{SECRET}"}}': {}}, "f:replicas": {}}}}]


def made(kind: str, **fields: Any) -> dict[str, Any]:
    metadata = {"name": "rng", "namespace": "d", "annotations": APPLIED, "managedFields": FIELDS}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


@pytest.mark.parametrize(
    "item",
    [
        made("Pod", spec=POD_SPEC),
        made("Deployment", spec={"template": TEMPLATE}),
        made("CronJob", spec={"jobTemplate": {"spec": {"template": TEMPLATE}}}),
        made("ControllerRevision", data={"spec": {"template": TEMPLATE}}),
        made("Service", spec={"selector": {"env": "prod", "containers": "x"}}),
    ],
    ids=lambda item: str(item["kind"]),
)
def test_no_secret_gets_out(item: dict[str, Any]) -> None:
    before = copy.deepcopy(item)
    (written,) = dump_snapshot([item])["items"]
    assert SECRET not in json.dumps(written)
    assert item == before
    assert written["metadata"]["annotations"] == {"kept": "yes"}
    assert ("managedFields" in written["metadata"]) is (item["kind"] != "Pod")


def test_everything_else_stays() -> None:
    written = dump_snapshot([made("Pod", spec=POD_SPEC), made("Service", spec={"selector": {"env": "prod"}})])["items"]
    assert written[0]["spec"]["containers"] == [{"name": "c", "image": "i"}, {"name": "d"}]
    assert written[0]["spec"]["nodeName"] == "n1"
    assert written[1]["spec"] == {"selector": {"env": "prod"}}
    assert written[1]["metadata"]["managedFields"] == [
        {"manager": "kubectl", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    ]


@pytest.mark.parametrize(
    ("kind", "name", "labels", "kept"),
    [
        ("ConfigMap", "a", {"app.kubernetes.io/managed-by": "gatekeep"}, True),
        ("ConfigMap", "a", None, False),
        ("Namespace", "kube-system", {}, True),
        ("Namespace", "default", {}, False),
        ("Secret", "a", {"app.kubernetes.io/managed-by": "gatekeep"}, False),
        ("HorizontalPodAutoscaler", "a", {}, True),
    ],
)
def test_which_objects(kind: str, name: str, labels: dict[str, str] | None, kept: bool) -> None:
    item = {"kind": kind, "metadata": {"name": name, "labels": labels}}
    assert len(dump_snapshot([item])["items"]) == int(kept)


def test_the_order_does_not_depend_on_the_server() -> None:
    items = [{"kind": kind, "metadata": {"name": name}} for kind in ("Service", "Pod") for name in ("b", "a")]
    assert dump_snapshot(items) == dump_snapshot(reversed(items))


def test_a_written_snapshot_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(dump_snapshot([made("Pod", spec=POD_SPEC), made("Service")])))
    snapshot = load_snapshot(tmp_path / "c.json")
    assert snapshot.pods[0].spec.node_name == "n1"
    assert [entry.manager for entry in snapshot.services[0].metadata.managed_fields] == ["kubectl"]
