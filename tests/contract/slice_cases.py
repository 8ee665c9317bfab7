"""What the endpoint controller publishes, and how it is watched."""

from __future__ import annotations

from gatekeep.model.endpoints import CONTROLLER, MANAGED_BY_LABEL, ready_in_slices
from gatekeep.model.objects import EndpointSlice
from gatekeep.model.patches import Op, label_patch
from tests.contract.site import RNG, Case, Labels, Site

State = tuple[bool | None, bool | None, bool | None]
FINALIZER = "gatekeep.dev/kept-for-the-test"
GATED = {**RNG, "active": "yes"}


def states(slices: tuple[EndpointSlice, ...]) -> dict[str, State]:
    """Per pod: ready, serving, terminating."""
    found = [endpoint for item in slices for endpoint in item.endpoints or ()]
    return {
        item.target_ref.name: (item.conditions.ready, item.conditions.serving, item.conditions.terminating)
        for item in found
        if item.target_ref is not None
    }


def published(site: Site, service: str, wanted: dict[str, State]) -> None:
    """Waits until the slices of a Service list exactly these pods in these states."""
    site.until(lambda: states(site.slices(service)) == wanted, f"the slices of {service} show {wanted}")


def gate(site: Site, name: str, value: tuple[str | None, str | None]) -> None:
    """Moves the gate label of one pod."""
    pod = site.get("Pod", name)
    site.cluster.patch(site.ref("Pod", name), label_patch(pod["metadata"]["uid"], {"active": value}))


def a_pod_is_published_as_its_conditions_say(site: Site) -> None:
    """ready, not ready, terminating but serving, finished."""
    site.service("rng", RNG)
    site.service("all", RNG, publishNotReadyAddresses=True)
    site.pods("p-ready", "p-waiting", "p-done")
    site.pods("p-leaving", finalizers=[FINALIZER])
    site.write_status("p-waiting", {"conditions": [{"type": "Ready", "status": "False"}]})
    site.write_status("p-done", {"phase": "Succeeded"})
    site.cluster.delete(site.ref("Pod", "p-leaving"))
    plain: dict[str, State] = {
        "p-ready": (True, True, False),
        "p-waiting": (False, False, False),
        "p-leaving": (False, True, True),
    }
    published(site, "rng", plain)
    published(site, "all", {name: (True, *state[1:]) for name, state in plain.items()})
    site.cluster.patch(site.ref("Pod", "p-leaving"), (Op("remove", "/metadata/finalizers"),))
    del plain["p-leaving"]
    published(site, "rng", plain)


def endpoints_name_pods_by_uid(site: Site) -> None:
    """targetRef is what gatekeep counts by."""
    site.service("rng", RNG)
    site.pods("p-1", "p-2")
    site.until(lambda: ready_in_slices(site.slices("rng"), "rng") == site.uids("p-1", "p-2"), "both pods are published")
    (only,) = site.slices("rng")
    assert only.metadata.labels[MANAGED_BY_LABEL] == CONTROLLER
    assert only.ports is not None
    assert only.ports[0].port == 80
    assert all(endpoint.node_name and endpoint.addresses for endpoint in only.endpoints or ())


def some_services_have_no_slices(site: Site) -> None:
    """None without selector or as ExternalName; an empty one where nothing matches."""
    site.service("none")
    site.service("outside", RNG, type="ExternalName", externalName="example.com")
    site.service("empty", RNG)
    site.until(lambda: bool(site.slices("empty")), "the placeholder is written")
    (placeholder,) = site.slices("empty")
    assert placeholder.endpoints is None
    assert placeholder.ports is None
    assert site.slices("none") == ()
    assert site.slices("outside") == ()


def a_pod_that_lacks_the_port_sits_in_a_slice_without_ports(site: Site) -> None:
    """Ready by its conditions, yet unreachable: it does not count."""
    site.service("rng", RNG, ports=[{"port": 80, "targetPort": "web"}])
    site.pods("p-web", ports={"web": 8080})
    site.pods("p-bare")
    site.until(lambda: len(states(site.slices("rng"))) == 2, "both pods are published")
    by_ports = {bool(item.ports): states((item,)) for item in site.slices("rng")}
    assert by_ports == {True: {"p-web": (True, True, False)}, False: {"p-bare": (True, True, False)}}
    assert ready_in_slices(site.slices("rng"), "rng") == site.uids("p-web")


