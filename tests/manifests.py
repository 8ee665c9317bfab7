"""Pieces of Kubernetes objects, and the way they are written down; see ``tests/builders.py``."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

import yaml

from gatekeep.cluster.embedded.store import GENERATED

Object = dict[str, Any]
Labels = Mapping[str, str]


def to_yaml(document: Object) -> str:
    """``document`` as YAML; a string that some YAML parser might not read as one is double-quoted."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Block style, with lists indented as kubectl does, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    words = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
    plain = text[:1].isalpha() and text.lower() not in words and all(c.isalnum() or c in "./_-" for c in text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if plain else '"')


_Dumper.add_representer(str, _text)


def selection(labels: Labels, container: str, ports: Mapping[str, int] | None) -> Object:
    """The selector and the template of a workload."""
    template = {"metadata": {"labels": dict(labels)}, "spec": {"containers": [container_spec(container, ports)]}}
    return {"selector": {"matchLabels": dict(labels)}, "template": template}


def container_spec(name: str, ports: Mapping[str, int] | None) -> Object:
    """One container; ``ports`` are named container ports."""
    found = [{"name": key, "containerPort": port, "protocol": "TCP"} for key, port in (ports or {}).items()]
    return {"name": name, "image": f"dockercoins/{name}:v0.1", **({"ports": found} if found else {})}


def replica_status(replicas: int, ready: bool | int) -> Object:
    """The status of a Deployment or StatefulSet that has settled."""
    count = count_ready(replicas, ready)
    status = {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas}
    return {**status, "readyReplicas": count, "availableReplicas": count}


def count_ready(total: int, ready: bool | int) -> int:
    """How many of ``total`` are ready: all, none, or the number given."""
    return total * ready if isinstance(ready, bool) else min(total, ready)


def uid_of(kind: str, namespace: str, name: str) -> str:
    """The uid of an object, always the same for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{namespace}/{name}"))


def letters(seed: str, count: int) -> str:
    """Letters as Kubernetes generates them, always the same for the same seed."""
    return "".join(GENERATED[byte % len(GENERATED)] for byte in hashlib.sha256(seed.encode()).digest()[:count])


def target_name(endpoint: Object) -> str:
    """The pod behind an endpoint."""
    return str(endpoint["targetRef"]["name"])


def merge(target: Object, changes: Mapping[str, Any]) -> None:
    """Merges ``changes`` into ``target``, maps into maps."""
    for key, value in changes.items():
        if isinstance(value, Mapping) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value
