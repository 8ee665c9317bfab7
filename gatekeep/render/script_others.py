"""Whom a step is for besides those it names: a script lists again, by a go-template that says what the match says."""

from __future__ import annotations

from gatekeep.model.plan import Match, Plan, ServiceForecast, Step
from gatekeep.model.waits import Bound, GateLabel
from gatekeep.render import shell
from gatekeep.render.script_names import Names
from gatekeep.render.shell import plain, quote

_GENERATION = quote("jsonpath={.metadata.generation}")
_HEAD = """\
{{{{$all := .items}}}}{{{{range .items}}}}{{{{if and (eq .kind "{kind}") .metadata.labels}}}}\
{{{{$l := .metadata.labels}}}}\
{{{{$u := .metadata.uid}}}}{{{{$o := ""}}}}{{{{$p := ""}}}}\
{{{{range .metadata.ownerReferences}}}}{{{{if .controller}}}}{{{{$o = .uid}}}}{{{{end}}}}{{{{end}}}}"""
_ABOVE = """\
{{if $o}}{{range $all}}{{if eq .metadata.uid $o}}{{range .metadata.ownerReferences}}{{if .controller}}\
{{$p = .uid}}{{end}}{{end}}{{end}}{{end}}{{end}}"""
_TAIL = """\
{{{{$v := {value}}}}}{{{{$phase := printf "%v" .status.phase}}}}\
{{{{if and {condition} (ne $v {wanted}){old} (not (eq $phase "Succeeded" "Failed"))}}}}\
{{{{.metadata.name}}}} {{{{$u}}}} {{{{if eq $v "<nil>"}}}}-{{{{else}}}}={{{{$v}}}}{{{{end}}}}{{{{"\\n"}}}}{{{{end}}}}\
{{{{end}}}}{{{{end}}}}"""
_ROUNDS = """\
{name}_{number}() {{
  found_any=0
  round=0
  while :; do
    others=$(look get {resources} -n {namespace} -o {template}) || unanswered
    [ -n "$others" ] || break
    found_any=1
    round=$((round + 1))
    [ "$round" -le 10 ] ||
      stop 'step {number}: they are born faster than they can be changed' "$K get {resources} -n {namespace}"
{floor}    while read -r name uid mark <&3; do
      not_ours "$uid" {number} "$name"
      say "    $name belongs too"
{write}
    done 3<<EOF
$others
EOF
  done
}}
"""


def others(plan: Plan, step: Step, names: Names) -> str:
    """The function that lists again until whoever the step is for has the label."""
    match, gate = step.match, step.match.gate if step.match is not None else None
    assert match is not None
    assert gate is not None
    is_set = any(change.kind == "ReplicaSet" for change in step.changes)
    pointer = "/spec/template" * is_set + shell.label_pointer(gate.key)
    wanted = quoted_mark(gate, names)
    edit = f'"$(edit {quote(pointer)} "$mark" {wanted} "$uid")" "$(landed {quote(pointer)} {wanted} "$uid")"'
    namespace = plain(match.namespace)
    if is_set:
        write = (
            f'      if put replicasets.apps "$name" {namespace} "$uid" {edit} {_GENERATION}; then\n'
            f'        ours="$ours $uid/{step.number}"\n'
            f'        await {step.number} 300 "$name: its controller has seen the label" \\\n'
            f'          field_is replicasets.apps "$name" {namespace} "$uid" "$SEEN" least "$answer"\n'
            "      fi"
        )
    else:
        write = f'      label_pod "$name" {namespace} "$uid" {edit} {step.number}'
    floor = ""
    if gate.value is None and not is_set:
        floor = "".join(f"    {line}\n" for line in (
            "going=$(printf '%s\\n' \"$others\" | cut -d' ' -f2 | lines)",
            *(keeps(service, gate.key) for service in plan.services if service.namespace == namespace),
        ))  # fmt: skip
    return _ROUNDS.format(
        name="others", number=step.number, namespace=namespace, floor=floor, write=write,
        resources="replicasets.apps" if is_set else "pods,replicasets.apps" if _asks_owners(match) else "pods",
        template=names.word("go-template=" + _template(match, gate, is_set=is_set)),
    )  # fmt: skip


def names_others(step: Step) -> bool:
    """The step has a match that somebody else than those it names may belong to."""
    return step.action == "Patch" and step.match is not None and step.match.gate is not None and step.match.any_of != ()


def quoted_mark(gate: GateLabel, names: Names) -> str:
    """What the label is brought to: ``-`` or ``=VALUE``."""
    return quote("-") if gate.value is None else names.word(f"={_value(gate.value)}")


def _template(match: Match, gate: GateLabel, *, is_set: bool) -> str:
    labels = ".spec.template.metadata.labels" if is_set else "$l"
    wanted = "<nil>" if gate.value is None else _value(gate.value)
    old = f" (eq $v {shell.text(_value(gate.old))})" if gate.old is not None else ""
    head = _HEAD.format(kind="ReplicaSet" if is_set else "Pod")
    tail = _TAIL.format(
        value=shell.label(gate.key, labels), condition=shell.condition(match), old=old,
        wanted='"<nil>"' if wanted == "<nil>" else shell.text(wanted),
    )  # fmt: skip
    return head + (_ABOVE if _asks_owners(match) and not is_set else "") + tail


def _value(value: str | Bound) -> str:
    return shell.bound(value.name) if isinstance(value, Bound) else plain(value)


def _asks_owners(match: Match) -> bool:
    parts = (*(match.any_of or ()), *(match.except_ or ()))
    return match.owner_uids is not None or any(_asks_owners(part) for part in parts)


def keeps(service: ServiceForecast, key: str) -> str:
    """The floor, looked at for pods that are about to lose a label."""
    words = (plain(service.namespace), plain(service.name), str(service.floor), plain(key))
    return f'keeps_without {" ".join(map(quote, words))} "$going"'
