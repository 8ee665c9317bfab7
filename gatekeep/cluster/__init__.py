"""The only door to a cluster: one protocol, the real API server behind it, or an embedded one in this process."""
