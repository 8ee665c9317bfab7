"""Reads a cluster from a file: the ``kind: List`` that ``kubectl get … -o json`` and ``gatekeep snapshot`` print.

A dump of 100,000 pods has hundreds of megabytes. It is read piece by piece, each item decoded straight into the
classes of the model, so the file is never in memory as a whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from gatekeep.model.objects import ConfigMap, EndpointSlice, Node, ObjectMeta, Pod, Service, Workload
from gatekeep.model.snapshot import ClusterIdentity, Snapshot
from gatekeep.sources.files import open_regular, unreadable
from gatekeep.sources.pieces import items_of
from gatekeep.sources.problems import DocumentErrors, Problem, file_error
from gatekeep.sources.tree import DUMP_LIMITS, MEBIBYTE, ListNode, MapNode, plain_data, position, read_documents, text_of
