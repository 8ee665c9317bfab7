"""Canaries with their checks, and blue/green: what the schema cannot say about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gatekeep.model.durations import DAY, seconds_in
from gatekeep.model.policy import PREVIEW_VALUE, BlueGreen, Canary, PrometheusCheck, TrafficGateSpec
from gatekeep.sources.check import close
from gatekeep.sources.groups import group_problems, twins
from gatekeep.sources.problems import Problem, shown
from gatekeep.sources.tree import MapNode, Node, Scalar, at, place, position

MOST_STEPS = 100  # of a canary, and as many checks: each weight is a stage of a plan, and each stage is proved
LONGEST_PAUSE = 366 * DAY
_DISJOINT = "make them disjoint, by owners or by a label that only one of them has"


class _Spec(NamedTuple):
    """The spec of a policy, its node, and the file it stands in."""

    spec: TrafficGateSpec
    node: Node
    file: str

    def problem(self, path: tuple[str | int, ...], message: str, hint: str) -> Problem:
        return Problem(place(self.node, self.file, *path), message, hint)


def rotation_problems(spec: TrafficGateSpec, node: Node, file: str) -> Iterator[Problem]:
    """What is wrong with the strategy of ``spec``, decoded from ``node``, and with its checks."""
    here = _Spec(spec, node, file)
    yield from _checks(here)
    rotation = spec.rotation
    if rotation.pool is not None:
        yield from group_problems(rotation.pool, at(node, "rotation", "pool"), file, "pool")
    if rotation.canary is not None:
        yield from _canary(here, rotation.canary)
    if rotation.blue_green is not None:
        yield from _blue_green(here, rotation.blue_green)


def unused_checks(spec: TrafficGateSpec) -> list[int]:
    """The checks, by their place in the list, that no step asks."""
    steps = (spec.rotation.canary and spec.rotation.canary.steps) or ()
    asked = {step.check for step in steps}
    return [index for index, check in enumerate(spec.checks) if check.name not in asked]


def _canary(here: _Spec, canary: Canary) -> Iterator[Problem]:
    path = ("rotation", "canary")
    for name, group in (("stable", canary.stable), ("canary", canary.canary)):
        yield from group_problems(group, at(here.node, *path, name), here.file, f"canary.{name}")
    for _ in twins({"stable": canary.stable, "canary": canary.canary}):
        message = "canary: stable and canary are the same group, and a pod can be in one of them only"
        yield here.problem((*path, "canary"), message, _DISJOINT)
    if canary.steps is not None:
        yield from _steps(here, canary, (*path, "steps"))


def _steps(here: _Spec, canary: Canary, path: tuple[str, ...]) -> Iterator[Problem]:
    steps = canary.steps or ()
    if len(steps) > MOST_STEPS:
        yield here.problem(path, f"steps: {len(steps)} steps are too many", f"write at most {MOST_STEPS}")
        return
    if all(step.weight is None for step in steps):
        yield here.problem(
            path, "steps: no step has a weight, so nothing would move", "add a step such as {weight: 10}"
        )
    known = tuple(check.name for check in here.spec.checks[:MOST_STEPS])
    reached = 0
    for index, step in enumerate(steps):
        if step.weight is not None and step.weight < reached:
            message = f"weight: {step.weight} comes after {reached}: a run only goes up"
            hint = "gatekeep abort takes a canary out; for a smaller share start another run"
            yield here.problem((*path, index, "weight"), message, hint)
        reached = max(reached, step.weight or 0)
        if step.check is not None and step.check not in known:
            hint = close(step.check, known) if known else "add it to spec.checks"
            yield here.problem((*path, index, "check"), f"unknown check {shown(step.check)}", hint)
        if isinstance(step.pause, str) and _seconds(step.pause) > LONGEST_PAUSE:
            message = f"pause: {step.pause} is longer than 366d"
            yield here.problem((*path, index, "pause"), message, "write at most 366d, or {} to wait until promoted")


def _checks(here: _Spec) -> Iterator[Problem]:
    spec = here.spec
    if spec.checks and not (spec.rotation.canary and spec.rotation.canary.steps):
        message = "checks: nothing asks them: only the steps of a canary do"
        yield here.problem(("checks",), message, "leave checks out, or write canary.steps with {check: NAME}")
    if len(spec.checks) > MOST_STEPS:
        yield here.problem(("checks",), f"checks: {len(spec.checks)} are too many", f"write at most {MOST_STEPS}")
        return
    seen: set[str] = set()
    for index, check in enumerate(spec.checks):
        if check.name in seen:
            message = f"checks: there are two of the name {check.name}"
            yield here.problem(("checks", index, "name"), message, "give each a name of its own")
        seen.add(check.name)
        yield from _prometheus(here, check.prometheus, ("checks", index, "prometheus"))


def _prometheus(here: _Spec, check: PrometheusCheck, path: tuple[str | int, ...]) -> Iterator[Problem]:
    if check.max is None and check.min is None:
        yield here.problem(
            path, "prometheus: expected max, min or both, found neither", "add a bound such as max: 0.01"
        )
    if check.max is not None and check.min is not None and check.min > check.max:
        message = f"min: {_text(here, path, 'min')} is more than max: {_text(here, path, 'max')}, so nothing can pass"
        yield here.problem((*path, "min"), message, "exchange the two")
    lasting, interval, timeout = map(_seconds, (check.for_, check.interval, check.timeout))
    if interval < 1:
        yield here.problem((*path, "interval"), f"interval: {check.interval} is less than 1s", "write 1s or more")
    if check.failures > DAY:  # seconds in a day, so no check measures more often
        message = f"failures: {_text(here, path, 'failures')} is more than {DAY}, which no check can reach"
        yield here.problem((*path, "failures"), message, "write a small number such as 3")
    if timeout > DAY:
        yield here.problem((*path, "timeout"), f"timeout: {check.timeout} is longer than 1d", "write at most 1d")
    if lasting >= timeout:
        key = "for" if at(here.node, *path, "for") is not None else "timeout"
        message = f"for: {check.for_} is not less than timeout: {check.timeout}, so the check can never pass"
        yield here.problem((*path, key), message, "write a shorter for, or a longer timeout")


def _blue_green(here: _Spec, wanted: BlueGreen) -> Iterator[Problem]:
    path = ("rotation", "blueGreen")
    colors = at(here.node, *path, "colors")
    for name, group in wanted.colors.items():
        yield from group_problems(group, at(colors, name), here.file, f"colors.{name}")
    for first, name in twins(wanted.colors):
        message = f"colors: {first} and {name} are the same group: overlapping colours, and a pod can have one only"
        where = position(colors.entries[name][0] if isinstance(colors, MapNode) else here.node, here.file)
        yield Problem(where, message, _DISJOINT)
    if wanted.active not in wanted.colors:
        hint = close(wanted.active, tuple(wanted.colors))
        yield here.problem((*path, "active"), f"active: unknown colour {shown(wanted.active)}", hint)
    if wanted.drain is not None and _seconds(wanted.drain) > DAY:
        message = f"drain: {wanted.drain} is longer than 1d, and every apply of a switch waits for it"
        yield here.problem((*path, "drain"), message, "write at most 1d")
    if here.spec.new_pods == "Hold":
        message = "newPods: Hold: a colour is in rotation as a whole, pods that are born later included"
        yield here.problem(("newPods",), message, "write newPods: Join")
    yield from _preview(here, wanted, (*path, "preview", "service"))


def _preview(here: _Spec, wanted: BlueGreen, path: tuple[str, ...]) -> Iterator[Problem]:
    if wanted.preview is None:
        return
    if wanted.preview.service in here.spec.services:
        message = f"preview: Service {wanted.preview.service} is in spec.services, for the active colour"
        yield here.problem(path, message, "name another Service, for the idle colour")
    if here.spec.gate is not None and here.spec.gate.value == PREVIEW_VALUE:
        message = f"gate value: {PREVIEW_VALUE} is what pods of the idle colour carry, and what the preview requires"
        yield here.problem(("gate", "value"), message, "write another value, such as open")


def _text(here: _Spec, path: tuple[str | int, ...], key: str) -> str:
    """The scalar as the document has it."""
    node = at(here.node, *path, key)
    return shown(node.text) if isinstance(node, Scalar) else ""


def _seconds(duration: str) -> int:
    """The schema lets nothing else in."""
    return seconds_in(duration) or 0
