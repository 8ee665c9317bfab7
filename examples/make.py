"""Writes every example anew: its cluster, from the builders of the tests, and the plan that gatekeep makes of it.

Run it from the repository's root: ``python -m examples.make``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gatekeep.model.plan import Plan, to_json
from gatekeep.operations.plan import plan_gates
from gatekeep.render.html import plan_html
from gatekeep.render.markdown import plan_markdown
from gatekeep.render.style import Style
from gatekeep.render.text import plan_text
from gatekeep.sources.dumps import load_snapshot
from gatekeep.sources.policies import load_policies
from tests.builders import ClusterBuilder, cluster, dockercoins
from tests.manifests import to_yaml

HERE = Path(__file__).parent
OWN_POLICIES = HERE.parent / "policies"
WIDTH = 100


def gated() -> ClusterBuilder:
    """The miner with the gate on: every rng pod carries the label, and the Service requires it."""
    labels, pods = {"app": "rng"}, {"app": "rng", "active": "yes"}
    builder = cluster("dockercoins").nodes(3, zones=("a", "b", "c")).service("rng", pods, labels=labels)
    return builder.deployment("rng", 3, labels, pod_labels=pods).daemonset("rng", labels, pod_labels=pods)


def restarting() -> ClusterBuilder:
    """The same, with one pod that has been restarted again and again."""
    return gated().about("rng-lzhtr", restarts=7)


def serving() -> ClusterBuilder:
    """Only the Deployment's pods of the miner, with the gate on."""
    labels, pods = {"app": "rng"}, {"app": "rng", "active": "yes"}
    builder = cluster("dockercoins").nodes(3, zones=("a", "b", "c")).service("rng", pods, labels=labels)
    return builder.deployment("rng", 3, labels, pod_labels=pods)


def web(fresh: int = 3) -> ClusterBuilder:
    """Nine pods of the present version and some of the next one, behind one Service."""
    builder = cluster("shop").nodes(3, zones=("a", "b", "c")).service("web", {"app": "web"})
    builder.deployment("web", 9, {"app": "web", "version": "1"})
    return builder.deployment("web-next", fresh, {"app": "web", "version": "2"})


def colors() -> ClusterBuilder:
    """Blue serves, green waits behind the preview Service."""
    key = "shop.example.com/serving"
    builder = cluster("shop").nodes(3, zones=("a", "b", "c"))
    builder.service("web", {"app": "web", key: "open"}).service("web-preview", {"app": "web", key: "preview"})
    for color, value in (("blue", "open"), ("green", "preview")):
        labels = {"app": "web", "color": color}
        builder.deployment(f"web-{color}", 4, labels, pod_labels={**labels, key: value})
    return builder


CLUSTERS: dict[str, Callable[[], ClusterBuilder]] = {
    "rng": dockercoins,
    "rng-without-daemonset": gated,
    "canary": web,
    "canary-steps": lambda: web(9),
    "held": web,
    "blue-green": colors,
    "isolation": restarting,
    "detach": serving,
}


def plan_of(example: str) -> Plan:
    """The plan of one example, as the command line makes it."""
    folder = HERE / example
    policies = folder / "policies"
    repository = load_policies([policies if policies.exists() else OWN_POLICIES])
    return plan_gates(repository.policies, load_snapshot(folder / "cluster.yaml"), findings=repository.findings)


def files_of(example: str) -> dict[str, str]:
    """What has to stand in an example's folder, by file name; the cluster comes first, since the plan is made of it."""
    plan = plan_of(example)
    return {
        "plan.json": to_json(plan),
        "plan.txt": plan_text(plan, Style(width=WIDTH)),
        "plan.md": plan_markdown(plan),
        "plan.html": plan_html(plan),
    }


def main() -> None:
    """Writes all files."""
    for example, builder in CLUSTERS.items():
        (HERE / example / "cluster.yaml").write_text(to_yaml(builder().document()))
        for name, text in files_of(example).items():
            (HERE / example / name).write_text(text)


if __name__ == "__main__":
    main()
