"""The script of a plan: what it holds, what is refused when it is made, and its own functions, run by sh."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest

from examples.make import CLUSTERS, plan_of
from gatekeep.model.errors import GatekeepError, InvalidInputError, RefusedError, UnsafeError
from gatekeep.model.plan import Match, Proof
from gatekeep.model.progress import Isolated, Progress, Stage
from gatekeep.model.selectors import LabelSelector, Requirement
from gatekeep.model.waits import (
    CheckWait,
    FieldWait,
    GateLabel,
    RevisionWait,
    WaitObject,
)
from gatekeep.render.script import script_text
from gatekeep.render.shell import condition, with_variables
from tests.render.hostile import HOSTILE, hostile_plan
from tests.render.samples import PODS, label, sample, step

LIBRARY = files("gatekeep.render").joinpath("script_library.sh").read_text("utf-8")
SCRIPTS = ("rng", "rng-without-daemonset", "canary", "held")
TARGET = WaitObject("apps/v1", "DaemonSet", "shop", "rng", "uid-ds")


def sh(text: str, *, shell: str = "sh") -> subprocess.CompletedProcess[str]:
    """Runs ``text`` behind the functions that every script has."""
    program = f"set -euf\nLC_ALL=C\nexport LC_ALL\nclean_up() {{ :; }}\n{LIBRARY}\n{text}\n"
    return subprocess.run([shell], input=program, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("example", SCRIPTS)
def test_the_scripts_of_the_examples_are_sh(example: str, tmp_path: Path) -> None:
    path = tmp_path / "script.sh"
    path.write_text(script_text(plan_of(example)))
    for shell in ("dash", "bash", "busybox"):
        if program := shutil.which(shell):
            command = [program, "sh"] if shell == "busybox" else [program]
            assert subprocess.run([*command, "-n", str(path)], capture_output=True, check=False).stderr == b""
    if shellcheck := shutil.which("shellcheck"):
        codes = "SC2016,SC2034,SC2089,SC2090,SC2154"  # templates in single quotes; variables of the library
        run = subprocess.run([shellcheck, "-s", "sh", "-S", "warning", "-e", codes, str(path)],
                             capture_output=True, text=True, check=False)  # fmt: skip
        assert run.stdout == ""


@pytest.mark.parametrize("example", SCRIPTS)
def test_every_test_of_every_patch_is_kept(example: str) -> None:
    plan = plan_of(example)
    text = script_text(plan).replace("'\"'\"'", "'")
    for one in plan.steps:
        assert f"\nstep_{one.number}() {{\n" in text
        assert re.search(rf"^step_{one.number}$", text, re.MULTILINE)
        for change in one.changes:
            for op in change.patch:
                if op.op == "test" and not isinstance(op.value, dict):
                    value = msgspec.json.encode(op.value).decode()
                    assert f'{{"op":"test","path":"{op.path}","value":{value}}}' in text
    assert text.count("--field-manager=gatekeep") >= 2
    assert plan.cluster.uid is not None
    assert plan.cluster.uid in text


def test_it_says_what_it_does_not_do() -> None:
    text = script_text(sample())
    assert "It writes neither the record nor the Lease" in text
    assert "in every one no Service is below its floor" in text
    assert "nobody proved again" in script_text(sample(), proved=False)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"proof": Proof(False, 3, "0 left")}, UnsafeError, "0 left"),
        ({"cluster": {"uid": None}}, RefusedError, "does not say for which cluster"),
        ({"cluster": {"uid": "sha256:00"}}, RefusedError, "does not say for which cluster"),
        ({"gate": {"progress": Progress("r", "Paused", 1)}}, RefusedError, "run stands is kept in the record"),
        ({"gate": {"stages": (Stage(1, Progress("r", "Running", 1)),)}}, RefusedError, "kept in the record"),
        ({"gate": {"preview": "rng-preview"}}, RefusedError, "kept in the record"),
        ({"gate": {"isolations": (Isolated("i", "Gate", "r", "me"),)}}, RefusedError, "who is isolated"),
        ({"wait": CheckWait("errors", "up", max="1")}, RefusedError, "a check asks Prometheus"),
        ({"wait": FieldWait(TARGET, "/status/x", equals=[1])}, RefusedError, "more than a number or text"),
        ({"wait": RevisionWait(TARGET, "r1", GateLabel("a", "b"), 1, {"x": "/data"})}, RefusedError, "something else"),
    ],
)  # fmt: skip
def test_what_no_script_can_do_is_refused(fields: dict[str, Any], error: type[GatekeepError], message: str) -> None:
    plan = sample()
    if "proof" in fields:
        plan = sample(**fields)
    if "cluster" in fields:
        plan = sample(cluster=msgspec.structs.replace(plan.cluster, **fields["cluster"]))
    if "gate" in fields:
        plan = sample(gates=(msgspec.structs.replace(plan.gates[0], **fields["gate"]),))
    if "wait" in fields:
        plan = sample(steps=(*plan.steps, step(7, 5, "Wait", "", wait=fields["wait"])))
    with pytest.raises(error, match=message):
        script_text(plan)


def test_pods_of_several_revisions_are_refused() -> None:
    def wait(revision: str) -> RevisionWait:
        return RevisionWait(
            TARGET, revision, GateLabel("a", "b"), 1, {"x": "/metadata/labels/controller-revision-hash"}
        )

    steps = (step(1, 1, "Wait", "", wait=wait("one")), step(2, 1, "Wait", "", wait=wait("two")))
    assert "find_revision 1" in script_text(sample(steps=steps[:1]))
    with pytest.raises(RefusedError, match="several revisions"):
        script_text(sample(steps=steps))


@pytest.mark.parametrize("text", HOSTILE)
def test_names_that_no_object_can_have_are_refused(text: str) -> None:
    if not re.fullmatch(r"[-A-Za-z0-9_./:]*", text):
        with pytest.raises((InvalidInputError, RefusedError)):
            script_text(hostile_plan(text))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_reason_is_a_comment_of_one_line(text: str) -> None:
    plan = sample(steps=(step(1, 1, "Patch", text, *map(label, PODS)),))
    lines = script_text(plan).split("\n")
    at = lines.index("step_1() {")
    assert lines[at - 1].startswith("# 1: ")
    assert lines[at - 2] == ""


@pytest.mark.parametrize("example", sorted(set(CLUSTERS) - set(SCRIPTS)))
def test_runs_and_isolations_have_no_script(example: str) -> None:
    with pytest.raises(RefusedError, match="kept in the record"):
        script_text(plan_of(example))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a b", "'a b'"),
        ("", "''"),
        ("\x02n\x03", '"$b1"'),
        ('{"x":"\x02n\x03"}', """'{"x":"'"$b1"'"}'"""),
        ("it's", "'it'\"'\"'s'"),
    ],
)
def test_bound_values_are_variables(text: str, word: str) -> None:
    assert with_variables(text, {"n": "b1"}) == word


L = '(printf "%v" (index $l "app"))'


@pytest.mark.parametrize(
    ("match", "words"),
    [
        (Match("n"), "true"),
        (Match("n", LabelSelector({"app": "rng"})), f'(eq {L} "rng")'),
        (Match("n", LabelSelector({}, (Requirement("app", "In", ("a", "b")),))), f'(eq {L} "a" "b")'),
        (Match("n", LabelSelector({}, (Requirement("app", "NotIn", ("a",)),))), f'(not (eq {L} "a"))'),
        (Match("n", LabelSelector({}, (Requirement("app", "Exists"),))), f'(ne {L} "<nil>")'),
        (Match("n", LabelSelector({}, (Requirement("app", "DoesNotExist"),))), f'(eq {L} "<nil>")'),
        (Match("n", owner_uids=("u",)), '(or (eq $o "u") (eq $p "u"))'),
        (Match("n", owner_uids=()), "(or false false)"),
        (Match("n", any_of=()), "false"),
        (Match("n", any_of=(Match(), Match())), "(or true true)"),
        (Match("n", except_=(Match(owner_uids=("u",)),)), '(not (or (eq $o "u") (eq $p "u")))'),
        (Match("n", except_uids=("a", "b")), '(not (eq $u "a" "b"))'),
        (Match("n", LabelSelector({"app": "rng"}), except_uids=("a",)), f'(and (eq {L} "rng") (not (eq $u "a")))'),
    ],
)  # fmt: skip
def test_a_match_is_a_condition_of_a_template(match: Match, words: str) -> None:
    assert condition(match) == words


@pytest.mark.parametrize(
    ("command", "out"),
    [
        ("both 'a\nb\nc' 'b\nc\nd'", "b\nc\n"),
        ("both '' 'a'", ""),
        ("both 'a' ''", ""),
        ("only 'a\nb\nc' 'b\nd'", "a\nc\n"),
        ("only 'a\nb' ''", "a\nb\n"),
        ("only '' 'a'", ""),
        ("count 'a\nb'", "2\n"),
        ("count ''", "0\n"),
        ("printf 'b\n\na\nb\n' | lines", "a\nb\n"),
        ("field 'a|b|c' 2", "b\n"),
        ("quoted -; quoted =; quoted =yes", 'null"""yes"'),
        ("edit /m/l - =yes u", '[{"op":"test","path":"/metadata/uid","value":"u"},'
         '{"op":"test","path":"/m/l","value":null},{"op":"add","path":"/m/l","value":"yes"}]'),
        ("edit /m/l =no - u", '[{"op":"test","path":"/metadata/uid","value":"u"},'
         '{"op":"test","path":"/m/l","value":"no"},{"op":"remove","path":"/m/l"}]'),
        ("held=' A/a B/b C/c'; let_go B/b; say \"$held\"", " A/a C/c\n"),
    ],
)  # fmt: skip
def test_the_functions_of_a_script(command: str, out: str) -> None:
    run = sh(command)
    assert (run.returncode, run.stdout, run.stderr) == (0, out, "")


