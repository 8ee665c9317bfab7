"""The demo's cluster and policies: data of the installed package, or of the source tree they are packaged from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import gatekeep

if TYPE_CHECKING:
    from gatekeep.cluster.embedded import EmbeddedCluster
    from gatekeep.model.policy import LocatedPolicy

CLUSTER = "examples/rng/cluster.yaml"
POLICY = "policies/rng.yaml"


def read(path: str) -> bytes:
    """A file by its path in the source tree; the wheel holds it in ``gatekeep/demo_data``."""
    packaged = resources.files(gatekeep).joinpath("demo_data", path.rpartition("/")[2])
    if packaged.is_file():
        return packaged.read_bytes()
    return Path(gatekeep.__file__).parents[1].joinpath(path).read_bytes()


def demo_cluster(lag: float) -> EmbeddedCluster:
    """The rng cluster, with both watch streams of its endpoint controller ``lag`` seconds late."""
    from gatekeep.cluster.embedded import EmbeddedCluster
    from gatekeep.sources.tree import DUMP_LIMITS, plain_data, read_documents, text_of

    (document,) = read_documents(text_of(read(CLUSTER), CLUSTER), CLUSTER, DUMP_LIMITS)
    return EmbeddedCluster.from_list(plain_data(document), pod_lag=lag, service_lag=lag)


def demo_policies() -> tuple[LocatedPolicy, ...]:
    """The policy of the README."""
    import msgspec

    from gatekeep.model.policy import Position
    from gatekeep.sources.policies import load_policies

    found = load_policies(["-"], stdin=read(POLICY)).policies
    return tuple(
        msgspec.structs.replace(item, position=Position("rng.yaml", item.position.line, item.position.column))
        for item in found
    )
