"""The steps of a plan as functions of a shell script: what is written, and whom the cluster is asked for again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gatekeep.model.patches import Op, is_label, tokens_of
from gatekeep.model.plan import Change, Plan, Step
from gatekeep.model.record import GATE_LABEL
from gatekeep.model.waits import EndpointsWait
from gatekeep.render import shell
from gatekeep.render.script_names import Names
from gatekeep.render.script_others import keeps, names_others
from gatekeep.render.shell import plain, quote, selector_text
from gatekeep.render.words import selector_change

NAMES = "name"


def patch_lines(plan: Plan, step: Step, names: Names) -> Iterator[str]:
    """The body of a step that patches."""
    kinds = {change.kind for change in step.changes} or {"Pod"}
    if kinds == {"Service"}:
        yield from _proved_again(plan, step)
        for change in step.changes:
            yield from _switch(plan, change, names)
    elif kinds == {"Pod"}:
        yield from _floors(plan, step.changes)
        for change in step.changes:
            yield f"label_pod {_object(change)} {_patch(change.patch, names)} {_landed(change, names)} {step.number}"
    else:
        for change in step.changes:
            yield from _workload(change, names)
    if names_others(step):
        yield f"others_{step.number}"


def _object(change: Change) -> str:
    return f"{quote(plain(change.name))} {quote(plain(change.namespace))} {quote(plain(change.uid or ''))}"


def _patch(patch: Sequence[Op], names: Names) -> str:
    return names.word(shell.patch_json(patch))


def _landed(change: Change, names: Names) -> str:
    return _patch([op for op in change.undo if op.op == "test"], names)


def _floors(plan: Plan, changes: Sequence[Change]) -> Iterator[str]:
    """The floor looked at once more, before labels are taken off or changed."""
    gone: dict[tuple[str, str], list[str]] = {}
    for change in changes:
        for op in change.patch:
            if op.op in ("remove", "replace") and is_label(op.path):
                gone.setdefault((change.namespace, tokens_of(op.path)[2]), []).append(plain(change.uid or ""))
    for (namespace, key), uids in gone.items():
        services = [service for service in plan.services if service.namespace == namespace]
        if services:
            yield f"going={quote(chr(10).join(uids))}"
            yield "going=$(printf '%s\\n' \"$going\" | lines)"
            yield from (keeps(service, key) for service in services)


def _switch(plan: Plan, change: Change, names: Names) -> Iterator[str]:
    moved = selector_change(change.patch)
    floor = next((item.floor for item in plan.services
                  if (item.namespace, item.name) == (change.namespace, change.name)), None)  # fmt: skip
    place = f"{quote(plain(change.namespace))} {quote(plain(change.name))}"
    if moved is not None and floor is not None:
        yield f"keeps_switching {place} {floor} {quote(selector_text(moved[1]))}"
    yield f"put services {_object(change)} {_patch(change.patch, names)} {_landed(change, names)} {NAMES} ||"
    yield f"  stop {quote(f'Service {change.namespace}/{change.name} is gone: plan again')}"


def _workload(change: Change, names: Names) -> Iterator[str]:
    resource, what = shell.RESOURCES[change.kind], f"{change.kind}/{plain(change.name)}"
    begins, ends = hold_of(change)
    output = "jsonpath=" + "|".join(shell.jsonpath(path) for path in (change.bind or {"": "/metadata/uid"}).values())
    landed = "''" if begins else _landed(change, names)
    yield f"if put {resource} {_object(change)} {_patch(change.patch, names)} {landed} {quote(output)}; then"
    for at, name in enumerate(change.bind or {}, 1):
        yield f'  {names.bound[name]}=$(field "$answer" {at})'
        yield f'  known "${names.bound[name]}"'
    if begins:
        yield f'  held="$held {what}"'
    elif ends:
        yield f"  let_go {quote(what)}"
    else:
        yield "  :"
    yield "else"
    gone = f"{change.kind} {change.namespace}/{change.name} is gone"
    yield f"  say {quote(f'    {gone}: skipped')}" if change.kind == "ReplicaSet" else f"  stop {quote(gone)}"
    yield "fi"


def hold_of(change: Change) -> tuple[bool, bool]:
    """Whether the patch begins to hold the workload still, and whether it ends that."""
    tests = {op.path: op.value for op in change.patch if op.op == "test"}
    writes = {op.path: None if op.op == "remove" else op.value for op in change.patch if op.op != "test"}
    still = {"/spec/paused": True, "/spec/updateStrategy": {"type": "OnDelete"}}
    begins = any(writes.get(path) == value for path, value in still.items())
    ends = any(path in writes and tests.get(path) == value for path, value in still.items())
    return begins, ends and not begins


def _proved_again(plan: Plan, step: Step) -> Iterator[str]:
    """Before a switch: whoever was born since is labelled, and then, or under a new leader, a new shadow is asked."""
    shadows = list(_shadows(plan, step))
    labelling = _labelling(plan, step)
    if not shadows:
        return
    yield "turn=0"
    yield "while :; do"
    yield f"  others_{labelling.number}" if labelling is not None else "  found_any=0"
    yield '  [ "$found_any" -eq 1 ] || [ "$(who_leads)" != "$leader" ] || break'
    yield "  turn=$((turn + 1))"
    restless = quote(f"step {step.number}: the pods do not come to rest, so the switch cannot be proved")
    yield f'  [ "$turn" -le 10 ] || stop {restless}'
    yield "  say '    pods were born, or kube-controller-manager has a new leader: proving again'"
    for creating, waiting in shadows:
        yield f"  undo_{creating.number}"
        yield f"  step_{creating.number}"
        yield f"  step_{waiting.number}"
    yield "done"


def _shadows(plan: Plan, step: Step) -> Iterator[tuple[Step, Step]]:
    """The creations of the helper Services whose waits stand right before this switch, with those waits."""
    made = {
        (change.namespace, change.name): earlier
        for earlier in plan.steps[: step.number - 1]
        if earlier.action == "Create"
        for change in earlier.changes
        if change.kind == "Service"
    }
    for earlier in reversed(plan.steps[: step.number - 1]):
        wait = earlier.wait
        if not isinstance(wait, EndpointsWait) or (wait.namespace, wait.service) not in made:
            return
        yield made[wait.namespace, wait.service], earlier


def _labelling(plan: Plan, step: Step) -> Step | None:
    """The labelling step that the switch relies on: the last one of its policy that lets pods in by a match."""
    earlier = (item for item in reversed(plan.steps[: step.number - 1]) if item.policy == step.policy)
    return next((item for item in earlier if _lets_in(item)), None)


def _lets_in(step: Step) -> bool:
    gate = step.match.gate if step.match is not None else None
    if gate is None or not names_others(step) or any(change.kind != "Pod" for change in step.changes):
        return False
    return gate.value is not None and gate.key != "controller-revision-hash"


def create_lines(step: Step, names: Names) -> Iterator[str]:
    """Creations: of helper Services, whose uids are kept so that they go again, and of what stays."""
    yield "leader=$(who_leads)"
    for change in step.changes:
        helper = names.helpers.get((change.namespace, change.name))
        yield "wrote=1"
        if helper:
            yield f"{helper}='?'"
        body = names.word(shell.document_json(change.object or {}))
        yield f"uid=$(printf '%s' {body} | $K create -f - --field-manager=gatekeep -o 'jsonpath={{.metadata.uid}}') ||"
        yield f"  stop {quote(f'{change.kind} {change.name} could not be created')}"
        yield 'known "$uid"'
        if helper:
            yield f"{helper}=$uid"
        yield from (f"{names.bound[name]}=$uid" for name in change.bind or {})


def delete_lines(step: Step, names: Names) -> Iterator[str]:
    """Deletions, each of the very object that was seen."""
    for change in step.changes:
        uid = next(op.value for op in change.patch if op.path == "/metadata/uid")
        path = shell.raw_path(change.kind, change.namespace, change.name)
        words = (shell.RESOURCES[change.kind], plain(change.name), plain(change.namespace))
        yield "wrote=1"
        yield f"remove {quote(path)} {names.word(shell.marked(uid))} {' '.join(map(quote, words))} ||"
        yield f"  stop {quote(f'{change.kind} {change.name} could not be deleted')}"
        if helper := names.helpers.get((change.namespace, change.name)):
            yield f"{helper}="


def drop_lines(changes: Iterable[Change], names: Names) -> Iterator[str]:
    """Helper Services go, if they stand."""
    for change in changes:
        helper = names.helpers.get((change.namespace, change.name))
        labels = ((change.object or {}).get("metadata") or {}).get("labels") or {}
        if helper and change.object:
            words = (plain(change.namespace), plain(change.name), plain(str(labels.get(GATE_LABEL, ""))))
            yield f'drop "${helper}" {" ".join(map(quote, words))}'
            yield f"{helper}="
