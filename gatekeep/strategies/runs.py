"""The run of a canary: which one it is, where it stands, and how far it goes from there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from gatekeep.model.durations import Moment, parse_time, seconds_in
from gatekeep.model.objects import Workload
from gatekeep.model.plan import Match, digest
from gatekeep.model.policy import CanaryStep, TrafficGate
from gatekeep.model.progress import Progress
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.workloads import adoptable, is_born_in

_REVISION = "deployment.kubernetes.io/revision"
_HASH_LABEL = "pod-template-hash"
_ENV = ("env", "envFrom")


def identity(policy: TrafficGate, group: Match | None, snapshot: Snapshot) -> str:
    """What makes this run another one: the policy's spec, and the pod templates that ``group`` is born from."""
    templates = [
        [item.kind, item.name, _template_id(item, policy.gate.key, snapshot)]
        for item in adoptable(policy.namespace, snapshot)
        if group is not None and is_born_in(group, item, snapshot)
    ]
    return digest({"spec": msgspec.to_builtins(policy.spec), "templates": templates})


def _template_id(item: Workload, key: str, snapshot: Snapshot) -> str:
    """The hash of a Deployment's present ReplicaSet covers env, which files do not hold; gatekeep never changes it."""
    revision = item.metadata.annotations.get(_REVISION)
    for one in snapshot.replica_sets_of(item.uid):
        found = one.metadata.labels.get(_HASH_LABEL)
        if found and revision is not None and one.metadata.annotations.get(_REVISION) == revision:
            return found
    meta = item.spec.template.metadata
    labels = {name: value for name, value in meta.labels.items() if name not in (key, _HASH_LABEL)}
    return digest([labels, dict(meta.annotations), _without_env(item.spec.template.spec)])


def _without_env(spec: Any) -> Any:
    if not isinstance(spec, Mapping):
        return spec
    found = dict(spec)
    for name in ("containers", "initContainers"):
        containers = found.get(name) or ()
        found[name] = [{key: value for key, value in one.items() if key not in _ENV} for one in containers]
    return found


class Leg(NamedTuple):
    """A weight to hold, how many steps are done once it does, and the checks to pass then, each with that number."""

    weight: int
    step: int
    checks: tuple[tuple[str, int], ...] = ()


def begin(steps: Sequence[CanaryStep], progress: Progress | None, now: Moment | None) -> int:
    """How many steps are done as the run goes on: a pause counts as one once it is over."""
    if progress is None:
        return 0
    done = min(progress.step, len(steps))
    return done + 1 if done < len(steps) and _is_over(steps[done], progress, now) else done


def _is_over(step: CanaryStep, progress: Progress, now: Moment | None) -> bool:
    end = pause_end(step, progress)
    return end is not None and now is not None and now.timestamp() >= end


def pause_end(step: CanaryStep, progress: Progress) -> float | None:
    """When the timed pause at which a run stands is over, in seconds since 1970; None where nothing ends by itself."""
    if progress.phase != "Paused" or not isinstance(step.pause, str):
        return None
    since = parse_time(progress.since)
    return None if since is None else since.timestamp() + (seconds_in(step.pause) or 0)


def legs(steps: Sequence[CanaryStep], done: int) -> tuple[Leg, ...]:
    """From where ``done`` steps are done to the next pause or to the end; at least one, where it stays as it is."""
    found: list[Leg] = []
    for index, step in enumerate(steps[done:], done):
        if step.pause is not None:
            break
        if step.weight is not None:
            found.append(Leg(step.weight, index + 1))
        elif step.check is not None:
            last = found.pop() if found else Leg(weight_at(steps, done), done)
            found.append(last._replace(checks=(*last.checks, (step.check, index + 1))))
    return tuple(found) or (Leg(weight_at(steps, done), done),)


def end_of(steps: Sequence[CanaryStep], done: int) -> int:
    """The number of steps that are done at the next pause, or at the end."""
    return next((index for index, step in enumerate(steps[done:], done) if step.pause is not None), len(steps))


def weight_at(steps: Iterable[CanaryStep], done: int) -> int:
    """The weight in effect when ``done`` steps are done, in percent."""
    weights = [step.weight for step in list(steps)[:done] if step.weight is not None]
    return weights[-1] if weights else 0
