"""Permissions: nothing is written unless all of it may be.

* each permission a plan needs missing in turn: ForbiddenError (77) that names verb, resource and namespace; no writes
* several missing ones are all named; without `create services` the hint points to the steady selector
"""

from __future__ import annotations

import pytest

from gatekeep.model.errors import ForbiddenError
from gatekeep.model.plan import Access, Plan
from tests.execute.world import STORIES, Story, carry_out, objects_of, proved
from tests.gates import NAMESPACE

CASES = [
    (name, access)
    for name in ("add", "join", "key", "retire")
    for access in STORIES[name].planner(STORIES[name].start().snapshot([NAMESPACE])).access
]


def planned(story: Story) -> Plan:
    """The plan, made by an identity that may do everything."""
    return story.planner(story.start().snapshot([NAMESPACE]))


@pytest.mark.parametrize(("name", "access"), CASES, ids=[f"{item}-{it.verb}-{it.resource}" for item, it in CASES])
def test_one_missing_permission_is_named_and_nothing_is_written(name: str, access: Access) -> None:
    story = STORIES[name]
    snapshot = story.start().snapshot([NAMESPACE])
    made = story.start(forbidden=[access])
    writes: list[str] = []
    made.before_write(lambda verb, ref, count: writes.append(f"{verb} {ref}"))
    with pytest.raises(ForbiddenError) as caught:
        carry_out(made, proved(story.planner(snapshot), snapshot))
    assert caught.value.exit_code == 77
    assert f"may not: {access.verb} {access.resource} in {NAMESPACE}" in caught.value.message
    assert writes == []
    assert ("steady selector" in caught.value.hint) == ((access.verb, access.resource) == ("create", "services"))


def test_a_plan_asks_for_what_it_writes() -> None:
    asked = {(item.verb, item.resource) for item in planned(STORIES["add"]).access}
    assert {("patch", "pods"), ("create", "services"), ("patch", "services"), ("delete", "services")} <= asked
    steady = {(item.verb, item.resource) for item in planned(STORIES["join"]).access}
    assert ("create", "services") not in steady
    assert ("patch", "services") not in steady


def test_all_missing_permissions_are_named_at_once() -> None:
    story = STORIES["add"]
    snapshot = story.start().snapshot([NAMESPACE])
    made = story.start(forbidden=[Access("*", "", "services", ""), Access("patch", "", "pods", NAMESPACE)])
    with pytest.raises(ForbiddenError) as caught:
        carry_out(made, proved(story.planner(snapshot), snapshot))
    for words in ("patch pods", "create, delete, get, list, patch services"):
        assert f"{words} in {NAMESPACE}" in caught.value.message


def test_the_clusters_objects_stay_as_they_are() -> None:
    story = STORIES["key"]
    snapshot = story.start().snapshot([NAMESPACE])
    made = story.start(forbidden=[Access("delete", "", "services", NAMESPACE)])
    before = objects_of(made)
    with pytest.raises(ForbiddenError):
        carry_out(made, proved(story.planner(snapshot), snapshot))
    assert objects_of(made) == before
