"""Labelling steps: many pods in parallel, then a fresh list until nobody who should join is left out."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from gatekeep.execute.context import Context, ref_of
from gatekeep.model import patches
from gatekeep.model.errors import NotFoundError, PatchRejectedError, RefusedError
from gatekeep.model.events import StepProgress
from gatekeep.model.matching import in_match
from gatekeep.model.objects import ObjectRef, Pod
from gatekeep.model.plan import Change, Step

_ROUNDS = 10
_TICK_SECONDS = 1.0
_ATTEMPTS = 3
_AGAIN_SECONDS = 0.1


def label(context: Context, step: Step) -> None:
    """Writes every change of ``step``, then whoever was born since and belongs to its ``match``."""
    write_all(context, step, step.changes)
    if step.match is not None:
        admit_newborn(context, step)


def admit_newborn(context: Context, step: Step) -> bool:
    """Lists again until no pod of the match lacks the label. True when any was found.

    Raises :class:`RefusedError` for a pod that this run labelled: another writer took that label off again.
    """
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
    match = step.match
    if match is None or match.gate is None:
        return ()
    key, value = match.gate.key, match.gate.value
    required = dict(match.selector.match_labels) if match.selector else {}
    pods = context.list_pods(match.namespace, required)
    refuse_meddling(context, pods)
    return tuple(
        _change(pod, key, value)
        for pod in pods
        if pod.labels.get(key) != value
        and pod.status.phase not in ("Succeeded", "Failed")
        and in_match(match, pod.labels, context.owner_uids(pod) if _asks_owners(step) else frozenset())
    )


def refuse_meddling(context: Context, pods: Iterable[Pod]) -> None:
    """Raises :class:`RefusedError` when another writer changed a label after this run wrote it."""
    for pod in pods:
        for key, wanted in context.written.get(pod.uid, {}).items():
            if pod.labels.get(key) != wanted:
                raise RefusedError(
                    f"somebody else changed the pod while this run was under way: the label {key} is "
                    f"{pod.labels.get(key)!r}, this run left {wanted!r}",
                    where=str(ObjectRef("Pod", pod.namespace, pod.name)),
                    hint="plan again, and look at who writes this label",
                )


def _asks_owners(step: Step) -> bool:
    match = step.match
    return match is not None and (match.owner_uids is not None or bool(match.any_of) or bool(match.except_))


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
    for _ in range(_ATTEMPTS):
        try:
            context.send(lambda: context.cluster.patch(ref_of(change), change.patch))
        except NotFoundError:
            context.skipped.append(change.name)
            return
        except PatchRejectedError as error:
            rejected = error
            if _is_settled(context, change, error):
                return
            context.cluster.clock.sleep(_AGAIN_SECONDS)
        else:
            _remember(context, change)
            return
    raise RefusedError(f"the API server refuses the patch: {rejected.message}", where=str(ref_of(change))) from rejected


def _remember(context: Context, change: Change) -> None:
    """The labels as this run left them. (Every pod has its own entry, so threads do not meet here.)"""
    context.written.setdefault(change.uid or "", {}).update(_wanted(change))


def _wanted(change: Change) -> dict[str, str | None]:
    return {
        patches.tokens_of(op.path)[2]: None if op.op == "remove" else op.value for op in change.patch if op.op != "test"
    }


def _is_settled(context: Context, change: Change, error: PatchRejectedError) -> bool:
    """The API server does not say which guard failed: read the pod and see. False when all hold, so try again."""
    ref = ref_of(change)
    try:
        live = context.get(ref)
    except NotFoundError:
        live = {"metadata": {}}
    if live["metadata"].get("uid") != change.uid:
        context.skipped.append(change.name)
        return True
    labels = live["metadata"].get("labels") or {}
    if all(labels.get(key) == value for key, value in _wanted(change).items()):
        _remember(context, change)
        return True
    problem = _broken_guard(change, labels)
    if problem:
        raise RefusedError(
            f"somebody else changed the pod since the plan was made: {problem}", where=str(ref),
            hint="plan again, and look at who writes this label",
        ) from error  # fmt: skip
    return False


def _broken_guard(change: Change, labels: dict[str, str]) -> str:
    """Empty when every label is as the patch expects it."""
    for op in change.patch:
        if op.op == "test" and op.path.startswith("/metadata/labels/"):
            key = patches.tokens_of(op.path)[2]
            if labels.get(key) != op.value:
                return f"the label {key} is {labels.get(key)!r}, expected {op.value!r}"
    return ""
