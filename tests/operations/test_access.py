"""What is said when the API server would refuse some of a plan's writes."""

from __future__ import annotations

import pytest

from gatekeep.cluster.protocol import Cluster
from gatekeep.model.errors import ForbiddenError
from gatekeep.model.plan import Access
from gatekeep.operations.apply import check_access
from tests.builders import dockercoins

WANTED = [
    Access(verb, "", resource, "shop")
    for resource, verbs in (("configmaps", ("create", "patch")), ("pods", ("get", "patch")))
    for verb in verbs
]


def test_what_is_missing_is_grouped_by_resource(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster: Cluster = dockercoins().embedded()
    monkeypatch.setattr(cluster, "may", lambda item: item.verb == "get")
    with pytest.raises(ForbiddenError) as caught:
        check_access(cluster, WANTED)
    assert caught.value.message == "this identity may not: create, patch configmaps in shop; patch pods in shop"
