"""Each rule as a table: what breaks it, and what comes close and does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rules.samples import found, gate, rules, service, workload

GATED = "app: web, serving: open"
ADMIN = service(GATED, name="admin")
POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: one, namespace: shop, labels: {app: web}}\nspec: {}\n"
PATCH = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {replicas: 9}\n"
HPA = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  scaleTargetRef: {kind: Deployment, name: web}
  maxReplicas: 9
  metrics: [{type: External, external: {metric: {name: x}, target: {type: Value, value: 5}}}]
"""
CANARY = """canary:
      stable: {owners: [{kind: Deployment, name: web}]}
      canary: {owners: [{kind: Deployment, name: web-next}]}
      weight: 10"""
COLORS = """blueGreen:
      colors:
        blue: {owners: [{kind: Deployment, name: web}]}
        green: {owners: [{kind: Deployment, name: web-next}]}
      active: blue
      preview: {service: web-preview}"""
NEXT = workload(name="web-next", replicas="4")


def floor(least: str) -> str:
    return f"  floor: {{minReady: {least}}}\n"


def owned(kind: str, name: str) -> str:
    return f"pool: {{owners: [{{kind: {kind}, name: {name}}}]}}"


def network(rule: str) -> str:
    head = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: np, namespace: shop}\nspec:\n"
    return f"{head}  podSelector: {{}}\n  {rule}\n"


def monitor(kind: str, namespace: str, more: str, selector: str = "serving: open") -> str:
    head = f"apiVersion: monitoring.coreos.com/v1\nkind: {kind}\nmetadata: {{name: m, namespace: {namespace}}}\nspec:\n"
    return f"{head}  selector: {{matchLabels: {{{selector}}}}}\n{more}"


def scheduling(text: str) -> str:
    return workload(more=f"    spec:\n      {text}\n")


EXISTS = "{key: serving, operator: Exists}"
TERM = f"{{topologyKey: zone, labelSelector: {{matchExpressions: [{EXISTS}]}}}}"
LABELLED = service(more=", labels: {app: web}")

