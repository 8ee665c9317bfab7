"""Words of a POSIX shell, and questions to kubectl: what is allowed to stand in a script, and how it is quoted."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote as url

from gatekeep.model.errors import InvalidInputError
from gatekeep.model.patches import Op, pointer, tokens_of
from gatekeep.model.plan import Match
from gatekeep.model.selectors import LabelSelector, Requirement
from gatekeep.model.waits import Bound

RESOURCES: Mapping[str, str] = {
    "Pod": "pods",
    "Service": "services",
    "Deployment": "deployments.apps",
    "ReplicaSet": "replicasets.apps",
    "DaemonSet": "daemonsets.apps",
    "StatefulSet": "statefulsets.apps",
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies.admissionregistration.k8s.io",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings.admissionregistration.k8s.io",
}
_PLAIN = re.compile(r"(?!-)[-A-Za-z0-9_./:]*")
_ABSENT = "<nil>"
BEGIN, END = "\x02", "\x03"
"""Stand around the name of a bound value until the text is quoted; no text of a plan holds them (see :func:`plain`)."""

quote = shlex.quote


def plain(text: str) -> str:
    """``text`` if Kubernetes could have it as a name, a uid or a label. Raises :class:`InvalidInputError`."""
    if not _PLAIN.fullmatch(text):
        raise InvalidInputError(f"the plan names {text[:80]!r}, which no object and no label can be called",
                                hint="was the document edited? Make it again with gatekeep plan")  # fmt: skip
    return text


def with_variables(text: str, variables: Mapping[str, str]) -> str:
    """``text`` as one word of the shell, bound values in it as variables."""
    parts = re.split(f"{BEGIN}(.*?){END}", text)
    words = [quote(part) if at % 2 == 0 else f'"${variables[part]}"' for at, part in enumerate(parts)]
    return "".join(word for word in words if word != "''") or "''"


def bound(name: str) -> str:
    """A bound value in a text that :func:`with_variables` quotes."""
    return f"{BEGIN}{name}{END}"


def patch_json(patch: Iterable[Op]) -> str:
    """The patch as JSON, bound values in it marked."""
    operations = []
    for op in patch:
        plain(op.path.replace("~", "/"))
        value = {} if op.op == "remove" else {"value": marked(op.value)}
        operations.append({"op": op.op, "path": op.path, **value})
    return _unescaped(json.dumps(operations, separators=(",", ":"), sort_keys=True, ensure_ascii=True))


def document_json(value: Any) -> str:
    """A manifest as JSON, bound values in it marked."""
    return _unescaped(json.dumps(marked(value), separators=(",", ":"), sort_keys=True, ensure_ascii=True))


def _unescaped(text: str) -> str:
    """json.dumps writes the marks as ``\\u0002``; text of a plan that holds such characters was refused before."""
    return text.replace("\\u0002", BEGIN).replace("\\u0003", END)


def marked(value: Any) -> Any:
    """``value`` as plain data with every bound value marked. Raises :class:`InvalidInputError` for control characters.

    Nothing else is asked of a string here: it stands in JSON, and that within one quoted word.
    """
    match value:
        case Bound(name=name):
            return bound(name)
        case {"$bound": str(name), **others} if not others:
            return bound(name)
        case Mapping():
            return {key: marked(item) for key, item in value.items()}
        case list() | tuple():
            return [marked(item) for item in value]
        case str() if BEGIN in value or END in value:
            raise InvalidInputError("the plan holds control characters", hint="make it again with gatekeep plan")
        case str() | int() | float() | None:
            return value
    return None


def jsonpath(path: str) -> str:
    """A JSON pointer as kubectl's jsonpath; what is absent prints nothing."""
    tokens = [plain(token).replace(".", r"\.") for token in tokens_of(path)]
    return "{" + "".join(f".{token}" for token in tokens) + "}"


def raw_path(kind: str, namespace: str, name: str) -> str:
    """The API server's path of an object that a plan deletes."""
    resource, _, group = RESOURCES[kind].partition(".")
    base = f"/apis/{group}/v1" if group else "/api/v1"
    place = f"/namespaces/{url(plain(namespace), safe='')}" if namespace else ""
    return f"{base}{place}/{resource}/{url(plain(name), safe='')}"


def selector_text(selector: Mapping[str, str]) -> str:
    """``active=yes,app=rng``, sorted as a template's ``range`` does."""
    return ",".join(f"{plain(key)}={plain(value)}" for key, value in sorted(selector.items()))


def condition(match: Match) -> str:
    """A :class:`Match` as a condition of a go-template: ``$l`` labels, ``$u`` uid, ``$o`` controller, ``$p`` above it.

    ``gate`` is no part of it. A template has no null that compares: an absent label reads as ``<nil>``.
    """
    terms = _selector(match.selector) if match.selector is not None else []
    if match.owner_uids is not None:
        terms.append(f"(or {_one_of('$o', match.owner_uids)} {_one_of('$p', match.owner_uids)})")
    if match.any_of is not None:
        terms.append(_any(match.any_of))
    if match.except_:
        terms.append(f"(not {_any(match.except_)})")
    if match.except_uids:
        terms.append(f"(not {_one_of('$u', match.except_uids)})")
    if len(terms) < 2:
        return terms[0] if terms else "true"
    return f"(and {' '.join(terms)})"


def _any(parts: Iterable[Match]) -> str:
    found = [condition(part) for part in parts]
    if len(found) < 2:
        return found[0] if found else "false"
    return f"(or {' '.join(found)})"


def _one_of(what: str, values: Iterable[str]) -> str:
    texts = [text(value) for value in values]
    return f"(eq {what} {' '.join(texts)})" if texts else "false"


def _selector(selector: LabelSelector) -> list[str]:
    terms = [_one_of(label(key), [value]) for key, value in sorted(selector.match_labels.items())]
    return terms + [_requirement(item) for item in selector.match_expressions]


def _requirement(term: Requirement) -> str:
    match term.operator:
        case "In":
            return _one_of(label(term.key), term.values)
        case "NotIn":
            return f"(not {_one_of(label(term.key), term.values)})"
        case "Exists":
            return f'(ne {label(term.key)} "{_ABSENT}")'
        case "DoesNotExist":
            return f'(eq {label(term.key)} "{_ABSENT}")'


def label(key: str, of: str = "$l") -> str:
    """The label in a template."""
    return f'(printf "%v" (index {of} {text(key)}))'


def text(value: str) -> str:
    """A string in a template; a bound value stays marked."""
    inner = value if value.startswith(BEGIN) and value.endswith(END) else plain(value)
    return f'"{inner}"'


def label_pointer(key: str) -> str:
    """The JSON pointer to a label of an object."""
    return pointer("metadata", "labels", plain(key))
