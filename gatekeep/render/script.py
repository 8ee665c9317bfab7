"""A plan as one POSIX shell script that needs kubectl alone: each patch with its tests, each wait as a question.

What a script cannot do safely is refused when it is made, see :func:`gatekeep.render.script_waits.unsupported`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.resources import files

from gatekeep.model.errors import RefusedError, UnsafeError
from gatekeep.model.patches import Op, is_label, tokens_of
from gatekeep.model.plan import Change, Plan, Step
from gatekeep.render import shell
from gatekeep.render.escape import escape
from gatekeep.render.layout import counted
from gatekeep.render.script_names import Names, names_of
from gatekeep.render.script_others import names_others, others
from gatekeep.render.script_steps import create_lines, delete_lines, drop_lines, patch_lines
from gatekeep.render.script_waits import first_revisions, unsupported, wait_lines
from gatekeep.render.shell import plain, quote
from gatekeep.render.words import lines_of

_HEADER = """\
#!/bin/sh
# gatekeep plan {id}
#
{proof}
# It needs kubectl, and asks for nothing. KUBECTL='kubectl --context NAME' sh SCRIPT names another cluster or user; it
# refuses every cluster but the one of uid {uid}.
#
# It writes neither the record nor the Lease: it locks nobody out, and gatekeep knows of nothing that it did. The next
# gatekeep apply of the policy writes the record; labels that stand in templates by then count as yours, and retire
# leaves them there. Run it once: its tests are for the state before it.
set -euf
LC_ALL=C
export LC_ALL
"""
_PROVED = "# Proved when it was made: {states}, and in every one no Service is below its floor."
_STORED = "# Made from a saved plan, which nobody proved again: gatekeep verify PLAN does."
_MAIN = """\
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

