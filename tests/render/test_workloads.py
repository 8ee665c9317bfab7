"""Steps on workloads in words, in the table, in the progress and in the diff."""

from __future__ import annotations

import io
from typing import Any

import msgspec
import pytest

from gatekeep.model.events import Event, StepFinished, StepStarted, WaitProgress
from gatekeep.model.objects import OwnedMeta, Pod, PodMeta, Workload, WorkloadSpec
from gatekeep.model.patches import FieldEdit, field_patch, pointer, template_label, undo_field_patch
from gatekeep.model.plan import Change, GateTarget, Hold, Match, Step
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import (
    AdmissionWait,
    Bound,
    DurationWait,
    ExistsWait,
    FieldWait,
    GateLabel,
    RevisionWait,
    Wait,
    WaitObject,
)
from gatekeep.render.progress import Progress
from gatekeep.render.steps import steps_text
from gatekeep.render.style import Style, columns
from gatekeep.render.text import plan_text
from gatekeep.render.unified import file_diffs
from gatekeep.render.words import lines_of
from tests.render.samples import label, sample, step

PAUSE = FieldEdit("/spec/paused", None, True)
RESUME = FieldEdit("/spec/paused", True, None)
ON_DELETE: dict[str, Any] = {"type": "OnDelete"}
ROLLING: dict[str, Any] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}
HOLD = FieldEdit("/spec/updateStrategy", ROLLING, ON_DELETE)
BACK = FieldEdit("/spec/updateStrategy", ON_DELETE, ROLLING)
ADD = FieldEdit(template_label("active"), None, "yes")
OFF = FieldEdit(template_label("active"), "yes", None)
OTHER = FieldEdit(template_label("active"), "no", "yes")
GUARD = FieldEdit(template_label("active"), "yes", "yes")
REVISION = Bound("daemonset/rng.revision.7")
HASH = "controller-revision-hash"
OBSERVED = "/status/observedGeneration"


def edit(kind: str, *edits: FieldEdit, name: str = "rng") -> Change:
    """A patch of a workload."""
    uid = f"uid-{kind}"
    return Change("apps/v1", kind, "shop", name, uid, field_patch(uid, edits), undo_field_patch(uid, edits))


def item(kind: str, name: str = "rng") -> WaitObject:
    return WaitObject("apps/v1", kind, "shop", name, f"uid-{kind}")


def mark(number: int = 1, *names: str) -> Step:
    """The step that marks pods as up to date."""
    path = pointer("metadata", "labels", HASH)
    edits = [FieldEdit(path, "h0", {"$bound": REVISION.name})]
    changes = [
        Change("v1", "Pod", "shop", name, f"uid-{name}", field_patch(f"uid-{name}", edits), ()) for name in names
    ]
    match = Match("shop", owner_uids=("uid-DaemonSet",), gate=GateLabel(HASH, REVISION, "h0"))
    return step(number, 1, "Patch", "mark its pods", *changes, match=match, requires=(REVISION.name,))


def said(found: Step) -> list[str]:
    return [f"{line.symbol} {line.objects}: {line.change}" for line in lines_of(found)]


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ((PAUSE,), "pause"),
        ((HOLD, ADD), "template + active=yes, strategy RollingUpdate → OnDelete"),
        ((BACK,), "strategy OnDelete → RollingUpdate"),
        ((RESUME, ADD), "template + active=yes, resume"),
        ((OFF,), "template - active=yes"),
        ((OTHER,), "template ~ active=no → yes"),
        ((GUARD,), "stays as it is"),
    ],
)
def test_what_is_written_to_a_workload(edits: tuple[FieldEdit, ...], words: str) -> None:
    assert said(step(1, 1, "Patch", "", edit("Deployment", *edits))) == [f"~ Deployment shop/rng: {words}"]


def test_replica_sets_that_are_changed_alike_share_a_row() -> None:
    found = step(1, 1, "Patch", "", *(edit("ReplicaSet", ADD, name=f"rng-{number}") for number in range(3)))
    assert said(found) == ["~ 3 ReplicaSets of shop: template + active=yes"]


def test_pods_are_marked_and_their_workload_is_named() -> None:
    assert said(mark(1, "rng-a", "rng-b")) == [
        "~ 2 pods of DaemonSet shop/rng: controller-revision-hash → that revision"
    ]
    assert said(mark(1)) == ["~ 0 pods of DaemonSet shop/rng: controller-revision-hash → that revision"]


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        (GateLabel("active", None), "- pods born until then: - active"),
        (GateLabel("active", "yes"), "+ pods born until then: + active=yes"),
        (GateLabel("active", Bound("x")), "+ pods born until then: label them"),
    ],
)
def test_a_step_that_names_nobody(gate: GateLabel, words: str) -> None:
    assert said(step(1, 1, "Patch", "", match=Match("shop", gate=gate))) == [words]


