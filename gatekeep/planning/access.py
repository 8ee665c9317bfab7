"""The permissions that applying a plan needs, so that nothing is written unless all of it can be."""

from __future__ import annotations

from collections.abc import Iterable

from gatekeep.model.plan import Access, Step

_PLURAL = {"Pod": "pods", "Service": "services"}
_VERB = {"Patch": "patch", "Create": "create", "Delete": "delete"}
_BOOKKEEPING = (
    ("", "configmaps", ("get", "list", "create", "patch", "delete")),
    ("coordination.k8s.io", "leases", ("get", "create", "patch", "delete")),
)
_READING = (("", "pods", ("get", "list")), ("", "services", ("get", "list")),
            ("discovery.k8s.io", "endpointslices", ("list", "watch")))  # fmt: skip


def needed(steps: Iterable[Step]) -> tuple[Access, ...]:
    """Every permission, sorted. Record and lock are kept in each namespace that the plan writes to."""
    found: set[tuple[str, str, str, str]] = set()
    for step in steps:
        touched = {(change.namespace, change.kind) for change in step.changes}
        if step.match is not None:
            touched.add((step.match.namespace, "Pod"))
        for namespace, kind in touched:
            found.add((namespace, "", _PLURAL[kind], _VERB[step.action]))
            for group, resource, verbs in (*_READING, *_BOOKKEEPING):
                found.update((namespace, group, resource, verb) for verb in verbs)
    return tuple(
        Access(verb=verb, group=group, resource=resource, namespace=namespace)
        for namespace, group, resource, verb in sorted(found)
    )
