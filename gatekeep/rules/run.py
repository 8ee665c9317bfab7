"""All rules on all that was read."""

from __future__ import annotations

from collections.abc import Sequence

from gatekeep.model.durations import Moment
from gatekeep.rules.ground import isolations, survey
from gatekeep.rules.groups import group_problems
from gatekeep.rules.isolations import isolation_problems
from gatekeep.rules.keys import key_problems
from gatekeep.rules.services import service_problems
from gatekeep.rules.unquoted import unquoted
from gatekeep.sources.problems import Problem
from gatekeep.sources.repository import Repository


def check_rules(repository: Repository, now: Moment) -> Sequence[Problem]:
    """What the rules find, by file and place. ``repository`` must have been read with its nodes."""
    found = [problem for document in repository.others for problem in unquoted(document)]
    found.extend(isolation_problems(isolations(repository), now))
    grounds = survey(repository)
    for ground in grounds:
        found.extend(service_problems(ground))
        found.extend(group_problems(ground))
    found.extend(key_problems(grounds))
    return sorted(found, key=_order)


def _order(problem: Problem) -> tuple[str, int, int, str, str]:
    where = problem.position
    return where.file, where.line, where.column, problem.rule, problem.message