WAITS: list[tuple[Wait, str]] = [
    (FieldWait(item("Deployment"), OBSERVED, at_least=Bound("deployment/rng.paused.1")),
     "Deployment shop/rng: its controller has seen the pause"),
    (FieldWait(item("ReplicaSet"), OBSERVED, at_least=Bound("replicaset/rng.labelled.4")),
     "ReplicaSet shop/rng: its controller has seen the new template"),
    (FieldWait(item("Deployment"), OBSERVED, at_least=3),
     "Deployment shop/rng: its controller has seen it as it is now"),
    (FieldWait(item("DaemonSet"), "/status/updatedNumberScheduled", equals={"$field": "/status/desired"}),
     "DaemonSet shop/rng: all pods count as up to date"),
    (FieldWait(item("ReplicaSet"), "/status/fullyLabeledReplicas", equals={"$field": "/status/replicas"}),
     "ReplicaSet shop/rng: all pods count as up to date"),
    (FieldWait(item("StatefulSet"), "/status/replicas", equals=3), "StatefulSet shop/rng: /status/replicas is 3"),
    (FieldWait(item("StatefulSet"), "/status/replicas", equals={"$field": "/spec/replicas"}),
     "StatefulSet shop/rng: /status/replicas is /spec/replicas"),
    (FieldWait(item("StatefulSet"), "/status/replicas", at_least=3),
     "StatefulSet shop/rng: /status/replicas is at least 3"),
    (RevisionWait(item("DaemonSet"), "h0", GateLabel("active", "yes"), 2, {}),
     "DaemonSet shop/rng: its pods' revision with active=yes is found"),
    (RevisionWait(item("DaemonSet"), "h0", GateLabel("active", None), 2, {}),
     "DaemonSet shop/rng: its pods' revision without active is found"),
    (AdmissionWait(item("Deployment"), {}, GateLabel("active", "yes")),
     "later pods of Deployment shop/rng: are born with active=yes"),
    (AdmissionWait(item("Deployment"), {}, GateLabel("active", None)),
     "later pods of Deployment shop/rng: are born without active"),
    (DurationWait(2), "time: 2 s have passed"),
]  # fmt: skip


@pytest.mark.parametrize(("wait", "words"), WAITS)
def test_what_is_waited_for(wait: Wait, words: str) -> None:
    assert said(step(1, 1, "Wait", "", wait=wait)) == [f"? {words}"]


def observed(number: int, name: str, phase: int = 1) -> Step:
    wait = FieldWait(item("ReplicaSet", name), OBSERVED, at_least=Bound(f"replicaset/{name}.labelled.1"))
    return step(number, phase, "Wait", "its controller has seen it", wait=wait)


def adoption() -> tuple[Step, ...]:
    """Most of what there is, in some order."""
    sets = [edit("ReplicaSet", ADD, name=f"rng-{number}") for number in range(2)]
    match = Match("shop", owner_uids=("uid-Deployment",), gate=GateLabel("active", "yes"))
    return (
        step(1, 1, "Patch", "hold it still", edit("Deployment", PAUSE)),
        step(2, 1, "Patch", "later pods are born with it", edit("DaemonSet", HOLD, ADD)),
        step(3, 1, "Patch", "later pods are born with it", *sets, match=match),
        *(observed(number, f"rng-{number}") for number in range(4, 8)),
        observed(8, "rng-8", phase=2),
        step(9, 2, "Patch", "label the pods", label("rng-a")),
        mark(10, "rng-a"),
        step(11, 2, "Patch", "let it go on", edit("Deployment", RESUME, ADD)),
        step(12, 2, "Patch", "its strategy back", edit("DaemonSet", BACK)),
    )


def test_waits_that_are_alike_share_a_row_with_their_numbers() -> None:
    lines = steps_text(adoption(), Style(width=160))
    assert any(line.startswith("   4-7") and "4 ReplicaSets of shop" in line for line in lines), lines
    assert any(line.startswith("   8 ") and "ReplicaSet shop/rng-8" in line for line in lines), lines


