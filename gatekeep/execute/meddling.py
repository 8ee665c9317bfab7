"""Another writer who changes a label after this run wrote it."""

from __future__ import annotations

from collections.abc import Iterable

from gatekeep.execute.context import Context
from gatekeep.model.errors import RefusedError
from gatekeep.model.objects import ObjectRef, Pod


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
