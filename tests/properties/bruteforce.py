"""A second opinion on the proof: walks every interleaving of one run, one write, one event and one sync at a time.

Shares nothing with ``gatekeep.proof``: it reads the plan's own documents, keeps its own labels and selectors, and lets
an endpoint controller read two ordered streams as slowly as it likes. For half a dozen pods that is quick enough.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from gatekeep.model.objects import Pod, Service
from gatekeep.model.plan import Plan, Step
from gatekeep.model.snapshot import Snapshot
from gatekeep.model.waits import EndpointsWait, ExistsWait, ServiceWait

MOST_STATES = 150_000
NEVER_ENDS = "the run never ends"
Labels = Mapping[str, str]


class TooManyStatesError(Exception):
    """The run has more interleavings than are worth walking."""


class PodWrite(NamedTuple):
    """A pod's labels change."""

    name: str
    labels: Labels


class ServiceWrite(NamedTuple):
    """A Service's selector changes; None deletes it."""

    name: str
    selector: Labels | None


Action = PodWrite | ServiceWrite | ServiceWait


@dataclass(frozen=True)
class Demand:
    """What must hold for one Service: enough ready pods, on these nodes one each, and nobody from outside."""

    service: str
    least: int
    allowed: frozenset[str]
    nodes: tuple[frozenset[str], ...] = ()
    many_slices: bool = False


@dataclass(frozen=True)
class World:
    """Labels by pod, who is ready, and selectors by Service, in one namespace."""

    labels: Mapping[str, Labels]
    ready: frozenset[str]
    selectors: Mapping[str, Labels]

    def matched(self, selector: Labels | None) -> frozenset[str]:
        """The pods that a selector matches, ready or not."""
        return frozenset(name for name, labels in self.labels.items() if _matches(selector, labels))

    def after(self, actions: Iterable[Action]) -> World:
        """The world as the API server has it after ``actions``."""
        labels, selectors = dict(self.labels), dict(self.selectors)
        for action in actions:
            if isinstance(action, PodWrite):
                labels[action.name] = action.labels
            elif isinstance(action, ServiceWrite):
                selectors.pop(action.name, None)
                if action.selector is not None:
                    selectors[action.name] = action.selector
        return World(labels, self.ready, selectors)


def world_of(snapshot: Snapshot) -> World:
    """The snapshot in the words of this module; each template adds a pod that the adversary may let be born."""
    labels: dict[str, Labels] = {pod.name: pod.labels for pod in snapshot.pods}
    labels.update({f"newborn {item.name}": item.spec.template.metadata.labels for item in snapshot.workloads})
    ready = frozenset(pod.name for pod in snapshot.pods if _is_ready(pod))
    return World(labels, ready, {item.name: item.spec.selector or {} for item in snapshot.services})


def demands(before: World, after: World, plan: Plan, snapshot: Snapshot) -> list[Demand]:
    """What the design asks of a plan, for every Service that is there before and after it."""
    floors = {item.name: item.floor for item in plan.services}
    worlds = [before, *stages(before, plan), after]
    return [
        demand_on_the_way(worlds, item, floors.get(item.name, 1), snapshot)
        for item in snapshot.services
        if item.name in after.selectors
    ]


def stages(before: World, plan: Plan) -> list[World]:
    """The rotations of their own that the plan comes to on its way."""
    ends = sorted({stage.through for gate in plan.gates for stage in gate.stages})
    return [before.after(actions_of(plan.steps[:end], before, random.Random(0))) for end in ends]


def demand_on_the_way(worlds: Sequence[World], service: Service, floor: int, snapshot: Snapshot) -> Demand:
    """The weakest of the demands between each world and the next: who may be reached in one, may be in all.

    The floor is that of the whole plan.
    """
    whole = demand_for(worlds[0], worlds[0], service, floor, snapshot).least
    parts = [demand_for(one, other, service, 0, snapshot) for one, other in itertools.pairwise(worlds)]
    nodes = tuple(node for node in parts[0].nodes if all(node in part.nodes for part in parts))
    allowed = frozenset().union(*(part.allowed for part in parts))
    least = max(min(part.least for part in parts), min(floor, whole))
    return Demand(service.name, least, allowed, nodes, parts[0].many_slices)


