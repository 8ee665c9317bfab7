"""What a patch of a plan leaves of a workload, and how a value stands that only the cluster can give."""

from __future__ import annotations

import msgspec

from gatekeep.model.objects import Workload
from gatekeep.model.patches import Patch, tokens_of
from gatekeep.model.waits import Bound

_PLACEHOLDER = "$bound:"  # no label value begins so


def placeholder(value: str | Bound) -> str:
    """How a value that only the cluster can give stands in the labels of a draft."""
    return value if isinstance(value, str) else _PLACEHOLDER + value.name


def bound_in(label: str) -> str | Bound:
    """What a label of a draft stands for."""
    return Bound(name=label.removeprefix(_PLACEHOLDER)) if label.startswith(_PLACEHOLDER) else label


def edited_workload(item: Workload, patch: Patch) -> Workload:
    """The workload after a patch of what a plan may touch of it."""
    spec = item.spec
    for op in patch:
        value = None if op.op == "remove" else op.value
        match tokens_of(op.path):
            case _ if op.op == "test":
                pass
            case ("spec", "paused"):
                spec = msgspec.structs.replace(spec, paused=bool(value))
            case ("spec", "updateStrategy"):
                spec = msgspec.structs.replace(spec, update_strategy=value)
            case (*_, key):
                meta = spec.template.metadata
                labels = {name: old for name, old in meta.labels.items() if name != key}
                labels.update({} if value is None else {key: value})
                template = msgspec.structs.replace(spec.template, metadata=msgspec.structs.replace(meta, labels=labels))
                spec = msgspec.structs.replace(spec, template=template)
    return msgspec.structs.replace(item, spec=spec)
