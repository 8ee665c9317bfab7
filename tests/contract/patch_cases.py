"""JSON Patch as the API server reads it, tried through ``Cluster.patch``."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gatekeep.model.errors import GatekeepError, NotFoundError, PatchRejectedError, UnreachableError
from gatekeep.model.patches import Op, Patch, Verb, label_patch, selector_patch
from tests.contract.site import RNG, Case, Site

LABEL = "/metadata/labels/"
ABSENT: Any = msgspec.UNSET

REFUSED: dict[str, tuple[Verb, str, Any]] = {
    "test of another value": ("test", f"{LABEL}app", "other"),
    "test of an absent key with a value": ("test", f"{LABEL}active", "yes"),
    "test of an absent key with the empty string": ("test", f"{LABEL}active", ""),
    "test of an absent key with an empty map": ("test", f"{LABEL}active", {}),
    "test of an absent key with false": ("test", f"{LABEL}active", False),
    "test of a present key with null": ("test", f"{LABEL}app", None),
    "test below an absent parent": ("test", "/metadata/annotations/note", None),
    "add below an absent parent": ("add", "/metadata/annotations/note", "x"),
    "replace below an absent parent": ("replace", "/metadata/annotations/note", "x"),
    "remove below an absent parent": ("remove", "/metadata/annotations/note", ABSENT),
    "remove of an absent key": ("remove", f"{LABEL}active", ABSENT),
    "an unescaped slash": ("add", f"{LABEL}example.com/active", "yes"),
    "a path without leading slash": ("add", "metadata/labels/active", "yes"),
    "a label value true": ("add", f"{LABEL}active", True),
    "a label value 1": ("add", f"{LABEL}active", 1),
    "a label value that is a map": ("add", f"{LABEL}active", {"a": "b"}),
    "labels that are a list": ("add", "/metadata/labels", ["app"]),
    "a label value with a space": ("add", f"{LABEL}active", "not valid"),
    "a label value of 64 letters": ("add", f"{LABEL}active", "x" * 64),
    "a label key that begins with a dash": ("add", f"{LABEL}-active", "yes"),
    "a label key with two prefixes": ("add", f"{LABEL}a~1b~1c", "yes"),
    "a test of another uid": ("test", "/metadata/uid", "00000000-0000-0000-0000-000000000000"),
    "another uid": ("replace", "/metadata/uid", "00000000-0000-0000-0000-000000000000"),
    "a test of a stale resourceVersion": ("test", "/metadata/resourceVersion", "1"),
    "a stale resourceVersion": ("replace", "/metadata/resourceVersion", "1"),
}

ACCEPTED: dict[str, tuple[tuple[Verb, str, Any], dict[str, str]]] = {
    "test of an absent key with null": (("test", f"{LABEL}active", None), {"app": "rng"}),
    "test of an absent map with null": (("test", "/metadata/annotations", None), {"app": "rng"}),
    "replace of an absent key": (("replace", f"{LABEL}active", "yes"), {"app": "rng", "active": "yes"}),
    "add of null": (("add", f"{LABEL}active", None), {"app": "rng", "active": ""}),
    "add without value": (("add", f"{LABEL}active", ABSENT), {"app": "rng", "active": ""}),
    "add of an empty map of labels": (("add", "/metadata/labels", {}), {}),
    "add of null labels": (("add", "/metadata/labels", None), {}),
    "an escaped slash": (("add", f"{LABEL}example.com~1active", "yes"), {"app": "rng", "example.com/active": "yes"}),
    "remove of the last label": (("remove", f"{LABEL}app", ABSENT), {}),
}


def _refuses(op: Op) -> Case:
    def case(site: Site) -> None:
        before = site.config_map("patched", RNG)
        with pytest.raises(PatchRejectedError):
            site.cluster.patch(site.ref("ConfigMap", "patched"), (op,))
        assert site.get("ConfigMap", "patched") == before

    return case


def _accepts(op: Op, labels: dict[str, str]) -> Case:
    def case(site: Site) -> None:
        site.config_map("patched", RNG)
        site.cluster.patch(site.ref("ConfigMap", "patched"), (op,))
        assert (site.get("ConfigMap", "patched")["metadata"].get("labels") or {}) == labels

    return case


def what_changes_nothing_leaves_the_resource_version(site: Site) -> None:
    """[], a bare test, and a value that stands there already."""
    ref = site.ref("ConfigMap", "patched")
    before = site.config_map("patched", RNG)["metadata"]
    same: tuple[Patch, ...] = (
        (),
        (Op("test", "/metadata/uid", before["uid"]),),
        (Op("replace", f"{LABEL}app", "rng"),),
    )
    for patch in same:
        answer = site.cluster.patch(ref, patch)
        assert answer["metadata"]["resourceVersion"] == before["resourceVersion"]
    answer = site.cluster.patch(ref, (Op("add", f"{LABEL}active", "yes"),))
    assert answer["metadata"]["resourceVersion"] != before["resourceVersion"]


def a_test_without_a_value_means_absent(site: Site) -> None:
    """Kubernetes 1.33 panics on it (json-patch v4.12.0, patch.go, test) and cuts the connection: say null instead."""
    site.config_map("patched", RNG)
    patch = (Op("test", f"{LABEL}active"),)
    if site.cluster.identity().version.startswith("v1.33."):
        with pytest.raises(UnreachableError):
            site.cluster.patch(site.ref("ConfigMap", "patched"), patch)
        return
    site.cluster.patch(site.ref("ConfigMap", "patched"), patch)
    assert site.get("ConfigMap", "patched")["metadata"]["labels"] == dict(RNG)


def a_patch_is_all_or_nothing(site: Site) -> None:
    """An operation that fails takes those before it along."""
    before = site.config_map("patched", RNG)
    patch = (Op("add", f"{LABEL}active", "yes"), Op("test", f"{LABEL}active", "no"))
    with pytest.raises(PatchRejectedError):
        site.cluster.patch(site.ref("ConfigMap", "patched"), patch)
    assert site.get("ConfigMap", "patched") == before


def a_label_patch_is_guarded_by_uid_and_old_value(site: Site) -> None:
    """Another object of the same name, or another writer, is noticed."""
    uid = site.config_map("patched", RNG)["metadata"]["uid"]
    ref = site.ref("ConfigMap", "patched")
    with pytest.raises(PatchRejectedError):
        site.cluster.patch(ref, label_patch("00000000-0000-0000-0000-000000000000", {"active": (None, "yes")}))
    patch = label_patch(uid, {"active": (None, "yes")})
    site.cluster.patch(ref, patch)
    with pytest.raises(PatchRejectedError):
        site.cluster.patch(ref, patch)
    site.cluster.patch(ref, label_patch(uid, {"active": ("yes", None)}))
    assert site.get("ConfigMap", "patched")["metadata"]["labels"] == dict(RNG)


def a_selector_patch_is_guarded_by_the_whole_selector(site: Site) -> None:
    """A key that somebody else added makes it fail."""
    uid = site.service("rng", RNG)["metadata"]["uid"]
    ref = site.ref("Service", "rng")
    site.cluster.patch(ref, (Op("add", "/spec/selector/tier", "front"),))
    with pytest.raises(PatchRejectedError):
        site.cluster.patch(ref, selector_patch(uid, RNG, {**RNG, "active": "yes"}))
    live = {**RNG, "tier": "front"}
    site.cluster.patch(ref, selector_patch(uid, live, {**RNG, "active": "yes"}))
    assert site.get("Service", "rng")["spec"]["selector"] == {**RNG, "active": "yes"}


def selector_values_are_decoded_and_validated(site: Site) -> None:
    """null becomes the empty string; no number and no invalid value gets in."""
    site.service("rng", RNG)
    ref = site.ref("Service", "rng")
    for value in (True, 1, "not valid"):
        with pytest.raises(PatchRejectedError):
            site.cluster.patch(ref, (Op("add", "/spec/selector/active", value),))
    site.cluster.patch(ref, (Op("add", "/spec/selector/active", None),))
    assert site.get("Service", "rng")["spec"]["selector"] == {**RNG, "active": ""}


def the_selector_belongs_to_who_wrote_it_last(site: Site) -> None:
    """managedFields names gatekeep for the whole selector, and for the one label it added."""
    uid = site.service("rng", RNG)["metadata"]["uid"]
    ref = site.ref("Service", "rng")
    site.cluster.patch(ref, selector_patch(uid, RNG, {**RNG, "active": "yes"}))
    site.cluster.patch(ref, (Op("add", "/metadata/labels", {"tier": "front"}),))
    entries = site.get("Service", "rng")["metadata"]["managedFields"]
    owners = [item["manager"] for item in entries if "f:selector" in item["fieldsV1"].get("f:spec", {})]
    assert owners == ["gatekeep"]
    mine = next(item for item in entries if item["manager"] == "gatekeep" and item["operation"] == "Update")
    assert mine["fieldsV1"]["f:metadata"]["f:labels"]["f:tier"] == {}


def a_workload_counts_changes_of_its_spec(site: Site) -> None:
    """Generation moves with the spec, not with labels; the selector is immutable."""
    spec: dict[str, Any] = {
        "replicas": 0,
        "selector": {"matchLabels": dict(RNG)},
        "template": {
            "metadata": {"labels": dict(RNG)},
            "spec": {"containers": [{"name": "rng", "image": "registry.invalid/rng"}]},
        },
    }
    body = {"metadata": {"name": "rng", "labels": dict(RNG)}, "spec": spec}
    assert site.cluster.create("Deployment", site.namespace, body)["metadata"]["generation"] == 1
    ref = site.ref("Deployment", "rng")
    site.cluster.patch(ref, (Op("add", f"{LABEL}tier", "front"),))
    assert site.get("Deployment", "rng")["metadata"]["generation"] == 1
    site.cluster.patch(ref, (Op("test", "/metadata/generation", 1), Op("add", "/spec/paused", True)))
    assert site.get("Deployment", "rng")["metadata"]["generation"] == 2
    refused = (
        ("replace", "/spec/selector/matchLabels/app", "x"),
        ("replace", "/spec/template/metadata/labels/app", "x"),
    )
    for verb, path, value in refused:
        with pytest.raises(PatchRejectedError):
            site.cluster.patch(ref, (Op(verb, path, value),))  # type: ignore[arg-type]
    site.until(lambda: _observed(site) == 2, "the controller observes the generation")


def _observed(site: Site) -> int:
    status: dict[str, int] = site.get("Deployment", "rng").get("status") or {}
    return status.get("observedGeneration", 0)


def a_patch_cannot_change_a_status(site: Site) -> None:
    """status is a subresource: a patch of the object leaves it alone."""
    site.pods("p-1")
    before = site.get("Pod", "p-1")["status"]["phase"]
    site.cluster.patch(site.ref("Pod", "p-1"), (Op("replace", "/status/phase", "Failed"),))
    assert site.get("Pod", "p-1")["status"]["phase"] == before == "Running"


def a_name_cannot_be_patched(site: Site) -> None:
    """400: the name in the path is another one."""
    before = site.config_map("patched", RNG)
    with pytest.raises(GatekeepError, match="400"):
        site.cluster.patch(site.ref("ConfigMap", "patched"), (Op("replace", "/metadata/name", "other"),))
    assert site.get("ConfigMap", "patched") == before


def a_patch_may_be_too_long(site: Site) -> None:
    """10,000 operations are accepted; one more is 413."""
    site.config_map("patched", RNG)
    ref = site.ref("ConfigMap", "patched")
    op = Op("test", "/metadata/name", "patched")
    site.cluster.patch(ref, (op,) * 10_000)
    with pytest.raises(GatekeepError, match="413"):
        site.cluster.patch(ref, (op,) * 10_001)


def a_missing_object_cannot_be_patched(site: Site) -> None:
    """404."""
    with pytest.raises(NotFoundError):
        site.cluster.patch(site.ref("ConfigMap", "nowhere"), (Op("add", f"{LABEL}active", "yes"),))


CASES: dict[str, Case] = {
    **{f"refused: {name}": _refuses(Op(*op)) for name, op in REFUSED.items()},
    **{f"accepted: {name}": _accepts(Op(*op), labels) for name, (op, labels) in ACCEPTED.items()},
    **{
        case.__name__: case
        for case in (
            what_changes_nothing_leaves_the_resource_version,
            a_test_without_a_value_means_absent,
            a_patch_is_all_or_nothing,
            a_label_patch_is_guarded_by_uid_and_old_value,
            a_selector_patch_is_guarded_by_the_whole_selector,
            selector_values_are_decoded_and_validated,
            the_selector_belongs_to_who_wrote_it_last,
            a_workload_counts_changes_of_its_spec,
            a_patch_cannot_change_a_status,
            a_name_cannot_be_patched,
            a_patch_may_be_too_long,
            a_missing_object_cannot_be_patched,
        )
    },
}
