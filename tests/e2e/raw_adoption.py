"""A label goes into a running workload's template by plain patches: the sequences that adoption relies on.

No code of gatekeep is here. A wait can be left out and others can act between two steps: this is how the tests show
what each wait is for, and what a concurrent writer does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from tests.controlplane.api import ApiError
from tests.e2e.story import GATE, Json
from tests.e2e.workloads import Workload, is_observed, json_patch, label_path

HASH = "controller-revision-hash"
ON_DELETE = {"type": "OnDelete"}


@dataclass(frozen=True)
class Step:
    """One step: what it writes, and what it then waits for."""

    name: str
    write: Callable[[], object]
    wait: Callable[[], object] = lambda: None


def adopt(
    workload: Workload,
    *,
    key: str = GATE[0],
    hurried: Collection[str] = (),
    without: Collection[str] = (),
    then: Mapping[str, Callable[[], object]] | None = None,
) -> None:
    """Runs the sequence of the workload's kind.

    ``hurried`` names steps that do not wait, ``without`` steps that are left out, and ``then`` says what happens
    right after a step.
    """
    made = {"Deployment": deployment, "DaemonSet": revisioned, "StatefulSet": revisioned}[workload.kind](workload, key)
    for step in made:
        if step.name not in without:
            step.write()
            if step.name not in hurried:
                step.wait()
        (then or {}).get(step.name, lambda: None)()


def template_label(key: str) -> Json:
    """The operation that puts the label into a template."""
    return {"op": "add", "path": label_path(key), "value": GATE[1]}


def pod_label(key: str) -> Json:
    """The operation that puts the label on a pod."""
    return {"op": "add", "path": f"/metadata/labels/{key}", "value": GATE[1]}


def deployment(target: Workload, key: str) -> list[Step]:
    """``pause``, ``sets``, ``pods``, ``unpause``."""
    pause = {"op": "add", "path": "/spec/paused", "value": True}
    unpause = {"op": "remove", "path": "/spec/paused"}
    return [
        Step("pause", lambda: target.patch(_test("/spec/paused", None), pause), target.wait_observed),
        Step("sets", lambda: _each_set(target, template_label(key)), lambda: _wait_sets(target, is_observed)),
        Step("pods", lambda: _label_pods(target, key), lambda: _wait_sets(target, _fully_labelled)),
        Step("unpause", lambda: target.patch(_test("/spec/paused", True), template_label(key), unpause)),
    ]


def _each_set(target: Workload, operation: Json) -> None:
    for item in target.replica_sets():
        json_patch(target.stack, _set_path(target, item), operation)


def _set_path(target: Workload, item: Json) -> str:
    return f"/apis/apps/v1/namespaces/{target.namespace}/replicasets/{item['metadata']['name']}"


def _wait_sets(target: Workload, true: Callable[[Json], bool]) -> None:
    target.stack.wait(lambda: all(map(true, target.replica_sets())), 30, f"the ReplicaSets of {target.name}")


def _fully_labelled(item: Json) -> bool:
    status = item["status"]
    return is_observed(item) and status["replicas"] == status.get("fullyLabeledReplicas", 0)


def _label_pods(target: Workload, key: str) -> None:
    for pod in target.pods():
        _patch_pod(target, pod, pod_label(key))


def revisioned(target: Workload, key: str) -> list[Step]:
    """``strategy``, ``template``, ``pods``, ``restore``: a DaemonSet or a StatefulSet."""
    strategy = target.get()["spec"]["updateStrategy"]
    old = target.revisions()[-1]
    return [
        Step("strategy", lambda: _change_strategy(target, strategy, ON_DELETE), target.wait_observed),
        Step("template", lambda: target.patch(template_label(key)), lambda: wait_adopted(target, old, key)),
        Step("pods", lambda: restamp(target, old, wait_adopted(target, old, key), key), lambda: _wait_updated(target)),
        Step("restore", lambda: _change_strategy(target, ON_DELETE, strategy)),
    ]


def _change_strategy(target: Workload, old: Json, new: Json) -> None:
    path = "/spec/updateStrategy"
    target.patch(_test(path, old), {"op": "replace", "path": path, "value": new})


def wait_adopted(target: Workload, old: Json, key: str) -> Json:
    """Waits for the revision that is the old one plus the label."""
    wanted = with_label(old, key)
    target.stack.wait(lambda: _of_content(target, wanted) is not None, 30, f"the new revision of {target.name}")
    found = _of_content(target, wanted)
    assert found is not None
    return found


def _of_content(target: Workload, data: Json) -> Json | None:
    return next((item for item in target.revisions() if item["data"] == data), None)


def with_label(revision: Json, key: str) -> Json:
    """What the revision's ``data`` will be with the label in the template, and nothing else changed."""
    data = copy.deepcopy(revision["data"])
    data["spec"]["template"]["metadata"]["labels"][key] = GATE[1]
    found: Json = data
    return found


def stamp(revision: Json) -> str:
    """What the pods of a revision carry as ``controller-revision-hash``."""
    metadata, owner = revision["metadata"], revision["metadata"]["ownerReferences"][0]["kind"]
    return str(metadata["labels"][HASH] if owner == "DaemonSet" else metadata["name"])


def restamp(target: Workload, old: Json, new: Json, key: str) -> None:
    """Labels the pods of the old revision and says that they are of the new one."""
    path = f"/metadata/labels/{HASH}"
    moved = {"op": "replace", "path": path, "value": stamp(new)}
    for pod in target.pods():
        _patch_pod(target, pod, _test(path, stamp(old)), pod_label(key), moved)


def _patch_pod(target: Workload, pod: Json, *operations: Json) -> None:
    """Patches a pod unless it is gone or a test in the patch fails: then its successor comes from the template."""
    path = f"/api/v1/namespaces/{target.namespace}/pods/{pod['metadata']['name']}"
    try:
        json_patch(target.stack, path, _test("/metadata/uid", pod["metadata"]["uid"]), *operations)
    except ApiError as error:
        if error.status not in (404, 422):
            raise


def _wait_updated(target: Workload) -> None:
    """Until the controller counts every pod as one of the present template.

    The count says so only beside the present generation: before it, all pods were of the old template.
    """

    def updated() -> bool:
        found = target.get()
        status = found["status"]
        names = ("updatedNumberScheduled", "desiredNumberScheduled")
        done, all_ = names if target.kind == "DaemonSet" else ("updatedReplicas", "replicas")
        return is_observed(found) and status.get(done, 0) == status.get(all_, 0)

    target.stack.wait(updated, 30, f"the pods of {target.name} to be counted as updated")


def _test(path: str, value: object) -> Json:
    return {"op": "test", "path": path, "value": value}
