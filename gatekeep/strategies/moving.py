"""What promote, abort and undo make of a run. They move it in the record, never in Git."""

from __future__ import annotations

import msgspec

from gatekeep.model.errors import RefusedError
from gatekeep.model.progress import Progress
from gatekeep.strategies.question import Question
from gatekeep.strategies.rotation import run_identity


def promoted(question: Question) -> Progress | None:
    """Where ``promote`` puts the run: past its pause, or at its start after an abort.

    One that was killed on its way goes on. With ``newPods: Hold`` whoever is held is let in with that.

    Raises :class:`RefusedError` when there is nothing to promote.
    """
    run = run_identity(question)
    progress = question.own(run)
    if progress is not None and progress.phase == "Aborted":
        return Progress(run=run, phase="Running", former=progress.former)
    if progress is not None and progress.phase == "Running":
        return progress
    if progress is not None and progress.phase == "Paused":
        return msgspec.structs.replace(progress, phase="Running", step=progress.step + 1, since="")
    if question.policy.spec.new_pods == "Hold":
        return progress
    raise RefusedError(f"there is nothing to promote: {_standing(question, progress)}", where=_where(question))


def _standing(question: Question, progress: Progress | None) -> str:
    if not question.policy.spec.rotation.canary and not question.policy.spec.rotation.blue_green:
        return "the gate is a pool, and holds no pods (newPods: Join)"
    if progress is None:
        return "the policy or the pods of its canary changed since the last apply, which is to begin a new run first"
    return "the run is at its end"


def aborted(question: Question, reason: str) -> Progress:
    """Where ``abort`` puts the run: at weight 0, or back at the former colour.

    Raises :class:`RefusedError` for a pool, and where no colour was active before.
    """
    run, wanted = run_identity(question), question.policy.spec.rotation
    own = question.own(run)
    if own is not None and own.phase == "Aborted":
        return own
    step = own.step if own is not None else 0
    if wanted.canary is not None:
        return Progress(run=run, phase="Aborted", step=step, reason=reason)
    former = (own.former if own is not None else question.former) if wanted.blue_green is not None else ""
    if wanted.blue_green is None or former not in wanted.blue_green.colors or former == wanted.blue_green.active:
        why = "no other colour was active before" if wanted.blue_green else "a pool has no run"
        raise RefusedError(
            f"there is nothing to abort: {why}",
            where=_where(question),
            hint="gatekeep undo goes back to where the last run began",
        )
    return Progress(run=run, phase="Aborted", former=former, reason=reason)


def readopted(question: Question, progress: Progress | None) -> Progress | None:
    """A progress that was recorded before, as one of the run that the policy has now: what it said is to hold again."""
    return None if progress is None else msgspec.structs.replace(progress, run=run_identity(question))


def _where(question: Question) -> str:
    return f"TrafficGate {question.policy.namespace}/{question.policy.name}"
