"""Documents that the tables of this folder put together."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from gatekeep.rules.run import check_rules
from gatekeep.sources.policies import read_repository
from gatekeep.sources.problems import Problem

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)


def gate(rotation: str = "pool: {}", *, services: str = "[web]", name: str = "web", key: str = "serving",
         more: str = "", namespace: str = "shop") -> str:  # fmt: skip
    """A TrafficGate, in 11 lines and ``more``."""
    return (
        "apiVersion: gatekeep.dev/v1alpha1\nkind: TrafficGate\nmetadata:\n"
        f"  name: {name}\n  namespace: {namespace}\n"
        '  annotations: {config.kubernetes.io/local-config: "true"}\n'
        f"spec:\n  services: {services}\n  gate: {{key: {key}, value: open}}\n  rotation:\n    {rotation}\n{more}"
    )


def service(selector: str = "app: web", name: str = "web", namespace: str = "shop", more: str = "") -> str:
    """A Service, with its selector at 5:13 of the document."""
    place = f", namespace: {namespace}" if namespace else ""
    return (
        f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}{place}{more}}}\nspec:\n  selector: {{{selector}}}\n"
    )


def workload(labels: str = "app: web", *, kind: str = "Deployment", name: str = "web", namespace: str = "shop",
             own: str = "", selector: str = "app: web", replicas: str = "", more: str = "") -> str:  # fmt: skip
    """A workload of apps/v1."""
    place = f", namespace: {namespace}" if namespace else ""
    mine = f", labels: {{{own}}}" if own else ""
    count = f"  replicas: {replicas}\n" if replicas else ""
    return (
        f"apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}{place}{mine}}}\nspec:\n{count}"
        f"  selector: {{matchLabels: {{{selector}}}}}\n  template:\n    metadata: {{labels: {{{labels}}}}}\n{more}"
    )


def found(root: Path, *documents: str, name: str = "all.yaml") -> list[Problem]:
    """Everything that lint says of ``documents`` in one file of a folder."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("---\n".join(documents), encoding="utf-8")
    return found_in(root)


def found_in(root: Path) -> list[Problem]:
    """Everything that lint says of a folder."""
    repository, problems = read_repository([root], full_paths=True, keep_nodes=True)
    return [*problems, *repository.notes, *check_rules(repository, NOW)]


def rules(problems: list[Problem]) -> list[str]:
    """The ids alone."""
    return [problem.rule for problem in problems]