FAKE = """\
look() {{
  case $* in
    *" service rng "*) printf '%s' '{service}' ;;
    *" pods "*) printf '%s' '{pods}' ;;
    *) printf '%s' '{slices}' ;;
  esac
}}
endpoints_met shop rng app=rng,
"""


@pytest.mark.parametrize(
    ("service", "pods", "slices", "code"),
    [
        ("u1 ready app=rng, |http| Fx", "p1 ready Fx", "u1, IPv4 - -\nu1, IPv4 |http| p1", 0),
        ("u1 ready app=rng, |http| Fx", "p1 ready Fx\np2 ready Fx", "u1, IPv4 - -\nu1, IPv4 |http| p1", 1),
        ("u1 ready app=rng, |http| Fx", "p1 ready Fx", "u0, IPv4 - -\nu0, IPv4 |http| p1", 1),
        ("u1 ready app=rng, |http| Fx", "p1 ready Fx", "u1, IPv4 - -\nu1, IPv4 |http| p1\nu1, IPv4 |http| p2", 1),
        ("u1 ready app=rng, |http| Fx", "p1 ready Fx\np2 hidden Fx", "u1, IPv4 - -\nu1, IPv4 |http| p1", 0),
        ("u1 ready app=rng, |http|admin| Fx", "p1 ready Fx", "u1, IPv4 - -\nu1, IPv4 |http| p1", 1),
        ("u1 ready app=rng, || Fx", "p1 ready Fx", "u1, IPv4 - -\nu1, IPv4 || p1", 0),
        ("u1 ready app=rng, |http| Fx", "", "u1, IPv4 - -", 0),
        ("u1 ready app=rng, |http| Fx", "", "", 1),
        ("u1 all app=rng, |http| Fx", "p1 ready Fx\np2 hidden Fx",
         "u1, IPv4 - -\nu1, IPv4 |http| p1\nu1, IPv4 |http| p2", 0),
        ("u1 ready app=rng, |http| Fxx", "p1 ready Fxx\np2 ready Fx",
         "u1, IPv4 - -\nu1, IPv6 - -\nu1, IPv4 |http| p1\nu1, IPv6 |http| p1\nu1, IPv4 |http| p2", 0),
        ("u1 ready app=rng, |http| Fxx", "p1 ready Fxx", "u1, IPv4 - -\nu1, IPv6 - -\nu1, IPv4 |http| p1", 1),
        ("u1 ready app=rng,tier=x, |http| Fx", "p1 ready Fx", "u1, IPv4 - -\nu1, IPv4 |http| p1", 3),
        ("", "", "", 3),
    ],
)  # fmt: skip
def test_the_barrier_is_met_by_exactly_the_ready_pods(service: str, pods: str, slices: str, code: int) -> None:
    run = sh(FAKE.format(service=service, pods=pods, slices=slices))
    assert run.returncode == code, run.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [("3 6 4", 0), ("3 6 3", 0), ("3 6 2", 3), ("3 2 2", 0), ("3 2 1", 3), ("0 6 0", 0)],
)
def test_the_floor_is_looked_at_again(arguments: str, code: int) -> None:
    assert sh(f"enough shop rng {arguments}").returncode == code


@pytest.mark.parametrize(("wrote", "code"), [(0, 3), (1, 6)])
def test_an_answer_that_is_missing_is_never_taken_for_an_empty_one(wrote: int, code: int) -> None:
    run = sh(f"wrote={wrote}\nlook() {{ return 1; }}\nuntil endpoints_met shop rng app=rng,; do sleep 1; done")
    assert run.returncode == code
    assert "does not answer" in run.stderr


def test_it_calls_nothing_but_kubectl_and_what_every_system_has() -> None:
    text = script_text(plan_of("rng"))
    for word in ("jq", "awk", "python", "mktemp", "seq", "local ", "[[", "<<<", "function "):
        assert not re.search(rf"(?m)^[^#'\"]*(?<![\w-]){re.escape(word)}", LIBRARY), word
    assert "#!/bin/sh\n" in text[:20]
