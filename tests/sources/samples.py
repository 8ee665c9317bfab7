"""The policy that the tests of this folder change in one place each."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatekeep.sources.policies import Repository, load_policies
from gatekeep.sources.problems import DocumentErrors

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


def load(text: str | bytes) -> Repository:
    """What ``text`` on standard input says."""
    return load_policies(["-"], stdin=text if isinstance(text, bytes) else text.encode())


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


def changed(before: str, after: str) -> str:
    """The policy with one piece of text exchanged."""
    assert RNG.count(before) == 1
    return RNG.replace(before, after)


def folder(root: Path, files: dict[str, str]) -> Path:
    """``root`` with ``files`` in it."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root
