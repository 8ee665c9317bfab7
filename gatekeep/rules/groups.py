"""Groups of a policy against the templates that Git has: who is in them, how many, and with which label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gatekeep.model.policy import Group, Owner
from gatekeep.model.selectors import is_reserved, keys_of, matches
from gatekeep.rules.ground import Ground, LocatedGate
from gatekeep.rules.manifests import Path, Template
from gatekeep.sources.check import close
from gatekeep.sources.problems import Problem, quoted

_IN_GIT = ("Deployment", "DaemonSet", "StatefulSet")  # others are made by controllers, and seldom stand in Git
_LISTED = 3
_SEARCHED = 200


class _Named(NamedTuple):
    """A group, how messages call it, and the path to it."""

    group: Group
    name: str
    path: Path


def group_problems(ground: Ground) -> Iterator[Problem]:
    """What a policy asks of the manifests and they do not give."""
    if not ground.templates:
        return
    for gate in ground.gates:
        yield from _empty_groups(gate, ground)
        yield from _floor(gate, ground)
        yield from _without_label(gate, ground)


def in_group(group: Group, template: Template) -> bool:
    """Pods of this template are in the group."""
    manifest = template.manifest
    owned = group.owners is None or any((one.kind, one.name) == (manifest.kind, manifest.name) for one in group.owners)
    selected = group.selector is None or matches(group.selector, template.labels)
    among = group.any_of is None or any(in_group(part, template) for part in group.any_of)
    return owned and selected and among and not any(in_group(part, template) for part in group.except_ or ())


def _groups(gate: LocatedGate) -> Iterator[_Named]:
    """Every group that is to have pods."""
    rotation, path = gate.policy.spec.rotation, ("spec", "rotation")
    if rotation.pool is not None:
        yield _Named(rotation.pool, "pool", (*path, "pool"))
    if rotation.canary is not None:
        yield _Named(rotation.canary.stable, "canary.stable", (*path, "canary", "stable"))
        yield _Named(rotation.canary.canary, "canary.canary", (*path, "canary", "canary"))
    if rotation.blue_green is not None:
        for name, group in rotation.blue_green.colors.items():
            yield _Named(group, f"colors.{name}", (*path, "blueGreen", "colors", name))


def _standing(gate: LocatedGate, *, whole: bool) -> Group:
    """Who is in rotation when the policy holds; of a canary the stable pods alone, unless ``whole``."""
    rotation = gate.policy.spec.rotation
    if rotation.canary is not None:
        canary = rotation.canary
        return Group(any_of=(canary.stable, canary.canary)) if whole else canary.stable
    if rotation.blue_green is not None:
        return rotation.blue_green.colors[rotation.blue_green.active]
    return rotation.pool or Group()


def _empty_groups(gate: LocatedGate, ground: Ground) -> Iterator[Problem]:
    candidates = _candidates(gate, ground)
    for named in _groups(gate):
        owners = list(_owners(named.group, named.path))
        missing = [
            (path, one) for path, one in owners if one.kind in _IN_GIT and (one.kind, one.name) not in ground.known
        ]
        patched = any((one.kind, one.name) in ground.patched for _, one in owners)
        for path, owner in missing:
            message = f"{named.name}: no manifest of namespace {ground.scope.namespace} is {owner.kind} {owner.name}"
            hint = close(
                owner.name, tuple(sorted(name for kind, name in ground.known if kind == owner.kind)) or ("none",)
            )
            yield Problem(gate.place(*path, "name"), message, hint, "group-matches-nothing")
        if missing or patched or _looks_elsewhere(named.group) or any(in_group(named.group, one) for one in candidates):
            continue
        message = f"{named.name}: no pod template that the Services of the gate reach is in this group"
        hint = f"templates that they reach: {_names(candidates)}"
        yield Problem(gate.place(*named.path), message, hint, "group-matches-nothing")


def _nearest(owner: Owner, ground: Ground) -> str:
    """Among very many names a search would take long, and find one that is like any."""
    names = sorted(name for kind, name in ground.known if kind == owner.kind)
    if 0 < len(names) <= _SEARCHED:
        return close(owner.name, tuple(names))
    return f"add the manifest, or name another {owner.kind}"


def _candidates(gate: LocatedGate, ground: Ground) -> Sequence[Template]:
    """The templates behind the gate's Services; all of them where not every Service has a manifest with templates."""
    found = [ground.behind.get(name, ()) for name in gate.policy.spec.services]
    return [template for templates in found for template in templates] if all(found) else ground.templates


def _owners(group: Group, path: Path) -> Iterator[tuple[Path, Owner]]:
    """The owners that it names, with their paths; whoever is left out may be gone."""
    for index, owner in enumerate(group.owners or ()):
        yield (*path, "owners", index), owner
    for index, part in enumerate(group.any_of or ()):
        yield from _owners(part, (*path, "anyOf", index))


def _looks_elsewhere(group: Group) -> bool:
    """It names what manifests cannot tell: labels and owners that controllers make."""
    made = any(owner.kind not in _IN_GIT for owner in group.owners or ())
    parts = (*(group.any_of or ()), *(group.except_ or ()))
    return made or any(map(is_reserved, keys_of(group.selector))) or any(map(_looks_elsewhere, parts))


def _floor(gate: LocatedGate, ground: Ground) -> Iterator[Problem]:
    least = gate.policy.spec.floor.min_ready
    group = _standing(gate, whole=True)
    if isinstance(least, str) or _looks_elsewhere(group):
        return
    for service in gate.policy.spec.services:
        reached = {(item.manifest.kind, item.manifest.name): item for item in ground.behind.get(service, ())}
        members = [item for item in reached.values() if in_group(group, item)]
        counts = [1 if item.manifest.kind == "Pod" else ground.replicas.get((item.manifest.kind, item.manifest.name))
                  for item in members]  # fmt: skip
        known = [count for count in counts if count is not None]
        if members and len(known) == len(counts) and sum(known) < least:
            message = f"minReady: {least} is more than the {sum(known)} replicas that the manifests give the group "
            message += f"behind Service {service} ({_names(members)}): the floor can never be met"
            hint = f"write at most {sum(known)}, or a percentage such as 50%"
            yield Problem(gate.place("spec", "floor", "minReady"), message, hint, "floor-above-replicas")


def _without_label(gate: LocatedGate, ground: Ground) -> Iterator[Problem]:
    """With the gate in Git's selector, only a template with the label gives pods that are in rotation at once."""
    spec, wanted = gate.policy.spec, gate.policy.gate
    if spec.adopt != "Template" or spec.new_pods != "Join":
        return
    group = _standing(gate, whole=False)
    for service in (item for name in spec.services for item in ground.by_name.get(name, ())):
        if service.selector.get(wanted.key) != wanted.value:
            continue
        for template in ground.behind[service.manifest.name]:
            if in_group(group, template) and template.labels.get(wanted.key) != wanted.value:
                manifest = template.manifest
                message = f"{service.manifest.ref} at {service.manifest.where} requires {wanted.key}={wanted.value}, "
                message += f"and pods of {manifest.ref} are born without it: a rollout from here leaves them out"
                hint = f"add {wanted.key}: {quoted(wanted.value)} to {template.shown_path}"
                where = manifest.place(*template.path, "metadata", "labels")
                yield Problem(where, message, hint, "template-without-gate-label")


def _names(templates: Sequence[Template]) -> str:
    names = [f"{item.manifest.kind} {item.manifest.name}" for item in templates]
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
