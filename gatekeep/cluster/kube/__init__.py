"""The API server behind the protocol: raw REST over ``http.client``, with the official client's configuration.

``options`` say which cluster; ``config`` (the only module that imports ``kubernetes``) turns them into a ``login``;
``target`` into addresses, TLS and proxy; ``transport`` moves bytes; ``calls`` repeats what may be repeated;
``failures`` names what went wrong; ``lists``, ``observe``, ``raw`` and ``watch`` read; ``cluster`` puts it together.
"""

from gatekeep.cluster.kube.cluster import KubeCluster, connect
from gatekeep.cluster.kube.options import KubeOptions

__all__ = ["KubeCluster", "KubeOptions", "connect"]
