"""Texts without quotes in manifests: which positions hold texts, and which scalars are something else there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rules.samples import found, service, workload

CONTAINERS = "    spec:\n      containers:\n        - name: web\n          "


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (workload("app: web, active: yes"), ['active: yes is a boolean to Kubernetes → write "yes"']),
        (workload("app: web, version: 1.10"), ['version: 1.10 is a number to Kubernetes → write "1.10"']),
        (workload("app: web, zip: 012"), ['zip: 012 is a number to Kubernetes → write "012"']),
        (workload('app: web, active: "yes"'), []),
        (workload("app: web, since: 2026-12-01"), []),
        (workload("app: web, at: 12:30"), []),
        (workload("app: web, none: null, empty:"), []),
        (workload("app: web, on: x"), ['key: on is a boolean to Kubernetes → write "on"']),
        (workload("app: web, 1: x"), []),
        (service("app: web, live: true"), ['live: true is a boolean to Kubernetes → write "true"']),
        (workload(more=f"{CONTAINERS}env: [{{name: PORT, value: 8080}}]\n"),
         ['value: 8080 is a number to Kubernetes → write "8080"']),
        (workload(more=f"{CONTAINERS}args: [--port, 8080]\n"),
         ['args: 8080 is a number to Kubernetes → write "8080"']),
        (workload(more=f"{CONTAINERS}ports: [{{containerPort: 8080}}]\n"), []),
        (workload(more=f"{CONTAINERS}securityContext: {{runAsUser: 1000, privileged: no}}\n"), []),
        ("apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: x, labels: {a: on}}\nspec: {labels: {a: on}}\n",
         ['a: on is a boolean to Kubernetes → write "on"']),
        ("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: np}\n"
         "spec: {podSelector: {matchExpressions: [{key: a, operator: In, values: [no, x]}]}}\n",
         ['values: no is a boolean to Kubernetes → write "no"']),
        ('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"labels": {"a": true}}}',
         ['a: true is a boolean to Kubernetes → write "true"']),
    ],
)  # fmt: skip
def test_unquoted(document: str, said: list[str], tmp_path: Path) -> None:
    unquoted = [problem for problem in found(tmp_path, document) if problem.rule == "unquoted-scalar"]
    assert [f"{item.message.partition(',')[0]} → {item.hint}" for item in unquoted] == said
    for item in unquoted:
        text = document.splitlines()[item.position.line - 1][item.position.column - 1 :]
        assert text.startswith(item.hint.removeprefix('write "').removesuffix('"'))
