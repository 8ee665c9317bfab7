"""Every rule by its stable id: how severe its findings are, and what it says in one sentence.

``docs/rules`` has a page for each; ``gatekeep lint --explain`` prints it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import NamedTuple

from gatekeep.model.plan import Severity


class Rule(NamedTuple):
    """``summary`` is a whole sentence without its last dot."""

    id: str
    severity: Severity
    summary: str


INVALID_DOCUMENT = "invalid-document"
PROOF_FAILS = "proof-fails"
REFUSED = "refused"

_LINT = (
    Rule(INVALID_DOCUMENT, "error", "A policy is not what the schema and its own fields ask for"),
    Rule("unquoted-scalar", "error", "A text stands without quotes, and parsers read it as something else"),
    Rule("duplicate-policy", "error", "Two policies want one name, one Service, one gate key or one pod"),
    Rule("no-policy", "error", "No policy was found where lint was told to look"),
    Rule("manifest-unreadable", "warning", "A file beside the policies is no valid YAML"),
    Rule("local-config", "warning", "A sync may read a policy, and no cluster knows its kind"),
    Rule("unused-check", "warning", "No step of the canary asks a check"),
    Rule("isolation-without-end", "warning", "An Isolation never expires, so nobody is reminded of it"),
    Rule("isolation-over", "warning", "An Isolation has expired, or its pods are gone"),
    Rule("floor-above-replicas", "warning", "The floor is more than the replicas that the manifests give the group"),
    Rule("group-matches-nothing", "warning", "A group of a policy names or matches no workload of the manifests"),
    Rule("service-matches-nothing", "warning", "The selector of a Service matches no pod template of the manifests"),
    Rule(
        "label-not-in-template", "warning", "A Service requires a label that only the workload itself has, not its pods"
    ),
    Rule(
        "template-without-gate-label", "warning", "Git's Service requires the gate label, and a pod template lacks it"
    ),
    Rule("overlapping-services", "info", "Two Services reach the same pods"),
    Rule("gate-key-in-workload-selector", "error", "A workload selects its pods by the gate key"),
    Rule("gate-key-in-other-service", "error", "A Service that the policy does not name selects by the gate key"),
    Rule("gate-key-in-network-policy", "warning", "A NetworkPolicy selects pods by the gate key"),
    Rule("gate-key-in-disruption-budget", "warning", "A PodDisruptionBudget selects pods by the gate key"),
    Rule("gate-key-in-scheduling", "warning", "A spread constraint or an affinity selects pods by the gate key"),
    Rule("gate-key-in-pod-monitor", "warning", "A PodMonitor selects pods by the gate key"),
    Rule(
        "service-monitor-of-gate",
        "info",
        "A ServiceMonitor scrapes a gated Service, and with it only who is in rotation",
    ),
)
_PLAN = (
    Rule("later-pods", "warning", "Pods that are born later wait out of rotation for the next apply"),
    Rule("held", "warning", "Pods wait out of rotation until they are admitted"),
    Rule("undo-loses-label", "warning", "A rollout undo leads to pods without the gate label"),
    Rule("spare-label", "info", "A label that the templates give already can be the gate"),
    Rule("canary-share", "info", "How many pods of each group are in rotation, and the share that makes"),
    Rule("both-colors-answer", "info", "For a moment both colours are in rotation"),
    Rule("another-run", "warning", "A run of steps begins anew, and the share it had reached is given up"),
    Rule("preview", "info", "The Service of a preview may have no endpoint while the colours change places"),
    Rule("isolation-without-policy", "warning", "An isolation stands whose document is not among the policies"),
    Rule("isolation-stuck", "warning", "A detached pod cannot come back to its DaemonSet"),
    Rule("surplus-pod", "warning", "A pod comes back, and its controller has one too many for that"),
    Rule("detached", "info", "A detached pod has no owner while its isolation stands"),
    Rule("budget-counts-isolated", "warning", "A PodDisruptionBudget counts isolated pods as healthy"),
    Rule("template-in-git", "info", "Git, or whoever applies it, has the template without the gate label"),
    Rule("drift", "warning", "Something no longer stands as the last finished apply left it"),
    Rule("newborn", "info", "Pods were born since the last apply and are not in rotation yet"),
    Rule("mixed-owners", "info", "A Service reaches pods of several owners"),
    Rule("orphan-pods", "info", "A Service reaches pods without an owner"),
    Rule("no-ready-endpoint", "warning", "A Service has no ready endpoint now"),
    Rule("controller-behind", "warning", "EndpointSlices and pods disagree"),
    Rule("returns-to-rotation", "warning", "Pods come back into rotation when the gate is retired"),
    Rule("will-be-reverted", "warning", "Somebody will put back what the plan writes"),
    Rule("other-writer", "info", "Somebody else applies this Service too"),
    Rule("gate-without-policy", "warning", "A gate stands that no policy here names"),
    Rule("no-way-back", "warning", "An earlier run did not end, and this plan can only go on"),
    Rule("not-looked-at", "warning", "A kind of object could not be read"),
    Rule(PROOF_FAILS, "error", "The proof of a plan found a state in which a Service has too few ready endpoints"),
    Rule(REFUSED, "error", "The cluster is not as a policy needs it, so no plan was made"),
)

LINT_RULES: Mapping[str, Rule] = {rule.id: rule for rule in _LINT}
PLAN_RULES: Mapping[str, Rule] = {rule.id: rule for rule in _PLAN}
RULES: Mapping[str, Rule] = {**LINT_RULES, **PLAN_RULES}


def nearest_rule(word: str) -> str:
    """The rule whose id is most like ``word``; empty when none is."""
    near = difflib.get_close_matches(word.lower().replace("_", "-").strip(), RULES, n=1, cutoff=0.4)
    return near[0] if near else ""
