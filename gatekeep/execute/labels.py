"""Labelling steps: many pods in parallel, then a fresh list until nobody who should join is left out."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from gatekeep.execute.context import Context, ref_of, resending
from gatekeep.model import patches
from gatekeep.model.errors import NotFoundError, PatchRejectedError, RefusedError
from gatekeep.model.events import StepProgress
from gatekeep.model.matching import in_match
from gatekeep.model.objects import ObjectRef, Pod
from gatekeep.model.plan import Change, Step

_ROUNDS = 10
_TICK_SECONDS = 1.0


def label(context: Context, step: Step) -> None:
    """Writes every change of ``step``, then whoever was born since and belongs to its ``match``."""
    write_all(context, step, step.changes)
    if step.match is not None:
        admit_newborn(context, step)


def admit_newborn(context: Context, step: Step) -> bool:
    """Lists again until no pod of the match lacks the label. True when any was found."""
    found = False
    for _ in range(_ROUNDS):
        newborn = _unlabelled(context, step)
        if not newborn:
            return found
        found = True
        context.added.extend(change.name for change in newborn)
        write_all(context, step, newborn)
    raise RefusedError(
        f"step {step.number}: pods are born faster than they can be labelled",
        hint="wait for the rollout to end, then apply again",
    )


def _unlabelled(context: Context, step: Step) -> tuple[Change, ...]:
    gate = _gate_of(step)
    match = step.match
    if gate is None or match is None:
        return ()
    key, value = gate
    required = dict(match.selector.match_labels) if match.selector else {}
    pods = context.cluster.list_pods(match.namespace, required)
    return tuple(
        _change(pod, key, value)
        for pod in pods
        if pod.labels.get(key) != value
        and pod.status.phase not in ("Succeeded", "Failed")
        and in_match(match, pod.labels, context.owner_uids(pod) if _asks_owners(step) else frozenset())
    )


def _asks_owners(step: Step) -> bool:
    match = step.match
    return match is not None and (match.owner_uids is not None or bool(match.any_of) or bool(match.except_))


def _gate_of(step: Step) -> tuple[str, str] | None:
    """The label that the step puts on, read from its own patches."""
    for change in step.changes:
        for op in change.patch:
            if op.op in ("add", "replace"):
                return patches.tokens_of(op.path)[2], op.value
    return None


def _change(pod: Pod, key: str, value: str) -> Change:
    old = pod.labels.get(key)
    return Change(
        api_version="v1",
        kind="Pod",
        namespace=pod.namespace,
        name=pod.name,
        uid=pod.uid,
        patch=patches.label_patch(pod.uid, {key: (old, value)}),
        undo=patches.label_patch(pod.uid, {key: (value, old)}),
    )


def write_all(context: Context, step: Step, changes: Sequence[Change]) -> None:
    """Sends all changes, at most ``workers`` at a time. The first surprise stops what has not been sent yet."""
    if not changes:
        return
    context.wrote = True
    if context.workers == 1 or len(changes) == 1:
        for done, change in enumerate(changes, 1):
            context.check()
            _write(context, change)
            context.listener(StepProgress(number=step.number, done=done, total=len(changes)))
        return
    _write_in_parallel(context, step, changes)


def _write_in_parallel(context: Context, step: Step, changes: Sequence[Change]) -> None:
    queue = _Queue(changes)
    workers = min(context.workers, len(changes))
    with ThreadPoolExecutor(workers) as pool:
        pending: set[Future[None]] = {pool.submit(_drain, context, queue) for _ in range(workers)}
        try:
            while pending:
                finished, pending = wait(pending, timeout=_TICK_SECONDS, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                context.check()
                context.listener(StepProgress(number=step.number, done=queue.done, total=len(changes)))
        except BaseException:
            queue.close()
            raise


class _Queue:
    """Changes that several threads take from; closing it lets nobody take any more."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self._items: Iterator[Change] = iter(changes)
        self._lock = threading.Lock()
        self._closed = False
        self.done = 0

    def take(self) -> Change | None:
        """The next change, or None when there is none left."""
        with self._lock:
            return None if self._closed else next(self._items, None)

    def count(self) -> None:
        """One more is written."""
        with self._lock:
            self.done += 1

    def close(self) -> None:
        """No more changes are given out."""
        self._closed = True


def _drain(context: Context, queue: _Queue) -> None:
    while (change := queue.take()) is not None:
        try:
            _write(context, change)
        except BaseException:
            queue.close()
            raise
        queue.count()


def _write(context: Context, change: Change) -> None:
    """One pod. One that is gone is skipped; one that is as wanted already needs nothing."""
    try:
        resending(context, lambda: _patch(context, change))
    except NotFoundError:
        context.skipped.append(change.name)
    except PatchRejectedError as error:
        _judge(context, change, error)


def _patch(context: Context, change: Change) -> None:
    context.cluster.patch(ref_of(change), change.patch)


def _judge(context: Context, change: Change, error: PatchRejectedError) -> None:
    """The API server does not say which guard failed: read the pod and see."""
    ref = ObjectRef("Pod", change.namespace, change.name)
    try:
        live = context.cluster.get(ref)
    except NotFoundError:
        context.skipped.append(change.name)
        return
    if live["metadata"].get("uid") != change.uid:
        context.skipped.append(change.name)
        return
    labels = live["metadata"].get("labels") or {}
    problem = _difference(change, labels)
    if problem:
        raise RefusedError(
            f"somebody else changed the pod since the plan was made: {problem}", where=str(ref),
            hint="plan again, and look at who writes this label",
        ) from error  # fmt: skip


def _difference(change: Change, labels: dict[str, str]) -> str:
    """Empty when every label is as the change would have left it."""
    for op in change.patch:
        if op.op == "test" or not op.path.startswith("/metadata/labels/"):
            continue
        key = patches.tokens_of(op.path)[2]
        wanted = None if op.op == "remove" else op.value
        if labels.get(key) != wanted:
            return f"the label {key} is {labels.get(key)!r}, expected {_expected(change, op.path)!r}"
    return ""


def _expected(change: Change, path: str) -> object:
    return next((op.value for op in change.patch if op.op == "test" and op.path == path), None)
