"""What a command says when it is done."""

from __future__ import annotations

import dataclasses

from gatekeep.model.outcomes import Outcome, ServiceOutcome
from gatekeep.model.plan import Finding, Proof
from gatekeep.operations.status import Standing
from gatekeep.operations.verify import Verification
from gatekeep.render.findings import LintItem, lint_text
from gatekeep.render.reports import outcome_text, status_text, verification_text
from gatekeep.render.style import Style
from gatekeep.render.text import short_id
from tests.render.samples import sample

PLAN = sample()
SHORT = short_id(PLAN.id)


def test_outcome() -> None:
    outcome = Outcome(
        run_id="r",
        wrote=True,
        seconds=2.34,
        steps=6,
        services=(
            ServiceOutcome(namespace="shop", name="rng", before=6, least=5, after=6),
            ServiceOutcome(namespace="shop", name="rng-admin", before=10, least=10, after=10),
        ),
        skipped=("rng-a",),
        added=("rng-x", "rng-y"),
    )
    assert outcome_text(outcome, PLAN, Style()) == (
        f"✔ applied plan {SHORT}: 6 steps in 2.3s\n"
        "  Service shop/rng        ready before 6 → least 5 → after 6\n"
        "  Service shop/rng-admin  ready before 10 → least 10 → after 10\n"
        "  1 pod skipped, gone since the plan: rng-a\n"
        "  2 pods added, born since the plan: rng-x, rng-y\n"
        "  way back (planned and proved: 3 → 3 ready)\n"
        "    gatekeep retire shop/rng\n"
    )


def test_nothing_applied() -> None:
    recorded = Outcome(run_id="r", wrote=True, seconds=0.1, steps=0)
    assert outcome_text(recorded, PLAN, Style()) == "✔ recorded; no step was needed\n"
    assert outcome_text(Outcome(run_id="r", wrote=False, seconds=0, steps=0), PLAN, Style()) == "✔ nothing to do\n"


def test_verification() -> None:
    fresh = Verification(proof=Proof(True, 9), stale=(), id_fits=True)
    assert verification_text(fresh, PLAN, Style()).splitlines()[-1] == "✔ fresh: the cluster is as the plan found it"
    stale = Verification(proof=Proof(True, 9), stale=("Service shop/rng is gone",), id_fits=True)
    assert verification_text(stale, PLAN, Style()).splitlines()[-2:] == [
        "✘ stale: the cluster is not as the plan found it",
        "    Service shop/rng is gone",
    ]
    edited = Verification(proof=Proof(False, 9, "no"), stale=(), id_fits=False)
    assert verification_text(edited, PLAN, Style()).splitlines()[1:] == [
        "✘ REFUSED: no",
        "  Nothing was written.",
        "✘ the id does not fit the content: it was edited",
    ]


def test_status() -> None:
    gate = Standing(
        namespace="shop",
        name="rng",
        services=("rng", "rng-admin"),
        gate="active=yes",
        strategy="pool",
        stage="done",
        members_ready=5,
        members_total=6,
        candidates=8,
        drift=("1 pod lost the label",),
        last_run="apply r1",
        source="rng.yaml:3:1",
    )
    assert status_text([gate], Style()) == (
        "NAMESPACE  GATE  LABEL       SERVICES        STRATEGY  READY  OUT\n"
        "shop       rng   active=yes  rng, rng-admin  pool      5/6    2\n"
        "  last run: done, apply r1\n"
        "  ! drift: 1 pod lost the label\n"
    )
    assert status_text([], Style()) == "no gates\n"


def test_a_long_error_of_the_last_run_is_told_in_full_and_first() -> None:
    gate = Standing(
        namespace="shop", name="rng", services=("rng",), gate="active=yes", strategy="pool",
        stage="stopped at step 3:\n  the slices of Service shop/rng list " + "many pods " * 6,
        members_ready=5, members_total=6, candidates=8, drift=(), source="",
        last_run="apply 20261121T100000Z-1a2b3c at 2026-11-21T10:00:00Z by somebody@a-host.example",
    )  # fmt: skip
    lines = status_text([gate], Style(width=80)).splitlines()
    assert lines[3:] == [
        "  last run: failed: stopped at step 3: the slices of Service shop/rng list many",
        "    pods many pods many pods many pods many pods many pods",
        "    apply 20261121T100000Z-1a2b3c at 2026-11-21T10:00:00Z by …",
    ]
    done = status_text([dataclasses.replace(gate, stage="done")], Style(width=60)).splitlines()
    assert done[-1] == "  last run: done, apply 20261121T100000Z-1a2b3c at …"


def test_lint() -> None:
    items = [
        LintItem(Finding("error", "invalid-document", "unknown field x", file="a.yaml", line=3), 5, "did you mean y?"),
        LintItem(Finding("warning", "synced", "a sync reads it", file="b.yaml")),
        LintItem(Finding("info", "note", "by the way", object="TrafficGate shop/rng")),
    ]
    assert lint_text(items, 2, Style()) == (
        "a.yaml:3:5: error: unknown field x → did you mean y?  [invalid-document]\n"
        "b.yaml: warning: a sync reads it  [synced]\n"
        "TrafficGate shop/rng: info: by the way  [note]\n"
        "✘ 1 error, 1 warning, 1 note\n"
    )
    assert lint_text([], 2, Style()) == "✔ 2 policies: 0 errors, 0 warnings\n"
