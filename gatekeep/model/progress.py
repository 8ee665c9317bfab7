"""How far a gate's run has come, and who is isolated: what a plan leads to and the record remembers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from gatekeep.model.policy import Mode
from gatekeep.model.waits import Part


class Progress(Part, frozen=True, omit_defaults=True):
    """Where the run of a canary or a blue/green switch stands.

    ``run`` is its identity: a digest of the policy's spec and of the canary group's pod templates (for blue/green, of
    the spec). Of a canary's steps ``step`` are done. ``former`` is the colour that was active before the run. ``since``
    is when it came here, RFC 3339, empty in a plan. ``reason`` says why it was aborted.
    """

    run: str
    phase: Literal["Running", "Paused", "Aborted", "Done"]
    step: Annotated[int, msgspec.Meta(ge=0)] = 0
    former: str = ""
    since: str = ""
    reason: str = ""


class Stage(Part, frozen=True):
    """Once the plan's step ``through`` is done, the run has come to ``progress``."""

    through: Annotated[int, msgspec.Meta(ge=1)]
    progress: Progress


class IsolatedPod(Part, frozen=True, omit_defaults=True):
    """A pod out of rotation.

    ``labels`` were taken off it to release it from the controller of uid ``owner``, and are to be given back.
    """

    name: str
    uid: str
    owner: str = ""
    labels: Mapping[str, str] = {}


class Isolated(Part, frozen=True, omit_defaults=True):
    """An isolation as it stands: whom it holds, why, for how long (RFC 3339), and since when (empty in a plan).

    ``by`` is the policy, ``Isolation NAMESPACE/NAME``, or who pulled the pod. ``ended`` says how it came to its end,
    though its policy is still there; it holds nobody then. ``gone`` are names of pods that it held and that are no
    more: another pod of such a name is not meant.
    """

    name: str
    mode: Mode
    reason: str
    by: str
    pods: tuple[IsolatedPod, ...] = ()
    expires: str | None = None
    since: str = ""
    ended: str = ""
    gone: tuple[str, ...] = ()
