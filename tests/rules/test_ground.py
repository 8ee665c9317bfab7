"""Where documents meet: namespaces, folders, standard input; what is odd breaks no rule and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatekeep.rules.run import check_rules
from gatekeep.sources.policies import read_repository
from tests.rules.samples import NOW, found, found_in, gate, rules, service, workload

WRONG = service("app: wbe", namespace="")
OPEN = service("serving: open", name="x")
PLAIN = workload(namespace="")


@pytest.mark.parametrize(
    ("files", "broken"),
    [
        ({"a/all.yaml": (WRONG, PLAIN)}, ["service-matches-nothing"]),
        ({"a/svc.yaml": (WRONG,), "a/web.yaml": (PLAIN,)}, ["service-matches-nothing"]),
        ({"a/svc.yaml": (WRONG,), "b/web.yaml": (PLAIN,)}, []),
        ({"a/all.yaml": (gate(), WRONG, workload())}, ["service-matches-nothing"]),
        ({"a/all.yaml": (gate(), gate(namespace="b"), WRONG, workload())}, []),
        ({"a/gate.yaml": (gate(),), "b/all.yaml": (OPEN.replace(", namespace: shop", ""),)}, []),
        (
            {"a/gate.yaml": (gate(),), "b/all.yaml": (OPEN,)},
            ["gate-key-in-other-service"],
        ),
    ],
)
def test_where_they_meet(files: dict[str, tuple[str, ...]], broken: list[str], tmp_path: Path) -> None:
    for name, documents in files.items():
        found(tmp_path, *documents, name=name)
    assert rules(found_in(tmp_path)) == broken


def test_lists_are_looked_into(tmp_path: Path) -> None:
    items = "".join(f"- {text.rstrip().replace(chr(10), chr(10) + '  ')}\n" for text in (WRONG, PLAIN))
    assert rules(found(tmp_path, f"apiVersion: v1\nkind: List\nitems:\n{items}")) == ["service-matches-nothing"]


def test_rules_speak_beside_errors(tmp_path: Path) -> None:
    said = rules(found(tmp_path, gate(more="  flor: 1\n"), WRONG, PLAIN))
    assert said == ["invalid-document", "service-matches-nothing"]


_SCALARS = st.sampled_from(["x", "web", "yes", "1", "serving", "true", "{}", "[]", "~", "In", "a b", "*"])
_KEYS = st.sampled_from([
    "metadata", "spec", "selector", "template", "labels", "matchLabels", "matchExpressions", "name", "namespace", "key",
    "replicas", "ingress", "from", "podSelector", "affinity", "topologySpreadConstraints", "labelSelector", "values",
    "namespaceSelector", "any", "matchNames", "scaleTargetRef", "maxReplicas", "operator", "serving", "app",
    "jobTemplate",
])  # fmt: skip
_KINDS = st.sampled_from([
    "v1/Service", "v1/Pod", "v1/ReplicationController", "apps/v1/Deployment", "apps/v1/StatefulSet", "batch/v1/CronJob",
    "networking.k8s.io/v1/NetworkPolicy", "policy/v1/PodDisruptionBudget", "autoscaling/v2/HorizontalPodAutoscaler",
    "monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/ServiceMonitor", "keda.sh/v1alpha1/ScaledObject",
])  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]"),
        st.dictionaries(_KEYS, inner, max_size=4).map(lambda found: _flow(found)),
    ),
    max_leaves=12,
)


def _flow(entries: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"


@given(st.lists(st.tuples(_KINDS, _VALUES, _VALUES), min_size=1, max_size=4))
def test_no_shape_of_a_manifest_is_too_odd(manifests: list[tuple[str, str, str]]) -> None:
    texts = [gate()]
    for kind, metadata, spec in manifests:
        version, _, name = kind.rpartition("/")
        texts.append(f"apiVersion: {version}\nkind: {name}\nmetadata: {metadata}\nspec: {spec}\n")
    repository, _ = read_repository(["-"], stdin="---\n".join(texts).encode(), keep_nodes=True)
    for problem in check_rules(repository, NOW):
        assert problem.position.line > 0
