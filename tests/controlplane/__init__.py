"""A real control plane and data plane in a closed network namespace, for end-to-end tests.

It knows nothing of gatekeep's code: whatever drives the cluster is judged by the same outside view.
"""
