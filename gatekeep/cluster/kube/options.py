"""Which API server, and as whom: kubectl's own words for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class KubeOptions:
    """The cluster flags of the command line; None or empty means "as the kubeconfig says".

    ``request_timeout`` is in seconds and bounds each silence of the server, not a whole answer; 0 waits for ever. None
    is a little more than the server's own limit of 60 seconds.
    """

    kubeconfig: str | None = None
    context: str | None = None
    cluster: str | None = None
    user: str | None = None
    server: str | None = None
    as_user: str | None = None
    as_groups: tuple[str, ...] = ()
    request_timeout: float | None = None