def demand_for(before: World, after: World, service: Service, floor: int, snapshot: Snapshot) -> Demand:
    """The floor rule of the design, section 3."""
    old, new = before.matched(before.selectors[service.name]), after.matched(after.selectors[service.name])
    had, has = len(old & before.ready), len(new & after.ready)
    homes: dict[str, set[str]] = {}
    if service.spec.internal_traffic_policy == "Local":
        for pod in snapshot.pods:
            homes.setdefault(pod.spec.node_name, set()).add(pod.name)
    nodes = tuple(frozenset(names) for _, names in sorted(homes.items()) if names & old & before.ready)
    slices = [item for item in snapshot.slices if item.metadata.labels["kubernetes.io/service-name"] == service.name]
    return Demand(service.name, max(min(had, has), min(floor, had)), old | new, nodes, len(slices) > 1)


def actions_of(steps: Iterable[Step], world: World, order: random.Random, run: str = "") -> list[Action]:
    """One serial order of the plan's writes and waits; inside a parallel step it is chance.

    ``run`` tells apart helpers of the same name: the slices of one that was deleted must not answer for the next.
    """
    actions: list[Action] = []
    names: dict[str, str] = {}
    for step in steps:
        if isinstance(step.wait, EndpointsWait | ExistsWait):
            name = names.get(step.wait.service, step.wait.service)
            actions.append(msgspec.structs.replace(step.wait, service=name))
            continue
        now = world.after(actions)
        writes: list[Action] = []
        for change in step.changes:
            if change.kind == "Pod":
                edits = {op.path[len("/metadata/labels/") :].replace("~1", "/"): op for op in change.patch
                         if op.op != "test"}  # fmt: skip
                labels = {key: value for key, value in now.labels[change.name].items() if key not in edits}
                labels |= {key: op.value for key, op in edits.items() if op.op != "remove"}
                writes.append(PodWrite(change.name, labels))
            elif step.action == "Create":
                assert change.object is not None
                names[change.name] = change.name + run
                writes.append(ServiceWrite(change.name + run, change.object["spec"]["selector"]))
            elif step.action == "Delete":
                writes.append(ServiceWrite(names.get(change.name, change.name), None))
            else:
                selector = dict(now.selectors[change.name])
                for op in change.patch:
                    key = op.path[len("/spec/selector/") :].replace("~1", "/")
                    if op.op == "remove":
                        del selector[key]
                    elif op.op != "test":
                        selector[key] = op.value
                writes.append(ServiceWrite(change.name, selector))
        order.shuffle(writes)
        actions.extend(writes)
    return actions


class _State(NamedTuple):
    done: int
    pods: int
    services: int
    shown: tuple[frozenset[str] | None, ...]


def violation(world: World, actions: Sequence[Action], demand: Demand) -> str | None:
    """A state of one Service that the run can reach and that breaks ``demand``; None when there is none."""
    return _Walk(world, actions, demand).violation()