def slices_follow_labels_and_selectors(site: Site) -> None:
    """A gate in both directions, with everything settled in between."""
    site.service("rng", RNG)
    site.pods("p-1", "p-2")
    gate(site, "p-1", (None, "yes"))
    site.cluster.patch(site.ref("Service", "rng"), (Op("add", "/spec/selector/active", "yes"),))
    published(site, "rng", {"p-1": (True, True, False)})
    gate(site, "p-2", (None, "yes"))
    published(site, "rng", dict.fromkeys(("p-1", "p-2"), (True, True, False)))
    gate(site, "p-1", ("yes", None))
    published(site, "rng", {"p-2": (True, True, False)})


def a_shadow_service_previews_the_exact_set(site: Site) -> None:
    """Same controller, same pod cache, without a cluster IP."""
    site.pods("p-1", "p-2")
    gate(site, "p-1", (None, "yes"))
    site.service("rng-gatekeep-shadow", GATED, clusterIP="None")
    published(site, "rng-gatekeep-shadow", {"p-1": (True, True, False)})
    site.cluster.delete(site.ref("Service", "rng-gatekeep-shadow"))
    site.until(lambda: site.slices("rng-gatekeep-shadow") == (), "its slices go with it")


def a_marker_service_has_a_slice_though_nothing_matches(site: Site) -> None:
    """Once it has, the controller has read every older change of a Service."""
    site.service("rng", RNG)
    site.pods("p-1")
    published(site, "rng", {"p-1": (True, True, False)})
    site.cluster.patch(site.ref("Service", "rng"), (Op("add", "/spec/selector/active", "yes"),))
    site.service("rng-gatekeep-marker", {"gatekeep.dev/marker": "nobody"}, clusterIP="None")
    site.until(lambda: bool(site.slices("rng-gatekeep-marker")), "the marker has slices")
    published(site, "rng", {})


def slices_freeze_when_the_last_selector_key_goes(site: Site) -> None:
    """Accepted by the API server; the old endpoints stay, dead or alive."""
    site.service("rng", RNG)
    site.pods("p-1")
    published(site, "rng", {"p-1": (True, True, False)})
    site.cluster.patch(site.ref("Service", "rng"), (Op("remove", "/spec/selector/app"),))
    assert not site.get("Service", "rng")["spec"].get("selector")
    # Long enough for the controller to have seen it: only then may the pod go.
    site.cluster.clock.sleep(1)
    site.cluster.delete(site.ref("Pod", "p-1"))
    site.until(lambda: not site.listed(), "the pod is gone")
    site.cluster.clock.sleep(1)
    frozen = [item for item in site.slices("rng") if item.metadata.labels[MANAGED_BY_LABEL] == CONTROLLER]
    assert states(tuple(frozen)) == {"p-1": (True, True, False)}
    assert len(site.slices("rng")) > len(frozen), "the mirroring controller adds a set of its own"
    site.cluster.patch(site.ref("Service", "rng"), (Op("add", "/spec/selector", dict(RNG)),))
    published(site, "rng", {})


def a_watch_sees_every_change(site: Site) -> None:
    """``wait`` returns with the change, or when its time is over."""
    site.service("rng", RNG)
    site.pods("p-1", "p-2")
    published(site, "rng", dict.fromkeys(("p-1", "p-2"), (True, True, False)))
    with site.cluster.watch_slices(site.namespace, "rng") as watch:
        assert set(states(watch.current())) == {"p-1", "p-2"}
        started = site.cluster.clock.monotonic()
        assert set(states(watch.wait(0.5))) == {"p-1", "p-2"}
        assert site.cluster.clock.monotonic() - started >= 0.4
        _relabel(site, "p-1", {"app": "other"})
        slices = watch.current()
        while "p-1" in states(slices):
            assert site.cluster.clock.monotonic() - started < 30
            slices = watch.wait(5)
        assert set(states(slices)) == {"p-2"}


def a_watch_of_a_service_to_come_begins_empty(site: Site) -> None:
    """Barriers watch before they create."""
    with site.cluster.watch_slices(site.namespace, "later") as watch:
        assert watch.current() == ()
        site.service("later", RNG)
        slices = watch.wait(5)
        while not slices:
            slices = watch.wait(5)
        assert states(slices) == {}


def _relabel(site: Site, name: str, labels: Labels) -> None:
    site.cluster.patch(site.ref("Pod", name), (Op("add", "/metadata/labels", dict(labels)),))


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        a_pod_is_published_as_its_conditions_say,
        endpoints_name_pods_by_uid,
        some_services_have_no_slices,
        a_pod_that_lacks_the_port_sits_in_a_slice_without_ports,
        slices_follow_labels_and_selectors,
        a_shadow_service_previews_the_exact_set,
        a_marker_service_has_a_slice_though_nothing_matches,
        slices_freeze_when_the_last_selector_key_goes,
        a_watch_sees_every_change,
        a_watch_of_a_service_to_come_begins_empty,
    )
}
