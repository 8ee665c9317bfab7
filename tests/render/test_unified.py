"""The two sides of ``gatekeep diff``."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from gatekeep.model.objects import OwnedMeta, Pod, PodMeta, Service, ServiceSpec
from gatekeep.model.snapshot import Snapshot
from gatekeep.render.unified import file_diffs, to_yaml
from tests.render.samples import LIVE, PODS, label, sample, step


def snapshot() -> Snapshot:
    pods = tuple(Pod(PodMeta(name=name, namespace="shop", uid=f"uid-{name}", labels={"app": "rng"})) for name in PODS)
    service = Service(OwnedMeta(name="rng", namespace="shop", uid="uid-svc"), ServiceSpec(selector=LIVE))
    return Snapshot(pods=pods, services=(service,))


def test_each_object_has_a_live_and_a_merged_side() -> None:
    files = {file.name: file for file in file_diffs(sample(), snapshot())}
    assert list(files) == ["v1.Pod.shop.rng-a", "v1.Pod.shop.rng-b", "v1.Pod.shop.rng-c", "v1.Service.shop.rng"]
    assert files["v1.Service.shop.rng"].live == (
        'apiVersion: "v1"\nkind: "Service"\nmetadata:\n  name: "rng"\n  namespace: "shop"\nspec:\n  selector:\n'
        '    app: "rng"\n'
    )
    assert files["v1.Service.shop.rng"].merged == (
        'apiVersion: "v1"\nkind: "Service"\nmetadata:\n  name: "rng"\n  namespace: "shop"\nspec:\n  selector:\n'
        '    active: "yes"\n    app: "rng"\n'
    )
    assert '    active: "yes"\n' in files["v1.Pod.shop.rng-a"].merged


def test_objects_that_come_and_go_do_not_appear() -> None:
    assert not any("shadow" in file.name for file in file_diffs(sample(), snapshot()))


def test_an_object_that_ends_as_it_began_does_not_appear() -> None:
    back = step(2, 2, "Patch", "back", label("rng-a", "yes", None))
    plan = sample(steps=(step(1, 1, "Patch", "there", label("rng-a")), back))
    assert file_diffs(plan, snapshot()) == ()


def test_a_new_object_has_no_live_side_and_a_deleted_one_no_merged_side() -> None:
    steps = sample().steps
    (created,) = file_diffs(sample(steps=(steps[1],)), snapshot())
    assert (created.live, "selector" in created.merged) == ("", True)
    gone = step(1, 1, "Delete", "gone", sample().steps[3].changes[0])
    (deleted,) = file_diffs(sample(steps=(gone,)), snapshot())
    assert (bool(deleted.live), deleted.merged) == (True, "")


def test_a_name_from_a_dump_cannot_leave_the_folder() -> None:
    from gatekeep.model.plan import Change

    evil = "../../etc/passwd"
    change = Change("v1", "Service", "..", evil, None, (), (), object={"spec": {"selector": {"a": "b"}}})
    (file,) = file_diffs(sample(steps=(step(1, 1, "Create", "x", change),)), Snapshot())
    assert "/" not in file.name
    assert file.name.startswith("v1.Service.")
    long = Change("v1", "Service", "n", "x" * 400, None, (), (), object={"spec": {"selector": {"a": "b"}}})
    (file,) = file_diffs(sample(steps=(step(1, 1, "Create", "x", long),)), Snapshot())
    assert len(file.name) < 255


@pytest.mark.parametrize(
    "data",
    [
        {"y": "yes", "on": "1e3", "a/b.c": "0o17", "-x": "~", "": "é\x1b"},
        {"list": ["a", {"b": ["c"]}], "empty": {}, "none": None, "number": 3, "true": True},
    ],
)
def test_yaml_reads_back_as_it_was(data: dict[str, Any]) -> None:
    text = to_yaml(data)
    assert yaml.safe_load(text) == data
    assert text.isascii()