class _Walk:
    """Breadth first over what is written, what the controller has read of each stream, and what the slices show."""

    def __init__(self, world: World, actions: Sequence[Action], demand: Demand) -> None:
        self.world, self.actions, self.demand = world, actions, demand
        self.pod_writes = [item for item in actions if isinstance(item, PodWrite)]
        self.service_writes = [item for item in actions if isinstance(item, ServiceWrite)]
        waits = [(number, item) for number, item in enumerate(actions) if not isinstance(item, PodWrite | ServiceWrite)]
        self.names = tuple(dict.fromkeys([demand.service, *(item.service for _, item in waits)]))
        self.last_wait = {item.service: number for number, item in waits}
        self._members: dict[tuple[str, int, int], frozenset[str] | None] = {}
        self._expected: dict[int, frozenset[str]] = {}

    def violation(self) -> str | None:
        shown = tuple(self.members(name, 0, 0) for name in self.names)
        first = _State(0, 0, 0, shown)
        seen, queue = {first}, deque([first])
        while queue:
            state = queue.popleft()
            if problem := self.problem(state):
                return problem
            for following in self.following(state):
                if following not in seen:
                    seen.add(following)
                    queue.append(following)
            if len(seen) > MOST_STATES:
                raise TooManyStatesError
        if not any(state.done == len(self.actions) for state in seen):
            return NEVER_ENDS
        return None

    def problem(self, state: _State) -> str | None:
        listed = state.shown[0] or frozenset()
        ready = listed & self.world.ready
        where = f"after {state.done} actions, {state.pods} pod and {state.services} service events"
        if len(ready) < self.demand.least:
            return f"{where}: {self.demand.service} has {len(ready)} of {self.demand.least}"
        if any(not ready & node for node in self.demand.nodes):
            return f"{where}: {self.demand.service} has an empty node"
        if listed - self.demand.allowed:
            return f"{where}: {self.demand.service} reaches {min(listed - self.demand.allowed)}"
        return None

    def following(self, state: _State) -> Iterable[_State]:
        written = self.actions[: state.done]
        pods = sum(isinstance(item, PodWrite) for item in written)
        if state.pods < pods:
            yield state._replace(pods=state.pods + 1)
        if state.services < sum(isinstance(item, ServiceWrite) for item in written):
            yield state._replace(services=state.services + 1)
        yield from self.synced(state)
        if state.done < len(self.actions) and self.may_go_on(state):
            yield self.forgotten(state._replace(done=state.done + 1))

    def synced(self, state: _State) -> Iterable[_State]:
        for number, name in enumerate(self.names):
            if number and self.last_wait[name] < state.done:
                continue
            now, old = self.members(name, state.pods, state.services), state.shown[number]
            if now is None or now == old:
                continue
            yield _with(state, number, now)
            if number == 0 and self.demand.many_slices and old is not None:
                yield _with(state, number, old & now)
                yield _with(state, number, old | now)

    def forgotten(self, state: _State) -> _State:
        """Helpers that nobody waits for any more are not told apart."""
        shown = tuple(
            None if number and self.last_wait[name] < state.done else state.shown[number]
            for number, name in enumerate(self.names)
        )
        return state._replace(shown=shown)

    def may_go_on(self, state: _State) -> bool:
        action = self.actions[state.done]
        if isinstance(action, PodWrite | ServiceWrite):
            return True
        shown = state.shown[self.names.index(action.service)]
        if shown is None or not isinstance(action, EndpointsWait):
            return shown is not None
        return shown & self.world.ready == self.expected(state.done, action)

    def expected(self, done: int, wait: EndpointsWait) -> frozenset[str]:
        if done not in self._expected:
            now = self.world.after(self.actions[:done])
            self._expected[done] = now.matched(wait.selector) & now.ready
        return self._expected[done]

    def members(self, name: str, pods: int, services: int) -> frozenset[str] | None:
        key = (name, pods, services)
        if key not in self._members:
            seen = self.world.after([*self.pod_writes[:pods], *self.service_writes[:services]])
            self._members[key] = seen.matched(seen.selectors[name]) if name in seen.selectors else None
        return self._members[key]


def _with(state: _State, number: int, shown: frozenset[str]) -> _State:
    return state._replace(shown=(*state.shown[:number], shown, *state.shown[number + 1 :]))


def _matches(selector: Labels | None, labels: Labels) -> bool:
    return bool(selector) and all(labels.get(key) == value for key, value in (selector or {}).items())


def _is_ready(pod: Pod) -> bool:
    return any(item.type == "Ready" and item.status == "True" for item in pod.status.conditions)