CASES: list[tuple[str, list[str], tuple[str, ...]]] = [
    # Services that overlap
    ("two Services", ["overlapping-services"], (service(), service(name="api"), workload())),
    ("one selector within the other", ["overlapping-services"],
     (service(), service("app: web, tier: a", name="api"), workload("app: web, tier: a"))),
    ("three Services, each said once", ["overlapping-services"] * 2,
     (service(), service(name="b"), service(name="c"), workload())),
    ("of one gate", [], (gate(services="[web, api]"), service(), service(name="api"), workload())),
    ("of a gate and another", ["overlapping-services"],
     (gate(services="[web, api]"), service(), service(name="api"), service(name="c"), workload())),
    ("in two namespaces", [], (service(), service(namespace="b"), workload(), workload(namespace="b"))),
    ("one Service twice", [], (service(), service(), workload())),
    ("without a selector", [], ("apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: shop}\n", workload())),
    # Services that reach nothing
    ("a misspelt label", ["service-matches-nothing"], (service("app: wbe"), workload())),
    ("no workloads in the namespace", [], (service("app: wbe"), workload(namespace="b"))),
    ("a pod by itself", [], (service(), POD)),
    ("a label that its controller gives", [],
     (service("statefulset.kubernetes.io/pod-name: web-0"), workload(kind="StatefulSet"))),
    ("the gate label counts for nothing", [],
     (gate(more="  adopt: Reconcile\n"), service(GATED), workload())),
    ("a foreign Service of that name", [], ("apiVersion: serving.knative.dev/v1\nkind: Service\n"
     "metadata: {name: x, namespace: shop}\nspec: {selector: {app: nope}}\n", workload())),
    ("an ExternalName", [], (service("app: nope") + "  type: ExternalName\n", workload())),
    # Labels in the wrong place
    ("a label of the workload", ["label-not-in-template"],
     (service("app: web, tier: a"), workload(own="app: web, tier: a"))),
    ("one of two workloads", ["label-not-in-template"],
     (service("app: web, tier: a"), workload("app: web, tier: a"), workload(name="b", own="tier: a"))),
    ("another value", ["service-matches-nothing"], (service("app: web, tier: a"), workload(own="tier: b"))),
    ("in both places", [], (service("app: web, tier: a"), workload("app: web, tier: a", own="tier: a"))),
    # Templates without the gate label
    ("the steady selector", ["template-without-gate-label"], (gate(), service(GATED), workload())),
    ("with another value", ["template-without-gate-label"],
     (gate(), service(GATED), workload("app: web, serving: closed"))),
    ("with the label", [], (gate(), service(GATED), workload(GATED))),
    ("no steady selector", [], (gate(), service(), workload())),
    ("held pods", [], (gate(more="  newPods: Hold\n"), service(GATED), workload())),
    ("by admission", [], (gate(more="  adopt: Admission\n"), service(GATED), workload())),
    ("out of the group", [], (gate(owned("Deployment", "web")), service(GATED), workload(GATED), NEXT)),
    ("the canary may lack it", [], (gate(CANARY), service(GATED), workload(GATED), NEXT)),
    ("the idle colour may lack it", [], (gate(COLORS), service(GATED), workload(GATED), NEXT)),
    ("the active colour may not", ["template-without-gate-label"], (gate(COLORS), service(GATED), workload(), NEXT)),
    # The floor
    ("a floor above", ["floor-above-replicas"], (gate(more=floor("4")), service(), workload(replicas="3"))),
    ("a floor just met", [], (gate(more=floor("3")), service(), workload(replicas="3"))),
    ("a percentage", [], (gate(more=floor("100%")), service(), workload(replicas="1"))),
    ("two workloads together", [], (gate(more=floor("7")), service(), workload(replicas="3"), NEXT)),
    ("the canary counts", [], (gate(CANARY, more=floor("7")), service(), workload(replicas="3"), NEXT)),
    ("the idle colour does not", ["floor-above-replicas"],
     (gate(COLORS, more=floor("4")), service(), workload(replicas="3"), NEXT)),
    ("not said in Git", [], (gate(more=floor("9")), service(), workload())),
    ("scaled to none", [], (gate(more=floor("9")), service(), workload(replicas="0"))),
    ("a DaemonSet", [], (gate(more=floor("9")), service(), workload(kind="DaemonSet"))),
    ("an autoscaler that may", [], (gate(more=floor("9")), service(), workload(replicas="3"), HPA)),
    ("an autoscaler that may not", ["floor-above-replicas"],
     (gate(more=floor("10")), service(), workload(replicas="3"), HPA)),
    ("a patch that scales", [], (gate(more=floor("9")), service(), workload(replicas="3"), PATCH)),
    ("one pod", ["floor-above-replicas"], (gate(more=floor("2")), service(), POD)),
    # Groups
    ("an owner that is not there", ["group-matches-nothing"],
     (gate(owned("Deployment", "wbe")), service(), workload())),
    ("an owner of another kind", ["group-matches-nothing"], (gate(owned("DaemonSet", "web")), service(), workload())),
    ("an owner that controllers make", [], (gate(owned("ReplicaSet", "web-54f57d4d49")), service(), workload())),
    ("an owner of which there is a patch", [], (gate(owned("Deployment", "web")), PATCH, workload(name="b"))),
    ("an owner that may be gone", [],
     (gate("pool: {except: [{owners: [{kind: Deployment, name: old}]}]}"), service(), workload())),
    ("a selector of nobody", ["group-matches-nothing"],
     (gate("pool: {selector: {matchLabels: {track: x}}}"), service(), workload())),
    ("a selector by a hash", [],
     (gate("pool: {selector: {matchLabels: {pod-template-hash: x}}}"), service(), workload())),
    ("an owner that no Service reaches", ["group-matches-nothing"],
     (gate(owned("Deployment", "b")), service(), workload(), workload("app: b", name="b"))),
    ("the canary is not there", ["group-matches-nothing"], (gate(CANARY), service(), workload())),
    ("no workloads at all", [], (gate(owned("Deployment", "wbe")), service())),
    # The gate key elsewhere
    ("a workload's selector", ["gate-key-in-workload-selector"], (gate(), workload(GATED, selector=GATED))),
    ("a selector's expression", ["gate-key-in-workload-selector"],
     (gate(), workload(GATED).replace("matchLabels: {app: web}", f"matchExpressions: [{EXISTS}]"))),
    ("a ReplicationController", ["gate-key-in-workload-selector"],
     (gate(), "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: rc, namespace: shop}\n"
      "spec: {selector: {serving: open}}\n")),
    ("another Service", ["gate-key-in-other-service"], (gate(), ADMIN)),
    ("a Service of the gate", [], (gate(services="[web, admin]"), ADMIN)),
    ("the Service of the preview", [], (gate(COLORS), service(GATED, name="web-preview"))),
    ("another namespace", [], (gate(), service(GATED, namespace="b"))),
    ("another key", [], (gate(key="other"), ADMIN)),
    ("who it is for", ["gate-key-in-network-policy"],
     (gate(), network("").replace("podSelector: {}", "podSelector: {matchLabels: {serving: open}}"))),
    ("who may come", ["gate-key-in-network-policy"],
     (gate(), network("ingress: [{from: [{podSelector: {matchLabels: {serving: open}}}]}]"))),
    ("where it may go", ["gate-key-in-network-policy"],
     (gate(), network("egress: [{to: [{podSelector: {matchLabels: {serving: open}}}]}]"))),
    ("pods of other namespaces", [],
     (gate(), network("ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {serving: open}}}]}]"))),
    ("a spread constraint", ["gate-key-in-scheduling"], (gate(), scheduling(f"topologySpreadConstraints: [{TERM}]"))),
    ("a spread by its value", ["gate-key-in-scheduling"],
     (gate(), scheduling("topologySpreadConstraints: [{topologyKey: zone, matchLabelKeys: [serving]}]"))),
    ("an affinity", ["gate-key-in-scheduling"], (gate(), scheduling(
        f"affinity: {{podAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{TERM}]}}}}"))),
    ("a preference", ["gate-key-in-scheduling"], (gate(), scheduling(
        "affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: "
        f"[{{weight: 1, podAffinityTerm: {TERM}}}]}}}}"))),
    ("a monitor here", ["gate-key-in-pod-monitor"], (gate(), monitor("PodMonitor", "shop", ""))),
    ("a monitor of this namespace", ["gate-key-in-pod-monitor"],
     (gate(), monitor("PodMonitor", "watch", "  namespaceSelector: {matchNames: [shop]}\n"))),
    ("a monitor of all", ["gate-key-in-pod-monitor"],
     (gate(), monitor("PodMonitor", "watch", "  namespaceSelector: {any: true}\n"))),
    ("a monitor of others", [], (gate(), monitor("PodMonitor", "watch", ""))),
    ("a scraped Service", ["service-monitor-of-gate"],
     (gate(), LABELLED, monitor("ServiceMonitor", "shop", "", "app: web"))),
    ("a Service that no gate holds", [], (LABELLED, monitor("ServiceMonitor", "shop", "", "app: web"))),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "documents"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_rule(broken: list[str], documents: tuple[str, ...], tmp_path: Path) -> None:
    assert rules(found(tmp_path, *documents)) == broken


def test_messages_say_where_and_what_to_write(tmp_path: Path) -> None:
    documents = (gate(more=floor("9")), service("app: web, tier: a"), workload(own="tier: a", replicas="3"), ADMIN)
    said = [
        f"{problem.position} {problem.message} → {problem.hint}".replace(f"{tmp_path}/", "")
        for problem in found(tmp_path, *documents, service("app: wbe", name="x"))
    ]
    assert said == [
        "all.yaml:22:55 tier: the label stands on Deployment shop/web and not on its pods, and Service shop/web at "
        'all.yaml:14:1 requires it: the Service does not reach them → add tier: "a" to spec.template.metadata.labels',
        "all.yaml:33:13 no pod template of namespace shop has app=web, serving=open, so Service shop/admin reaches no "
        "pod of them → Deployment shop/web has no serving",
        "all.yaml:33:24 Service shop/admin selects by serving, the key of TrafficGate shop/web at all.yaml:9:15: the "
        "gate would move its pods too → choose another key, or add the Service to spec.services if it is to share the "
        "gate",
        "all.yaml:39:13 no pod template of namespace shop has app=wbe, so Service shop/x reaches no pod of them → "
        "templates here: Deployment web",
    ]
