"""A plan as files for kubectl: numbered in order, each what kubectl takes, and a README that lists the commands."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from examples.make import CLUSTERS, plan_of
from gatekeep.model.errors import UnsafeError
from gatekeep.model.plan import Proof
from gatekeep.render.patch_files import MARK, README, patch_files
from tests.render.hostile import HOSTILE, hostile_plan, large_plan
from tests.render.samples import sample

NAME = re.compile(r"\d{3,}-(patch|create|delete|wait)-[a-z0-9.-]+\.json|README\.txt")


def test_the_files_of_the_sample() -> None:
    files = patch_files(sample())
    assert list(files) == [
        README,
        "001-patch-pod-rng-a.json",
        "002-patch-pod-rng-b.json",
        "003-patch-pod-rng-c.json",
        "004-create-service-rng-shadow.json",
        "005-wait-endpoints-rng-shadow.json",
        "006-patch-service-rng.json",
        "007-wait-exists-rng-marker.json",
        "008-delete-service-rng-shadow.json",
    ]
    assert json.loads(files["001-patch-pod-rng-a.json"]) == [
        {"op": "test", "path": "/metadata/uid", "value": "uid-rng-a"},
        {"op": "test", "path": "/metadata/labels/active", "value": None},
        {"op": "add", "path": "/metadata/labels/active", "value": "yes"},
    ]
    assert json.loads(files["004-create-service-rng-shadow.json"])["spec"]["clusterIP"] == "None"
    assert json.loads(files["005-wait-endpoints-rng-shadow.json"])["wait"]["type"] == "Endpoints"
    assert json.loads(files["008-delete-service-rng-shadow.json"])["preconditions"] == {"uid": {"$bound": "r1"}}


def test_the_readme_lists_the_commands_in_order() -> None:
    text = patch_files(sample())[README]
    commands = [line for line in text.splitlines() if line.startswith("kubectl ")]
    assert text.startswith(MARK)
    assert commands[0] == (
        "kubectl patch pods/rng-a -n shop --type=json --field-manager=gatekeep --patch-file 001-patch-pod-rng-a.json"
    )
    assert commands[-1] == (
        "kubectl delete --raw /api/v1/namespaces/shop/services/rng-shadow -f 008-delete-service-rng-shadow.json"
    )
    assert "#   r1 is the answer's /metadata/uid" in text


@pytest.mark.parametrize("example", CLUSTERS)
def test_every_example_names_each_file_once(example: str) -> None:
    files = patch_files(plan_of(example))
    for name, text in files.items():
        assert NAME.fullmatch(name)
        if name != README:
            json.loads(text)
            assert len(re.findall(rf"(?<!\S){re.escape(name)}$", files[README], re.MULTILINE)) == 1


@pytest.mark.parametrize("text", HOSTILE)
def test_names_do_not_leave_the_folder_or_the_line(text: str) -> None:
    plan = hostile_plan(text + "/../../etc")
    files = patch_files(plan)
    assert all(NAME.fullmatch(name) and ".." not in name for name in files)
    lines = files[README].splitlines()
    commands = [line for line in lines if not line.startswith(("#", "-", " ")) and line.startswith("kubectl")]
    assert len(commands) == 2
    assert all(shlex.split(line)[2].startswith("pods/") for line in commands)


def test_numbers_line_up_for_many_pods() -> None:
    names = list(patch_files(large_plan(1_200)))[1:]
    assert names == sorted(names)
    assert names[0].startswith("0001-")


def test_a_refused_plan_gives_no_files() -> None:
    with pytest.raises(UnsafeError, match="no patches of a plan that is refused: 0 left"):
        patch_files(sample(proof=Proof(False, 3, "0 left")))
