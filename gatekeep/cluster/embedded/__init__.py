"""A cluster inside this process, for the demo, for tests, and for trying a plan without an API server.

It is no mock: objects live in a store with revisions, controllers read them through watch streams that can be slow,
and EndpointSlices are written one by one, as ``k8s.io/endpointslice`` does. The same contract suite runs on it and on a
real API server. Its clock is virtual: no real time passes.
"""

from gatekeep.cluster.embedded.clock import VirtualClock
from gatekeep.cluster.embedded.cluster import EmbeddedCluster

__all__ = ["EmbeddedCluster", "VirtualClock"]
