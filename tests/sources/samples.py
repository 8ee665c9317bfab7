"""The policies that the tests of this folder change in one place each."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatekeep.model.policy import TrafficGate
from gatekeep.sources.policies import load_policies
from gatekeep.sources.problems import DocumentErrors
from gatekeep.sources.repository import Repository

RNG = """\
apiVersion: gatekeep.dev/v1alpha1
kind: TrafficGate
metadata:
  name: rng
  namespace: dockercoins
spec:
  services: [rng]
  gate: {key: active, value: "yes"}
  rotation:
    pool: {}
  floor: {minReady: 50%}
"""

_HEAD = """\
apiVersion: gatekeep.dev/v1alpha1
kind: TrafficGate
metadata: {name: web, namespace: shop}
spec:
  services: [web]
"""
STEPS = """\
  rotation:
    canary:
      stable: {owners: [{kind: Deployment, name: web}]}
      canary: {selector: {matchExpressions: [{key: track, operator: In, values: [canary]}]}}
      steps: [{weight: 10}, {pause: 10m}, {check: error-rate}, {weight: 50}, {pause: {}}, {weight: 100}]
  checks:
    - {name: error-rate, prometheus: {query: "errors / requests", max: 0.01, for: 2m}}
"""
COLORS = """\
  rotation:
    blueGreen:
      colors:
        blue: {owners: [{kind: Deployment, name: web-blue}]}
        green: {owners: [{kind: Deployment, name: web-green}]}
      active: green
      preview: {service: web-preview}
      drain: 30s
"""
CANARY = _HEAD + STEPS
BLUE_GREEN = _HEAD + COLORS
ISOLATION = """\
apiVersion: gatekeep.dev/v1alpha1
kind: Isolation
metadata: {name: inc-4711, namespace: dockercoins}
spec:
  gate: rng
  pods: {names: [rng-54f57d4d49-7pt82]}
  mode: Gate
  reason: "intermittent 500s"
  expires: 2026-12-01T12:00:00Z
"""


def load(text: str | bytes) -> Repository:
    """What ``text`` on standard input says."""
    return load_policies(["-"], stdin=text if isinstance(text, bytes) else text.encode())


def gate(text: str) -> TrafficGate:
    """The one TrafficGate that ``text`` is."""
    (located,) = load(text).policies
    assert isinstance(located.policy, TrafficGate)
    return located.policy


def problems(text: str | bytes) -> list[str]:
    """``line:column: message → hint`` of everything that is wrong with ``text``."""
    with pytest.raises(DocumentErrors) as caught:
        load(text)
    return lines(caught.value)


def lines(error: DocumentErrors) -> list[str]:
    """The problems, one line each, without the file."""
    return [
        f"{problem.position.line}:{problem.position.column}: {problem.message} → {problem.hint}"
        for problem in error.problems
    ]


def changed(before: str, after: str, text: str = RNG) -> str:
    """``text`` with one piece of it exchanged."""
    assert text.count(before) == 1
    return text.replace(before, after)


def folder(root: Path, files: dict[str, str]) -> Path:
    """``root`` with ``files`` in it."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root
