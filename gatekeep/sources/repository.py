"""What the named files say, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gatekeep.model.plan import Finding
from gatekeep.model.policy import LocatedPolicy, Position
from gatekeep.model.rules import RULES
from gatekeep.sources.problems import Problem
from gatekeep.sources.tree import MapNode


class LocatedNode(NamedTuple):
    """A document with the places of all that it says: in which file, and the folder that lies in."""

    node: MapNode
    file: str
    folder: str


class LocatedManifest(NamedTuple):
    """A plain manifest as Git has it, and where it stands. Only its kind is known to be right."""

    document: dict[str, Any]
    position: Position


@dataclass(frozen=True, kw_only=True)
class Repository:
    """What the named files say. Policies are sorted by file and place in it; ``places`` say where as errors do.

    ``notes`` are what is odd and no mistake. ``nodes`` are those of the policies, in their order, ``others`` those of
    all other objects; both are empty unless asked for. ``files`` are names as in positions, with the openable ones.
    """

    policies: tuple[LocatedPolicy, ...] = ()
    places: tuple[Position, ...] = ()
    manifests: tuple[LocatedManifest, ...] = ()
    notes: tuple[Problem, ...] = ()
    nodes: tuple[LocatedNode, ...] = ()
    others: tuple[LocatedNode, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The notes as a plan holds them."""
        return tuple(
            Finding(severity=RULES[item.rule].severity, rule=item.rule, message=item.message,
                    file=item.position.file, line=item.position.line)
            for item in self.notes
        )  # fmt: skip
