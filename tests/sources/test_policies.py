"""Many documents: empty ones and lists · conflicts, with both places · what else lies in a folder · manifests that
cannot be read · the local-config finding · file names in positions and errors · any bytes give policies or an error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gatekeep.sources.policies import load_policies
from gatekeep.sources.problems import DocumentErrors
from tests.sources.samples import BLUE_GREEN, CANARY, ISOLATION, RNG, changed, folder, lines, load, problems

SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: rng}\n"
WEB = RNG.replace("rng", "web").replace("active", "serving")
LOCAL = '  annotations: {config.kubernetes.io/local-config: "true"}\n'
ANNOTATED = RNG.replace("metadata:\n", "metadata:\n" + LOCAL)
POLICIES = Path(__file__).parents[2] / "policies"


def test_the_repository_of_the_readme() -> None:
    repository = load_policies([POLICIES])
    assert [str(item.position) for item in repository.policies] == ["rng.yaml:3:1"]
    assert repository.findings == ()


def test_empty_documents_and_lists() -> None:
    items = "".join(f"- {block.replace(chr(10), chr(10) + '  ').rstrip()}\n" for block in (RNG, WEB, SERVICE))
    repository = load(f"---\n---\napiVersion: v1\nkind: List\nitems:\n{items}---\n")
    assert [item.policy.name for item in repository.policies] == ["rng", "web"]
    assert [str(item.position) for item in repository.policies] == ["stdin:6:3", "stdin:17:3"]
    assert [item.document["kind"] for item in repository.manifests] == ["Service"]


def test_two_policies_of_one_name() -> None:
    assert problems(f"{RNG}---\n{RNG}") == [
        "13:1: TrafficGate dockercoins/rng stands already at stdin:1:1 → keep one of the two, or rename one"
    ]


def test_two_policies_for_one_service(tmp_path: Path) -> None:
    second = changed("name: rng", "name: rng2").replace("active", "serving")
    with pytest.raises(DocumentErrors) as caught:
        load_policies([folder(tmp_path, {"a/a.yaml": RNG, "b.yml": second})])
    assert caught.value.where == f"{tmp_path}/b.yml:1:1"
    assert f"Service dockercoins/rng has a policy already: rng at {tmp_path}/a/a.yaml:1:1" in caught.value.message


def test_the_same_service_name_in_another_namespace_is_another_service() -> None:
    assert len(load(f"{RNG}---\n{changed('dockercoins', 'staging')}").policies) == 2


def test_every_problem_of_every_file(tmp_path: Path) -> None:
    files = {"a.yaml": changed('"yes"', "yes"), "b.yaml": changed("floor", "flor"), "c.json": "{", "d.yaml": RNG}
    (folder(tmp_path, files) / "c.json").write_text('{"apiVersion": "gatekeep.dev/v1alpha1",')
    with pytest.raises(DocumentErrors) as caught:
        load_policies([tmp_path, tmp_path / "missing"])
    found = [problem.position.file.removeprefix(f"{tmp_path}/") for problem in caught.value.problems]
    assert found == ["a.yaml", "b.yaml", "c.json", "missing"]
    assert all(str(problem) in str(caught.value) for problem in caught.value.problems)
    assert caught.value.exit_code == 65


def test_names_in_positions_are_relative_and_in_errors_openable(tmp_path: Path) -> None:
    folder(tmp_path, {"p/q/rng.yaml": RNG})
    assert load_policies([tmp_path / "p"]).policies[0].position.file == "q/rng.yaml"
    assert load_policies([tmp_path / "p/q/rng.yaml"]).policies[0].position.file == "rng.yaml"
    assert load_policies([tmp_path], full_paths=True).policies[0].position.file == f"{tmp_path}/p/q/rng.yaml"


def test_the_order_is_that_of_names(tmp_path: Path) -> None:
    files = {f"{name}.yaml": RNG.replace("rng", name).replace("active", name) for name in ("c", "a", "b")}
    assert [item.policy.name for item in load_policies([folder(tmp_path, files)]).policies] == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["", "# nothing\n", SERVICE, "just text", "- a\n- b\n"])
def test_a_named_file_must_hold_a_policy(tmp_path: Path, text: str) -> None:
    folder(tmp_path, {"x.yaml": text})
    assert load_policies([tmp_path]).policies == ()
    with pytest.raises(DocumentErrors, match="no policy in this file"):
        load_policies([tmp_path / "x.yaml"])


def test_plain_manifests_are_read_and_others_passed_over(tmp_path: Path) -> None:
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
    knative = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: x}\n"
    text = f"{SERVICE}---\n{config}---\n{knative}---\n{ANNOTATED}"
    (manifest,) = load_policies([folder(tmp_path, {"all.yaml": text})]).manifests
    assert manifest.document == {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "rng"}}
    assert str(manifest.position) == "all.yaml:1:1"


@pytest.mark.parametrize(
    "text", [f"{SERVICE}spec: &x {{}}", f"{SERVICE}kind: Service", "a: {{ .Values.x }}", "[" * 60], ids=str
)
def test_a_manifest_that_cannot_be_read_is_a_finding(tmp_path: Path, text: str) -> None:
    (finding,) = load_policies([folder(tmp_path, {"helm.yaml": text, "rng.yaml": ANNOTATED})]).findings
    assert (finding.severity, finding.rule, finding.file) == ("warning", "manifest-unreadable", "helm.yaml")
    assert finding.line >= 1


@pytest.mark.parametrize("text", [RNG + "x: &x 1", f"{SERVICE}spec: &x 1\n---\n{RNG}"])
def test_a_policy_file_that_cannot_be_read_is_an_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(DocumentErrors, match="anchor &x"):
        load_policies([folder(tmp_path, {"rng.yaml": text})])


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"rng.yaml": RNG}, False),
        ({"rng.yaml": RNG, "kustomization.yaml": "resources: [rng.yaml]"}, True),
        ({"rng.yaml": RNG, "kustomization.yml": "&broken [}"}, True),
        ({"rng.yaml": RNG, "service.yaml": SERVICE}, True),
        ({"rng.yaml": RNG, "config.yaml": "apiVersion: v1\nkind: ConfigMap\n"}, True),
        ({"rng.yaml": RNG, "other/service.yaml": SERVICE}, False),
        ({"rng.yaml": ISOLATION, "kustomization.yaml": ""}, True),
        ({"rng.yaml": changed("coins}", f"coins, {LOCAL.strip()}}}", ISOLATION), "service.yaml": SERVICE}, False),
        ({"rng.yaml": ANNOTATED, "kustomization.yaml": ""}, False),
        ({"rng.yaml": ANNOTATED.replace('"true"', '"false"'), "kustomization.yaml": ""}, True),
    ],
)
def test_a_policy_that_a_sync_may_read(tmp_path: Path, files: dict[str, str], found: bool) -> None:
    findings = load_policies([folder(tmp_path, files)]).findings
    assert [(one.rule, one.severity, one.file, one.line) for one in findings] == (
        [("local-config", "warning", "rng.yaml", 1)] if found else []
    )


def test_standard_input_must_be_there_and_small() -> None:
    with pytest.raises(DocumentErrors, match="nothing to read"):
        load_policies(["-"])
    assert problems(b"#" * (2**20 + 1))[0].startswith("1:1: the file is larger than 1 MiB")


PIECES = st.sampled_from(
    [
        RNG,
        CANARY,
        BLUE_GREEN,
        ISOLATION,
        SERVICE,
        "---\n",
        '"yes"',
        "yes",
        "spec:\n",
        "  a: b\n",
        "&x ",
        "*x",
        "<<: ",
        "\t",
        "[{",
    ]
)


def outcome(data: bytes) -> Sequence[object]:
    """The policies or the problems; any other exception fails the test."""
    try:
        return load(data).policies
    except DocumentErrors as error:
        return lines(error)


@given(st.binary(max_size=200) | st.lists(PIECES, max_size=6).map(lambda parts: "".join(parts).encode()))
@example(RNG.encode().replace(b"rng", b"\xf0\x9f\x98\x80"))
@example(RNG.replace("50%", "9" * 5000).encode())
@example(RNG.replace('"yes"', '"\\ud800"').encode())
@example(RNG.replace("[rng]", ".nan").encode())
def test_any_bytes_are_policies_or_invalid(data: bytes) -> None:
    assert outcome(data)


@given(st.data(), st.sampled_from([RNG, CANARY, BLUE_GREEN, ISOLATION]))
def test_any_change_of_one_place_is_a_policy_or_invalid(data: st.DataObject, policy: str) -> None:
    start = data.draw(st.integers(0, len(policy)))
    end = data.draw(st.integers(start, min(len(policy), start + 12)))
    text = data.draw(st.text(alphabet='ab1: -[]{}"\n&*!~%', max_size=8))
    assert outcome((policy[:start] + text + policy[end:]).encode())
