"""What the client's identity may do: everything, except what is forbidden."""

from __future__ import annotations

from collections.abc import Collection

from gatekeep.cluster.resources import RESOURCES
from gatekeep.model.errors import ForbiddenError, UsageError
from gatekeep.model.plan import Access


def is_forbidden(access: Access, forbidden: Collection[Access]) -> bool:
    """True when an entry of ``forbidden`` covers ``access``; ``*`` covers all, no namespace covers every namespace."""
    return any(
        item.verb in ("*", access.verb)
        and item.resource in ("*", access.resource)
        and (item.resource == "*" or item.group == access.group)
        and item.namespace in ("", access.namespace)
        for item in forbidden
    )


def access_to(verb: str, kind: str, namespace: str) -> Access:
    """The permission for a verb on a kind. Raises :class:`UsageError` for a kind that gatekeep does not know."""
    if kind not in RESOURCES:
        raise UsageError(f"expected one of the kinds {', '.join(sorted(RESOURCES))}; found {kind}")
    resource = RESOURCES[kind]
    return Access(verb, resource.group, resource.plural, namespace)


def refused(access: Access) -> ForbiddenError:
    """The error for a missing permission."""
    resource = f"{access.resource}.{access.group}" if access.group else access.resource
    where = f"in namespace {access.namespace}" if access.namespace else "cluster-wide"
    return ForbiddenError(
        f"this identity may not {access.verb} {resource} {where} (HTTP 403)",
        hint=f"grant it the verb {access.verb} on {resource}",
    )
