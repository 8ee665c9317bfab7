"""A second opinion on what the workload controllers do: walks every interleaving of a few writes, reads and syncs.

Shares nothing with ``gatekeep.proof`` and nothing with plan documents: its steps are its own, and a test writes each of
them down as a document, too. One Deployment with its ReplicaSets, or one DaemonSet with its pods; each controller reads
two ordered streams as slowly as it likes, and a sync on what it has read may restart pods.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

Kind = Literal["Deployment", "DaemonSet"]
Word = Literal["hold", "template", "sets", "marks", "release", "release+template", "hold+template",
               "seen", "sets seen", "counted"]  # fmt: skip
"""``sets`` are the labels of ReplicaSets, ``marks`` the revision of pods; the last three are waits."""

OWN: dict[str, tuple[bool | None, bool | None]] = {
    "hold": (True, None), "release": (False, None), "template": (None, True),
    "release+template": (False, True), "hold+template": (True, True),
}  # fmt: skip
"""What each write of the workload itself does to (held, labelled)."""


class Own(NamedTuple):
    """The workload itself: held still, and with the label in its template."""

    held: bool = False
    labelled: bool = False


class State(NamedTuple):
    """How far a run is, what it has written of both streams, and how far the controller has read.

    ``counted`` are the numbers (read of its own, read of the owned) at which the status was last written.
    """

    step: int
    own: tuple[Own, ...]
    owned: tuple[bool, ...]
    read_own: int
    read_owned: int
    counted: tuple[int, int]


START = State(0, (Own(),), (False,), 0, 0, (0, 0))


def restarts(kind: Kind, steps: Sequence[Word]) -> bool:
    """Some interleaving lets the controller replace pods."""
    return any(_replaces(kind, state) for state in _walk(kind, steps))


def ends(kind: Kind, steps: Sequence[Word]) -> bool:
    """Some interleaving comes to the end: no wait stands for ever."""
    return any(state.step == len(steps) for state in _walk(kind, steps))


def _walk(kind: Kind, steps: Sequence[Word]) -> Iterator[State]:
    seen = {START}
    queue = deque([START])
    while queue:
        state = queue.popleft()
        yield state
        for following in _following(kind, state, steps):
            if following not in seen:
                seen.add(following)
                queue.append(following)


def _following(kind: Kind, state: State, steps: Sequence[Word]) -> Iterator[State]:
    if state.read_own < len(state.own) - 1:
        yield state._replace(read_own=state.read_own + 1)
    if state.read_owned < len(state.owned) - 1:
        yield state._replace(read_owned=state.read_owned + 1)
    if state.counted != (state.read_own, state.read_owned):
        yield state._replace(counted=(state.read_own, state.read_owned))
    if state.step < len(steps) and (after := _step(kind, state, steps[state.step])) is not None:
        yield after._replace(step=state.step + 1)


def _step(kind: Kind, state: State, word: Word) -> State | None:
    """The state after the run's next step; None while it waits, or cannot take it."""
    latest = state.own[-1]
    if word in OWN:
        held, labelled = OWN[word]
        new = Own(latest.held if held is None else held, latest.labelled if labelled is None else labelled)
        return state._replace(own=(*state.own, new)) if new != latest else None
    if word in ("sets", "marks"):
        return state._replace(owned=(*state.owned, True)) if not state.owned[-1] else None
    if word == "seen":
        return state if state.counted[0] == len(state.own) - 1 else None
    if word == "sets seen":
        return state if state.read_owned == len(state.owned) - 1 else None
    own, owned = state.own[state.counted[0]], state.owned[state.counted[1]]
    return state if kind == "DaemonSet" and own.labelled == owned else None


def _replaces(kind: Kind, state: State) -> bool:
    """What the controller has read makes it replace pods, in both kinds by the same rule: not held, and not alike."""
    own, owned = state.own[state.read_own], state.owned[state.read_owned]
    return not own.held and own.labelled != owned
