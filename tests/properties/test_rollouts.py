"""What the proof accepts restarts nobody, by a second opinion that walks every interleaving (and the reverse, mostly).

Random orders of the steps of an adoption, with some missing or twice, are written down as documents and proved.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from gatekeep.model.objects import Workload
from gatekeep.model.patches import FieldEdit, field_patch, template_label, undo_field_patch
from gatekeep.model.plan import Change, ClusterSource, Match, Plan, Proof, Source, Step
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import Bound, FieldWait, GateLabel, RevisionWait, Wait, WaitObject
from gatekeep.proof.simulate import SimulationError, replay
from gatekeep.proof.workloads import explore
from tests.builders import cluster
from tests.gates import snapshot_of
from tests.properties.rollouts import OWN, Kind, Word, ends, restarts

GATE = GateLabel(key="active", value="yes")
HASH = "controller-revision-hash"
GOOD: Mapping[Kind, tuple[Word, ...]] = {
    "Deployment": ("hold", "seen", "sets", "sets seen", "release+template"),
    "DaemonSet": ("hold+template", "seen", "marks", "counted", "release"),
}
WORDS: Mapping[Kind, tuple[Word, ...]] = {
    "Deployment": ("hold", "template", "sets", "release", "release+template", "seen", "sets seen"),
    "DaemonSet": ("hold", "template", "hold+template", "marks", "release", "seen", "counted"),
}
START: Mapping[Kind, Snapshot] = {
    "Deployment": snapshot_of(cluster().deployment("rng", 2, {"app": "rng"})),
    "DaemonSet": snapshot_of(cluster().nodes(2).daemonset("rng", {"app": "rng"})),
}


class UnwritableError(Exception):
    """There is no document that says so."""


class _Writer:
    """Writes words down as the steps of a plan document."""

    def __init__(self, kind: Kind) -> None:
        self.snapshot = START[kind]
        self.own = next(item for item in self.snapshot.workloads if item.kind == kind)
        self.steps: list[Step] = []
        self.seen: dict[str, Bound] = {}
        self.state = [False, False]
        self.revision: str | None = None

    def write(self, word: Word) -> None:
        if word in OWN:
            self._own(*OWN[word])
        elif word == "sets":
            sets = self.snapshot.replica_sets_of(self.own.uid)
            edit = FieldEdit(template_label("active"), None, "yes")
            match = Match(namespace="dockercoins", owner_uids=(self.own.uid,), gate=GATE)
            self._add(changes=tuple(self._change(item, [edit], "labelled") for item in sets), match=match)
        elif word == "marks":
            self._mark()
        elif word == "seen":
            self._seen()
        elif word == "sets seen":
            for item in self.snapshot.replica_sets_of(self.own.uid):
                self._await_observed(item)
        else:
            self._count()

    def _own(self, held: bool | None, labelled: bool | None) -> None:
        edits = []
        if held is not None and held != self.state[0]:
            edits.append(self._hold(held))
            self.state[0] = held
        if labelled and not self.state[1]:
            edits.append(FieldEdit(template_label("active"), None, "yes"))
            self.state[1] = True
        self._add(changes=(self._change(self.own, edits, "written"),))

    def _hold(self, held: bool) -> FieldEdit:
        if self.own.kind == "Deployment":
            return FieldEdit("/spec/paused", None if held else True, True if held else None)
        on_delete, before = {"type": "OnDelete"}, dict(self.own.spec.update_strategy or {})
        return FieldEdit("/spec/updateStrategy", before if held else on_delete, on_delete if held else before)

    def _seen(self) -> None:
        if self.own.kind == "Deployment" or not self.state[1]:
            self._await_observed(self.own)
            return
        carried = self.snapshot.pods_of(self.own)[0].labels[HASH]
        self.revision = f"revision.{len(self.steps)}"
        observed = self.seen.get(self.own.uid, Bound(name="nothing"))
        self._add(wait=RevisionWait(object=_ref(self.own), revision=carried, gate=GATE, observed=observed,
                                    bind={self.revision: f"/metadata/labels/{HASH}"}))  # fmt: skip

    def _mark(self) -> None:
        if self.revision is None:
            raise UnwritableError
        name = self.revision
        pods = self.snapshot.pods_of(self.own)
        edit = FieldEdit(f"/metadata/labels/{HASH}", pods[0].labels[HASH], {"$bound": name})
        changes = tuple(
            Change(api_version="v1", kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.uid,
                   patch=field_patch(pod.uid, [edit]), undo=undo_field_patch(pod.uid, [edit]))
            for pod in pods
        )  # fmt: skip
        label = GateLabel(key=HASH, value=Bound(name=name), old=pods[0].labels[HASH])
        match = Match(namespace="dockercoins", owner_uids=(self.own.uid,), gate=label)
        self._add(changes=changes, match=match, requires=(name,))

    def _count(self) -> None:
        self._add(wait=FieldWait(object=_ref(self.own), path="/status/updatedNumberScheduled",
                                 equals={"$field": "/status/desiredNumberScheduled"}))  # fmt: skip

    def _await_observed(self, item: Workload) -> None:
        asked = self.seen.get(item.uid, item.metadata.generation)
        self._add(wait=FieldWait(object=_ref(item), path="/status/observedGeneration", at_least=asked))

    def _change(self, item: Workload, edits: Sequence[FieldEdit], what: str) -> Change:
        name = f"{item.uid}.{what}.{len(self.steps)}"
        self.seen[item.uid] = Bound(name=name)
        return Change(
            api_version="apps/v1", kind=item.kind, namespace="dockercoins", name=item.name, uid=item.uid,
            patch=field_patch(item.uid, edits), undo=undo_field_patch(item.uid, edits),
            bind={name: "/metadata/generation"},
        )  # fmt: skip

    def _add(self, *, wait: Wait | None = None, **fields: Any) -> None:
        number = len(self.steps) + 1
        action = "Wait" if wait is not None else "Patch"
        self.steps.append(Step(number=number, phase=number, action=cast(Any, action), reason="", policy="",
                               wait=wait, **fields))  # fmt: skip


def _ref(item: Workload) -> WaitObject:
    return WaitObject("apps/v1", item.kind, item.metadata.namespace, item.name, item.uid)


def problem(kind: Kind, words: Sequence[Word]) -> str | None:
    """What the proof says of these steps. An end that is left half-way is not asked about here."""
    writer = _Writer(kind)
    for word in words:
        writer.write(word)
    plan = Plan(source=Source(), cluster=ClusterSource(), steps=tuple(writer.steps), services=(), findings=(),
                access=(), proof=Proof(holds=False, states=0))  # fmt: skip
    try:
        timeline = replay(plan, writer.snapshot)
    except SimulationError as error:
        raise UnwritableError from error
    text = explore(plan, writer.snapshot, timeline).problem
    return None if text is not None and ("at the end" in text or "is left with" in text) else text


@pytest.mark.parametrize("kind", GOOD)
def test_the_good_order(kind: Kind) -> None:
    assert ends(kind, GOOD[kind])
    assert not restarts(kind, GOOD[kind])
    assert problem(kind, GOOD[kind]) is None


@pytest.mark.parametrize("kind", GOOD)
def test_both_find_what_each_step_is_for(kind: Kind) -> None:
    for place in range(len(GOOD[kind])):
        words = (*GOOD[kind][:place], *GOOD[kind][place + 1 :])
        if kind == "DaemonSet" and GOOD[kind][place] == "seen":
            continue  # without it nothing is bound that pods could be marked with
        if ends(kind, words) and restarts(kind, words):
            assert problem(kind, words) is not None, words


@pytest.mark.parametrize("kind", GOOD)
def test_every_order_of_every_part_of_the_good_steps(kind: Kind) -> None:
    both = {"accepted": 0, "refused": 0}
    for count in range(1, len(GOOD[kind]) + 1):
        for words in itertools.permutations(GOOD[kind], count):
            if not ends(kind, words):
                continue
            try:
                found = problem(kind, words)
            except UnwritableError:
                continue
            if found is None:
                both["accepted"] += 1
                assert not restarts(kind, words), words
            elif "would replace" in found:
                both["refused"] += 1
                assert restarts(kind, words), (words, found)
    assert min(both.values()) >= 3, both


@given(st.data())
def test_what_is_accepted_restarts_nobody(data: st.DataObject) -> None:
    kind: Kind = data.draw(st.sampled_from(tuple(GOOD)))
    words = data.draw(
        st.one_of(
            st.permutations(GOOD[kind]).map(tuple),
            st.lists(st.sampled_from(WORDS[kind]), min_size=1, max_size=7).map(tuple),
        )
    )
    assume(ends(kind, words))
    try:
        found = problem(kind, words)
    except UnwritableError:
        assume(False)
        raise
    event(f"{kind} accepted: {found is None}")
    if found is None:
        assert not restarts(kind, words), words
    elif "would replace" in found:
        assert restarts(kind, words), (words, found)
