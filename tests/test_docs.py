"""The documentation keeps its word: links lead somewhere, commands run, tables agree with the code."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
import yaml

from gatekeep.cli.catalog import help_text
from gatekeep.cli.main import main
from gatekeep.cluster.kube.observe import ADMISSION_KINDS, WORKLOAD_KINDS
from gatekeep.cluster.kube.raw import SNAPSHOT_KINDS
from gatekeep.cluster.resources import RESOURCES
from gatekeep.model import errors
from gatekeep.model.outcomes import (
    GateRun,
    GateStatus,
    GroupStatus,
    IsolationStatus,
    NodeStatus,
    Outcome,
    PastRun,
    RunStatus,
    ServiceOutcome,
)
from gatekeep.model.plan import Action, Change, Step
from gatekeep.operations.verify import Verification
from gatekeep.planning.access import needed
from gatekeep.render.findings import lint_counts
from gatekeep.sources.policies import load_policies
from gatekeep.sources.schema import json_schema
from tests.builders import cluster
from tests.gates import gate, plan, snapshot_of

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
GUIDES = [page for page in PAGES if page == ROOT / "README.md" or ROOT / "docs" in page.parents]
OFFLINE = {"lint", "demo", "schema", "show", "--help", "-h", "--version"}
NOT_IN_ERRORS = {0, 2, 70, 130}  # success, --detailed-exitcode, a bug, and a signal's own number

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]\n]*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_EXIT = re.compile(r"# exit (\d+)$")
_ROW = re.compile(r"^\| *(\d+) *\| *([^|]+?) *\|", re.MULTILINE)
_HELP_ROW = re.compile(r"^  (\d+) +(.+)$", re.MULTILINE)


class Command(NamedTuple):
    """One command line of a ``console`` block, what the block shows below it, and the exit code it states."""

    line: str
    shown: tuple[str, ...]
    code: int


def blocks(page: Path, language: str) -> Iterator[str]:
    """The contents of the page's fenced blocks in ``language``."""
    for found, content in _FENCE.findall(page.read_text("utf-8")):
        if found == language:
            yield content


def commands(block: str) -> Iterator[Command]:
    """The ``$ …`` lines of a block; ``# exit N`` stands at the end of a line of its own or of the command."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        line, *below = part.rstrip("\n").split("\n")
        while line.endswith("\\") and below:
            line = line[:-1] + below.pop(0).strip()
        stated = [int(found[1]) for text in (line, *below) if (found := _EXIT.search(text))]
        shown = tuple(text for text in below if text.strip() and not _EXIT.fullmatch(text.strip()))
        yield Command(_EXIT.sub("", line).strip(), shown, stated[0] if stated else 0)


def arguments(command: Command) -> list[str] | None:
    """What gatekeep is called with, when the command is gatekeep alone and needs no cluster."""
    words = shlex.split(command.line)
    if words[:1] != ["gatekeep"] or {"&&", "|", ">", ";"} & set(words):
        return None
    offline = bool(OFFLINE & set(words[1:])) or any(word.partition("=")[0] == "--snapshot" for word in words)
    return words[1:] if offline else None


def anchors(page: Path) -> set[str]:
    """The anchors that headings get, as the usual forges make them."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}


