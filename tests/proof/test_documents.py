"""Plan documents that were edited by hand, their id made to fit: ``verify`` and ``apply`` must refuse them.

Aspects: good documents pass · whose steps they are · gates · predictions · helpers · waits · noise: whatever the edit,
a refusal and never a traceback, and what passes stays within its gate · how long a proof may take.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gatekeep.cli.session import plan_namespaces
from gatekeep.model.errors import InvalidInputError, RefusedError
from gatekeep.model.plan import Plan, from_json, to_json
from gatekeep.model.snapshot import Snapshot
from gatekeep.proof.verify import MALFORMED, prove
from tests.builders import cluster, dockercoins
from tests.gates import DEPLOYMENT_ONLY, applied, gate, plan, remembering, retirement, snapshot_of
from tests.proof.test_mutants import KINDS, good
from tests.properties.worlds import Case, cases

Document = dict[str, Any]
Edit = Callable[[Document], object]


@cache
def text_of(kind: str) -> str:
    """The good document of a kind, as it is written."""
    return to_json(good(kind)[0])


def reason(document: Document, snapshot: Snapshot) -> str:
    """Why the document is refused; empty when it is not."""
    proof = prove(from_json(json.dumps(document).encode(), "plan.json"), snapshot, exact=False).proof
    assert not (proof.counter_example or "").startswith(MALFORMED), proof.counter_example
    return proof.counter_example or ("" if proof.holds else "?")


def edited(kind: str, edit: Edit) -> str:
    """Why the good document is refused once ``edit`` changed it."""
    document = json.loads(text_of(kind))
    edit(document)
    return reason(document, good(kind)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_good_documents_pass(kind: str) -> None:
    assert edited(kind, lambda _: None) == ""


@given(cases(), st.booleans())
def test_whatever_planning_makes_passes(case: Case, retire: bool) -> None:
    snapshot = remembering(case.snapshot, case.record) if case.record else case.snapshot
    try:
        found = retirement(snapshot, "g") if retire and case.record else plan(snapshot, case.policy)
    except RefusedError:
        assume(False)
        raise
    if found.proof.holds:
        assert reason(json.loads(to_json(found)), snapshot) == ""


def test_a_pod_that_became_ready_since_is_not_the_plans_fault() -> None:
    def start(ready: bool) -> Snapshot:
        builder = cluster().service("rng", {"app": "rng"}).deployment("rng", 2, {"app": "rng"})
        return snapshot_of(builder.pods("late", labels={"app": "rng"}, ready=ready))

    found = plan(start(False), gate())
    assert "late" not in found.services[0].after
    assert reason(json.loads(to_json(found)), start(True)) == ""


def step(document: Document, action: str) -> Document:
    """The first step of an action; ``Label`` is one with a match."""
    steps: list[Document] = document["steps"]
    return next(item for item in steps if item["action"] == action or (action == "Label" and "match" in item))


def change(document: Document, action: str) -> Document:
    """The first change of that step."""
    found: Document = step(document, action)["changes"][0]
    return found


def selector_change(document: Document) -> Document:
    """The first change of a Service."""
    return next(item for one in document["steps"] for item in one["changes"]
                if one["action"] == "Patch" and item["kind"] == "Service")  # fmt: skip


def put(*path: Any) -> Edit:
    """Puts the last of ``path`` where the others lead."""

    def edit(document: Document) -> None:
        target: Any = document
        for part in path[:-2]:
            target = part(target) if callable(part) else target[part]
        target[path[-2]] = path[-1]

    return edit


def label(document: Document) -> Document:
    """The step that labels."""
    return step(document, "Label")


def create(document: Document) -> Document:
    """The first creation."""
    return change(document, "Create")


def delete(document: Document) -> Document:
    """The first deletion."""
    return change(document, "Delete")


def wait(document: Document) -> Document:
    """The first wait."""
    found: Document = step(document, "Wait")["wait"]
    return found


def without_creation_guard(document: Document) -> None:
    """No deletion at all."""
    document["steps"] = [item for item in document["steps"] if item["action"] != "Delete"]


def emptied(document: Document) -> None:
    """A prediction of nobody, twice."""
    document["services"][0].update(before=[], after=[])


def emptied_everywhere(document: Document) -> None:
    """A prediction of nobody, in the waits too."""
    emptied(document)
    for item in document["steps"]:
        if "pods" in item.get("wait", {}):
            item["wait"]["pods"] = []


def moved_away(document: Document) -> None:
    """Everything but the steps is of another gate."""
    document["gates"][0]["policy"]["metadata"]["namespace"] = document["gates"][0]["namespace"] = "other"
    document["services"][0]["namespace"] = "other"


def unlisted(document: Document) -> None:
    """The Service is in no gate and in no prediction."""
    document["gates"][0]["services"] = ["webui"]
    document["gates"][0]["policy"]["spec"]["services"] = ["webui"]
    document["services"][0]["name"] = "webui"


def lower_floor(document: Document) -> None:
    """The prediction promises less than the policy asks for."""
    document["gates"][0]["policy"]["spec"]["floor"] = {"minReady": 3}


MATCHES = {
    "match elsewhere": put(label, "match", "namespace", "kube-system"),
    "match nowhere": put(label, "match", "namespace", ""),
    "match and gate elsewhere": lambda doc: [put(label, "match", "namespace", "kube-system")(doc),
                                             put(label, "changes", [])(doc)],
    "match of a key a workload selects by": put(label, "match", "gate", {"key": "app", "value": "evil"}),
    "bare match of a key a workload selects by": lambda doc: [
        put(label, "match", "gate", {"key": "app", "value": "evil"})(doc), put(label, "changes", [])(doc)],
    "bare match of another key": lambda doc: [
        put(label, "match", "gate", {"key": "role", "value": "evil"})(doc), put(label, "changes", [])(doc)],
    "match part with a namespace": put(label, "match", "anyOf", [{"namespace": "kube-system"}]),
    "no version": put(label, "changes", 0, "apiVersion", "v2"),
    "pod without uid": put(label, "changes", 0, "uid", None),
    "pod of that path": put(label, "changes", 0, "name", "../nodes/n1"),
}  # fmt: skip
GATES: dict[str, Edit] = {
    "no gates": put("gates", []),
    "gate renamed": put("gates", 0, "name", "other"),
    "gate moved": put("gates", 0, "namespace", "other"),
    "gate moved with its policy": moved_away,
    "policy null": put("gates", 0, "policy", None),
    "policy empty": put("gates", 0, "policy", {}),
    "policy without rotation": lambda doc: doc["gates"][0]["policy"]["spec"].pop("rotation"),
    "policy of another kind": put("gates", 0, "policy", "kind", "Gate"),
    "policy of another key": put("gates", 0, "policy", "spec", "gate", "key", "other"),
    "gate of another key": put("gates", 0, "key", "other"),
    "gate of another value": put("gates", 0, "value", "other"),
    "gate of no key": put("gates", 0, "key", "a b"),
    "policy of other services": put("gates", 0, "policy", "spec", "services", ["webui"]),
    "gate of other services": put("gates", 0, "services", ["webui"]),
    "gate of no service": put("gates", 0, "services", []),
    "gate of more services": put("gates", 0, "services", ["rng", "webui"]),
    "gate said to retire": put("gates", 0, "action", "Retire"),
    "one gate twice": lambda doc: doc["gates"].append(doc["gates"][0]),
    "step of another gate": put(label, "policy", "TrafficGate dockercoins/other"),
    "step of no gate": put(label, "policy", ""),
    "unlisted": unlisted,
}
SERVICES: dict[str, Edit] = {
    "nobody": emptied,
    "nobody anywhere": emptied_everywhere,
    "before nobody": put("services", 0, "before", []),
    "after nobody": put("services", 0, "after", []),
    "one twice": lambda doc: doc["services"][0]["before"].append(doc["services"][0]["before"][0]),
    "service twice": lambda doc: doc["services"].append(doc["services"][0]),
    "negative floor": put("services", 0, "floor", -1),
    "negative least": put("services", 0, "leastReady", -1),
    "no service": put("services", []),
    "floor below policy": lower_floor,
}
HELPERS: dict[str, Edit] = {
    "finalizers": put(create, "object", "metadata", "finalizers", ["x/y"]),
    "annotations": put(create, "object", "metadata", "annotations", {"a": "b"}),
    "owner": put(create, "object", "metadata", "ownerReferences", []),
    "external": put(create, "object", "spec", "externalIPs", ["192.0.2.1"]),
    "type": put(create, "object", "spec", "type", "ClusterIP"),
    "cluster IP": put(create, "object", "spec", "clusterIP", ""),
    "spec null": put(create, "object", "spec", None),
    "labels list": put(create, "object", "metadata", "labels", ["x"]),
    "other labels": put(create, "object", "metadata", "labels", "app", "rng"),
    "labels of another gate": put(create, "object", "metadata", "labels", "gatekeep.dev/gate", "other"),
    "metadata text": put(create, "object", "metadata", "x"),
    "selector text": put(create, "object", "spec", "selector", "abc"),
    "selector empty": put(create, "object", "spec", "selector", {}),
    "selector of numbers": put(create, "object", "spec", "selector", {"app": 1}),
    "other name": put(create, "object", "metadata", "name", "kubernetes"),
    "other namespace": put(create, "object", "metadata", "namespace", "kube-system"),
    "other kind": put(create, "object", "kind", "ExternalName"),
    "other version": put(create, "object", "apiVersion", "v2"),
    "more": put(create, "object", "status", {}),
    "other ports": put(create, "object", "spec", "ports", [{"port": 1}]),
    "vast port": put(create, "object", "spec", "ports", [{"port": 10**30}]),
    "not ready": put(create, "object", "spec", "publishNotReadyAddresses", True),
    "families": put(create, "object", "spec", "ipFamilies", "IPv4"),
    "no object": put(create, "object", None),
    "a uid": put(create, "uid", "x"),
    "an undo": put(create, "undo", [{"op": "test", "path": "/metadata/uid", "value": "x"}]),
    "bind nothing": put(create, "bind", {}),
    "bind something else": put(create, "bind", {"rng-gatekeep-shadow.uid": "/metadata/name"}),
    "bind more": put(create, "bind", "other", "/metadata/uid"),
    "never deleted": without_creation_guard,
    "deleted by nothing": put(delete, "patch", []),
    "deleted by more": lambda doc: delete(doc)["patch"].append({"op": "test", "path": "/metadata/uid", "value": "x"}),
    "deleted by a literal uid": put(delete, "patch", 0, "value", "x"),
    "bound to a list": put(delete, "patch", 0, "value", {"$bound": ["x"]}),
    "bound to nothing": put(delete, "patch", 0, "value", {"$bound": "x"}),
    "bound to null": put(delete, "patch", 0, "value", None),
    "bound and more": put(delete, "patch", 0, "value", "more", 1),
    "deleted with an undo": put(delete, "undo", [{"op": "test", "path": "/metadata/uid", "value": "x"}]),
    "deleted with a uid": put(delete, "uid", "x"),
    "removed, not tested": put(delete, "patch", 0, "op", "remove"),
}
WAITS: dict[str, Edit] = {
    "no time": put(wait, "timeoutSeconds", 0),
    "negative time": put(wait, "timeoutSeconds", -1),
    "no end": put(wait, "timeoutSeconds", 86401),
    "other selector": put(wait, "selector", {"app": "rng"}),
    "no selector": put(wait, "selector", {}),
    "other namespace": put(wait, "namespace", "kube-system"),
    "no service": put(wait, "service", ""),
    "unknown service": put(wait, "service", "nowhere"),
    "service of another version": put(selector_change, "apiVersion", "apps/v1"),
    "selector as text": put(selector_change, "patch", 1, "value", "abc"),
    "selector replaced": put(selector_change, "patch", 2, {"op": "replace", "path": "/spec/selector", "value": "abc"}),
    "selector key within a key": put(selector_change, "patch", 2, "path", "/spec/selector/active/x"),
    "selector to a list": put(selector_change, "patch", 2, "value", ["yes"]),
    "service to create": put(selector_change, "object", {}),
    "phase": put("steps", 0, "phase", 10**30),
}
MUTANTS = {f"{group}: {name}": edit for group, edits in (
    ("steps", MATCHES), ("gates", GATES), ("services", SERVICES), ("helpers", HELPERS), ("waits", WAITS),
) for name, edit in edits.items()}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_an_edited_document_is_refused(name: str) -> None:
    assert edited("add", MUTANTS[name]) != ""


def test_a_retirement_carries_no_policy() -> None:
    assert "carries a policy" in edited("retire", put("gates", 0, "policy", {}))


def test_plans_without_gates_may_only_do_nothing() -> None:
    snapshot = applied(snapshot_of(dockercoins()), gate())
    document = json.loads(to_json(plan(snapshot, gate())))
    assert document["steps"] == []
    assert reason(document, snapshot) == ""
    document.update(gates=[], services=[])
    assert reason(document, snapshot) == ""


def test_every_namespace_of_a_plan_is_looked_at() -> None:
    document = json.loads(text_of("add"))
    put(label, "match", "namespace", "one")(document)
    put(wait, "namespace", "two")(document)
    found = from_json(json.dumps(document).encode(), "plan.json")
    assert plan_namespaces(found) == ("dockercoins", "one", "two")


NOISE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 10**30, 1.5, "", "x", "kube-system", "Pod", "Patch", "Delete", "test", "replace",
    "/spec/selector", "/metadata/uid", "~2", [], ["x"], {}, {"$bound": "x"}, {"a": {"b": []}},
)  # fmt: skip


@given(st.sampled_from(KINDS[:-1]), st.randoms(use_true_random=False), st.integers(1, 3))
def test_noise_is_refused_and_never_crashes(kind: str, order: random.Random, times: int) -> None:
    document = json.loads(text_of(kind))
    for _ in range(times):
        scramble(document, order)
    try:
        found = from_json(json.dumps(document).encode(), "plan.json")
    except InvalidInputError:
        return
    if reason(document, good(kind)[1]) == "":
        assert reach(found) <= {("dockercoins", "Pod"), ("dockercoins", "Service")}


def reach(found: Plan) -> set[tuple[str, str]]:
    """Namespaces and kinds that a plan writes to."""
    named = {(item.namespace, item.kind) for one in found.steps for item in one.changes}
    return named | {(one.match.namespace, "Pod") for one in found.steps if one.match}


def scramble(document: Document, order: random.Random) -> None:
    """Puts, removes, doubles or moves something, anywhere."""
    places = list(containers({key: document[key] for key in ("steps", "services", "gates")}))
    place = order.choice(places)
    key = order.choice(list(place) if isinstance(place, dict) else range(len(place)))
    what = order.randrange(8)
    if what == 0:
        del place[key]
    elif what == 1:
        other = order.choice(places)
        place[key] = json.loads(json.dumps(order.choice(list(other.values()) if isinstance(other, dict) else other)))
    elif what == 2 and isinstance(place, list):
        place.append(json.loads(json.dumps(place[key])))
    elif what == 3 and isinstance(place, dict):
        place[str(order.choice(("x", "namespace", "object", "gate")))] = order.choice(NOISE)
    else:
        place[key] = json.loads(json.dumps(order.choice(NOISE)))


def containers(value: Any) -> list[Any]:
    """Every list and map in ``value`` that is not empty."""
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if items else []) + [found for item in items for found in containers(item)]


@pytest.mark.parametrize(("values", "holds"), [(8, True), (12, False)])
def test_a_plan_takes_seconds_at_most(values: int, holds: bool) -> None:
    """Many old labels behind many slices: what cannot be explored in time is refused."""
    builder = cluster().service("rng", {"app": "rng"})
    for number in range(120):
        builder.pods(f"rng-{number}", labels={"app": "rng", "active": f"v{number % values}"})
    begin = time.monotonic()
    found = plan(snapshot_of(builder), gate())
    assert time.monotonic() - begin < 4
    assert found.proof.holds is holds
    assert holds or "more kinds of pods than can be explored" in str(found.proof.counter_example)


def test_a_leftover_of_another_gate_is_not_deleted() -> None:
    start = snapshot_of(dockercoins())
    document = json.loads(to_json(plan(start, gate(pool=DEPLOYMENT_ONLY))))
    webui = next(item for item in start.services if item.name == "webui")
    delete(document).update(name="webui", uid=webui.metadata.uid)
    delete(document)["patch"][0]["value"] = webui.metadata.uid
    assert "is no helper of gatekeep" in reason(document, start)
