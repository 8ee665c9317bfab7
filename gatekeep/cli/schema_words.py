"""What an editor says of a field of a policy, in one place; in full: ``docs/policies.md``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

METADATA = {
    "name": "Name of the gate, or of the isolation.",
    "namespace": "Namespace of the Services and pods.",
    "labels": "Yours.",
    "annotations": 'Yours; config.kubernetes.io/local-config: "true" keeps kustomize from applying the document.',
}
FIELDS: Mapping[str, Mapping[str, str]] = {
    "Metadata": METADATA,
    "TrafficGate": {
        "apiVersion": "gatekeep.dev/v1alpha1",
        "kind": "Which pods of a Service take part in rotation.",
        "metadata": "Name and namespace.",
        "spec": "What is wanted.",
    },
    "TrafficGateSpec": {
        "services": "One or several Services that share the gate.",
        "rotation": "Exactly one strategy: pool, canary or blueGreen.",
        "gate": "The label that the selectors will require; default gatekeep.dev/NAME: open.",
        "newPods": "Join: pods born later are in rotation. Hold: they wait until they are admitted.",
        "admit": "With newPods: Hold: held pods are let in until the group has so many members, or All.",
        "adopt": "How pods born later get the label: by templates, by an admission policy, or with the next apply.",
        "floor": "How many ready endpoints must stay on the way.",
        "checks": "What the steps of a canary measure.",
    },
    "Rotation": {
        "pool": "One group: who is in rotation.",
        "canary": "Two groups that share the rotation by weight.",
        "blueGreen": "Colours, of which one is in rotation as a whole.",
    },
    "Group": {
        "owners": "Pods below one of these workloads, at any height.",
        "selector": "Pods that match these labels.",
        "anyOf": "Pods of at least one of these groups.",
        "except": "Everyone but the pods of these groups.",
    },
    "Owner": {"kind": "Kind of the workload.", "name": "Name of the workload."},
    "LabelSelector": {"matchLabels": "All of these labels.", "matchExpressions": "All of these terms."},
    "Requirement": {
        "key": "Label key.",
        "operator": "In, NotIn, Exists or DoesNotExist.",
        "values": "With In and NotIn: the values.",
    },
    "Canary": {
        "stable": "Who serves until the canary has proved itself.",
        "canary": "The pods to try; none may be stable too.",
        "weight": "Percent of the pods in rotation that are canary pods, for good. Or steps.",
        "steps": "The way there, one step after the other. Or weight.",
    },
    "CanaryStep": {
        "weight": "Move to this share, in percent; never less than before.",
        "pause": "Wait so long (10m), or with {} until gatekeep promote.",
        "check": "Name of the check of spec.checks that must pass.",
    },
    "BlueGreen": {
        "colors": "Groups by name; no pod may be of two colours.",
        "active": "The colour that is in rotation; changing it is a switch.",
        "preview": "A Service for the pods of the other colours.",
        "drain": "How long the colour that left is to be let alone, such as 30s.",
    },
    "Preview": {"service": "Its name; not one of spec.services."},
    "Gate": {"key": "Label key.", "value": 'Label value, with quotes where YAML needs them: "yes".'},
    "Floor": {"minReady": "A number, or a percentage of the pods that are ready when the plan is made."},
    "Check": {"name": "By which steps name it.", "prometheus": "What to ask Prometheus."},
    "PrometheusCheck": {
        "query": "PromQL that gives numbers; every series must lie within the bounds.",
        "max": "Upper bound, inclusive.",
        "min": "Lower bound, inclusive.",
        "for": "How long on end every measurement must lie within the bounds.",
        "interval": "How often it measures.",
        "timeout": "A check that has not passed after so long has failed.",
        "failures": "How many measurements out of bounds fail the check.",
    },
    "Isolation": {
        "apiVersion": "gatekeep.dev/v1alpha1",
        "kind": "Pods pulled out of a gate's rotation for a while.",
        "metadata": "Name, and the gate's namespace.",
        "spec": "What is wanted.",
    },
    "IsolationSpec": {
        "gate": "Name of the gate.",
        "pods": "Exactly one of names, selector and count.",
        "reason": "Why, for whoever finds the pod.",
        "mode": "Gate: out of rotation, and stays owned. Detach: released from its controller too, which replaces it.",
        "expires": "When the pods are returned, such as 2026-12-01T12:00:00Z; never by default.",
    },
    "PodChoice": {
        "names": "Names of pods.",
        "selector": "Whoever matches, at each apply.",
        "count": "So many pods, picked once.",
        "order": "With count: the newest first, or those with the most restarts.",
    },
}


def described(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` with a sentence for each field; what the classes say of themselves is on whole lines."""
    return {**schema, "$defs": {name: _described(name, part) for name, part in schema["$defs"].items()}}


def _described(name: str, part: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(part)
    if "description" in found:
        found["description"] = " ".join(inspect.cleandoc(found["description"]).replace("``", "").split())
    words = FIELDS.get(name, {})
    if "properties" in found:
        found["properties"] = {
            field: {**value, "description": words[field]} if field in words else value
            for field, value in found["properties"].items()
        }
    return found