def flat(text: str) -> str:
    """``text`` with every run of white space as one space: how lines are broken is the terminal's business."""
    return " ".join(text.split())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory like the repository's, in which commands may leave files."""
    for name in ("docs", "examples", "policies"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("KUBECTL_EXTERNAL_DIFF", raising=False)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    text = _FENCE.sub("", page.read_text("utf-8"))
    for link in _LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", GUIDES, ids=lambda page: str(page.relative_to(ROOT)))
def test_offline_commands_end_as_the_page_says(page: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for block in blocks(page, "console"):
        for command in commands(block):
            given = arguments(command)
            if given is None:
                continue
            capfd.readouterr()
            code = main(given)
            out, err = capfd.readouterr()
            assert code == command.code, f"{page.name}: {command.line}\n{out}{err}"
            if page.name == "README.md":
                continue  # it shows excerpts
            said = flat(out + err)
            for shown in " ".join(command.shown).split("…"):
                assert flat(shown) in said, f"{page.name}: {command.line}\n{out}{err}"


def test_some_commands_were_run() -> None:
    runs = [
        command
        for page in GUIDES
        for block in blocks(page, "console")
        for command in commands(block)
        if arguments(command) is not None
    ]
    assert len(runs) >= 5


def test_exit_codes_are_those_of_the_code_and_of_help() -> None:
    table = dict(_ROW.findall((ROOT / "docs" / "exit-codes.md").read_text("utf-8")))
    epilog = help_text("gatekeep").partition("Exit codes:")[2]
    assert table == dict(_HELP_ROW.findall(epilog))
    raised = {
        item.exit_code for _, item in inspect.getmembers(errors, inspect.isclass)
        if issubclass(item, errors.GatekeepError)
    }  # fmt: skip
    assert {int(code) for code in table} - NOT_IN_ERRORS == raised


def test_no_plan_id_or_count_of_states_can_rot_in_the_docs() -> None:
    for page in GUIDES:
        for block in blocks(page, "console"):
            assert not re.search(r"^plan +[0-9a-f]{12}$|proved: [0-9,]+ states", block, re.MULTILINE), page.name


def granted(*names: str) -> set[tuple[str, str, str]]:
    """What the Roles of these names on the access page allow: group, resource, verb."""
    rules = [
        rule
        for block in blocks(ROOT / "docs" / "access.md", "yaml")
        if (role := yaml.safe_load(block))["metadata"]["name"] in names
        for rule in role["rules"]
    ]
    return {
        triple for rule in rules for triple in itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
    }


def test_the_roles_cover_what_plans_ask_for() -> None:
    def change(kind: str) -> Change:
        return Change("v1", kind, "shop", "rng", None, (), ())

    writes: list[tuple[Action, str]] = [
        ("Patch", "Pod"), ("Patch", "Service"), ("Create", "Service"), ("Delete", "Service"),
    ]  # fmt: skip
    steps = [Step(at, at, action, "", "", changes=(change(kind),)) for at, (action, kind) in enumerate(writes, 1)]
    wanted = {(item.group, item.resource, item.verb) for item in needed(steps)}
    assert wanted == granted("gatekeep-apply")


@pytest.mark.parametrize(("adopt", "role"), [("Template", "gatekeep-templates"), ("Admission", "gatekeep-admission")])
def test_the_roles_cover_what_adoption_asks_for(adopt: str, role: str) -> None:
    built = cluster("shop").service("rng", {"app": "rng"}).deployment("rng", 1, {"app": "rng"})
    built.daemonset("rng-d", {"app": "rng"}).statefulset("rng-s", 1, {"app": "rng"})
    found = plan(snapshot_of(built), gate(namespace="shop", adopt=adopt)).access
    wanted = {(item.group, item.resource, item.verb) for item in found}
    allowed = granted("gatekeep-apply", role, "gatekeep-probe") | {("", "pods", "create")}
    assert wanted <= allowed
    later = {("admissionregistration.k8s.io", f"mutatingadmission{kind}", verb)
             for kind in ("policies", "policybindings") for verb in ("list", "delete")}  # fmt: skip
    assert granted(role) - wanted <= later


def test_the_roles_cover_what_is_listed() -> None:
    def listed(*kinds: str) -> set[tuple[str, str, str]]:
        return {(RESOURCES[kind].group, RESOURCES[kind].plural, "list") for kind in kinds}

    looked_at = listed("Pod", "Service", "EndpointSlice", "ConfigMap", "Node", *WORKLOAD_KINDS, *ADMISSION_KINDS)
    identity = {("", "namespaces", "get")}
    assert granted("gatekeep-plan", "gatekeep-look") == looked_at | identity
    assert granted("gatekeep-status") == listed(*SNAPSHOT_KINDS) | identity


def test_every_field_of_a_report_is_on_its_page() -> None:
    text = (ROOT / "docs" / "reports.md").read_text("utf-8")
    reports = (Outcome, ServiceOutcome, GateStatus, Verification, GateRun, RunStatus, GroupStatus, NodeStatus)
    for cls in (*reports, IsolationStatus, PastRun):
        for field in dataclasses.fields(cls):
            name = re.sub(r"_(\w)", lambda found: found[1].upper(), field.name)
            assert f"`{name}`" in text, f"{cls.__name__}.{name}"
    for name in ("policies", "findings", *lint_counts([])):
        assert f"`{name}`" in text


def test_policies_in_the_docs_are_valid() -> None:
    documents = [block for block in blocks(ROOT / "docs" / "policies.md", "yaml") if "apiVersion: gatekeep" in block]
    kinds: set[str] = set()
    for block in documents:
        (located,) = load_policies(["-"], stdin=block.encode()).policies
        rotation = getattr(located.policy.spec, "rotation", None)
        kinds.update([located.policy.metadata.name] if rotation is None else msgspec.to_builtins(rotation))
    assert kinds >= {"pool", "canary", "blueGreen", "inc-4711"}


def test_every_field_of_a_policy_is_on_its_page() -> None:
    text = (ROOT / "docs" / "policies.md").read_text("utf-8")
    for name, definition in json_schema()["$defs"].items():
        for field in definition.get("properties", ()):
            assert re.search(rf"\b{field}\b", text), f"{name}.{field}"
