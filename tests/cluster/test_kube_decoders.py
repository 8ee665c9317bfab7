"""Decoders are made by one thread at a time: made side by side for classes that share a part, msgspec crashes."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys, threading
sys.setswitchinterval(1e-6)
from gatekeep.cluster.kube import lists, observe
from gatekeep.model.objects import Budget, ConfigMap, EndpointSlice, Node, Pod, Service
items = [Pod, Service, EndpointSlice, Node, ConfigMap, Budget, observe.AdmissionItem, observe.WorkloadItem] * 2
ready = threading.Barrier(len(items))
def make(item):
    ready.wait()
    lists.prepare([item])
threads = [threading.Thread(target=make, args=(item,)) for item in items]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


@pytest.mark.parametrize("attempt", range(5))
def test_threads_that_make_decoders_at_once_do_not_crash(attempt: int) -> None:
    """Without the lock nine of ten such processes ended by a segmentation fault."""
    run = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
