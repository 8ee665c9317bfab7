"""The permissions that applying a plan needs, so that nothing is written unless all of it can be."""

from __future__ import annotations

from collections.abc import Iterable

from gatekeep.model.plan import Access, Change, Step
from gatekeep.model.waits import AdmissionWait, FieldWait, RevisionWait

_APPS, _ADMISSION = "apps", "admissionregistration.k8s.io"
_PLACES = {
    "Pod": ("", "pods"),
    "Service": ("", "services"),
    "Deployment": (_APPS, "deployments"),
    "ReplicaSet": (_APPS, "replicasets"),
    "DaemonSet": (_APPS, "daemonsets"),
    "StatefulSet": (_APPS, "statefulsets"),
    "MutatingAdmissionPolicy": (_ADMISSION, "mutatingadmissionpolicies"),
    "MutatingAdmissionPolicyBinding": (_ADMISSION, "mutatingadmissionpolicybindings"),
}
_VERB = {"Patch": "patch", "Create": "create", "Delete": "delete"}
_BOOKKEEPING = (
    ("", "configmaps", ("get", "list", "create", "patch", "delete")),
    ("coordination.k8s.io", "leases", ("get", "create", "patch", "delete")),
)
_READING = (("", "pods", ("get", "list")), ("", "services", ("get", "list")),
            ("discovery.k8s.io", "endpointslices", ("list", "watch")))  # fmt: skip

_Need = tuple[str, str, str, str]
"""Namespace, group, resource and verb; in the order in which they are sorted."""


def needed(steps: Iterable[Step]) -> tuple[Access, ...]:
    """Every permission, sorted. Record and lock are kept in each namespace that the plan writes to."""
    found: set[_Need] = set()
    for step in steps:
        for change in step.changes:
            found.update(_writing(step, change))
        if step.match is not None:
            found.update(_matching(step, step.match.namespace))
        found.update(_waiting(step))
    for namespace in {need[0] for need in found if need[0]}:
        for group, resource, verbs in (*_READING, *_BOOKKEEPING):
            found.update((namespace, group, resource, verb) for verb in verbs)
    return tuple(
        Access(verb=verb, group=group, resource=resource, namespace=namespace)
        for namespace, group, resource, verb in sorted(found)
    )


def _writing(step: Step, change: Change) -> Iterable[_Need]:
    """A refused patch is understood by reading the object."""
    group, resource = _PLACES[change.kind]
    yield change.namespace, group, resource, _VERB[step.action]
    yield change.namespace, group, resource, "get"


def _matching(step: Step, namespace: str) -> Iterable[_Need]:
    of_sets = any(change.kind == "ReplicaSet" for change in step.changes)
    group, resource = _PLACES["ReplicaSet" if of_sets else "Pod"]
    yield from ((namespace, group, resource, verb) for verb in ("list", "patch"))


def _waiting(step: Step) -> Iterable[_Need]:
    match step.wait:
        case FieldWait(object=found):
            yield found.namespace, *_PLACES[found.kind], "get"
        case RevisionWait(object=found):
            yield found.namespace, *_PLACES[found.kind], "get"
            yield found.namespace, _APPS, "controllerrevisions", "list"
        case AdmissionWait(owner=found):
            yield found.namespace, "", "pods", "create"