def test_the_summary_counts_templates_and_marks_but_nothing_that_is_taken_back() -> None:
    title = steps_text(adoption(), Style(width=160))[0]
    assert title == "Steps  12 in 2 phases: 4 template edits, 1 label edit, 1 revision mark"


def test_why_says_for_whom_else_a_step_is() -> None:
    text = "\n".join(steps_text(adoption(), Style(width=200)))
    assert "later pods are born with it, and ReplicaSets made until then" in text
    assert "mark its pods\n" in text + "\n"


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    longest = max(columns(line) for line in steps_text(adoption(), Style(width=width)))
    assert longest <= width


def test_what_is_held_still_is_named() -> None:
    hold = Hold("Deployment", "rng", "uid-Deployment")
    gate = GateTarget("shop", "rng", "Gate", "active", "yes", ("rng",), holds=(hold,))
    assert "holds still  Deployment shop/rng, for a moment: nothing restarts" in plan_text(
        sample(gates=(gate,)), Style(width=160)
    )


def told(*events: Event) -> str:
    stream = io.StringIO()
    times = iter(range(100))
    progress = Progress(stream, Style(width=120), in_place=False, clock=lambda: float(next(times)))
    for event in events:
        progress(event)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (FieldWait(item("Deployment"), OBSERVED, at_least=2), "waiting for its controller"),
        (FieldWait(item("DaemonSet"), "/status/a", equals={"$field": "/status/b"}), "2 of 3 pods seen"),
        (RevisionWait(item("DaemonSet"), "h0", GateLabel("a", "b"), 2, {}), "waiting for its controller"),
        (AdmissionWait(item("Deployment"), {}, GateLabel("a", "b")), "waiting for the policy to take effect"),
        (ExistsWait("shop", "rng"), "waiting for an EndpointSlice"),
    ],
)
def test_a_wait_that_takes_long_says_for_what(wait: Wait, words: str) -> None:
    found = step(1, 1, "Wait", "", wait=wait)
    assert words in told(StepStarted(step=found, total=1), WaitProgress(1, 2, 3, 9.0))


def test_a_step_that_is_left_out_is_no_step_done() -> None:
    text = told(StepStarted(step=mark(1, "rng-a"), total=1), StepFinished(1, 0.0, left_out=True))
    assert "✔" not in text
    assert text.rstrip().endswith("controller-revision-hash → that revision  left out")


def snapshot() -> Snapshot:
    spec = {"template": {"metadata": {"labels": {"app": "rng"}}}}
    workloads = tuple(
        Workload(kind, OwnedMeta("rng", "shop", f"uid-{kind}"), spec_with(spec, strategy))
        for kind, strategy in (("Deployment", None), ("DaemonSet", ROLLING))
    )
    pod = Pod(PodMeta(name="rng-a", namespace="shop", uid="uid-rng-a", labels={"app": "rng", HASH: "h0"}))
    return Snapshot(pods=(pod,), workloads=workloads)


def spec_with(spec: dict[str, Any], strategy: dict[str, Any] | None) -> WorkloadSpec:
    return msgspec.convert({**spec, "updateStrategy": strategy}, WorkloadSpec)


def test_the_diff_shows_templates_and_not_what_is_taken_back() -> None:
    files = {file.name: file for file in file_diffs(sample(steps=adoption()), snapshot())}
    assert list(files) == ["apps.v1.DaemonSet.shop.rng", "apps.v1.Deployment.shop.rng", "v1.Pod.shop.rng-a"]
    for kind in ("Deployment", "DaemonSet"):
        found = files[f"apps.v1.{kind}.shop.rng"]
        gone = set(found.live.splitlines()) - set(found.merged.splitlines())
        come = set(found.merged.splitlines()) - set(found.live.splitlines())
        assert (gone, come) == (set(), {'        active: "yes"'})
    merged = files["v1.Pod.shop.rng-a"].merged
    assert f'{HASH}: "(known when applied: daemonset/rng.revision.7)"' in merged


def test_a_policy_belongs_to_no_namespace() -> None:
    kind = "MutatingAdmissionPolicy"
    body = {"apiVersion": "a/v1", "kind": kind, "metadata": {"name": "gatekeep-shop-rng"}, "spec": {"x": 1}}
    change = Change("a/v1", kind, "", "gatekeep-shop-rng", None, (), (), object=body)
    found = step(1, 1, "Create", "later pods", change)
    assert said(found) == [f"+ {kind} gatekeep-shop-rng: create, and it stays"]
    (file,) = file_diffs(sample(steps=(found,)), snapshot())
    assert "namespace" not in file.merged
