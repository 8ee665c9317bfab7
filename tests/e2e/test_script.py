"""The script of a plan, run by sh with kubectl alone, ends like ``apply`` does: same labels, same selectors, no loss.

- the gate comes, its pool changes, it goes, whichever stream is 3 s late
- a pod that is born on the way is labelled too; a pod that is gone is skipped
- another cluster, a changed selector and a second run are refused before anything is written
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.story import GATE, PODS, Finished, Json, Story, record
from tests.e2e.workloads import manifest

LAG = 3.0
LAGS = [({}, "none"), ({"pods": LAG}, "pods 3 s"), ({"services": LAG}, "Services 3 s")]
IDS = [name.replace(" ", "-") for _, name in LAGS]
KINDS = ("Deployment", "DaemonSet", "StatefulSet", "ReplicaSet")
DEPLOYMENT_ONLY = {"owners": [{"kind": "Deployment", "name": "rng"}]}


def script_of(story: Story, *args: str) -> Path:
    """The script of a command that plans."""
    path = story.folder / f"{args[0]}.sh"
    made = story.gatekeep(*args, "-o", "script", "--out", str(path))
    assert made.code == 0, made.err
    return path


def plan_script(story: Story) -> Path:
    """The script of the policy as it is written."""
    return script_of(story, "plan", "-f", str(story.folder / "policies"))


def sh(story: Story, script: Path) -> Finished:
    """Runs a script with nothing but kubectl to help it."""
    kubectl = f"{story.stack.kubectl_path} --kubeconfig={story.stack.kubeconfig()}"
    environment = {"KUBECTL": kubectl, "PATH": os.environ["PATH"]}
    run = subprocess.run(
        ["sh", str(script)], capture_output=True, text=True, timeout=240, check=False, env=environment,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return Finished(run.returncode, run.stdout, run.stderr)


def templates(story: Story) -> dict[str, dict[str, Any]]:
    """The labels that later pods get, and whether anything is held still."""
    return {
        f"{item['kind']}/{item['metadata']['name']}": {
            "labels": item["spec"]["template"]["metadata"]["labels"],
            "strategy": item["spec"].get("updateStrategy", {}).get("type"),
            "paused": item["spec"].get("paused", False),
        }
        for item in story.get("deployments,daemonsets,replicasets")["items"]
    }


def books(story: Story) -> list[str]:
    """Records and Leases of gatekeep."""
    items: list[Json] = story.get("configmaps,leases")["items"]
    return [item["metadata"]["name"] for item in items if "gatekeep" in item["metadata"]["name"]]


def uids(story: Story) -> set[str]:
    return {item["metadata"]["uid"] for item in story.get("pods")["items"]}


@pytest.mark.parametrize(
    ("lag", "name"),
    [pytest.param(*item, id=name, marks=pytest.mark.long if item[0] else ())
     for item, name in zip(LAGS, IDS, strict=True)],
)  # fmt: skip
def test_a_gate_comes_changes_and_goes_by_scripts_alone(story: Story, lag: dict[str, float], name: str) -> None:
    born = uids(story)
    story.stack.lag(**lag)
    with story.traffic() as traffic:
        traffic.run_for(1)
        run = sh(story, plan_script(story))
        traffic.run_for(LAG if lag else 1.5)
    assert run.code == 0, run.err + run.out
    assert story.selector() == {"app": "rng", GATE[0]: GATE[1]}
    assert len(story.labelled()) == PODS
    assert uids(story) == born
    assert all(item["labels"].get(GATE[0]) == GATE[1] for item in templates(story).values())
    assert not any(item["paused"] or item["strategy"] == "OnDelete" for item in templates(story).values())
    report = record("a script: the gate comes, templates adopted", name, traffic.report())
    assert report.lost == 0, report
    assert not story.helpers()
    assert not books(story)
    assert "of it is recorded" in run.out

    story.stack.lag(pods=0, services=0)
    after_script = (story.selector(), story.labels(), templates(story))
    applied = story.apply()
    assert applied.code == 0, applied.err
    assert (story.selector(), story.labels(), templates(story)) == after_script

    story.policy(DEPLOYMENT_ONLY, floor="50%", adopt="Reconcile")
    story.settle()
    story.stack.lag(**lag)
    with story.traffic() as traffic:
        traffic.run_for(1)
        run = sh(story, plan_script(story))
        traffic.run_for(LAG if lag else 1.5)
    assert run.code == 0, run.err + run.out
    assert story.labelled() == story.of("deployment")
    report = record("a script: the pool becomes smaller", name, traffic.report())
    assert report.lost == 0, report

    story.stack.lag(pods=0, services=0)
    assert story.apply().code == 0
    story.settle()
    script = script_of(story, "retire", f"{story.namespace}/rng", "--dry-run")
    story.stack.lag(**lag)
    with story.traffic() as traffic:
        traffic.run_for(1)
        run = sh(story, script)
        traffic.run_for(LAG if lag else 1.5)
    assert run.code == 0, run.err + run.out
    assert story.selector() == {"app": "rng"}
    assert uids(story) == born
    assert not story.helpers()
    report = record("a script: the gate goes", name, traffic.report())
    assert report.lost == 0, report
    story.stack.lag(pods=0, services=0)
    retired = story.retire()
    assert retired.code == 0, retired.err
    assert not books(story)


def test_a_retiring_script_undoes_what_apply_did(story: Story) -> None:
    before = (story.selector(), story.labels(), templates(story))
    born = uids(story)
    assert story.apply().code == 0
    script = script_of(story, "retire", f"{story.namespace}/rng", "--dry-run")
    with story.traffic() as traffic:
        run = sh(story, script)
        traffic.run_for(1)
    assert run.code == 0, run.err + run.out
    assert traffic.report().lost == 0, traffic.report()
    assert story.selector() == before[0]
    assert templates(story) == before[2]
    assert not story.labelled()
    assert uids(story) == born
    assert books(story)


def test_whoever_is_born_meanwhile_is_labelled_and_whoever_is_gone_is_skipped(story: Story) -> None:
    story.policy(adopt="Reconcile")
    script = plan_script(story)
    victim = min(story.of("deployment"))
    story.kubectl("delete", "pod", victim, "--wait=true")
    story.kubectl("scale", "deployment", "rng", "--replicas=5")
    story.stack.wait_pods(story.namespace, PODS + 2, "app=rng")
    with story.traffic() as traffic:
        run = sh(story, script)
        traffic.run_for(1)
    assert run.code == 0, run.err + run.out
    assert f"pod {victim} is gone: skipped" in run.out
    assert run.out.count("belongs too") == 3
    assert len(story.labelled()) == PODS + 2
    assert traffic.report().lost == 0, traffic.report()


def test_what_is_not_as_planned_is_refused_before_a_write(story: Story) -> None:
    script = plan_script(story)
    uid = story.get("namespace", "kube-system")["metadata"]["uid"]
    foreign = story.folder / "foreign.sh"
    foreign.write_text(script.read_text().replace(uid, "00000000-0000-0000-0000-000000000000"))
    before = story.versions()
    run = sh(story, foreign)
    assert (run.code, story.versions()) == (3, before), run
    assert "this is another cluster" in run.err

    story.kubectl("label", "pod", min(story.labels()), f"{GATE[0]}=no")
    before = story.versions()
    run = sh(story, script)
    assert (run.code, story.versions()) == (3, before), run
    assert "labels changed since the plan was made" in run.err
    story.kubectl("label", "pod", min(story.labels()), f"{GATE[0]}-")

    story.kubectl("patch", "service", "rng", "--type=merge", "-p", '{"spec":{"selector":{"part":"deployment"}}}')
    before = story.versions()
    run = sh(story, script)
    assert (run.code, story.versions()) == (3, before), run
    assert "services rng is not as the plan found it" in run.err
    story.kubectl("patch", "service", "rng", "--type=merge", "-p", '{"spec":{"selector":{"part":null}}}')

    assert sh(story, script).code == 0
    before = story.versions()
    again = sh(story, script)
    assert (again.code, story.versions()) == (3, before), again


def test_a_script_that_stops_takes_its_helpers_away_and_says_what_to_do(story: Story) -> None:
    story.policy(adopt="Reconcile")
    script = plan_script(story)
    story.stack.lag(pods=20)

    def meddle() -> None:
        story.stack.wait(lambda: bool(story.helpers()), 60, "a helper")
        time.sleep(0.5)
        name = story.helpers()[0]
        story.kubectl("patch", "service", name, "--type=merge", "-p", '{"spec":{"selector":{"part":"other"}}}')

    meddler = threading.Thread(target=meddle)
    meddler.start()
    run = sh(story, script)
    meddler.join()
    assert run.code == 6, run
    assert "somebody else changed the selector" in run.err
    assert "gatekeep apply" in run.err
    assert not story.helpers()
    assert story.selector() == {"app": "rng"}
    story.stack.lag(pods=0)
    assert story.apply().code == 0


@pytest.mark.long
@pytest.mark.parametrize("adopt", ["Template", "Admission"])
def test_scripts_of_every_kind_of_workload_restart_nobody(story_of: Callable[..., Story], adopt: str) -> None:
    story = story_of(*(manifest(kind, kind.lower(), 2) for kind in KINDS))
    story.policy(adopt=adopt)
    before, born = templates(story), uids(story)
    with story.traffic() as traffic:
        run = sh(story, plan_script(story))
        assert run.code == 0, run.err + run.out
        traffic.run_for(1)
    assert traffic.report().lost == 0, traffic.report()
    assert len(story.labelled()) == len(born)
    assert uids(story) == born
    assert not any(item["paused"] or item["strategy"] == "OnDelete" for item in templates(story).values())
    kept = story.get("statefulset", "statefulset")["status"]
    assert kept["updateRevision"] == kept["currentRevision"]
    story.kubectl("scale", "deployment", "deployment", "--replicas=3")
    story.stack.wait_pods(story.namespace, len(born) + 1, "app=rng")
    assert len(story.labelled()) == len(born) + 1

    assert story.retire().code == 3  # a script writes no record
    assert story.apply().code == 0
    run = sh(story, script_of(story, "retire", f"{story.namespace}/rng", "--dry-run"))
    assert run.code == 0, run.err + run.out
    assert story.selector() == {"app": "rng"}
    assert born <= uids(story)
    if adopt == "Template":  # whose they are stands in the record that nobody wrote then
        assert all(item["labels"].get(GATE[0]) == GATE[1] for item in templates(story).values())
    else:
        assert templates(story) == before
        assert not story.labelled()
        assert f"gatekeep-{story.namespace}" not in story.kubectl("get", "mutatingadmissionpolicies", "-o", "name")
