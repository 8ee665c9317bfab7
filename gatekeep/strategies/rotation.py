"""The one place that knows which strategy answers a policy."""

from __future__ import annotations

from gatekeep.model.policy import Group
from gatekeep.strategies import bluegreen, canary, pool
from gatekeep.strategies.question import Course, DesiredRotation, Leg, Question


def desired_rotation(question: Question) -> DesiredRotation:
    """The rotation of the policy where its run stands, which moves no further.

    Raises :class:`RefusedError` when the cluster is not as the strategy needs it.
    """
    wanted = question.policy.spec.rotation
    if wanted.canary is not None:
        return canary.rotation(question, wanted.canary)
    if wanted.blue_green is not None:
        return bluegreen.rotation(question, wanted.blue_green)
    return pool.rotation(question, wanted.pool or Group())


def desired_course(question: Question) -> Course:
    """The rotations on the way to where the policy goes from here: of a canary with steps, up to its next pause.

    Raises :class:`RefusedError` when the cluster is not as the strategy needs it.
    """
    wanted = question.policy.spec.rotation
    if wanted.canary is not None:
        return canary.course(question, wanted.canary)
    if wanted.blue_green is not None:
        return bluegreen.course(question, wanted.blue_green)
    return Course((Leg(pool.rotation(question, wanted.pool or Group())),))


def standing_course(question: Question) -> Course:
    """No step further than where the run stands."""
    progress = question.progress
    return Course((Leg(desired_rotation(question), progress.step if progress else 0),), progress)


def run_identity(question: Question) -> str:
    """The identity of the run that the policy asks for now; "" for a pool, which has no run."""
    wanted = question.policy.spec.rotation
    if wanted.canary is not None:
        return canary.identity(question, wanted.canary)
    return bluegreen.identity(question) if wanted.blue_green is not None else ""