"""


def script_text(plan: Plan, *, proved: bool = True) -> str:
    """The script. Raises :class:`UnsafeError` for a plan that was refused, :class:`RefusedError` for what sh cannot."""
    if not plan.proof.holds:
        raise UnsafeError(f"no script of a plan that is refused: {plan.proof.counter_example}")
    if reason := unsupported(plan):
        raise RefusedError(f"this plan is no script: {reason}", hint="gatekeep apply carries it out; "
                           "-o patches gives its patches and says what to wait for")  # fmt: skip
    names = names_of(plan)
    states = counted(plan.proof.states, "state")
    header = _HEADER.format(
        id=plain(plan.id), uid=plain(plan.cluster.uid or ""), proof=_PROVED.format(states=states) if proved else _STORED
    )
    variables = "".join(f"{name}=\n" for name in (*names.bound.values(), *names.helpers.values()))
    parts = [header, _library(), variables, _clean_up(plan, names), _before(plan, names)]
    parts.extend(_step(plan, step, names) for step in plan.steps)
    parts.append(_MAIN + "before\n" + "".join(f"step_{step.number}\n" for step in plan.steps) + _end(plan))
    return "\n".join(parts)


@functools.cache
def _library() -> str:
    return files(__package__).joinpath("script_library.sh").read_text("utf-8")


def _end(plan: Plan) -> str:
    if any(gate.action == "Retire" for gate in plan.gates):
        rest = "The record still says that the gate stands: gatekeep retire deletes it, and finds nothing else to do."
    else:
        rest = "Nothing of it is recorded: the next gatekeep apply of the policy does that."
    return f"finished=1\nsay 'done'\nsay {quote(rest)}\n"


def _function(name: str, lines: Iterable[str]) -> str:
    body = "\n".join(f"  {line}" if line else "" for line in lines)
    return f"{name}() {{\n{body or '  :'}\n}}\n"


def _step(plan: Plan, step: Step, names: Names) -> str:
    comment = f"# {step.number}: {escape(step.reason)}\n"
    title = "; ".join(f"{line.symbol} {line.objects}: {line.change}" for line in lines_of(step))
    lines = [f"say {quote(escape(f'step {step.number} of {len(plan.steps)}  {title}'))}"]
    for name in step.requires:
        left_out = quote("    left out: what it relies on is not there")
        lines.append(f'[ -n "${names.bound[name]}" ] || {{ say {left_out}; return 0; }}')
    found = comment + _function(f"step_{step.number}", [*lines, *_body(plan, step, names)])
    if names_others(step):
        found = others(plan, step, names) + "\n" + found
    if step.action == "Create":
        found += "\n" + _function(f"undo_{step.number}", drop_lines(step.changes, names))
    return found


def _body(plan: Plan, step: Step, names: Names) -> Iterator[str]:
    match step.action:
        case "Patch":
            return patch_lines(plan, step, names)
        case "Create":
            return create_lines(step, names)
        case "Delete":
            return delete_lines(step, names)
        case "Wait":
            return wait_lines(step, names)


def _clean_up(plan: Plan, names: Names) -> str:
    made = [change for step in plan.steps if step.action == "Create" for change in step.changes]
    return _function("clean_up", drop_lines(made, names))


def _before(plan: Plan, names: Names) -> str:
    """Is it this cluster, free, and as the plan found it? The tests of the patches answer, before the first write."""
    return _function("before", [*_questions(plan, names)])


def _questions(plan: Plan, names: Names) -> Iterator[str]:
    uid = quote(plain(plan.cluster.uid or ""))
    yield "cluster=$(look get namespace kube-system -o 'jsonpath={.metadata.uid}') || unanswered"
    yield f'[ "$cluster" = {uid} ] || stop "this is another cluster: its uid is $cluster, the plan is for "{uid}'
    if plan.expires_at is not None:
        until = f"{datetime.fromisoformat(plan.expires_at).astimezone(UTC):%Y%m%d%H%M%S}"
        yield f"[ \"$(date -u +%Y%m%d%H%M%S)\" -lt {until} ] || stop 'the plan has expired: plan again'"
    for gate in plan.gates:
        yield f"unlocked {quote(plain(gate.namespace))} {quote(f'gatekeep-{plain(gate.name)}')}"
    for service in plan.services:
        yield f"not_local {quote(plain(service.namespace))} {quote(plain(service.name))}"
    first = _first_changes(plan)
    for change in first:
        where = f"{shell.RESOURCES[change.kind]} {quote(plain(change.name))} {quote(plain(change.namespace))}"
        if change.object is not None:
            yield f"absent {where}"
        elif change.kind != "Pod" and (tests := _tests(change)):
            yield f"holds {where} {names.word(shell.patch_json(tests))}"
    yield from _pods_as_planned([change for change in first if change.kind == "Pod"])
    yield from first_revisions(plan)
    yield "say 'this is the cluster of the plan, and it is as the plan found it'"


def _first_changes(plan: Plan) -> list[Change]:
    """The first change of each object: its tests hold before the first write."""
    found: dict[tuple[str, str, str], Change] = {}
    for step in plan.steps:
        for change in step.changes:
            if step.action != "Delete":
                found.setdefault((change.kind, change.namespace, change.name), change)
    return list(found.values())


def _tests(change: Change) -> list[Op]:
    """The tests of a patch; none where one of them is for a value that is bound on the way."""
    tests = [op for op in change.patch if op.op == "test"]
    return [] if shell.BEGIN in shell.patch_json(tests) else tests


def _pods_as_planned(changes: Iterable[Change]) -> Iterator[str]:
    """One list for all pods whose patches test the same labels."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for change in changes:
        tests = {tokens_of(op.path)[2]: op.value for op in _tests(change) if is_label(op.path)}
        marks = ["-" if value is None else f"={plain(str(value))}" for value in tests.values()]
        line = " ".join([plain(change.uid or ""), *marks])
        groups.setdefault((change.namespace, tuple(tests)), []).append(line)
    for (namespace, keys), lines in groups.items():
        shown = "".join(f' {{{{$v := {shell.label(key)}}}}}{{{{if eq $v "<nil>"}}}}-{{{{else}}}}={{{{$v}}}}{{{{end}}}}'
                        for key in keys)  # fmt: skip
        template = "{{range .items}}{{if .metadata.labels}}{{$l := .metadata.labels}}{{.metadata.uid}}"
        template += shown + '{{"\\n"}}{{end}}{{end}}'
        expected = "\n".join(sorted(lines))
        yield f"as_planned {quote(plain(namespace))} {quote(template)} {quote(expected)}"
